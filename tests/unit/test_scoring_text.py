import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat.scoring.text import distinct, mean_pairwise, rouge_l, words

SENTENCES = st.lists(st.sampled_from("abcd"), max_size=12)


def test_words_keep_figures_and_ids() -> None:
    assert words("The score, 0.42 of 1 [E3][R1].") == ["the", "score", "0.42", "of", "1", "e3", "r1"]


def test_rouge_l() -> None:
    assert rouge_l(["a", "b", "c", "d"], ["a", "x", "c", "d"]) == pytest.approx(0.75)
    assert rouge_l([], ["a"]) == rouge_l([], []) == 0.0


@given(SENTENCES, SENTENCES)
def test_rouge_l_is_symmetric_and_one_for_the_same(a: list[str], b: list[str]) -> None:
    assert rouge_l(a, b) == rouge_l(b, a)
    assert 0 <= rouge_l(a, b) <= 1
    assert rouge_l(a, a) == float(bool(a))


def test_variety() -> None:
    assert distinct(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct(["a"], 2) == 0.0
    assert mean_pairwise(["a b", "a b", "c d"]) == pytest.approx(1 / 3)
    assert mean_pairwise(["a b"]) == 0.0
