"""Pieces that answers are made of: the verdict in words, the findings that carry it, those that do not."""

import re
from collections.abc import Sequence
from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.followups.base import Answer
from forensic_chat.data.protocol import SCORES, answer_prefix, suspicious
from forensic_chat.data.rationales import special
from forensic_chat.data.sentences import phrases
from forensic_chat.data.statements import state
from forensic_chat.schema import Finding, Label

_LABELS: dict[Label, str] = {
    "real": "real",
    "synthetic": "synthetic (generated as a whole)",
    "tampered": "tampered (edited in places)",
    "inconclusive": "inconclusive",
}


def figure(case: Case) -> str:
    """The number in the first line of the first answer."""
    return answer_prefix(case.label, case.probabilities).split()[1]


def stop(sentence: str) -> str:
    """The sentence with a full stop."""
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."


def join(*sentences: str | None) -> str:
    """The sentences that are there, each with its full stop."""
    return " ".join(stop(sentence) for sentence in sentences if sentence)


def states(findings: Sequence[Finding], case: Case, rng: Random) -> list[str]:
    """A sentence on each finding."""
    return [state(finding, case, rng) for finding in findings]


def leading(case: Case) -> list[Finding]:
    """The findings that carry the verdict, the most telling first; never empty where there are findings."""
    if case.label == "real":
        scores = [finding for finding in case.of(*SCORES) if not suspicious(finding)]
        others = [finding for finding in case.for_image() if finding not in scores]
        return scores + others or list(case.findings)
    return case.against_image() or case.doubts() or case.for_image() or list(case.findings)


def opposing(case: Case, rng: Random) -> list[Finding]:
    """What does not fit the verdict; the undecided come first where the verdict is real."""
    if case.label == "real":
        return case.against_image() + case.doubts()
    if case.label == "inconclusive":
        return special(case, rng, 3)
    against = [finding for finding in case.against_image() if finding.supports != case.label]
    return against + [finding for finding in special(case, rng, len(case.findings)) if _silent(finding, case)]


def _silent(finding: Finding, case: Case) -> bool:
    """A finding that could have supported the fake verdict and does not, or that supports "real"."""
    if finding.supports == "real":
        return True
    measured = finding.value is not None or finding.kind == "metadata.generator"
    return measured and phrases(finding.kind).supports == case.label


def verdict(case: Case, rng: Random) -> str:
    """The measured verdict and its figure."""
    if case.label == "inconclusive":
        return rng.choice(
            (
                f"The verdict is inconclusive; the probability of a fake is {figure(case)}.",
                f"It is undecided, inconclusive: a fake has probability {figure(case)}.",
                f"I can't decide it: the verdict is inconclusive, and a fake has a probability of {figure(case)}.",
            )
        )
    return rng.choice(
        (
            f"The verdict is {_LABELS[case.label]}, with probability {figure(case)}.",
            f"By what was measured it is {_LABELS[case.label]}, with probability {figure(case)}.",
            f"The examination says {case.label}, with a probability of {figure(case)}.",
            f"The measured verdict is {case.label}, at a probability of {figure(case)}.",
        )
    )


def undecided(case: Case) -> str | None:
    """The measured reasons for an inconclusive verdict."""
    return f"It is inconclusive because {', and '.join(case.reasons)}" if case.reasons else None


def cited_ids(text: str) -> list[str]:
    """The ids of the findings that a text names, in order."""
    return re.findall(r"\bE\d+\b", text)


def fixed(*answers: str) -> Answer:
    """One of these, whatever the case."""
    return lambda case, rng: rng.choice(answers)
