"""Stage 2: supervised fine-tuning of the language model on conversations about images, by TRL.

    accelerate launch -m train.sft --config configs/embedded/sft.yaml --corpus DIR --output_dir DIR

LoRA on the language model, the projector trained whole, the tower frozen. The loss covers what the assistant
says. Images are the corpus' training images; the findings beside them are made up by code for an image of that
class, so that every kind, value and contradiction occurs. The model learns to read findings, not to judge.
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
from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration, LlavaProcessor, TrainerCallback
from trl import SFTConfig, SFTTrainer, TrlParser

from forensic_chat import Examiner
from forensic_chat.data.dialogues import Case, dialogue, random_examination
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.imaging.views import View, crop, native_boxes, overview, trace_map
from forensic_chat.mllm.prompts import Turn, follow_up, messages, opening
from forensic_chat.schema import CLASSES
from forensic_chat.telling import SHOWN_CROPS
from forensic_chat.weights import base
from train.features import Example, examples, pixels_of


@dataclass
class DataArguments:
    """Where conversations come from and what is tuned."""

    corpus: Path = field(metadata={"help": "folder with manifest.jsonl"})
    pictured: int = field(default=1000, metadata={"help": "conversations about images, evenly over classes"})
    text_only: int = field(default=300, metadata={"help": "conversations without images, before the others"})
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


def pictured_row(example: Example, encoder: Encoder, rng: Random) -> dict[str, Any]:
    """A conversation about a training image, with findings that code makes up for an image of its class."""
    pixels = pixels_of(example.path)
    height, width = pixels.shape[:2]
    boxes = native_boxes(width, height, 224, 0)
    crops = [crop(pixels, box, "crop A") for box in rng.sample(boxes, min(SHOWN_CROPS, len(boxes)))]
    views = [overview(pixels), *crops, trace_map(encoder.locate(pixels).mask)]
    case = next(c for c in iter(lambda: random_examination(rng), None) if c.truth == example.item.label)
    images = [Image.fromarray(view.pixels) for view in views]
    return {"messages": conversation(views, case, rng), "images": images}


def drawn(corpus: Path, count: int, rng: Random) -> list[Example]:
    """Images of split `train`, a third each class."""
    every = [example for example in examples(corpus) if example.item.split == "train"]
    classes = [[e for e in every if e.item.label == label] for label in CLASSES]
    return [rng.choice(classes[k % len(classes)]) for k in range(count)]


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
    encoder = Examiner.load().encoder
    rows = [pictured_row(example, encoder, rng) for example in drawn(data.corpus, data.pictured, rng)]
    warm_up = [made_up_row(rng) for _ in range(data.text_only)]
    print(f"{len(rows)} conversations about images after {len(warm_up)} without")
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
