"""All that code may say of a finding or the two scores in a rationale, word for word: what a small language model
chooses from, beside the places of regions (`data.statements.places`).

One that may use any words mixes sentences up: it calls a high score low, or speaks of a ghost and cites the grid.
Held to these it still chooses what to say, of what, in which order.
"""

from collections.abc import Iterable

from forensic_chat.data.case import Case
from forensic_chat.data.protocol import SCORES, place, strength_word, suspicious, written
from forensic_chat.data.rationales import OPEN
from forensic_chat.data.sentences import FAKE, HOW, phrases
from forensic_chat.data.statements import limits, named, on_both_scores, stated
from forensic_chat.schema import Finding


def of_finding(finding: Finding, case: Case) -> list[str]:
    """What it shows under the verdict, with its place where it drew one."""
    box = case.box(finding.region)
    places = (
        [""]
        if box is None
        else [f" {place(box, case.image_size)}", f" in {finding.region}", f" at {_edges(box)}"]
    )
    return _filled(stated(finding, case), finding, places)


def around(finding: Finding, case: Case) -> list[str]:
    """What it does not exclude, or that it leaves the verdict open; where the verdict rests on it, the rule behind it
    and what a real photo would show."""
    texts = limits(finding)
    if suspicious(finding) and finding.supports == case.label:
        texts += (*phrases(finding.kind).rule, *phrases(finding.kind).real)
    if suspicious(finding) and case.label == "inconclusive":
        texts += (named(text, finding) for text in OPEN)
    return _filled(texts, finding, [""])


def of_scores(case: Case) -> list[str]:
    """Both learned scores; nothing where one of them accuses, or is not there."""
    values = [written(finding.value) for finding in case.of(*SCORES)]
    return _unique(text.format(s=values[0], t=values[1]) for text in on_both_scores(case))


def _filled(texts: Iterable[str], finding: Finding, places: Iterable[str]) -> list[str]:
    v, how = written(finding.value), HOW[strength_word(finding.strength)]
    fakes = FAKE.get(finding.supports, ("a fake",))
    return _unique(
        text.format(v=v, how=how, place=where, fake=fake)
        for text in texts
        for where in places
        for fake in fakes
    )


def _edges(box: Iterable[int]) -> str:
    return f"[{','.join(map(str, box))}]"


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text[:1].upper() + text[1:] for text in texts))
