"""Measures what the evaluation costs over the calls of the models that it evaluates.

    python -m tests.perf.evaluation [--items 240] [--delay 0.05]

Runs the suite `explanation` on pictures made by code, with models that do nothing but take `--delay` seconds a call:
two looks of the encoder an image, and whatever the language model is asked to write. The evaluation is all but the
answering: reading the data, keeping answers, scoring, bootstrap, report. Needs no base weights.

The evaluation's part does not hang on the delay, so the ratio falls as one over it. Other load on the machine lengthens
that part and not the delays: the bar holds processor time over the calls of the embedded models. Exits with 1 if it is
missed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eval import models, run
from eval.explanation import pictures
from eval.explanation.items import PER_IMAGE
from eval.explanation.systems import ExaminerSystem
from forensic_chat.encoder.calibration import Calibration
from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.base import Conversation
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from tests.factories import SpotEncoder

BAR = 5.0
"""Percent."""
EMBEDDED = 4.0
"""Seconds of a call of the embedded models on two cores, the encoder's and the language model's in the mean."""


class Clock:
    """Seconds, and those of the processor, spent inside what it wraps."""

    def __init__(self) -> None:
        self.seconds = self.busy = 0.0
        self.calls = 0

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            start, busy = time.perf_counter(), time.process_time()
            try:
                return work(*given, **named)
            finally:
                self.calls += 1
                self.seconds += time.perf_counter() - start
                self.busy += time.process_time() - busy

        return timed


class SlowEncoder(SpotEncoder):
    """Two calls an image: the look, and the one at a re-delivered copy."""

    def __init__(self, wait: Callable[[], None]) -> None:
        super().__init__()
        self.wait = wait

    def perceive(self, pixels: Any) -> Any:
        self.wait()
        return super().perceive(pixels)

    def look_again(self, pixels: Any, before: Any) -> float:
        return self.perceive(pixels).fake_probability


class SlowBackend(ScriptedBackend):
    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait = wait

    def generate(self, conversation: Conversation, **options: Any) -> Iterator[str]:
        self.wait()
        return super().generate(conversation, **options)


class Slow(Examiner):
    """The product with models that only wait."""

    models = {"encoder": "waits"}  # noqa: RUF012  (a cached property of the product's)

    def __init__(self, wait: Callable[[], None]) -> None:
        super().__init__(backend=SlowBackend(wait))
        frozen = Calibration.load(models.encoder_folder(models.SHIPPED) / "calibration.json")
        self._seeing = SlowEncoder(wait), frozen


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf.evaluation", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--items", type=int, default=240)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds of a call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), options.items, options.delay)


def measure(folder: Path, items: int, delay: float) -> int:
    pictures.write(folder / "data", -(-items // PER_IMAGE), 0)
    calls, answering, whole = Clock(), Clock(), Clock()
    examiner = Slow(calls.around(lambda: time.sleep(delay)))
    words = ["--suite", "explanation", "--limit", str(items), "--data", str(folder / "data")]
    given = run.parser().parse_args([*words, "--out", str(folder / "out")])
    bare = ExaminerSystem.answer
    ExaminerSystem.answer = answering.around(bare)  # type: ignore[method-assign]
    try:
        whole.around(lambda: list(run.run(given, examiner)))()
    finally:
        ExaminerSystem.answer = bare  # type: ignore[method-assign]
    own, busy = whole.seconds - answering.seconds, whole.busy - answering.busy
    around = answering.seconds - calls.seconds
    print(f"{items} items: {whole.seconds:.1f} s")
    for what, seconds, of in (
        (f"{calls.calls} calls of the models", calls.seconds, calls.busy),
        ("the product around them", around, answering.busy - calls.busy),
        ("the evaluation", own, busy),
    ):
        print(f"  {what:28s} {seconds:8.2f} s, processor {of:6.2f} s")
    for each in (delay, EMBEDDED):
        shares = (100 * part / (calls.calls * each) for part in (own, busy))
        print("evaluation / calls of {:g} s: {:.2f} %, processor {:.2f} %".format(each, *shares))
    print(f"processor: {BAR:g} % at calls of {100 * busy / calls.calls / BAR:.3f} s")
    missed = 100 * busy > BAR * calls.calls * EMBEDDED
    print(f"bar: {BAR:g} % at calls of {EMBEDDED:g} s{'  MISSED' if missed else ''}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
