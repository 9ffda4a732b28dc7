"""Guessing ahead: what is guessed, and that it changes nothing but the number of passes."""

from dataclasses import replace

import pytest

from forensic_chat.mllm.backends import greedy, transformers
from forensic_chat.mllm.backends.greedy import AHEAD, Form, Guesses
from forensic_chat.mllm.backends.transformers import TransformersBackend
from forensic_chat.mllm.prompts import Turn, follow_up
from tests.factories import case, conversation, tiny_llava

PATTERN = r"Noise (?:of 12|is \[low\])\. (?:no|ok){30}"


@pytest.fixture(scope="module")
def backend() -> TransformersBackend:
    return TransformersBackend(*tiny_llava(), {})


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each pass of the model read."""
    read: list[int] = []
    scores = greedy._scores

    def counted(model: object, tokens: list[int], cache: object) -> object:
        read.append(len(tokens))
        return scores(model, tokens, cache)

    monkeypatch.setattr(greedy, "_scores", counted)
    return read


def test_what_followed_the_longest_stretch_alike_is_guessed() -> None:
    guesses = Guesses([[1, 2, 3, 4], [9, 2, 3, 5], [9, 2, 3, 5]])
    assert guesses.after([1, 2, 3]) == [4]
    assert guesses.after([7, 2, 3]) == [5]
    assert guesses.after([3]) == guesses.after([4, 2]) == guesses.after([]) == []


def test_a_guess_goes_on_behind_itself_up_to_a_limit() -> None:
    assert Guesses([[1, 2, 3, 4, 5, 6]]).after([0, 1, 2]) == [3, 4, 5, 6]
    assert Guesses([[1, 2] * 20]).after([1, 2]) == [1, 2] * (AHEAD // 2)


def guessing(monkeypatch: pytest.MonkeyPatch, *texts: list[int]) -> None:
    """Guess from these token ids: a model of random weights writes no text that would be read as the same tokens."""
    monkeypatch.setattr(transformers, "Guesses", lambda _: Guesses(texts))


def write(backend: TransformersBackend, seed: int, pattern: str | None = None, most: int = 40) -> str:
    pieces = backend.generate(
        conversation(case(seed)), prefix="real 0.90\n", pattern=pattern, max_new_tokens=most
    )
    return "".join(pieces)


@pytest.mark.parametrize("pattern", [None, PATTERN])
def test_the_answer_is_the_same_in_fewer_passes(
    backend: TransformersBackend,
    passes: list[int],
    pattern: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guessing(monkeypatch)
    alone, slow = write(backend, 3, pattern), len(passes)
    assert pattern or set(passes) == {1}
    ids = backend._read.ids  # type: ignore[union-attr]
    for texts, most in (
        ([ids], slow // 2),
        ([[*ids[:-20], 7, 8, 9, *ids[-16:]]], slow - 9),
        ([ids[::-1]], slow),
    ):
        guessing(monkeypatch, *texts)
        passes.clear()
        assert write(backend, 3, pattern) == alone
        assert len(passes) <= most


def test_no_more_is_read_than_may_be_written(
    backend: TransformersBackend, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(backend, 3)
    guessing(monkeypatch, backend._read.ids)  # type: ignore[union-attr]
    passes.clear()
    write(backend, 3, most=3)
    assert passes == [3]


@pytest.mark.parametrize("read", [1, 3, 99])
def test_what_is_kept_behind_guesses_is_what_was_written(
    backend: TransformersBackend, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = conversation(case(5))
    text = "".join(backend.generate(asked, max_new_tokens=30))
    ids = backend._read.ids  # type: ignore[union-attr]
    guessing(monkeypatch, [*ids[:-9], 7, *ids[-8:]])
    pieces = backend.generate(asked, max_new_tokens=30)
    for _ in range(read):
        next(pieces, "")
    pieces.close()  # type: ignore[attr-defined]
    told = replace(asked, turns=[*asked.turns, Turn("assistant", text), follow_up("Why?")])
    fresh = TransformersBackend(backend._model, backend._processor, {})
    assert backend.verdict_probabilities(told) == pytest.approx(fresh.verdict_probabilities(told), abs=1e-5)


def test_likely_texts_are_guessed_from(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[int]] = []
    monkeypatch.setattr(transformers, "Guesses", lambda texts: given.extend(texts) or Guesses(texts))
    likely = ["- The grid is aligned [E4]", "50 \u20ac"]
    list(backend.generate(conversation(case(1)), likely=likely, max_new_tokens=2))
    assert [backend._processor.tokenizer.decode(ids) for ids in given[1:]] == likely


def test_guesses_that_the_pattern_forbids_are_not_read(backend: TransformersBackend) -> None:
    encode = backend._processor.tokenizer.encode
    form = Form(backend._tokens, "one [a-z]+ (?:three|four)")
    first, second, other = encode("one"), encode(" two"), encode(" Two")
    for token in first:
        form.take(token)
    assert form.ahead(first, Guesses([[*first, *second]]), AHEAD)[0] == second
    assert backend._processor.tokenizer.decode(form.ahead(first, Guesses([[*first, *other]]), AHEAD)[0]) in (
        "",
        " ",
    )


def test_what_the_pattern_leaves_no_choice_of_is_taken_unasked(
    backend: TransformersBackend, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    guessing(monkeypatch)
    decode = backend._processor.tokenizer.decode
    form = Form(backend._tokens, "Noise (?:is high|of 12) in R1")
    ahead, forced = form.ahead([], Guesses([]), AHEAD)
    assert ahead
    assert "Noise ".startswith(decode(ahead))
    assert all(forced)
    assert form.ahead([], Guesses([]), AHEAD) == (ahead, forced), "looking ahead takes nothing"
    assert form.ahead([], Guesses([]), 2) == (ahead[:2], forced[:2])
    assert write(backend, 3, "Noise is high in R1 and R2", most=99) == "Noise is high in R1 and R2"
    assert sum(passes) < 2 * AHEAD
    assert len(passes) == 2
    passes.clear()
    text = write(backend, 3, "Noise (?:is high|of 12) in R1", most=99)
    assert text in ("Noise is high in R1", "Noise of 12 in R1")
    assert len(passes) < 8


def test_a_complete_answer_is_known_as_such(backend: TransformersBackend) -> None:
    form = Form(backend._tokens, "ok")
    for token in backend._processor.tokenizer.encode("ok"):
        assert not form.complete
        form.take(token)
    assert form.complete


def test_a_pattern_that_cannot_be_read_is_an_error(backend: TransformersBackend) -> None:
    with pytest.raises(ValueError, match="regex"):
        Form(backend._tokens, "(")
