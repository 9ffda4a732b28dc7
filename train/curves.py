"""What a GRPO run keeps of itself: the curves, and the adapter that does best on `val`."""

import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

from transformers import TrainerCallback

from train.examinations import Examined
from train.models import ship
from train.rewards import REWARDS, Answer, total


class Curves(TrainerCallback):
    """Writes each step's reward components and speed to rewards.csv, and prints the means at the end."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._rows: list[dict[str, Any]] = []
        self._clock = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._clock = time.process_time()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Rows behind the checkpoint from which the run goes on are dropped: their steps come again."""
        if self.file.exists():
            with self.file.open(encoding="utf-8", newline="") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["step"]) <= state.global_step]

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not logs or "reward" not in logs:
            return
        row = {"step": state.global_step, "reward": logs["reward"], "reward_std": logs["reward_std"]}
        row |= {reward.__name__: logs.get(f"rewards/{reward.__name__}/mean") for reward in REWARDS}
        seconds, tokens = logs["step_time"], logs["completions/mean_length"]
        written = tokens * args.per_device_train_batch_size * args.gradient_accumulation_steps
        row |= {
            "kl": logs.get("kl"),
            "entropy": logs.get("entropy"),
            "tokens": tokens,
            "cut": logs["completions/clipped_ratio"],
            "seconds": seconds,
            "cpu_seconds": time.process_time() - self._clock,
            "tokens_per_second": written / seconds,
        }
        self._rows.append({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})
        write_rows(self.file, self._rows)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._rows:
            seconds, cpu, speed = (
                sum(float(row[name]) for row in self._rows) / len(self._rows)
                for name in ("seconds", "cpu_seconds", "tokens_per_second")
            )
            print(
                f"{len(self._rows)} steps: {seconds:.1f} s a step ({cpu:.1f} of processor time), "
                f"{speed:.1f} sampled tokens/s"
            )


class BestOnVal(TrainerCallback):
    """Scores greedy answers about val images at the start and at each checkpoint, and keeps the best adapter."""

    def __init__(
        self, folder: Path, rows: list[dict[str, Any]], weights: Sequence[float], base_model: str
    ) -> None:
        self.folder, self.rows, self.weights, self.base_model = folder, rows, weights, base_model
        self.trainer: Any = None

    @property
    def scores(self) -> list[dict[str, str]]:
        file = self.folder / "val.csv"
        if not file.exists():
            return []
        with file.open(encoding="utf-8", newline="") as opened:
            return list(csv.DictReader(opened))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.scores:
            self._score(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not any(int(row["step"]) == state.global_step for row in self.scores):
            self._score(state.global_step)

    def _score(self, step: int) -> None:
        answers = [self._answer(row) for row in self.rows]
        scored = [total(answer, self.weights) for answer in answers]
        row: dict[str, Any] = {"step": step, "score": sum(value for value, _ in scored) / len(scored)}
        for reward in REWARDS:
            values = [v for _, each in scored if (v := each[reward.__name__]) is not None]
            row[reward.__name__] = sum(values) / len(values) if values else None
        row = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
        before = self.scores
        write_rows(self.folder / "val.csv", [*before, row])
        lines = [json.dumps({"step": step, "text": a.prefix + a.text}) for a in answers]
        with (self.folder / "val.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        best = all(row["score"] > float(old["score"]) for old in before)
        print(f"val at step {step}: {row['score']:.3f}{', the best so far' if best else ''}", flush=True)
        if best:
            rmtree(self.folder / "best", ignore_errors=True)
            model = self.trainer.accelerator.unwrap_model(self.trainer.model)
            ship(model, self.folder / "best", self.base_model)

    def _answer(self, row: dict[str, Any]) -> Answer:
        trainer = self.trainer
        ids = trainer.written(row)
        return Answer(
            text=trainer.processing_class.decode(ids, skip_special_tokens=True),
            examined=Examined.model_validate_json(row["examined"]),
            prefix=row["prefix"],
            others=row["others"],
            finished=ids[-1] in trainer.eos_token_ids,
        )


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
