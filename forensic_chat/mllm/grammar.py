"""The form that answers must have, as regular expressions: what constrained decoding lets a model write.

Every claim ends with the findings or the region that it cites, holds no figure in digits and no double-quoted
text but theirs, and calls open only what may be called so. What else it says, number words and signs among it, is for
`mllm.verify` to judge. The syntax is what Rust's regex crate and xgrammar share.
"""

import re
from collections.abc import Iterator, Sequence
from string import ascii_lowercase

from forensic_chat.data.protocol import SCORES, quotable, says_something, suspicious
from forensic_chat.mllm.numbers import foreign_number
from forensic_chat.mllm.prompts import MOST_FINDINGS, MOST_REGIONS
from forensic_chat.mllm.verify import called_open_fault, shares
from forensic_chat.schema import Finding, Label, Probabilities, Region

MOST_CLAIMS, MOST_SENTENCES = 5, 8
_SIGN = r"""[^A-Za-z0-9\[\]"“”\n ()]"""
"""A character between words, of which no figure, quotation or citation consists."""
_OPEN = ("settle", "neither", "little", "doubt", "decide")
"""Beginnings of words of `vocabulary.HEDGED`; "leaves some" is for the verifier, as other claims say "leaves", too."""
_MISPLACED = ("zero", "centr", "upper")
_UNFOUNDED = {
    "encoder.stability": ("learn", "encod"),
    "encoder.tampered": ("generat", "synth"),
    "jpeg.ghost": _MISPLACED,
    "jpeg.grid": (*_MISPLACED, "ghost", "shifted"),
}
"""Beginnings of words that the language model was seen to write beside a finding of a kind that accuses nobody: they
stand for another finding, a number or place that nobody measured, or an artefact."""
_BELITTLING, _DIFFER = "only", "differ"
"""How what the encoder accuses by would be called nothing, and what it does not accuse by, something."""
_OPEN_ELSEWHERE = ("settles", "doubt")
"""The same, of findings of other kinds, of which none is ever called open: else a score could be, beside their id."""
_BLOCK = "8x8"
"""The size of JPEG's blocks, which is no measurement."""
_DECIMALS = range(5)


def rationale_pattern(
    findings: Sequence[Finding], regions: Sequence[Region], label: Label, most: int = MOST_CLAIMS
) -> str:
    """Of two to `most` lines "- claim" about what `mllm.prompts.context` lists; one, where a single finding is listed
    or no more is wanted."""
    claims = claim_patterns(findings, regions, label)
    claim = f"- (?:{'|'.join(claims)})"
    least = 1 if len(claims) > 1 and most > 1 else 0
    return rf"{claim}(?:\n{claim}){{{least},{most - 1}}}"


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
    scores at once, under a verdict of `label`."""
    shown, places = findings[:MOST_FINDINGS], {region.id: region for region in regions[:MOST_REGIONS]}

    def about(cited: list[Finding], region: Region | None = None) -> str:
        drew = cited or [finding for finding in findings if region and finding.region == region.id]
        names = [finding.id for finding in cited] if len(cited) == 1 else []
        figures = [*_figures(cited, region), *names, *([region.id] if region else [])]
        text = _text(figures, list(_unsaid(drew, label)), _figures(cited[1:], None))
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


def _text(figures: Sequence[str], unsaid: Sequence[str] = (), last: Sequence[str] = ()) -> str:
    """Words with these figures between them, the last one among `last` if any are given: each behind a blank or an
    opening bracket, or else two could be joined by a point to a third. No word begins with one that is `unsaid`."""
    figure, word = _any((*figures, _BLOCK)), _word(unsaid)
    # a word ends where none begins, or else an unsaid one could be put together of two
    sign, before = rf" ?{_SIGN}| ?\(|\)", r"(?: \(?|\()"
    more = f"(?:(?: |{sign}){word}|{sign}|{before}{figure})*"
    return f"(?:{figure}|{_SIGN}?{word}|{_SIGN}){more}" + (f"{before}{_any(last)}{more}" if last else "")


def _any(texts: Sequence[str]) -> str:
    return f"(?:{'|'.join(map(_escaped, texts))})"


def _unsaid(drew: Sequence[Finding], label: Label) -> Iterator[str]:
    """What may not be said of findings: that they are open, where they are not, and what could only be meant of
    others or is unfounded."""
    encoder = [finding for finding in drew if finding.kind.startswith("encoder.")]
    if called_open_fault(drew, label) or (encoder and not any(map(says_something, encoder))):
        yield from _OPEN
    elif not encoder:
        yield from _OPEN_ELSEWHERE
    if encoder:
        yield _BELITTLING if all(map(suspicious, encoder)) else _DIFFER
    if len(drew) == 1 and not suspicious(drew[0]):
        yield from _UNFOUNDED.get(drew[0].kind, ())


def _word(unsaid: Sequence[str]) -> str:
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
