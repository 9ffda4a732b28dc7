"""What kind a question is, and the form that it wants its answer in."""

import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from forensic_chat.data.case import Case
from forensic_chat.data.examinations import random_examination
from forensic_chat.data.followups import FOLLOW_UPS, recognised
from forensic_chat.data.followups.forms import Form, form_in
from forensic_chat.data.questions import QUESTIONS, wordings
from forensic_chat.mllm.claims import sentences
from forensic_chat.schema import Label

ASKED = wordings(Path(__file__).with_name("asked.txt").read_text("utf-8"))
ALSO = {
    "bullets": {"form"},
    "one sentence": {"form"},
    "none": {"off topic"},
    "language": {"unknown"},
    "file": {"metadata"},
    "handling": {"compression", "just compression"},
}
"""What serves a question of a kind as well."""
CASE = random_examination(Random(5))


def of(label: Label) -> Case:
    return next(case for k in range(99) if (case := random_examination(Random(k))).label == label)


def test_every_wording_is_recognised_as_its_own_kind() -> None:
    for known in FOLLOW_UPS:
        for wording in known.questions:
            found = recognised(wording, CASE)
            assert found is not None, wording
            assert found.kind == known.kind, wording


def test_each_kind_has_many_wordings_and_no_wording_two_kinds() -> None:
    told = Counter(re.sub(r"\W+", " ", text.lower()) for each in QUESTIONS.values() for text in each)
    assert max(told.values()) == 1
    assert min(map(len, QUESTIONS.values())) >= 50
    assert not [text for text in told if re.search(r"\b[er]\d+\b", text)]


def test_most_questions_in_words_that_nobody_wrote_down_are_recognised() -> None:
    """Every second one, by which nothing was chosen; before there were many wordings, 27 % were."""
    counted = Counter[str]()
    for kind, each in ASKED.items():
        for question in each[1::2]:
            found = recognised(question, CASE)
            name = found.kind if found else "none"
            right = name == kind or name in ALSO.get(kind, ())
            counted["right" if right else "unknown" if name == "none" else "wrong"] += 1
    total = counted.total()
    print({name: round(count / total, 3) for name, count in counted.items()}, total)
    assert counted["right"] / total > 0.87
    assert counted["wrong"] / total < 0.08


@pytest.mark.parametrize(
    ("question", "form"),
    [
        ("in at most 25 words: the verdict and why", Form(words=25)),
        ("under twenty words, please", Form(words=19)),
        ("a 30-word summary", Form(words=30)),
        ("10 words or less", Form(words=10)),
        ("tell it in two or three sentences", Form(sentences=(2, 3))),
        ("2-4 short sentences for a reader", Form(sentences=(2, 4))),
        ("one single sentence", Form(sentences=(1, 1))),
        ("four bullet points on it", Form(bullets=4)),
        ("three lines, each with a dash", Form(bullets=3)),
        ("as bullets", Form(bullets=3)),
        ("a short paragraph for the report", Form(sentences=(2, 3))),
        ("what do the two words on the sign say", None),
        ("are the two lines of text original", None),
        ("is that a bullet hole", None),
        ("why", None),
    ],
)
def test_a_form_is_read_off_the_question(question: str, form: Form | None) -> None:
    found = form_in(question)
    assert (found and found[0]) == form


@pytest.mark.parametrize("label", get_args(Label))
def test_an_answer_has_the_form_that_was_asked_for(label: Label) -> None:
    case = of(label)

    def told(question: str) -> str:
        found = recognised(question, case)
        assert found is not None
        return found.answer(case, Random(1))

    for most in (4, 8, 12, 25, 60):
        said = told(f"In at most {most} words: what is it, and why?")
        assert label in said
        assert len(said.split()) <= most
    for count in (1, 2, 3):
        said = told(f"Tell a reader in {count} sentences what the verdict is and what supports it.")
        assert label in said
        assert len(sentences(said)) <= count
    assert len(told("Five bullets, please").splitlines()) == 5
    assert all(line.startswith("- ") for line in told("Three bullets").splitlines())
    against = told("Two sentences: what speaks against it?")
    assert re.search(r"\[E\d+\]|Nothing that was measured", against)


@pytest.mark.parametrize("label", get_args(Label))
def test_json_has_the_keys_that_were_asked_for(label: Label) -> None:
    case = of(label)

    def told(question: str) -> dict[str, object]:
        found = recognised(question, case)
        assert found is not None
        assert found.kind == "json"
        return dict(json.loads(found.answer(case, Random(1))))

    asked = told('JSON with the keys "label", "score", "reasons", "boxes" and "shoe_size"')
    assert list(asked) == ["label", "score", "reasons", "boxes", "shoe_size"]
    assert (asked["label"], asked["shoe_size"]) == (label, None)
    assert asked["boxes"] == [list(region.box) for region in case.regions]
    assert list(told('Reply with {"verdict": "...", "confidence": 0.0} as JSON')) == ["verdict", "confidence"]
    assert list(told("Give me JSON with verdict, reasons and boxes")) == ["verdict", "reasons", "boxes"]
    assert told("As JSON, please")["verdict"] == label
