"""Stage 3: GRPO from the fine-tuned adapter, with rewards that code computes, by TRL.

    accelerate launch -m train.grpo --config configs/embedded/grpo.yaml --examined DIR --adapter DIR --output_dir DIR

Group Relative Policy Optimization (Shao et al., DeepSeekMath, arXiv 2402.03300) over examined training images
(train.examinations). Most prompts are the examiner's own: the verdict line is forced and the model writes the
claims; for the others it states the verdict itself. Reward components go to rewards.csv and TensorBoard, samples
to samples.jsonl, scores on `val` to val.csv; what is shipped is the adapter with the best of them, which may be the
one it started from. Exit code 75: stopped after --minutes, the same command goes on.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from shutil import copytree
from typing import Any

from datasets import Dataset
from PIL import Image
from trl import GRPOConfig, TrlParser

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.data.rationales import rationale
from forensic_chat.errors import UsageError
from forensic_chat.imaging.views import View
from forensic_chat.mllm.prompts import messages, opening
from train.chunks import UNFINISHED, trained
from train.curves import BestOnVal, Curves
from train.examinations import Examined
from train.examinations import load as load_examinations
from train.models import ModelArguments, load, with_adapter
from train.rewards import REWARDS, Answer, Reward
from train.trainers import ForcedPrefixTrainer, SharedPromptTrainer

OTHERS = 4
"""Rationales about other images, by code and by the model itself, with which one is compared."""
REMEMBERED = 8


@dataclass
class GrpoArguments:
    """What is trained on, and how the run is cut into pieces."""

    examined: Path = field(metadata={"help": "folder of train.examinations"})
    adapter: Path = field(metadata={"help": "folder with the fine-tuned adapter and projector"})
    free: float = field(default=0.2, metadata={"help": "share of prompts where the model states the verdict"})
    val_images: int = field(default=24, metadata={"help": "examined val images that choose the checkpoint"})
    minutes: float = field(default=0, metadata={"help": "stop and save after so many minutes; 0: at the end"})
    shipped: Path | None = field(default=None, metadata={"help": "also save the best adapter here"})


def prompt_row(record: Examined, views: list[View], others: list[str], forced: bool) -> dict[str, Any]:
    """One prompt in TRL's conversational form, with what its rewards need."""
    first = opening(views, record.size, record.findings, record.regions)
    prefix = answer_prefix(record.label, record.probabilities) if forced else ""
    begun = [{"role": "assistant", "content": [{"type": "text", "text": prefix}]}] if forced else []
    return {
        "prompt": messages([first]) + begun,
        "images": [Image.fromarray(view.pixels) for view in views],
        "examined": record.model_dump_json(),
        "prefix": prefix,
        "others": others,
    }


def prompt_rows(
    every: Sequence[tuple[Examined, list[View]]], free: float, rng: Random
) -> list[dict[str, Any]]:
    """A prompt an image, the verdict forced but for a share of `free`."""
    said = [(record.sha256, record.label, "\n".join(rationale(record.case(), rng))) for record, _ in every]
    rows = []
    for record, views in every:
        # about images with the same verdict, where text is most alike
        same = [text for sha, label, text in said if label == record.label and sha != record.sha256]
        others = rng.sample(same, min(OTHERS, len(same)))
        rows.append(prompt_row(record, views, others, forced=rng.random() >= free))
    return rows


class Scorer:
    """Rewards as TRL calls them, one function a reward, over answers that are parsed and verified once.

    It remembers the model's last rationales about other images, so that one text for all of them shows.
    """

    def __init__(self) -> None:
        self._said: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)
        self._key: object = None
        self._answers: list[Answer] = []

    def functions(self) -> list[Any]:
        return [self._function(reward) for reward in REWARDS]

    def _function(self, reward: Reward) -> Any:
        def scored(completions: Any, **columns: Any) -> list[float | None]:
            return [reward(answer) for answer in self._read(completions, columns)]

        scored.__name__ = reward.__name__
        return scored

    def _read(self, completions: Any, columns: dict[str, Any]) -> list[Answer]:
        if self._key is not completions:
            state = columns["trainer_state"]
            self._answers = [
                Answer(
                    text=completion[0]["content"],
                    examined=Examined.model_validate_json(record),
                    prefix=prefix,
                    progress=state.global_step / max(1, state.max_steps),
                    others=[*others, *self._elsewhere(record)],
                    reference=reference,
                    finished=finished,
                )
                for completion, record, prefix, others, reference, finished in zip(
                    completions,
                    columns["examined"],
                    columns["prefix"],
                    columns["others"],
                    columns["reference"],
                    columns["finished"],
                    strict=True,
                )
            ]
            # remembered after the whole group was read: siblings speak of the same image
            for record, answer in dict(zip(columns["examined"], self._answers, strict=True)).items():
                self._said.append((record, answer.text))
            self._key = completions
        return self._answers

    def _elsewhere(self, record: str) -> list[str]:
        return [text for other, text in self._said if other != record][-OTHERS:]


def main(arguments: list[str] | None = None) -> None:
    data, base, config = TrlParser((GrpoArguments, ModelArguments, GRPOConfig)).parse_args_and_config(
        arguments
    )
    rng = Random(config.seed)
    rows = prompt_rows(load_examinations(data.examined, "train"), data.free, rng)
    val = prompt_rows(load_examinations(data.examined, "val")[: data.val_images], data.free, rng)
    if not rows or not val:
        raise UsageError(f"{data.examined.name} holds no examinations of both splits; run train.examinations")
    print(f"{len(rows)} prompts, {sum(not row['prefix'] for row in rows)} of them without a forced verdict")
    model, processor = load(base)
    processor.tokenizer.padding_side = "left"
    weights = config.reward_weights = config.reward_weights or [1.0] * len(REWARDS)
    Path(config.output_dir).mkdir(parents=True, exist_ok=True)
    best = BestOnVal(Path(config.output_dir), val, weights, base.base_model)
    trainer_class = SharedPromptTrainer if model.config.model_type == "llava" else ForcedPrefixTrainer
    trainer = trainer_class(
        model=with_adapter(model, data.adapter),
        reward_funcs=Scorer().functions(),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=processor,
        callbacks=[Curves(Path(config.output_dir) / "rewards.csv"), best],
    )
    best.trainer = trainer
    if not trained(trainer, data.minutes):
        raise SystemExit(UNFINISHED)
    if data.shipped is not None:
        copytree(Path(config.output_dir) / "best", data.shipped, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
