"""Measures how long a rationale takes on the shipped examples, with guesses ahead and without, in one run.

    python -m tests.perf.writing [--repeats 3]

Needs the weights in the cache. Seconds from the end of the examination, the prompt not yet read: to the first piece of
the rationale, and to its end. Exits with 1 where the two ways write different text.
"""

import argparse
import statistics
import time
from pathlib import Path

import forensic_chat.ui
from forensic_chat import Examiner
from forensic_chat.data.protocol import answer_prefix
from forensic_chat.imaging.intake import take_in
from forensic_chat.judgement import Judgement, judge
from forensic_chat.mllm.asking import asked_for_claims
from forensic_chat.mllm.backends.base import LIKELY, Conversation
from forensic_chat.mllm.backends.transformers import TransformersBackend
from forensic_chat.mllm.prompts import Turn
from forensic_chat.telling import MOST_TOKENS, case_of, drafted, open_conversation

EXAMPLES = Path(forensic_chat.ui.__path__[0]) / "examples"
FIRST, WHOLE = 1.5, 6.0
"""Seconds that are wanted, on two cores."""


def written(
    examiner: Examiner, backend: TransformersBackend, judgement: Judgement, guessing: bool
) -> tuple[str, float, float]:
    """A rationale, and the seconds to its first piece and to its end."""
    backend.verdict_probabilities(Conversation([], [Turn("user", "Hello")]))  # so that nothing is read before
    start, first = time.perf_counter(), 0.0
    conversation, verdict = open_conversation(judgement, examiner.encoder), judgement.verdict
    case = case_of(judgement)
    likely = drafted(case) if guessing else ()

    def write(begun: str, pattern: str) -> str:
        nonlocal first
        text = ""
        for piece in backend.generate(
            conversation, prefix=begun, pattern=pattern, likely=likely, max_new_tokens=MOST_TOKENS
        ):
            first = first or time.perf_counter() - start
            text += piece
        return text

    prefix = answer_prefix(verdict.label, verdict.probabilities)
    text = asked_for_claims(write, case, prefix, any_words=backend.any_words)
    return text, first, time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf.writing", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    examiner, backend = Examiner.load(), TransformersBackend.load()
    differ, firsts, wholes, ratios = 0, [], [], []
    print(f"{'':24s}  first   whole  whole without  ratio  (seconds; {LIKELY} texts to guess from)")
    for path in sorted(EXAMPLES.glob("*.jpg")):
        image = take_in(path.read_bytes(), name=path.name)
        judgement = judge(image, examiner.encoder, examiner.calibration, lambda: None)
        runs = [
            [written(examiner, backend, judgement, guessing) for guessing in (False, True)]
            for _ in range(repeats)
        ]
        differ += len({text for run in runs for text, *_ in run}) > 1
        slow, fast = (statistics.median(run[k][2] for run in runs) for k in (0, 1))
        firsts.append(statistics.median(run[1][1] for run in runs))
        wholes.append(fast)
        ratios.append(slow / fast)
        print(
            f"{path.name:24s}  {firsts[-1]:5.2f}  {fast:6.2f}  {slow:13.2f}  {slow / fast:5.2f}", flush=True
        )
    first, whole = statistics.median(firsts), statistics.median(wholes)
    print(f"{'median':24s}  {first:5.2f}  {whole:6.2f}  {'':13s}  {statistics.median(ratios):5.2f}")
    print(f"{'wanted':24s}  {FIRST:5.2f}  {WHOLE:6.2f}")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
