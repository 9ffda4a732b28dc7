"""Runs that stop in time and go on later."""

import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

UNFINISHED = 75
"""Exit code of a stage that stopped in time: the same command goes on. (EX_TEMPFAIL of sysexits.h)"""


class StopInTime(TrainerCallback):
    """Saves a checkpoint and ends training after so many minutes."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if time.monotonic() > self.end:
            control.should_training_stop = control.should_save = True


def trained(trainer: Any, minutes: float) -> bool:
    """Train from the last checkpoint of the run, if there is one; whether the run is finished."""
    if minutes:
        trainer.add_callback(StopInTime(minutes))
    begun = any(Path(trainer.args.output_dir).glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=begun or None)
    return bool(trainer.state.global_step >= trainer.state.max_steps)
