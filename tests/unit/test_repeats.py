import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat.mllm.backends.repeats import RepeatGuard


def through(pieces: list[str]) -> tuple[str, bool]:
    guard, out = RepeatGuard(), ""
    for piece in pieces:
        out += guard.feed(piece)
        if guard.repeated:
            return out, True
    return out + guard.finish(), False


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- The noise is uniform [E1]\n- The noise is uniform [E1]\n", "- The noise is uniform [E1]\n"),
        ("The noise is uniform. The noise is uniform. The", "The noise is uniform. "),
        (
            "- The noise is uniform [E1]\n- The noise is uni",
            "- The noise is uniform [E1]\n- The noise is uni",
        ),
        ("Yes. Yes. Yes.", "Yes. Yes. Yes."),
        ("At 0.42 it stands out. At 0.43 it does not.", "At 0.42 it stands out. At 0.43 it does not."),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_repeated_sentence_is_not_shown(text: str, shown: str, size: int) -> None:
    assert through([text[k : k + size] for k in range(0, len(text), size)])[0] == shown


@given(st.lists(st.text(alphabet="ab .\n", max_size=8), max_size=30))
def test_what_is_shown_is_a_beginning_and_whole_unless_repeated(pieces: list[str]) -> None:
    shown, repeated = through(pieces)
    text = "".join(pieces)
    assert text.startswith(shown)
    if not repeated and len(text) < 12:
        assert shown == text
