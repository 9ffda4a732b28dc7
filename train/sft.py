"""Stage 2: supervised fine-tuning of the language model on conversations about examined images, by TRL.

    accelerate launch -m train.sft --config configs/embedded/sft.yaml --examinations DIR --output_dir DIR

LoRA on the language model, the projector trained whole, the tower frozen. The loss covers what the assistant
says. DIR of the examinations is written by `train.examine_corpus`; conversations about made-up findings, without
images, come first and teach the form cheaply.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from PIL import Image
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration, LlavaProcessor, TrainerCallback
from trl import SFTConfig, SFTTrainer, TrlParser

from forensic_chat.data.dialogues import Case, dialogue, random_examination
from forensic_chat.imaging.views import View
from forensic_chat.mllm.prompts import Turn, follow_up, messages, opening
from forensic_chat.schema import Finding, Region, Verdict
from forensic_chat.telling import SHOWN_CROPS
from forensic_chat.weights import base


@dataclass
class DataArguments:
    """Where conversations come from and what is tuned."""

    examinations: Path = field(metadata={"help": "folder written by train.examine_corpus"})
    text_only: int = field(
        default=300, metadata={"help": "conversations on made-up findings, without images"}
    )
    epochs_of_text: int = field(default=1, metadata={"help": "different conversations an examination gets"})
    lora_rank: int = 16
    minutes: float = field(default=0, metadata={"help": "stop and save after so many minutes; 0: at the end"})
    shipped: Path | None = field(default=None, metadata={"help": "also save adapter and projector here"})


def conversation(views: list[View], case: Case, rng: Random) -> list[dict[str, Any]]:
    """One conversation in chat-template form, as the backends render it."""
    exchanges = dialogue(
        case.findings, case.regions, case.label, case.probabilities, case.image_size, rng, case.truth
    )
    turns = [
        opening(views, case.image_size, case.findings, case.regions),
        Turn("assistant", exchanges[0].answer),
    ]
    for exchange in exchanges[1:]:
        turns += [follow_up(exchange.question), Turn("assistant", exchange.answer)]
    return messages(turns)


def examined_row(path: Path, rng: Random) -> dict[str, Any]:
    """A conversation about an image that train.examine_corpus examined."""
    row = json.loads(path.read_text())
    pixels = load_arrays(path.with_suffix(".safetensors"))
    every = [View(v["name"], tuple(v["box"]), pixels[f"{k:02d}"]) for k, v in enumerate(row["views"])]
    views = [*every[: 1 + SHOWN_CROPS], every[-1]]
    verdict = Verdict(**row["verdict"])
    case = Case(
        [Finding(**f) for f in row["findings"]],
        [Region(**r) for r in row["regions"]],
        verdict.label,
        verdict.probabilities,
        tuple(row["size"]),
        row["truth"],
    )
    images = [Image.fromarray(view.pixels) for view in views]
    return {"messages": conversation(views, case, rng), "images": images}


def made_up_row(rng: Random) -> dict[str, Any]:
    """A conversation about findings that code made up; it teaches the form, cheaply."""
    return {"messages": conversation([], random_examination(rng), rng), "images": []}


class StopInTime(TrainerCallback):
    """Ends training after so many minutes, as if it had ended there."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop |= time.monotonic() > self.end


def main() -> None:
    data, config = TrlParser((DataArguments, SFTConfig)).parse_args_and_config()
    rng = Random(config.seed)
    paths = sorted(data.examinations.glob("*.json"))
    rows = [examined_row(path, rng) for _ in range(data.epochs_of_text) for path in paths]
    rng.shuffle(rows)
    warm_up = [made_up_row(rng) for _ in range(data.text_only)]
    print(f"{len(rows)} conversations about {len(paths)} images after {len(warm_up)} without images")
    place = str(base("llava"))
    model = LlavaForConditionalGeneration.from_pretrained(place, dtype=torch.float32)
    processor = LlavaProcessor.from_pretrained(place)
    lora = LoraConfig(
        r=data.lora_rank,
        lora_alpha=2 * data.lora_rank,
        lora_dropout=0.0,
        target_modules=r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
        modules_to_save=["multi_modal_projector"],
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(warm_up + rows),
        processing_class=processor,
        peft_config=lora,
    )
    if data.minutes:
        trainer.add_callback(StopInTime(data.minutes))
    trainer.train(resume_from_checkpoint=any(Path(config.output_dir).glob("checkpoint-*")) or None)
    trainer.save_model(config.output_dir)
    if data.shipped is not None:
        ship(trainer.model, data.shipped)


def ship(model: Any, out: Path) -> None:
    """Adapter (bfloat16) and projector as the backends load them."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    adapter = out / "adapter_model.safetensors"
    tensors = load_file(adapter)
    projector = {
        k.split("multi_modal_projector.")[1]: v for k, v in tensors.items() if "multi_modal_projector" in k
    }
    save_file({k: v.bfloat16().contiguous() for k, v in projector.items()}, out / "projector.safetensors")
    rest = {k: v.bfloat16().contiguous() for k, v in tensors.items() if "multi_modal_projector" not in k}
    save_file(rest, adapter, metadata={"format": "pt"})
    config = json.loads((out / "adapter_config.json").read_text())
    config |= {"modules_to_save": None, "base_model_name_or_path": "llava"}
    (out / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()
