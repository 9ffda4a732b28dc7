"""What an answer of a scripted dialogue is checked for."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.mllm.verify import passed
from forensic_chat.schema import CLASSES, Claim, Examination, Finding


@dataclass
class Talk:
    """A conversation so far: the examination, and of each turn the question, the answer and what came with it."""

    said: Examination
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    claims: list[list[Claim]] = field(default_factory=list)
    found: list[list[Finding]] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.said.verdict.label

    @property
    def last(self) -> str:
        return self.answers[-1]

    def ids(self) -> set[str]:
        """Ids that may be cited."""
        new = [finding for found in self.found for finding in found]
        return {thing.id for thing in (*self.said.findings, *self.said.regions, *new)}


Check = Callable[[Talk], bool]
"""Whether the last answer is as it should be."""


def cited(text: str) -> list[str]:
    return re.findall(r"\b[ER]\d+\b", text)


def verified(talk: Talk) -> bool:
    """Every claim shown passed its check."""
    return all(passed(claim) for claim in talk.claims[-1])


def exists(talk: Talk) -> bool:
    """Whatever is cited exists."""
    return set(cited(talk.last)) <= talk.ids()


def steady(talk: Talk) -> bool:
    """No other verdict is given out as its own."""
    others = "|".join(label for label in (*CLASSES, "inconclusive") if label != talk.label)
    return not re.search(
        rf"\b(?:the|my|measured) verdict(?: is|:) (?:{others})\b|\bsays (?:{others})\b", talk.last.lower()
    )


def verdict(talk: Talk) -> bool:
    """The verdict is said, in so many words."""
    undecided = talk.label == "inconclusive" and re.search(r"undecided|can't decide|open", talk.last.lower())
    return talk.label in talk.last.lower() or bool(undecided)


def figure(talk: Talk) -> bool:
    """The verdict's own figure is given."""
    return answer_prefix(talk.said.verdict.label, talk.said.verdict.probabilities).split()[1] in talk.last


def label_only(talk: Talk) -> bool:
    """The answer is the label alone."""
    return talk.last.strip() == talk.label


def as_json(talk: Talk) -> bool:
    """The answer is a JSON object with the verdict."""
    try:
        return bool(json.loads(talk.last)["verdict"] == talk.label)
    except (ValueError, TypeError, KeyError):
        return False


def three_lines(talk: Talk) -> bool:
    """The answer is three bullets."""
    lines = talk.last.splitlines()
    return len(lines) == 3 and all(line.startswith("- ") for line in lines)


def cites(talk: Talk) -> bool:
    """A finding is cited."""
    return any(name[0] == "E" for name in cited(talk.last))


def regions(talk: Talk) -> bool:
    """The first regions are named; none where there is none."""
    places = [region.id for region in talk.said.regions[:3]]
    named = {name for name in cited(talk.last) if name[0] == "R"}
    return named == set(places) if len(places) < 2 else bool(named) and named <= set(places)


def repeats(talk: Talk) -> bool:
    """The answer before, word for word."""
    return talk.last == talk.answers[-2]


def explains(talk: Talk) -> bool:
    """The finding that the answer before cited first is explained."""
    names = [name for name in cited(talk.answers[-2]) if name[0] == "E"]
    return not names or names[0] in cited(talk.last)


def fresh(talk: Talk) -> bool:
    """Only findings that were not cited before, or word that all has been said."""
    claims = talk.said.rationale.claims if talk.said.rationale else []
    before = {name for claim in claims for name in claim.findings}
    before |= {name for answer in talk.answers[:-1] for name in cited(answer)}
    named = {name for name in cited(talk.last) if name[0] == "E"}
    return not named & before and (bool(named) or "All that was measured" in talk.last)


def recalls(talk: Talk) -> bool:
    """The first question is quoted."""
    return talk.questions[0].replace('"', "'")[:40] in talk.last


def refuses(talk: Talk) -> bool:
    """It says what it can't tell, and asserts nothing."""
    return (
        bool(re.search(r"can't|don't|won't|not|nothing|no\b|beyond", talk.last.lower()))
        and not talk.claims[-1]
    )


def looked(talk: Talk) -> bool:
    """Another look was taken, and what it found is cited."""
    found = {finding.id for finding in talk.found[-1]}
    return bool(found) and found <= set(cited(talk.last))


def no_such(talk: Talk) -> bool:
    """It says that there is no such finding."""
    return "no finding of that number" in talk.last


def first_named(talk: Talk) -> bool:
    """The answer speaks of E1 and its value is right."""
    return "E1" in cited(talk.last) and verified(talk)


def yes(talk: Talk) -> bool:
    return talk.last.startswith("Yes")


def no(talk: Talk) -> bool:
    return talk.last.startswith(("No", "I did not"))


ALWAYS: tuple[Check, ...] = (verified, exists, steady)
"""Checks of every answer."""
