"""What an instruction asks of its answer's form, as checks that code can make."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from eval.explanation.reading import Reading, json_object
from forensic_chat.mllm.vocabulary import general
from forensic_chat.schema import CLASSES


@dataclass(frozen=True)
class Asked:
    """An answer to the last turn of a conversation, and what was said before."""

    last: Reading
    opening: Reading
    language: str = "en"


Check = Callable[[Asked], bool]
"""Whether the answer keeps one condition; its `__name__` stands in results."""

_WORDS = {
    "en": "the is and of to in it that this was not be by as with for are on from",
    "de": "der die das ist und nicht ein eine es den mit von zu auf dass bild weil wurde im",
    "fr": "le la les est et une un des que pas du en dans il image car ce qui pour",
    "es": "el la los es y una un de que no en del se imagen porque por con para",
}
_STOP = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_END = re.compile(r"[.!?][\"')\]]*(?:\s*\[[^\]]*\])*(?=\s|$)")
_BULLET = re.compile(r"^\s*[-*•]\s+\S")
_NO_PLACE = re.compile(
    r"\bno (?:single |particular |one )?(?:region|place|area|spot|part|location)\b|\bnowhere\b|as a whole|whole image"
)
_DECLINES = re.compile(
    r"\b(?:can't|cannot|can not|not able|unable|don't|do not|won't|nothing|no way|impossible|not possible)\b"
)
_HANDLING = re.compile(
    r"\b(?:jpe?g|compress\w*|re-?siz\w+|re-?scal\w+|process\w*|sav(?:e|ed|ing)|deliver\w*)\b"
)


def hygiene() -> tuple[Check, ...]:
    """What every answer must be: there, finished, in the language asked for, no loop."""
    return (is_there, is_finished, is_in_the_language, does_not_loop)


def is_there(asked: Asked) -> bool:
    return re.search(r"\w", asked.last.text) is not None


def is_finished(asked: Asked) -> bool:
    """Ends as a sentence, a citation or JSON does, or is a label or a list."""
    text = asked.last.text.strip()
    listed = _BULLET.match(text.rpartition("\n")[2]) is not None
    return len(text.split()) < 4 or listed or text[-1] in ".!?)]}\"'`”"


def is_in_the_language(asked: Asked) -> bool:
    """The language whose stop words are most frequent is the one asked for; short texts pass."""
    words = re.findall(r"[^\W\d_]+", asked.last.text.lower())
    if json_object(asked.last.text) is not None or len(words) < 6:
        return asked.language == "en" or len(words) >= 3
    counts = {language: sum(word in stop for word in words) for language, stop in _STOP.items()}
    return counts[asked.language] > 0 and counts[asked.language] == max(counts.values())


def does_not_loop(asked: Asked) -> bool:
    """At least half of its runs of three words are different ones."""
    words = asked.last.text.lower().split()
    runs = list(zip(words, words[1:], words[2:], strict=False))
    return len(runs) < 10 or 2 * len(set(runs)) >= len(runs)


def states_a_label(asked: Asked) -> bool:
    return asked.last.label is not None


def keeps_the_label(asked: Asked) -> bool:
    return asked.last.label is not None and asked.last.label == asked.opening.label


def starts_with_the_label(asked: Asked) -> bool:
    first = asked.last.text.strip().partition("\n")[0].lower()
    return any(re.match(rf"\W*{label}\b", first) for label in (*CLASSES, "inconclusive"))


def is_one_label(asked: Asked) -> bool:
    return asked.last.text.strip(" .!\n\"'").lower() in (*CLASSES, "inconclusive")


def brings_evidence(asked: Asked) -> bool:
    """A sentence with a citation, a box or a number."""
    return bool(asked.last.boxes) or any(
        piece.findings or piece.region or re.search(r"\d", piece.text) for piece in asked.last.pieces
    )


def says_where_or_that_nowhere(asked: Asked) -> bool:
    placed = bool(asked.last.boxes) or any(piece.region for piece in asked.last.pieces)
    return placed or _NO_PLACE.search(asked.last.text.lower()) is not None


def states_a_probability(asked: Asked) -> bool:
    return asked.last.probability is not None


def states_a_rule(asked: Asked) -> bool:
    return any(general(piece.text) for piece in asked.last.pieces)


def says_what_would_be(asked: Asked) -> bool:
    return re.search(r"\b(?:would|could|should)\b", asked.last.text.lower()) is not None


def speaks_of_handling(asked: Asked) -> bool:
    return _HANDLING.search(asked.last.text.lower()) is not None


def declines(asked: Asked) -> bool:
    return _DECLINES.search(asked.last.text.lower()) is not None


def is_the_json_asked_for(asked: Asked) -> bool:
    """An object with a verdict, one of the labels, and a confidence from 0 to 1, and no other key."""
    stated = json_object(asked.last.text)
    if stated is None or set(stated) != {"verdict", "confidence"}:
        return False
    figure = stated["confidence"]
    unit = isinstance(figure, int | float) and not isinstance(figure, bool) and 0 <= figure <= 1
    return unit and stated["verdict"] in (*CLASSES, "inconclusive")


def is_nothing_but_json(asked: Asked) -> bool:
    text = asked.last.text.strip()
    return text.startswith("{") and text.endswith("}")


def has_bullets(n: int) -> Check:
    """Exactly `n` lines, each a bullet."""

    def check(asked: Asked) -> bool:
        lines = [line for line in asked.last.text.splitlines() if line.strip()]
        return len(lines) == n and all(map(_BULLET.match, lines))

    check.__name__ = f"has_{n}_bullets"
    return check


def has_sentences(fewest: int, most: int) -> Check:
    def check(asked: Asked) -> bool:
        text = asked.last.text.strip()
        unfinished = bool(text) and not _END.search(text[-12:])
        return fewest <= len(_END.findall(text)) + unfinished <= most and not re.search(r"\n\s*\S", text)

    check.__name__ = f"has_{fewest}_to_{most}_sentences"
    return check


def has_words(most: int) -> Check:
    def check(asked: Asked) -> bool:
        bare = re.sub(r"\[[^\]]*\]", " ", asked.last.text)
        return len(re.findall(r"[^\W_](?:[\w.'-]*\w)?", bare)) <= most

    check.__name__ = f"has_at_most_{most}_words"
    return check
