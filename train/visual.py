"""The stage of seeing: teach the language model's vision tower to see traces, the language model frozen, by TRL.

    accelerate launch -m train.visual --config configs/embedded/visual.yaml --corpus DIR --autoencoders DIR
        --output_dir DIR

Visual enhancement as Forensic-Chat describes it (arXiv 2509.25502): next-token loss on one-word answers over pairs,
a window of a photo and the same window passed through an autoencoder (train.autoencoders), so that only a decoder's
traces differ. LoRA on the tower of the language model alone: the encoder reads another tower (int8 ONNX), so its
heads and calibration stay valid. The projector is trained along. Written: OUT/tower (the adapter),
OUT/projector.safetensors and OUT/accuracy.json, measured on pairs of `val` photos. Exit code 75: stopped after
--minutes, the same command goes on.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from peft import LoraConfig
from PIL import Image
from safetensors.torch import load_file, save_file
from trl import SFTConfig, SFTTrainer, TrlParser

from forensic_chat.data.forge.autoencoders import Autoencoder, remade
from forensic_chat.data.forge.autoencoders import load as load_autoencoders
from forensic_chat.data.laundering import chain, launder
from forensic_chat.imaging.views import VIEW_SIZE
from forensic_chat.mllm.loading import ADAPTER, PROJECTOR, TOWER
from forensic_chat.mllm.prompts import Part, Turn, messages
from train.chunks import UNFINISHED, trained
from train.features import Example, examples, pixels_of
from train.models import PROJECTION, ModelArguments, load

Pixels = NDArray[np.uint8]
TOWER_LAYERS = r".*vision_tower.*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
ASKED = (
    ("Crop A: is it real or synthetic? One word.", ("real", "synthetic")),
    ("Was this view made by a generator? Answer yes or no.", ("no", "yes")),
    ("Real or synthetic?", ("real", "synthetic")),
    ("Does the crop carry a decoder's traces? Yes or no.", ("no", "yes")),
)
"""Questions, and their one-word answers for a photo and for its twin."""


def alone(views: Sequence[str], question: str) -> Turn:
    """Named views under a question and nothing else: no findings, sizes, boxes or trace map."""
    parts: list[Part] = []
    for name in views:
        parts += [{"type": "text", "text": f"{name.capitalize()}:"}, {"type": "image"}]
    return Turn("user", [*parts, {"type": "text", "text": f"\n{question}"}])


@dataclass
class VisualArguments:
    corpus: Path = field(metadata={"help": "folder with manifest.jsonl"})
    autoencoders: Path = field(metadata={"help": "folder of train.autoencoders"})
    pairs: int = field(default=400, metadata={"help": "photos of split train, each with its twin"})
    val_pairs: int = field(default=40, metadata={"help": "photos of split val, to measure on"})
    minutes: float = field(default=0, metadata={"help": "stop and save after so many minutes; 0: at the end"})


def twin(pixels: Pixels, model: Autoencoder, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """A window of VIEW_SIZE px at native resolution and the same one remade, both through one laundering chain half
    of the time."""
    height, width = pixels.shape[:2]
    top, left = (int(rng.integers(side - VIEW_SIZE + 1)) for side in (height, width))
    window = np.ascontiguousarray(pixels[top : top + VIEW_SIZE, left : left + VIEW_SIZE])
    made = remade(window, model, rng)
    if rng.random() < 0.5:
        steps = chain(rng)
        window, made = (_same_size(launder(picture, None, steps)[0]) for picture in (window, made))
    return window, made


def _same_size(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((VIEW_SIZE, VIEW_SIZE), Image.Resampling.BICUBIC))


def pairs(
    every: list[Example], models: dict[str, Autoencoder], count: int, seed: int
) -> Iterator[tuple[Pixels, Pixels]]:
    """Pairs of photos that are large enough, by `count` different ones as far as they go."""
    rng = np.random.default_rng(seed)
    photos = [e for e in every if e.item.label == "real" and min(e.item.width, e.item.height) >= VIEW_SIZE]
    names = sorted(name for name, model in models.items() if not model.design.fills_holes)
    for k in rng.permutation(len(photos))[:count]:
        yield twin(pixels_of(photos[k].path), models[names[int(rng.integers(len(names)))]], rng)


def rows(pair: tuple[Pixels, Pixels], rng: Random) -> list[dict[str, Any]]:
    """Both sides of a pair under the same question, one word each."""
    question, answers = rng.choice(ASKED)
    asked = [{"type": "image"}, {"type": "text", "text": f"\n{question}"}]
    return [
        {
            "messages": messages([Turn("user", asked), Turn("assistant", answer)]),
            "images": [Image.fromarray(pixels)],
        }
        for pixels, answer in zip(pair, answers, strict=True)
    ]


def tower_lora(rank: int) -> LoraConfig:
    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=TOWER_LAYERS,
        modules_to_save=[PROJECTION],
    )


@torch.no_grad()
def accuracy(model: Any, processor: Any, measured: list[tuple[Pixels, Pixels]]) -> float:
    """Share of single pictures whose right word is likelier than the wrong one: 0.5 is chance."""
    question, words = ASKED[0]
    asked = messages([Turn("user", [{"type": "image"}, {"type": "text", "text": f"\n{question}"}])])
    text = processor.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    first = [processor.tokenizer.encode(word, add_special_tokens=False)[0] for word in words]
    right = 0
    for pair in measured:
        for truth, pixels in enumerate(pair):
            inputs = processor(text=text, images=[Image.fromarray(pixels)], return_tensors="pt")
            inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
            logits = model(**inputs.to(model.device), logits_to_keep=1).logits[0, -1, first]
            right += int(logits.argmax()) == truth
    return right / (2 * len(measured))


def save(model: Any, out: Path) -> None:
    """The tower's adapter and the projector, bfloat16, where `--start` and `loading` look for them."""
    folder = out / TOWER
    model.save_pretrained(folder)
    tensors = {k: v.bfloat16().contiguous() for k, v in load_file(folder / ADAPTER[1]).items()}
    save_file(
        {k.split(f"{PROJECTION}.")[1]: v for k, v in tensors.items() if PROJECTION in k}, out / PROJECTOR
    )
    rest = {k: v for k, v in tensors.items() if PROJECTION not in k}
    save_file(rest, folder / ADAPTER[1], metadata={"format": "pt"})
    config = json.loads((folder / ADAPTER[0]).read_text())
    config |= {"modules_to_save": None, "base_model_name_or_path": "llava"}
    (folder / ADAPTER[0]).write_text(json.dumps(config, indent=1) + "\n")
    (folder / "README.md").unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> None:
    data, base, config = TrlParser((VisualArguments, ModelArguments, SFTConfig)).parse_args_and_config(
        arguments
    )
    rng = Random(config.seed)
    every, models = examples(data.corpus), load_autoencoders(data.autoencoders)
    train = [e for e in every if e.item.split == "train"]
    made = [row for pair in pairs(train, models, data.pairs, config.seed) for row in rows(pair, rng)]
    measured = list(pairs([e for e in every if e.item.split == "val"], models, data.val_pairs, 1))
    model, processor = load(base)
    print(
        f"{len(made)} pictures; before: {accuracy(model.eval(), processor, measured):.3f} right on val pairs"
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(made),
        processing_class=processor,
        peft_config=tower_lora(base.lora_rank),
    )
    finished = trained(trainer, data.minutes)
    out, tuned = Path(config.output_dir), trainer.accelerator.unwrap_model(trainer.model).eval()
    save(tuned, out)
    right = accuracy(tuned, processor, measured)
    (out / "accuracy.json").write_text(json.dumps({"val": right, "pictures": 2 * len(measured)}) + "\n")
    print(f"after: {right:.3f} right on {2 * len(measured)} val pictures")
    if not finished:
        raise SystemExit(UNFINISHED)


if __name__ == "__main__":
    main()
