"""Reads a model's answers as claims: sentences that cite findings [E2] and regions [R1].

Forgiving about form (numbering, bullets, "[E1, E2]", "(E1)", an unfinished last line), strict about content:
what is not written is not guessed, and an answer without a single citation is an error that callers count and
show.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from forensic_chat.errors import AnswerUnparsable

_ID = r"[ER][1-9]\d{0,3}"
_CITATION = re.compile(rf"[\[(]\s*({_ID}(?:\s*(?:,|;|/|&|\+|and|\s)\s*{_ID})*)\s*[\])]", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•·–—+▪◦]+|\(?\d{1,2}[.):])\s+")
_VERDICT = re.compile(
    r"^\W*(?:verdict\W+)?(?:real|synthetic|tampered|inconclusive)\b[\s:.,%()\d]*$", re.IGNORECASE
)
_TRAILING = re.compile(rf"\s*{_CITATION.pattern}\.?", re.IGNORECASE)
_OPENED = re.compile(r"\s*[\[(][^\])]*$")
_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")


@dataclass(frozen=True)
class ParsedClaim:
    """A sentence without its citations, and what it cites. No ids at all means that it cites nothing."""

    text: str
    findings: tuple[str, ...]
    region: str | None


def parse_rationale(text: str) -> list[ParsedClaim]:
    """The claims of an answer to the verdict question, in order; at least one of them cites something.

    A first line with the verdict is skipped, an unfinished last line dropped; a line without a citation stays
    a claim that cites nothing (and will fail its check). Raises AnswerUnparsable when no line cites anything.
    """
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if lines and _VERDICT.match(lines[0]):
        lines = lines[1:]
    if lines and not _finished(lines[-1]):
        lines = lines[:-1]
    claims = [claim for line in lines for claim in _claims_of_line(_BULLET.sub("", line))]
    if not any(claim.findings or claim.region for claim in claims):
        raise AnswerUnparsable(
            "the model's answer holds no claim that cites a finding or a region; ask again"
        )
    return claims


def parse_reply(text: str) -> list[ParsedClaim | str]:
    """A follow-up's answer in pieces, in order: sentences with citations as claims, the others as plain
    text."""
    pieces: list[ParsedClaim | str] = []
    for sentence in sentences(text):
        bare = _BULLET.sub("", sentence).strip()
        pieces.extend(_cited(bare) or [bare] if bare else [])
    return pieces


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, each with the blanks and citations behind it; joined, they are the
    text."""
    return [
        line[start:stop]
        for line in text.splitlines(keepends=True)
        for start, stop in pairwise([0, *_stops(line), len(line)])
    ]


def streamed(pieces: Iterable[str]) -> Iterator[str]:
    """The sentences of a text that comes in pieces, each as soon as it is whole.

    An unfinished last sentence is left out, unless it is all there is.
    """
    pending, before = "", False
    for piece in pieces:
        pending += piece
        *whole, last = sentences(pending) or [""]
        if not whole or _OPENED.match(last):  # a citation that has begun belongs to the sentence before it
            continue
        yield from whole
        pending, before = last, True
    if pending.strip() and (not before or _finished(pending.strip())):
        yield pending


def _claims_of_line(line: str) -> list[ParsedClaim]:
    """A line is one claim, unless several of its sentences carry citations of their own."""
    parts = [part.strip() for part in sentences(line)]
    cited = [_cited(part) for part in parts]
    if sum(bool(claims) for claims in cited) > 1:
        return [
            claim
            for part, claims in zip(parts, cited, strict=True)
            for claim in claims or [ParsedClaim(part, (), None)]
        ]
    whole = _cited(line)
    if whole:
        return whole
    bare = _tidy(line)
    return [ParsedClaim(bare, (), None)] if re.search(r"\w", bare) else []


def _cited(sentence: str) -> list[ParsedClaim]:
    """The claim of a sentence; one per region if it cites several, nothing if it cites none or has no
    words."""
    ids = [
        match.group().upper()
        for citation in _CITATION.finditer(sentence)
        for match in re.finditer(_ID, citation.group(1), re.IGNORECASE)
    ]
    text = _tidy(_CITATION.sub("", sentence))
    if not ids or not re.search(r"[^\W\d_]", text):
        return []
    findings = tuple(dict.fromkeys(name for name in ids if name[0] == "E"))
    regions = dict.fromkeys(name for name in ids if name[0] == "R")
    if not regions:
        return [ParsedClaim(text, findings, None)]
    return [ParsedClaim(text, findings, region) for region in regions]


def _stops(line: str) -> list[int]:
    """Where sentences end that others follow, blanks behind them included."""
    stops: list[int] = []
    bullet = _BULLET.match(line)
    for end in _END.finditer(line, bullet.end() if bullet else 0):
        stop = end.end()
        while trailing := _TRAILING.match(line, stop):
            stop = trailing.end()
        stop += len(line[stop:]) - len(line[stop:].lstrip())
        if stop < len(line) and stop > (stops[-1] if stops else 0):
            stops.append(stop)
    return stops


def _finished(line: str) -> bool:
    return line[-1] in ".!?" or re.search(rf"(?:{_CITATION.pattern})\W*$", line, re.IGNORECASE) is not None


def _tidy(text: str) -> str:
    text = re.sub(r"\s+([.,;:!?])(?=\s|$)", r"\1", " ".join(text.split()))
    return re.sub(r"([.!?])\.$", r"\1", text.strip(" -"))
