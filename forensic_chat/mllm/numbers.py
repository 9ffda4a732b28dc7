"""The numbers and quotations of a sentence, held against the cited findings and region."""

import re
from collections.abc import Sequence

from forensic_chat.data.protocol import quotable, written
from forensic_chat.schema import Finding, Region

_QUOTE = re.compile(r'["“]([^"”]*)["”]')
_BOX = re.compile(r"[\[(]?\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*[\])]?")
_CORNER = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_SIZE = re.compile(r"(?<!\d)(\d+)\s?(?:x|×|by)\s?(\d+)(?!\d)")
_NUMBER = re.compile(
    r"(?<!\w)(?<!\d\.)([-−+]?(?:\d+(?:[.,]\d+)*|\.\d+))"
    r"(?!(?:st|nd|rd|th)\b)(\s?%| per ?cent)?"
)
_SCALE = re.compile(r"(?<=\d) (?:out )?of 1(?![.,]?\d)|\b(?:from|between) 0 (?:to|and) 1(?![.,]?\d)")
"""The range of a score: "0.42 of 1", "from 0 to 1"."""
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_COMPARED = re.compile(r"\b(?:above|below|over|under|exceeds|at least|at most|more than|less than|up to)\s$")
_LOW = (
    "three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_WORDS = {word: number for number, word in enumerate(_LOW.split(), 3)} | {
    "zero": 0,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "hundred": 100,
    "hundreds": 100,
    "thousand": 1000,
    "dozen": 12,
}
"""Number words that count as numbers; "one" and "two" are structure ("one of the two tests")."""


def foreign_quote(text: str, cited: list[Finding]) -> str | None:
    """A quotation that is no part of a cited string value, or None."""
    values = [quotable(finding.value).lower() for finding in cited if isinstance(finding.value, str)]
    for quote in _QUOTE.findall(text):
        if not any(quote.strip().lower() in value for value in values) or not quote.strip():
            return str(quote)
    return None


def foreign_number(
    text: str, cited: list[Finding], region: Region | None, shares: Sequence[float] = ()
) -> str | None:
    """A number that neither a cited finding's value nor the cited region's box, area or score equals.

    shares: further known numbers between 0 and 1, also in percent.
    """
    text = _SCALE.sub(" ", _QUOTE.sub(" ", text))
    for pattern, is_known in ((_BOX, _box), (_CORNER, _corner), (_SIZE, _size)):
        for match in pattern.finditer(text):
            if not is_known(tuple(int(group) for group in match.groups()), region):
                return match.group().strip()
        text = pattern.sub(" ", text)
    for match in _NUMBER.finditer(text):
        if _COMPARED.search(text[: match.start()]) or not _known(match, cited, region, shares):
            return match.group().strip()
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in _WORDS and not any(finding.value == _WORDS[word] for finding in cited):
            return str(word)
    return None


def without_values(text: str, cited: list[Finding]) -> str:
    """The sentence with quotations and cited string values blanked: a program's name is none of its words."""
    text = _QUOTE.sub("it", text)
    for finding in cited:
        if isinstance(finding.value, str) and len(value := quotable(finding.value)) > 3:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "it", text, flags=re.IGNORECASE)
    return text


def quotes_region(text: str, region: Region | None) -> str:
    """Whether the region's box, area or score is written in the sentence: "R1's box", "R1's area", or ""."""
    if region is None:
        return ""
    if _BOX.search(text) or _CORNER.search(text):
        return f"{region.id}'s box"
    width, height = region.box[2] - region.box[0], region.box[3] - region.box[1]
    if (str(width), str(height)) in _SIZE.findall(text):
        return f"{region.id}'s size"
    numbers = _NUMBER.finditer(_SIZE.sub(" ", _SCALE.sub(" ", text)))
    return f"{region.id}'s size" if any(_known(match, [], region) for match in numbers) else ""


def quotes_value(text: str, cited: list[Finding]) -> str:
    """Which cited findings have their value written in the sentence: "E3 = 0.42, E5 = 12", or ""."""
    bare = _QUOTE.sub(" ", text)
    for pattern in (_SCALE, _BOX, _CORNER, _SIZE):
        bare = pattern.sub(" ", bare)
    numbers = list(_NUMBER.finditer(bare))
    said = [finding for finding in cited if _says(text, finding, numbers)]
    return ", ".join(f"{finding.id} = {written(finding.value)}" for finding in said)


def _says(text: str, finding: Finding, numbers: list[re.Match[str]]) -> bool:
    if finding.value is None:
        return re.search(r"\breads none\b", text.lower()) is not None
    if not isinstance(finding.value, str):
        return any(_known(match, [finding], None) for match in numbers)
    value = quotable(finding.value).lower()
    quotes = [quote.strip().lower() for quote in _QUOTE.findall(text)]
    return value in quotes or re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text.lower()) is not None


def _known(
    match: re.Match[str], cited: list[Finding], region: Region | None, shares: Sequence[float] = ()
) -> bool:
    """Whether a number is the value of a finding, the score or (in percent) the area of the region, or a
    share."""
    raw, unit = match.group(1), match.group(2)
    strings = [finding.value for finding in cited if isinstance(finding.value, str)]
    if any(raw in re.findall(r"[\d.,]*\d", value) for value in strings):
        return True
    try:
        number = float(_THOUSANDS.sub("", raw).replace("−", "-"))
    except ValueError:
        return False
    values = [
        (finding.kind, float(finding.value))
        for finding in cited
        if isinstance(finding.value, int | float) and not isinstance(finding.value, bool)
    ]
    if unit:
        exact = [100 * value for value in (*(value for _, value in values), *shares) if 0 <= value <= 1]
        exact += [value for kind, value in values if kind in ("encoder.mask", "zoom.mask")]
        exact += [100 * region.area] if region else []
    else:
        exact = [*(value for _, value in values), *shares, *([region.score] if region else [])]
    return any(_rounds(value, number, len(raw.partition(".")[2])) for value in exact)


def _rounds(value: float, number: float, decimals: int) -> bool:
    """Whether `number`, written with so many decimals, is `value` rounded to them (halves either way).

    A fraction below one keeps at least one decimal: 0.42 may be written 0.4, not 0.
    """
    if abs(value) < 1 and value != int(value) and decimals == 0:
        return False
    return abs(value - number) <= 0.5 * 10.0**-decimals + 1e-9


def _box(box: tuple[int, ...], region: Region | None) -> bool:
    return region is not None and box == tuple(region.box)


def _corner(point: tuple[int, ...], region: Region | None) -> bool:
    return region is not None and point in (region.box[:2], region.box[2:])


def _size(size: tuple[int, ...], region: Region | None) -> bool:
    if size == (8, 8):
        return True
    return region is not None and size == (region.box[2] - region.box[0], region.box[3] - region.box[1])
