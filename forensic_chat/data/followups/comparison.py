"""This image beside another that was examined too."""

from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.followups.saying import figure, join, verdict
from forensic_chat.data.protocol import SCORES, quotable, written
from forensic_chat.data.statements import cited, state

_NAMES = {
    "metadata.camera": "camera name",
    "metadata.software": "software tag",
    "metadata.dates": "date check",
    "metadata.generator": "generator name",
}


def comparison(case: Case, other: Case, name: str, same_file: bool, rng: Random) -> str:
    """What was measured on both, side by side.

    Sentences about this image cite its findings; those about the other cite nothing, since ids are this
    image's. name: of the other's file, untrusted. same_file: whether both files are the same bytes.
    """
    called = f'the other image, "{quotable(name)}"'
    if same_file:
        return join("Both are the same file, byte for byte, so nothing can differ", verdict(case, rng))
    lines = [f"This image: {verdict(case, rng)} For {called}: {_of_other(other)}"]
    scores = case.of(*SCORES)
    lines += [state(finding, case, rng) for finding in scores]
    theirs = {finding.kind: finding for finding in other.findings}
    if scores and all(kind in theirs for kind in SCORES):
        s, t = (written(theirs[kind].value) for kind in SCORES)
        lines.append(f"The other's scores are {s} for generation and {t} for a local change")
    lines += _metadata(case, other)
    if case.label == other.label:
        lines.append("Both got the same verdict, each by itself; that does not make them one picture")
    else:
        lines.append("Each was judged by itself, so the one verdict is no reason for the other")
    lines.append("Lay the two side by side at full size to see what differs in what they show")
    return join(*lines)


def _of_other(other: Case) -> str:
    if other.label == "inconclusive":
        return f"the verdict is inconclusive, with a probability of {figure(other)} of a fake."
    return f"the verdict is {other.label}, with probability {figure(other)}."


def _metadata(case: Case, other: Case) -> list[str]:
    """At most two entries of the metadata that both files have, or that differ."""
    theirs = {finding.kind: finding for finding in other.findings}
    lines = []
    for finding in case.of(*_NAMES):
        their = theirs.get(finding.kind)
        if finding.value is None or their is None or their.value is None:
            continue
        lines.append(cited(f"The {_NAMES[finding.kind]} reads {written(finding.value)}", finding))
        same = finding.value == their.value
        lines.append("The other file says the same" if same else f"There it reads {written(their.value)}")
    return lines[:4]
