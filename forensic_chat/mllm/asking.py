"""How the language model is asked for the claims of a rationale."""

import re
from collections.abc import Callable, Collection

from forensic_chat.data.case import Case
from forensic_chat.mllm.grammar import MOST_CLAIMS, chosen_pattern, rationale_pattern

FEWEST_CLAIMS = 2


def asked_for_claims(
    write: Callable[[str, str], str],
    case: Case,
    begun: str,
    *,
    any_words: bool,
    told: Collection[str] = (),
    most: int = MOST_CLAIMS,
) -> str:
    """Lines "- claim" that go on behind `begun`, on what is not `told`.

    write: the model's text behind what is begun, held to a pattern. In `any_words` it writes all claims at once. Else
    it chooses one at a time, each on findings that it has not spoken of; a line's break says that it wants another.
    """
    if any_words:
        return write(begun, rationale_pattern(case, told, most))
    answer, spoken = "", {*told}
    for number in range(1, most + 1):
        claim = chosen_pattern(case, spoken)
        if not claim:
            break
        more = "" if number == most else "\n" if number < FEWEST_CLAIMS else "\n?"
        line = write(begun + answer, claim + more)
        answer += line
        cited = re.findall(r"\b[ER]\d+\b", line)
        spoken |= {name for name in cited if name[0] == "E"} or {*cited}
        if not line.endswith("\n"):
            break
    return answer
