"""Answers of a wanted form: so many words, sentences or bullets, one word, JSON with the keys that were named."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from forensic_chat.data.case import Case
from forensic_chat.data.followups.base import Answer
from forensic_chat.data.followups.conversation import as_json
from forensic_chat.data.followups.saying import cited_ids, figure, join, leading, states, stop, verdict
from forensic_chat.data.rationales import special

TRIES = 12
"""Wordings of an answer among which one that keeps within a number of words is looked for."""
BULLETS = 3
_UNITS = "one two three four five six seven eight nine ten eleven twelve"
_COUNTS = {name: n for n, name in enumerate(_UNITS.split(" "), 1)}
_COUNTS |= {"a": 1, "a single": 1, "a couple of": 2, "a few": 3, "fifteen": 15, "twenty": 20, "thirty": 30}
_COUNTS |= {"forty": 40, "fifty": 50, "a hundred": 100}
_N = rf"(\d{{1,3}}|{'|'.join(sorted(_COUNTS, key=len, reverse=True))})"
_MOST = (
    r"at most|(?:no|not) more than|max(?:imum)?(?: of)?|up to|under|below|within|(?:fewer|less) than"
    r"|limit\w*(?: \w+)? to|in|with|using|about|around"
)
_WORDS = re.compile(
    rf"\b(?:{_MOST})(?: (?:about|exactly|only|just))? {_N}[ -]words?\b|\b{_N}-word\b"
    rf"|\b{_N} words(?= (?:or (?:less|fewer)|max|at most|long|only)\b|\W*$)"
)
_PLAIN = r"single|short|plain|simple|full|complete|brief"
_SENTENCES = re.compile(rf"\b{_N}(?:(?: (?:to|or) | ?[-–] ?){_N})?(?:[ -](?:{_PLAIN}))*[ -]sentences?\b")
_BULLETS = re.compile(
    rf"\b{_N}(?: \w+)? (?:bullet(?:s|[ -]points?)|(?:lines|points|items|dashes)(?! (?:of|in|on|at|are|is|that)\b))\b"
)
_BULLET = re.compile(r"\bbullets\b|\bbullet(?:ed)?[ -](?:points?|list|form)\b")
_PARAGRAPH = re.compile(
    r"\b(?:a|one|single) (?:(?:short|brief|single) )?paragraph\b|\b(?:press|short|brief) statement\b"
)
_BELOW = re.compile("under|below|fewer|less")
_KEY = re.compile(r"[\"'`“]([a-z_]\w{1,24})[\"'`”](?!\s*(?:to|or)\b)")
_BARE = re.compile(r"[{,]\s*([a-z_]\w{1,24})\s*(?=[:,}])")

Fields = dict[str, Callable[[Case, Random], Any]]


@dataclass(frozen=True)
class Form:
    """What an answer may hold: `sentences` fewest to most, at most so many `words`, or lines that are `bullets`."""

    sentences: tuple[int, int] | None = None
    words: int | None = None
    bullets: int | None = None


def form_in(question: str) -> tuple[Form, str] | None:
    """The form that a question in lower case wants, and the question without it; None where it wants none.

    "One word" and JSON are kinds of their own.
    """
    if found := _BULLETS.search(question) or _BULLET.search(question):
        form = Form(bullets=_number(found) if found.re is _BULLETS else BULLETS)
    elif (found := _WORDS.search(question)) and (most := _number(found)) > 1:
        form = Form(words=most - bool(_BELOW.match(found[0])))
    elif found := _SENTENCES.search(question):
        fewest = _number(found)
        form = Form(sentences=(fewest, max(fewest, _number(found, 2))))
    elif found := _PARAGRAPH.search(question):
        form = Form(sentences=(2, 3))
    else:
        return None
    return form, f"{question[: found.start()]} {question[found.end() :]}"


def in_form(form: Form, about: Answer) -> Answer:
    """What `about` answers, in that form; what is missing to it is taken from the verdict and its reasons."""

    def answer(case: Case, rng: Random) -> str:
        if form.words is not None:
            tried = [_within(form.words, _sentences(about(case, rng)), case) for _ in range(TRIES)]
            return max(tried, key=len)
        said = _sentences(about(case, rng))
        fewest, most = form.sentences or (form.bullets or BULLETS, form.bullets or BULLETS)
        if len(said) < fewest:
            more = [*leading(case), *special(case, rng, len(case.findings))]
            said += _new([verdict(case, rng), *states(more, case, rng)], said, case.label)
        said = said[:most]
        return "\n".join(f"- {text}" for text in said) if form.bullets else " ".join(said)

    return answer


def summed_up(case: Case, rng: Random) -> str:
    """The verdict, and what carries it."""
    return join(verdict(case, rng), *states(leading(case)[:2], case, rng))


def json_of(question: str) -> Answer:
    """The result as a JSON object with the keys that the question names; without any, verdict and confidence.

    A key that is not known stays null; the confidence of "inconclusive" is the probability of a fake.
    """
    marked = [*_KEY.findall(question), *_BARE.findall(question)]
    listed = [word for word in re.findall(r"\w+", question.partition("with")[2]) if word in FIELDS]
    named = [key for key in dict.fromkeys(marked or listed) if key != "json"]
    keys = named if any(key in FIELDS for key in named) else []

    def answer(case: Case, rng: Random) -> str:
        return json.dumps({key: FIELDS[key](case, rng) if key in FIELDS else None for key in keys})

    return answer if keys else as_json


def _fields() -> Fields:
    fields: Fields = {}
    for keys, value in (
        ("verdict label answer result conclusion classification class", lambda case, rng: case.label),
        (
            "confidence probability certainty score confidence_score likelihood",
            lambda case, rng: float(figure(case)),
        ),
        ("fake_probability", lambda case, rng: round(1 - case.probabilities.real, 2)),
        ("probabilities", lambda case, rng: case.probabilities.model_dump()),
        (
            "reason explanation rationale why justification summary",
            lambda case, rng: join(*states(leading(case)[:2], case, rng)),
        ),
        ("reasons evidence findings", lambda case, rng: states(leading(case)[:3], case, rng)),
        ("regions boxes bboxes", lambda case, rng: [list(region.box) for region in case.regions]),
        (
            "region box bbox location bounding_box",
            lambda case, rng: list(case.regions[0].box) if case.regions else None,
        ),
    ):
        fields |= dict.fromkeys(keys.split(), value)
    return fields


FIELDS = _fields()
"""What stands under the keys of a JSON answer."""


def _number(found: re.Match[str], first: int = 1) -> int:
    """The first number that a match holds, from a group on; 0 where it holds none."""
    text = next((group for group in found.groups()[first - 1 :] if group), "0")
    return int(text) if text.isdigit() else _COUNTS[text]


def _sentences(text: str) -> list[str]:
    return [piece.removeprefix("- ") for piece in re.split(r"(?<=[.!?])\s+(?=[A-Z\"])|\n", text)]


def _new(texts: list[str], said: list[str], label: str) -> list[str]:
    """Those that cite what was not cited; the verdict, which cites nothing, where it was not said."""
    told = set(cited_ids(" ".join(said)))
    stated = any(label in text for text in said)
    return [stop(text) for text in texts if (set(cited_ids(text)) - told if cited_ids(text) else not stated)]


def _within(most: int, said: list[str], case: Case) -> str:
    """As many of the sentences, from the first on, as keep within so many words; the label where none does."""
    kept: list[str] = []
    for text in said:
        if _length(" ".join([*kept, text])) > most:
            break
        kept.append(text)
    if kept:
        return " ".join(kept)
    short = f"The verdict is {case.label}."
    return short if _length(short) <= most else case.label


def _length(text: str) -> int:
    return len(text.split())
