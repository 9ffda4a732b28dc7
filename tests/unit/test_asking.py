"""Claims asked for one at a time, or all at once."""

import re
from random import Random

import pytest

from forensic_chat.data.case import Case
from forensic_chat.data.examinations import random_examination
from forensic_chat.data.rationales import rationale
from forensic_chat.data.statements import state
from forensic_chat.mllm.asking import asked_for_claims
from forensic_chat.mllm.claims import parse_rationale
from forensic_chat.mllm.grammar import MOST_CLAIMS

CASE = random_examination(Random(5))


class Writer:
    """Says of the findings, in turn and again and again, what fits the pattern; wants another claim `wishes` times."""

    def __init__(self, case: Case, wishes: int) -> None:
        self.case, self.wishes, self.begun = case, wishes, list[str]()

    def __call__(self, begun: str, pattern: str) -> str:
        self.begun.append(begun)
        ends = ["\n", ""] if len(self.begun) <= self.wishes else ["", "\n"]
        for finding in self.case.findings:
            for end in ends:
                line = f"- {state(finding, self.case, Random(1))}{end}"
                if re.fullmatch(pattern, line):
                    return line
        raise AssertionError(pattern)


@pytest.mark.parametrize(("wishes", "claims"), [(0, 2), (1, 2), (2, 3), (9, MOST_CLAIMS)])
def test_it_speaks_of_nothing_twice_and_ends_where_it_wants(wishes: int, claims: int) -> None:
    write = Writer(CASE, wishes)
    answer = asked_for_claims(write, CASE, "real 0.9\n", any_words=False)
    cited = [claim.findings for claim in parse_rationale(answer)]
    assert len(cited) == len(set(cited)) == claims
    assert write.begun[0] == "real 0.9\n"
    assert write.begun[-1] + answer.splitlines(keepends=True)[-1] == "real 0.9\n" + answer


def test_what_was_told_is_left_out_and_nothing_more_is_asked_for_when_all_is() -> None:
    names = [finding.id for finding in CASE.findings]
    answer = asked_for_claims(Writer(CASE, 9), CASE, "", any_words=False, told=names[:2], most=1)
    assert f"[{names[2]}" in answer
    every = {*names, *(region.id for region in CASE.regions)}
    assert asked_for_claims(Writer(CASE, 9), CASE, "", any_words=False, told=every) == ""


def test_in_any_words_all_claims_are_asked_for_at_once() -> None:
    rng, asked = Random(2), list[str]()

    def write(begun: str, pattern: str) -> str:
        asked.append(begun)
        answer = "\n".join(f"- {claim}" for claim in rationale(CASE, rng))
        assert re.fullmatch(pattern, answer)
        return answer

    assert asked_for_claims(write, CASE, "tampered 0.9\n", any_words=True)
    assert asked == ["tampered 0.9\n"]
