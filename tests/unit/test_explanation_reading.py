"""What code reads in an answer, and what it refuses to guess."""

import pytest

from eval.explanation.instructions import (
    Asked,
    Check,
    brings_evidence,
    declines,
    does_not_loop,
    has_bullets,
    has_sentences,
    has_words,
    is_finished,
    is_in_the_language,
    is_nothing_but_json,
    is_one_label,
    is_the_json_asked_for,
    keeps_the_label,
    says_what_would_be,
    says_where_or_that_nowhere,
    starts_with_the_label,
    states_a_probability,
    states_a_rule,
)  # fmt: skip
from eval.explanation.kinds import KINDS, OPENING
from eval.explanation.objects import things
from eval.explanation.reading import asserted, boxes, label_of, read
from forensic_chat.data.followups import FOLLOW_UPS
from forensic_chat.data.protocol import VERDICT_QUESTION


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("tampered 0.93\n- The noise differs [E2][R1]", "tampered"),
        ("Verdict: real.", "real"),
        ("**Synthetic**\nbecause of its spectrum", "synthetic"),
        ("The verdict is synthetic (fully generated), with probability 0.94.", "synthetic"),
        ("The measured verdict is a local change, not a whole generated picture.", "tampered"),
        ("This photo appears to be authentic, with 87% confidence.", "real"),
        ("The image is most likely AI-generated.", "synthetic"),
        ("It is undecided: a fake has probability 0.55.", "inconclusive"),
        ("Le verdict est tampered car le bruit diffère.", "tampered"),
        ('{"verdict": "real", "confidence": 0.8}', "real"),
        ('```json\n{"label": "Synthetic"}\n```', "synthetic"),
    ],
)
def test_a_verdict_is_read_where_it_is_stated(text: str, label: str) -> None:
    assert read(text).label == label


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fake",
        "It is not real.",
        "I can't tell whether it is real.",
        "The picture could be real.",
        "real or tampered",
        "It is real. The image is edited.",
        "These findings carry the verdict: the score for a generated image is low.",
        "A real photo would show even noise.",
        '{"verdict": "real or synthetic"}',
        '{"score": 3}',
    ],
)
def test_nothing_is_guessed(text: str) -> None:
    assert read(text).label is None


@pytest.mark.parametrize(
    ("text", "probability"),
    [
        ("tampered 0.93\nx", ("label", 0.93)),
        ("It is real, and I am 87 % sure: 87 % probability.", ("label", 0.87)),
        ("The probability of a fake is 0.4.", ("fake", 0.4)),
        ("inconclusive 0.55\nx", ("fake", 0.55)),
        ('{"verdict": "real", "confidence": 0.8}', ("label", 0.8)),
        ("It is very likely real [E1] at [0,0,9,9].", None),
        ("The score is 0.93.", None),
    ],
)
def test_a_probability_is_one_that_is_called_so(text: str, probability: tuple[str, float] | None) -> None:
    assert read(text).probability == probability


def test_boxes_and_sentences() -> None:
    assert boxes("see [10, 20,30,40] and (1,2),(3,4); not [5,5,5,9]") == ((10, 20, 30, 40), (1, 2, 3, 4))
    reading = read("tampered 0.9\n- The noise differs [E2][R1]\n- It looks odd.\nverdict: tampered")
    assert [(p.text, p.findings, p.region) for p in reading.pieces] == [
        ("The noise differs", ("E2",), "R1"), ("It looks odd.", (), None),
    ]  # fmt: skip
    prose = read('{"verdict": "real", "confidence": 0.9, "reason": "The noise is even [E2]."}')
    assert [p.findings for p in prose.pieces] == [("E2",)]


def test_what_a_sentence_asserts() -> None:
    assert asserted("The image is real and the verdict is tampered") == {"real", "tampered"}
    assert asserted("A generated image would differ") == set()
    assert label_of("The verdict is real. It is generated.") == "real"  # the clearest place decides


def test_things_are_recognised_and_sayings_are_not() -> None:
    assert things("The dogs' teeth and a Woman's hand") == {"dog", "tooth", "woman", "hand"}
    assert things("On the other hand, by eye there is no sign of it; wavelengths agree") == set()


def answer(text: str, opening: str = "real 0.9\n- x", language: str = "en") -> Asked:
    return Asked(read(text), read(opening), language)


LOOP = "the noise is high and " * 12
GERMAN = "Das Bild ist tampered, weil die Messung auf dem Foto nicht zu dem Rest passt."


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (is_one_label, "Real.", "It is real."),
        (starts_with_the_label, "Real 0.9\nas measured", "I think it is real"),
        (is_the_json_asked_for, '{"verdict": "real", "confidence": 0.5}', '{"verdict": "real"}'),
        (is_the_json_asked_for, '{"verdict": "real", "confidence": 1}', '{"verdict": "fake", "confidence": 1}'),
        (is_the_json_asked_for, '{"verdict": "real", "confidence": 0}', '{"verdict": "real", "confidence": 5}'),
        (is_nothing_but_json, '{"verdict": "real"}', 'Here: {"verdict": "real"}'),
        (has_bullets(3), "- a b\n- c d\n- e f", "- a\n- b"),
        (has_bullets(3), "* a b\n* c d\n\n* e f", "Well:\n- a\n- b\n- c"),
        (has_sentences(1, 1), "It is real, at 0.9 [E1].", "It is real. The noise is even."),
        (has_sentences(2, 3), "It is real. The noise is even [E1].", "It is real."),
        (has_words(5), "real, as the noise shows [E2]", "real, as the noise shows very well"),
        (says_where_or_that_nowhere, "At [1,2,30,40].", "Look closely."),
        (says_where_or_that_nowhere, "There is no single place.", "The noise differs."),
        (states_a_probability, "The probability is 0.9.", "Quite sure."),
        (states_a_rule, "Cameras usually leave even noise.", "The noise is even."),
        (says_what_would_be, "It would be even.", "It is even."),
        (brings_evidence, "The noise is 3.2.", "It looks odd."),
        (declines, "I can't say who made it.", "It was made by Ann."),
        (keeps_the_label, "The verdict is real.", "The verdict is tampered."),
        (is_finished, "The noise is even.", "The noise is even and the"),
        (does_not_loop, "The noise is even across all parts of this photo and its figure is low.", LOOP),
        (is_in_the_language, "The noise of the image is even and it is low.", GERMAN),
    ],
)  # fmt: skip
def test_a_check_holds_and_fails(check: Check, good: str, bad: str) -> None:
    assert check(answer(good))
    assert not check(answer(bad))


def test_other_languages_are_told_apart() -> None:
    assert is_in_the_language(answer(GERMAN, language="de"))
    assert not is_in_the_language(answer(GERMAN, language="fr"))
    assert not is_in_the_language(answer("real", language="de"))


def test_the_questions_are_the_benchmarks_own() -> None:
    """None is a training wording, and there are kinds enough."""
    trained = {q.lower().strip(" .?!") for kind in FOLLOW_UPS for q in kind.questions}
    asked = {turn.lower().strip(" .?!") for k in KINDS.values() for turns in k.wordings for turn in turns}
    assert not trained & asked
    assert VERDICT_QUESTION != OPENING
    assert len(KINDS) >= 12
    assert {len(turns) for kind in KINDS.values() for turns in kind.wordings} == {0, 1, 2}
    assert all(len({*k.wordings}) >= 2 for name, k in KINDS.items() if name != "verdict")
