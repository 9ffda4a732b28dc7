"""Measures how much faster rationales are written with guesses than without, in one run, on the shipped examples.

    python -m tests.perf.writing [--repeats 3]

Needs the weights in the cache. The prompt is read before, so what is timed is writing. Exits with 1 where the two ways
write different text.
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
from forensic_chat.mllm.backends.base import LIKELY
from forensic_chat.mllm.backends.transformers import TransformersBackend
from forensic_chat.telling import MOST_TOKENS, case_of, drafted, open_conversation

EXAMPLES = Path(forensic_chat.ui.__path__[0]) / "examples"


def written(backend: TransformersBackend, judgement: Judgement, guessing: bool) -> tuple[str, float]:
    """A rationale, and the seconds that it took."""
    conversation, verdict = open_conversation(judgement), judgement.verdict
    backend.verdict_probabilities(conversation)
    case, start = case_of(judgement), time.perf_counter()
    likely = drafted(case) if guessing else ()

    def write(begun: str, pattern: str) -> str:
        return "".join(
            backend.generate(
                conversation, prefix=begun, pattern=pattern, likely=likely, max_new_tokens=MOST_TOKENS
            )
        )

    prefix = answer_prefix(verdict.label, verdict.probabilities)
    text = asked_for_claims(write, case, prefix, any_words=backend.any_words)
    return text, time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf.writing", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    examiner, backend = Examiner.load(), TransformersBackend.load()
    differ, ratios = 0, []
    print(f"{'':24s}  without     with  ratio  (seconds; {LIKELY} texts to guess from)")
    for path in sorted(EXAMPLES.glob("*.jpg")):
        image = take_in(path.read_bytes(), name=path.name)
        judgement = judge(image, examiner.encoder, examiner.calibration, lambda: None)
        runs = [[written(backend, judgement, guessing) for guessing in (False, True)] for _ in range(repeats)]
        differ += len({text for run in runs for text, _ in run}) > 1
        slow, fast = (statistics.median(run[k][1] for run in runs) for k in (0, 1))
        ratios.append(slow / fast)
        print(f"{path.name:24s}  {slow:7.2f}  {fast:7.2f}  {slow / fast:5.2f}", flush=True)
    print(f"{'median':24s}  {'':7s}  {'':7s}  {statistics.median(ratios):5.2f}")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
