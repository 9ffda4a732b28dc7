"""What an answer says, read by code: its verdict, its probability, its sentences, its boxes.

Nothing is guessed. An answer that names no verdict, or two, is unparsable; callers count it as wrong and list
it.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from forensic_chat.mllm.claims import ParsedClaim, parse_reply
from forensic_chat.schema import Box, Label

SAYS: dict[Label, str] = {
    "real": r"real|authentic|genuine|unaltered|unedited|untouched|unmanipulated",
    "synthetic": r"synthetic|(?:fully |wholly |entirely )?(?:ai[- ]|computer[- ])?generated|ai[- ]made",
    "tampered": (
        r"tampered|(?:locally |digitally )?(?:edited|manipulated|altered|retouched|forged|spliced)"
        r"|photoshopped|doctored|locally changed|local (?:change|edit)"
    ),
    "inconclusive": r"inconclusive|undecided|undetermined",
}
"""Label -> the words that state it."""
_LABELS = re.compile("|".join(rf"(?P<{label}>\b(?:{words})\b)" for label, words in SAYS.items()))
_LINE = re.compile(rf"\W*(?:verdict\W+)?(?:{'|'.join(SAYS.values())})\b[\s:.,%()\d*_!\"']*")
_NAMED = re.compile(r"\b(?:verdict|label|answer|conclusion|urteil|veredicto)\b|\bexamination says\b")
_IS = re.compile(
    r"(?<!whether )(?<!\bif )\b(?:it|this|(?:the|this) (?:image|photo|photograph|picture|file))"
    r"(?:'s|\s+(?:is|was|seems|appears|looks|must|has been|had been))\b"
)
_FILL = re.compile(
    r"(?:[\s:=\"'*_(,–-]|(?:is|was|remains?|stays?|still|therefore|again|lautet|est|es|that|it|the|this|image|photo"
    r"|picture|an?|very|most|quite|highly|likely|probably|clearly|certainly|definitely|to|be|have|been"
    r"|classified|judged|considered|as|in my (?:view|opinion|assessment|judge?ment))\b)*"
)
"""What may stand between such words and the label that they announce; anything else states nothing, a denial
or a condition among it."""
_FIGURE = r"(?<![\w.,])(?P<{0}>\d{{1,3}}(?:[.,]\d+)?\s?%|0?[.,]\d+|[01](?:[.,]0+)?(?![.,\d]))"
_LIKELY = (
    r"probabilit\w+|confiden\w+|certain\w*|sure\b|likel\w+|chance|wahrscheinlich\w*|probabilidad|probabilité"
)
_PROBABILITY = re.compile(
    rf"(?P<topic>(?:{_LIKELY})[^.\d%]{{0,40}}){_FIGURE.format('after')}"
    rf"|{_FIGURE.format('before')}\s+(?:{_LIKELY})"
    rf"|\b(?:{'|'.join(SAYS.values())})\b[\s,:(]{{1,3}}{_FIGURE.format('beside')}"
)
_BOX = re.compile(r"[\[(]\s*(\d+)\s*,\s*(\d+)\s*[\])]?\s*,\s*[\[(]?\s*(\d+)\s*,\s*(\d+)\s*[\])]")


@dataclass(frozen=True)
class Reading:
    """One answer as code reads it."""

    text: str
    label: Label | None
    probability: tuple[str, float] | None
    """Of what ("fake", or "label" for the stated label), 0..1."""
    pieces: tuple[ParsedClaim, ...]
    """Its sentences in order, without a line that only states the verdict; those without citations cite
    nothing."""
    boxes: tuple[Box, ...]
    """Pixel boxes written in it."""


def read(text: str) -> Reading:
    """Read one answer; an empty one reads as nothing."""
    stated = json_object(text)
    if stated is not None:
        return _of_json(text, stated)
    lines = [line for line in text.splitlines() if not _LINE.fullmatch(line.strip().lower())]
    pieces = tuple(
        piece if isinstance(piece, ParsedClaim) else ParsedClaim(piece, (), None)
        for piece in parse_reply("\n".join(lines))
        if not isinstance(piece, str) or re.search(r"[^\W\d_]", piece)
    )
    label = label_of(text)
    return Reading(text, label, _probability(text, label), pieces, boxes(text))


def label_of(text: str) -> Label | None:
    """The verdict that a text states; None if it states none, or more than one.

    The clearest place decides: a first line (or the whole text) that is the label, then what follows
    "verdict" and the like, then sentences of the form "the image is ...". A label that is denied, compared or
    supposed states nothing.
    """
    lowered = text.lower().strip()
    first = lowered.partition("\n")[0].strip()
    if _LINE.fullmatch(first):
        return _only(_found(first))
    for sentences in (_after(_NAMED, lowered), _after(_IS, lowered)):
        if labels := {label for part in sentences for label in _stated(part)}:
            return _only(labels)
    return None


def asserted(sentence: str) -> set[Label]:
    """The labels that a sentence says the image has."""
    lowered = sentence.lower()
    return {label for form in (_NAMED, _IS) for part in _after(form, lowered) for label in _stated(part)}


def boxes(text: str) -> tuple[Box, ...]:
    """The boxes [x0,y0,x1,y1], also written as (x0,y0),(x1,y1), that span something."""
    found = []
    for match in _BOX.finditer(text):
        x0, y0, x1, y1 = map(int, match.groups())
        if x1 > x0 and y1 > y0:
            found.append((x0, y0, x1, y1))
    return tuple(dict.fromkeys(found))


def without_boxes(text: str) -> str:
    return _BOX.sub(" ", text)


def speaks_of_probability(sentence: str) -> bool:
    return _PROBABILITY.search(without_boxes(sentence.lower())) is not None


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, bare or in a code fence; None if it is none."""
    bare = re.sub(r"^```\w*\s*|\s*```$", "", text.strip())
    try:
        value = json.loads(bare)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _of_json(text: str, stated: dict[str, Any]) -> Reading:
    fields = {str(name).lower(): value for name, value in stated.items()}
    word = next((fields[name] for name in ("verdict", "label", "answer") if name in fields), None)
    labels = _found(word.lower()) if isinstance(word, str) else set()
    figure = next((fields[name] for name in ("confidence", "probability") if name in fields), None)
    unit = isinstance(figure, int | float) and not isinstance(figure, bool) and 0 <= figure <= 1
    prose = "\n".join(value for value in fields.values() if isinstance(value, str) and value is not word)
    inner = read(prose) if prose and json_object(prose) is None else None
    return Reading(
        text,
        _only(labels),
        ("label", float(figure)) if unit else None,
        inner.pieces if inner else (),
        boxes(text),
    )


def _probability(text: str, label: Label | None) -> tuple[str, float] | None:
    match = _PROBABILITY.search(without_boxes(text.lower()))
    if match is None:
        return None
    figure = match["after"] or match["before"] or match["beside"]
    number = float(figure.rstrip("% ").replace(",", "."))
    value = number / 100 if figure.endswith("%") else number
    if value > 1:
        return None
    of_fake = label == "inconclusive" or "fake" in (match["topic"] or "")
    return ("fake" if of_fake else "label"), value


def _after(form: re.Pattern[str], lowered: str) -> list[str]:
    """What follows each occurrence of a form in its sentence, as far as it reaches."""
    found = []
    for match in form.finditer(lowered):
        rest = lowered[match.end() :]
        sentence = re.split(r"[.!?](?:\s|$)|\n|;", rest, maxsplit=1)[0]
        found.append(sentence)
    return found


def _stated(part: str) -> set[Label]:
    """The label that follows at once."""
    filled = _FILL.match(part)
    match = _LABELS.match(part, filled.end() if filled else 0)
    return {_name(match)} if match else set()


def _found(text: str) -> set[Label]:
    return {_name(match) for match in _LABELS.finditer(text)}


def _name(match: re.Match[str]) -> Label:
    return next(label for label in SAYS if match[label])


def _only(labels: set[Label]) -> Label | None:
    return next(iter(labels)) if len(labels) == 1 else None
