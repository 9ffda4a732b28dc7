from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat.errors import AnswerUnparsable
from forensic_chat.mllm.claims import ParsedClaim, parse_rationale, parse_reply, sentences, streamed

CLAIM = ParsedClaim("The noise is uniform (0.2)", ("E3",), None)


@pytest.mark.parametrize(
    "line",
    [
        "- The noise is uniform (0.2) [E3]",
        "* The noise is uniform (0.2) [E3]",
        "• The noise is uniform (0.2) [e3]",
        "1. The noise is uniform (0.2) [E3]",
        "2) The noise is uniform (0.2) (E3)",
        "(3) The noise is uniform (0.2) [ E3 ]",
        "The noise is uniform (0.2) [E3][E3]",
        "  -   The noise  is uniform (0.2) [E3]  ",
    ],
)
def test_sloppy_lines_are_the_same_claim(line: str) -> None:
    assert parse_rationale("real 0.93\n" + line) == [CLAIM]
    assert parse_rationale(line) == [CLAIM]


@pytest.mark.parametrize(
    "bracket", ["[E1, E2][R1]", "[E1][E2][R1]", "[E1 and E2, R1]", "(E1; E2) [R1]", "[E1/E2 R1]"]
)
def test_several_ids_in_any_arrangement(bracket: str) -> None:
    assert parse_rationale(f"- They differ {bracket}") == [ParsedClaim("They differ", ("E1", "E2"), "R1")]


def test_each_region_makes_a_claim_of_its_own() -> None:
    claims = parse_rationale("- They differ [E1][R1][R2]")
    assert [claim.region for claim in claims] == ["R1", "R2"]


def test_sentences_with_citations_of_their_own_are_claims_of_their_own() -> None:
    claims = parse_rationale("- Noise differs. [E1] The grid is aligned [E2].")
    assert claims == [
        ParsedClaim("Noise differs.", ("E1",), None),
        ParsedClaim("The grid is aligned.", ("E2",), None),
    ]


def test_an_unfinished_last_line_is_dropped_and_an_uncited_one_kept() -> None:
    claims = parse_rationale("- A is so [E1]\n- B is so.\n- C is unfin")
    assert claims == [ParsedClaim("A is so", ("E1",), None), ParsedClaim("B is so.", (), None)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "real 0.93",
        "synthetic\n",
        "It is fake.",
        "- [E1]",
        "- E4 is high.",
        "- x [E0].",
        "- x [E1-E3].",
        "- x [E1",
    ],
)
def test_what_cites_nothing_is_unparsable(text: str) -> None:
    with pytest.raises(AnswerUnparsable):
        parse_rationale(text)


def test_boxes_and_decimals_stay_in_the_sentence() -> None:
    [claim] = parse_rationale("- At [1,2,3,4] the ghost map differs by 0.42 [E1][R1]")
    assert claim.text == "At [1,2,3,4] the ghost map differs by 0.42"


def test_a_reply_is_claims_and_plain_text_in_order() -> None:
    assert parse_reply("I am sure. Noise differs (0.4) [E1]. See?\n- The grid [E2]\n") == [
        "I am sure.",
        ParsedClaim("Noise differs (0.4).", ("E1",), None),
        "See?",
        ParsedClaim("The grid", ("E2",), None),
    ]


@given(st.text(alphabet="aB .!?\n[]E1-\t", max_size=60))
def test_sentences_joined_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


ANSWER = "Yes. Noise differs (0.4). [E1] See R1!\n1. One [E2].\n- Two [E3]\n\nThe rest is op"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 200])
def test_a_stream_gives_whole_sentences_and_leaves_out_an_unfinished_end(size: int) -> None:
    pieces = [ANSWER[k : k + size] for k in range(0, len(ANSWER), size)]
    whole = ["Yes. ", "Noise differs (0.4). [E1] ", "See R1!\n", "1. One [E2].\n", "- Two [E3]\n", "\n"]
    assert list(streamed(pieces)) == whole


def test_a_sentence_comes_as_soon_as_the_next_one_begins() -> None:
    given: list[str] = []

    def pieces() -> Iterator[str]:
        for piece in ("Yes", ". ", "And", " so on."):
            given.append(piece)
            yield piece

    assert next(streamed(pieces())) == "Yes. "
    assert given == ["Yes", ". ", "And"]


@pytest.mark.parametrize("text", ["tampered", '{"verdict": "real", "confidence": 0.93}', "It is"])
def test_an_end_that_is_all_there_is_is_kept(text: str) -> None:
    assert list(streamed(text)) == [text]


IDS = st.sampled_from(["[E1]", "[E12]", "[R1]", "[E1, E2]", "(E3)", "[E", "E4]", "[E0]", "[X1]"])
WORDS = st.text(alphabet="ab .!,:-*1[]()\n", max_size=12)


@given(st.lists(st.one_of(IDS, WORDS), max_size=20).map("".join))
def test_any_text_is_claims_or_unparsable(text: str) -> None:
    try:
        claims = parse_rationale(text)
    except AnswerUnparsable:
        return
    assert any(claim.findings or claim.region for claim in claims)
    for claim in claims:
        assert claim.text.strip() == claim.text != ""
        assert all(f"{name[0]}{name[1:]}" in text for name in claim.findings)


@given(st.text(max_size=200))
def test_any_text_is_a_reply(text: str) -> None:
    for piece in parse_reply(text):
        assert (piece if isinstance(piece, str) else piece.text).strip()


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Z][a-z]{2,8}( [a-z]{2,8}){1,5}", fullmatch=True),
            st.lists(st.integers(1, 30), min_size=1, max_size=3, unique=True),
            st.sampled_from(["- ", "* ", "1. ", "• ", ""]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_is_what_is_read(rows: list[tuple[str, list[int], str]]) -> None:
    lines = [f"{bullet}{text} [{', '.join(f'E{k}' for k in ids)}]" for text, ids, bullet in rows]
    assert parse_rationale("\n".join(lines)) == [
        ParsedClaim(text, tuple(f"E{k}" for k in ids), None) for text, ids, _ in rows
    ]
