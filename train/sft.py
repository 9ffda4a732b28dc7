"""Stage 1: supervised fine-tuning of the language model on conversations about images, by TRL.

    accelerate launch -m train.sft --config configs/embedded/sft.yaml --corpus DIR --output_dir DIR

LoRA on the language model, the projector trained whole, the tower frozen. The loss covers what the assistant
says. Images are the corpus' training images; the findings beside them are made up by code for an image of that
class, so that every kind, value and contradiction occurs. The model learns to read findings, not to judge. With
--examined, images and their own findings come from train.examinations instead, and none is read again. With --own, text
that the base wrote (train.replay), the model is held to its base there. Exit code 75: stopped after --minutes, the same
command goes on.
"""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from datasets import Dataset
from PIL import Image
from trl import SFTConfig, SFTTrainer, TrlParser

from forensic_chat import Examiner
from forensic_chat.data.dialogues import Case, dialogue, random_examination
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.errors import UsageError
from forensic_chat.imaging.views import View, crop, native_boxes, overview, trace_map
from forensic_chat.mllm.prompts import Turn, follow_up, messages, opening
from forensic_chat.schema import CLASSES
from forensic_chat.telling import SHOWN_CROPS
from train.chunks import UNFINISHED, trained
from train.examinations import Examined
from train.examinations import load as load_examinations
from train.features import Example, examples, pixels_of
from train.models import ModelArguments, load, lora, ship
from train.replay import Remembering, read


@dataclass
class DataArguments:
    """Where conversations come from."""

    corpus: Path | None = field(default=None, metadata={"help": "folder with manifest.jsonl"})
    examined: Path | None = field(default=None, metadata={"help": "or a folder of train.examinations"})
    pictured: int = field(default=1000, metadata={"help": "conversations about images, evenly over classes"})
    text_only: int = field(default=300, metadata={"help": "conversations without images, before the others"})
    minutes: float = field(default=0, metadata={"help": "stop and save after so many minutes; 0: at the end"})
    own: Path | None = field(
        default=None, metadata={"help": "file of train.replay: text to hold the model to"}
    )
    remember: float = field(default=2.0, metadata={"help": "weight of the KL divergence from the base on it"})
    shipped: Path | None = field(default=None, metadata={"help": "also save adapter and projector here"})
    share: float = field(default=1.0, metadata={"help": "of the adapter's strength that --shipped keeps"})


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


def pictured_rows(data: DataArguments, rng: Random) -> list[dict[str, Any]]:
    if data.examined is not None:
        return examined_rows(load_examinations(data.examined, "train"), data.pictured, rng)
    if data.corpus is None:
        raise UsageError("no images to talk about; give --corpus or --examined")
    encoder = Examiner.load().encoder
    return [pictured_row(example, encoder, rng) for example in drawn(data.corpus, data.pictured, rng)]


def examined_rows(every: list[tuple[Examined, list[View]]], count: int, rng: Random) -> list[dict[str, Any]]:
    """Conversations about examined images, a third each class as far as they go; a region on which the verdict
    does not rest is given as no reason for it."""
    classes = [[e for e in every if e[0].truth == label] for label in CLASSES]
    kept = [group for group in classes if group]
    if not kept:
        raise UsageError("there are no examinations of split train; run train.examinations")
    rows = []
    for k in range(count):
        record, views = rng.choice(kept[k % len(kept)])
        no_reason = {region.id for region in record.regions if not record.region_test(region).passed}
        images = [Image.fromarray(view.pixels) for view in views]
        case = record.case().without_reasons(no_reason)
        rows.append({"messages": conversation(views, case, rng), "images": images})
    return rows


def main(arguments: list[str] | None = None) -> None:
    data, base, config = TrlParser((DataArguments, ModelArguments, SFTConfig)).parse_args_and_config(
        arguments
    )
    rng = Random(config.seed)
    rows = pictured_rows(data, rng) if data.pictured else []
    warm_up = [made_up_row(rng) for _ in range(data.text_only)]
    print(f"{len(rows)} conversations about images after {len(warm_up)} without")
    model, processor = load(base)
    setting = {
        "model": model,
        "args": config,
        "train_dataset": Dataset.from_list(warm_up + rows),
        "processing_class": processor,
        "peft_config": lora(model, base.lora_rank),
    }
    if data.own is None:
        trainer = SFTTrainer(**setting)
    else:
        trainer = Remembering(**setting, own=read(data.own, processor), weight=data.remember)
    finished = trained(trainer, data.minutes)
    trainer.save_model(config.output_dir)
    if data.shipped is not None:
        ship(trainer.model, data.shipped, base.base_model, data.share)
    if not finished:
        raise SystemExit(UNFINISHED)


if __name__ == "__main__":
    main()
