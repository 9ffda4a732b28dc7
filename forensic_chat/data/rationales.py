"""Writes what an examination holds as cited sentences: the answer to the verdict question, as training text.

The order is that of dialectical fine-tuning (Forensic-Chat, arXiv 2509.25502): perceive the artefact, the
rule it breaks and why that means fake, what a real photo would look like.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from forensic_chat.data.protocol import FLOOR, place, strength_word, suspicious, written
from forensic_chat.data.sentences import C2PA_GENERATED, C2PA_STATES, FAKE, HOW, phrases
from forensic_chat.schema import Box, Finding, Label, Probabilities, Region

_OUTWEIGHED = (
    "{name} reads {v}, outweighed by the other findings",
    "{name} measures {v}, too little to change the verdict",
    "{name} of {v} was weighed and does not decide",
)
_OPEN = (
    "{name} reads {v} and leaves the question open",
    "{name} at {v} does not settle it",
    "{name} measures {v}, which is too little for a verdict",
)


@dataclass(frozen=True)
class Case:
    """What a conversation is about. `image_size` is (width, height); `truth` the true label, where it is
    known."""

    findings: Sequence[Finding]
    regions: Sequence[Region]
    label: Label
    probabilities: Probabilities
    image_size: tuple[int, int]
    truth: str | None = None

    def against_image(self) -> list[Finding]:
        """Suspicious findings: those that support the verdict first, then by strength."""
        found = [finding for finding in self.findings if suspicious(finding)]
        return sorted(found, key=lambda finding: (finding.supports != self.label, -finding.strength))

    def for_image(self) -> list[Finding]:
        """Findings that say nothing against the image: those that support "real" and the encoder's first."""
        found = [
            finding for finding in self.findings if not suspicious(finding) and not lowers_trust(finding)
        ]
        return sorted(
            found, key=lambda finding: (finding.supports != "real", not finding.kind.startswith("encoder."))
        )

    def box(self, region: str | None) -> Box | None:
        return next((place.box for place in self.regions if place.id == region), None)


def lowers_trust(finding: Finding) -> bool:
    """A finding that supports no label but matters, such as an unfamiliar image."""
    return finding.supports == "neutral" and finding.strength >= FLOOR and bool(phrases(finding.kind).odd)


def rationale(case: Case, rng: Random) -> list[str]:
    """Two to five claims, each a sentence with its citations: "The spectrum shows no peaks (0.1) [E4]"."""
    if case.label == "real":
        claims = _real(case, rng)
    elif case.label == "inconclusive":
        claims = _inconclusive(case, rng)
    else:
        claims = _fake(case, rng)
    claims = list(dict.fromkeys(claims))[:5]
    for finding in case.findings:
        if len(claims) >= 2:
            break
        claims.append(state(finding, case, rng))
    return claims


def state(finding: Finding, case: Case, rng: Random) -> str:
    """One cited sentence that says what the finding shows, without a full stop; never an artefact on
    `real`."""
    if suspicious(finding) and case.label == "real":
        if finding.value is None:
            return cited(_named(_OUTWEIGHED[0], finding).format(v="none"), finding)
        return cited(_fill(_named(rng.choice(_OUTWEIGHED), finding), finding, case, rng), finding)
    template = rng.choice(_templates(finding))
    return cited(_fill(template, finding, case, rng), finding, region=suspicious(finding))


def cited(sentence: str, finding: Finding, region: bool = False) -> str:
    """The sentence with its citations behind it."""
    return f"{sentence} [{finding.id}]" + (f"[{finding.region}]" if region and finding.region else "")


def rule(finding: Finding, rng: Random) -> str | None:
    """The general rule behind the finding, cited; None where there is none."""
    rules = phrases(finding.kind).rule
    return cited(rng.choice(rules), finding) if rules else None


def real_version(finding: Finding, rng: Random) -> str | None:
    """What a real photo would show in the finding's place, cited; None where there is nothing to say."""
    versions = phrases(finding.kind).real
    return cited(rng.choice(versions), finding) if versions else None


def _fake(case: Case, rng: Random) -> list[str]:
    against = case.against_image()
    own = [finding for finding in against if finding.supports == case.label]
    shown = own[: rng.choice((1, 2, 2, 3, 3))]
    if len(against) > len(own) and rng.random() < 0.2:
        shown.append(against[len(own)])
    claims = [state(finding, case, rng) for finding in shown]
    if shown and rng.random() < 0.6:
        claims += [text for text in (rule(shown[0], rng),) if text]
    if shown and rng.random() < 0.6:
        claims += [text for text in (real_version(rng.choice(shown), rng),) if text]
    clean = case.for_image()
    if clean and (len(claims) < 2 or rng.random() < 0.2):
        claims += [
            state(finding, case, rng) for finding in rng.sample(clean, min(len(clean), 2 if not shown else 1))
        ]
    return claims


def _real(case: Case, rng: Random) -> list[str]:
    clean = case.for_image()
    first = clean[: rng.choice((1, 2))]
    rest = [finding for finding in clean if finding not in first]
    more = rng.sample(rest, min(len(rest), rng.choice((1, 2, 2, 3))))
    return [state(finding, case, rng) for finding in [*first, *more]]


def _inconclusive(case: Case, rng: Random) -> list[str]:
    against, clean = case.against_image(), case.for_image()
    doubts = [finding for finding in case.findings if lowers_trust(finding)]
    claims = [state(finding, case, rng) for finding in against[: rng.choice((1, 2))]]
    claims += [state(finding, case, rng) for finding in clean[: rng.choice((1, 2))]]
    if doubts:
        claims.append(state(rng.choice(doubts), case, rng))
    elif against:
        weak = against[-1]
        template = _OPEN[0] if weak.value is None else rng.choice(_OPEN)
        claims.append(cited(_fill(_named(template, weak), weak, case, rng), weak))
    return claims


def _templates(finding: Finding) -> tuple[str, ...]:
    words = phrases(finding.kind)
    if finding.kind == "provenance.c2pa":
        return _c2pa(finding)
    if suspicious(finding):
        return _suspect(finding)
    if finding.value is None:
        return words.empty or (_named("{name} holds no value, which is unremarkable", finding),)
    if lowers_trust(finding):
        return words.odd
    return words.clean or (_named("{name} reads {v}, which is unremarkable", finding),)


def _suspect(finding: Finding) -> tuple[str, ...]:
    """Wordings for a suspicious finding; where it supports what its kind usually doesn't, only open ones."""
    if finding.value is None:
        return (_named("{name} holds no value, which points to {fake}", finding),)
    words = phrases(finding.kind)
    usual = finding.supports == words.supports or not words.supports
    fitting = tuple(text for text in words.suspect if usual or "{fake}" in text)
    return fitting or (_named("{name} reads {v}, which points to {fake}", finding),)


def _c2pa(finding: Finding) -> tuple[str, ...]:
    state = finding.value if isinstance(finding.value, str) else ""
    if suspicious(finding) and finding.supports == "synthetic":
        return C2PA_GENERATED
    if suspicious(finding) != (state == "invalid") or state not in C2PA_STATES:
        tail = ", which points to {fake}" if suspicious(finding) else ""
        return ("The Content Credentials read {v}" + tail, "The provenance check reads {v}" + tail)
    return C2PA_STATES[state]


def _named(template: str, finding: Finding) -> str:
    name = phrases(finding.kind).name
    return template.replace("{name}", name[0].upper() + name[1:])


def _fill(template: str, finding: Finding, case: Case, rng: Random) -> str:
    return template.format(
        v=written(finding.value),
        how=HOW[strength_word(finding.strength)],
        place=_place(finding, case, rng),
        fake=rng.choice(FAKE.get(finding.supports, ("a fake",))),
    )


def _place(finding: Finding, case: Case, rng: Random) -> str:
    box = case.box(finding.region)
    if box is None:
        return ""
    wide = (box[2] - box[0]) * (box[3] - box[1]) > 0.6 * case.image_size[0] * case.image_size[1]
    if wide or rng.random() < 0.15:
        return f" in {finding.region}"
    if rng.random() < 0.1:
        return " at [" + ",".join(map(str, box)) + "]"
    return " " + place(box, case.image_size)
