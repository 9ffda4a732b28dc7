"""The form that answers must have, as regular expressions: what constrained decoding lets a model write.

Every claim ends with the findings or the region that it cites. A small model chooses it among the sentences that code
has. A larger one, and any in an answer to a follow-up, writes it in words of its own, with no figure in digits and no
double-quoted text but those of what it cites, and calls open only what may be called so; what else it says, number
words and signs among it, is for `mllm.verify` to judge. The syntax is what Rust's regex crate and xgrammar share.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from string import ascii_lowercase

from forensic_chat.data.case import Case
from forensic_chat.data.protocol import SCORES, quotable, says_something, suspicious
from forensic_chat.data.rationales import LEADS, inside
from forensic_chat.data.sayings import around, of_finding, of_scores
from forensic_chat.data.statements import places
from forensic_chat.mllm.numbers import foreign_number
from forensic_chat.mllm.prompts import MOST_FINDINGS, MOST_REGIONS
from forensic_chat.mllm.verify import called_open_fault, shares
from forensic_chat.schema import Finding, Label, Probabilities, Region

MOST_CLAIMS, MOST_SENTENCES = 5, 8
_SIGN = r"""[^A-Za-z0-9\[\]"“”\n ()]"""
"""A character between words, of which no figure, quotation or citation consists."""
_OPEN = ("settle", "neither", "little", "doubt", "decide")
"""Beginnings of words of `vocabulary.HEDGED`; "leaves some" is for the verifier, as other claims say "leaves", too."""
_OPEN_ELSEWHERE = ("settles", "doubt")
"""The same, of findings of other kinds, of which none is ever called open: else a score could be, beside their id."""
_BLOCK = "8x8"
"""The size of JPEG's blocks, which is no measurement."""
_DECIMALS = range(5)


def rationale_pattern(case: Case, told: Collection[str] = (), most: int = MOST_CLAIMS) -> str:
    """Of two to `most` lines "- claim", in any words, about what `mllm.prompts.context` lists, but for the findings and
    regions that are `told`; one, where a single finding is left or no more is wanted."""
    claims = claim_patterns(*_left(case, told), case.label)
    claim = f"- (?:{'|'.join(claims)})"
    least = 1 if len(claims) > 1 and most > 1 else 0
    return rf"{claim}(?:\n{claim}){{{least},{most - 1}}}"


def chosen_pattern(case: Case, told: Collection[str] = ()) -> str:
    """Of one such line whose claim is a sentence of `data.sayings`; empty where all is told."""
    sayings = [*_sayings(case, *_left(case, told))]
    return f"- (?:{'|'.join(sayings)})" if sayings else ""


def _left(case: Case, told: Collection[str]) -> tuple[list[Finding], list[Region]]:
    return (
        [finding for finding in case.findings[:MOST_FINDINGS] if finding.id not in told],
        [region for region in case.regions[:MOST_REGIONS] if region.id not in told],
    )


def _sayings(case: Case, findings: Sequence[Finding], regions: Sequence[Region]) -> Iterator[str]:
    """Of what may be said word for word of each finding and region, and of the two scores, with the citations."""
    for finding in findings:
        placed = finding.region if suspicious(finding) and case.label != "real" else None
        yield _said(of_finding(finding, case), finding.id, placed)
        if texts := around(finding, case):
            yield _said(texts, finding.id)
    for region in regions:
        yield _said(places(region, case), region.id)
    if {finding.id for finding in case.of(*SCORES)} <= {finding.id for finding in findings} and (
        texts := of_scores(case)
    ):
        yield _said(texts, ", ".join(finding.id for finding in case.of(*SCORES)))


def _said(texts: Sequence[str], *ids: str | None) -> str:
    """One of these sentences, perhaps behind a lead, and its citations."""
    led = f"(?:{_branches(LEADS)})(?:{_branches({inside(text) for text in texts})})"
    return f"(?:{_branches(set(texts))}|{led}) " + "".join(rf"\[{name}\]" for name in ids if name)


def reply_pattern(
    findings: Sequence[Finding], regions: Sequence[Region], label: Label, probabilities: Probabilities
) -> str:
    """Of an answer to a follow-up question: up to eight sentences, each a claim, or without a citation and then with no
    figures but those of the verdict."""
    names = [*(finding.id for finding in findings), *(region.id for region in regions)]
    plain = _text([*_figures([], None, shares(probabilities)), *names])
    sentence = rf"(?:(?:{'|'.join(claim_patterns(findings, regions, label))})\.|{plain}[.!?])"
    return rf"{sentence}(?: {sentence}){{0,{MOST_SENTENCES - 1}}}"


def claim_patterns(findings: Sequence[Finding], regions: Sequence[Region], label: Label) -> list[str]:
    """Of a claim on each listed finding, with its region where it has one, on each region, and on the two learned
    scores at once, under a verdict of `label`; in any words but those that call open what is not."""
    shown, places = findings[:MOST_FINDINGS], {region.id: region for region in regions[:MOST_REGIONS]}

    def about(cited: list[Finding], region: Region | None = None) -> str:
        drew = cited or [finding for finding in findings if region and finding.region == region.id]
        names = [finding.id for finding in cited] if len(cited) == 1 else []
        text = _text(
            [*_figures(cited, region), *names, *([region.id] if region else [])],
            unsaid=_unsaid(drew, label),
        )
        ids = ", ".join(finding.id for finding in cited)
        return text + " " + "".join(rf"\[{name}\]" for name in (ids, region and region.id) if name)

    patterns = []
    for finding in shown:
        patterns.append(about([finding]))
        if region := places.get(finding.region or ""):
            patterns.append(about([finding], region))
    patterns += [about([], region) for region in places.values()]
    scores = [finding for finding in shown if finding.kind in SCORES]
    if len(scores) == len(SCORES):
        patterns.append(about(scores))
    return patterns


def _text(figures: Sequence[str], unsaid: Sequence[str] = ()) -> str:
    """Words with these figures between them: each behind a blank or an opening bracket, or else two could be joined by
    a point to a third. No word begins with one that is `unsaid`."""
    figure, word = f"(?:{_branches({*figures, _BLOCK})})", _word(unsaid)
    # a word ends where none begins, or else an unsaid one could be put together of two
    sign, before = rf" ?{_SIGN}| ?\(|\)", r"(?: \(?|\()"
    return f"(?:{figure}|{_SIGN}?{word}|{_SIGN})(?:(?: |{sign}){word}|{sign}|{before}{figure})*"


def _branches(texts: Collection[str]) -> str:
    """Any of these; what begins alike is written once."""
    by_letter: dict[str, list[str]] = {}
    for text in sorted(texts):
        by_letter.setdefault(text[:1], []).append(text[1:])
    parts = []
    for letter, rest in by_letter.items():
        ends = [end for end in rest if end]
        tail = f"(?:{_branches(ends)})" if len(rest) > 1 and ends else "".join(map(_escaped, ends))
        parts.append(_escaped(letter) + tail + ("?" if ends and "" in rest else ""))
    return "|".join(parts)


def _unsaid(drew: Sequence[Finding], label: Label) -> tuple[str, ...]:
    """What may not be said of findings: that they are open, where they are not, and where it could only be meant of
    others."""
    encoder = [finding for finding in drew if finding.kind.startswith("encoder.")]
    if called_open_fault(drew, label) or (encoder and not any(map(says_something, encoder))):
        return _OPEN
    return () if encoder else _OPEN_ELSEWHERE


def _word(unsaid: Sequence[str] = ()) -> str:
    """Letters, or the one word with a digit; none that begins with an unsaid one."""
    return f"(?:{_avoiding(unsaid, 'capital')}|C2PA)"


def _avoiding(unsaid: Sequence[str], capital: str = "") -> str:
    """Letters, one at least, that don't begin as any of these; with `capital` a first letter may be one."""
    tails: dict[str, list[str]] = {}
    for word in unsaid:
        tails.setdefault(word[0], []).append(word[1:])
    parts = [f"{_letters(''.join(tails))}[A-Za-z]*"]
    for letter, rest in tails.items():
        if all(rest):
            first = f"[{letter.upper()}{letter}]" if capital else letter
            parts.append(f"{first}(?:{_avoiding(rest)})?")
    return "|".join(parts)


def _letters(but: str) -> str:
    """Any letter but these, in either case."""
    rest = "".join(letter if letter not in but else " " for letter in ascii_lowercase)
    spans = [f"{run[0]}-{run[-1]}" for run in rest.split()]
    return f"[{''.join(span.upper() + span for span in spans)}]"


def _figures(findings: Sequence[Finding], region: Region | None, known: Sequence[float] = ()) -> list[str]:
    """The ways to write the findings' values, the region's box, size, area and score, and known shares that pass
    `numbers.foreign_number`."""
    spellings: list[str] = []
    numbers = list(known)
    for finding in findings:
        value = finding.value
        if isinstance(value, str):
            spellings += [f'"{quotable(value)}"', *re.findall(r"[\d.,]*\d", value)]
        elif value is not None and not isinstance(value, bool):
            numbers.append(float(value))
    if region is not None:
        x0, y0, x1, y1 = region.box
        spellings += [f"[{x0},{y0},{x1},{y1}]", f"({x0}, {y0})", f"({x1}, {y1})", f"{x1 - x0} x {y1 - y0}"]
        numbers += [region.area, region.score]
    for text in (text for number in numbers for text in _written(number)):
        if foreign_number(text, list(findings), region, known) is None:
            spellings.append(text)
    return list(dict.fromkeys(spellings))


def _written(value: float) -> list[str]:
    """A number in all its roundings, as a share in percent, and out of 1."""
    rounded = [f"{value:.{decimals}f}" for decimals in _DECIMALS]
    if value >= 1000:
        rounded.append(f"{value:,.0f}")
    shares = [f"{100 * value:.{decimals}f}" for decimals in (0, 1, 2)] if 0 <= value <= 1 else []
    percent = [f"{text}{sign}" for text in (*rounded, *shares) for sign in ("%", " %")]
    return [*rounded, *(f"{text} of 1" for text in rounded if shares), *percent]


def _escaped(text: str) -> str:
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)
