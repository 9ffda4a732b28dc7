"""The stage of seeing, for two CPU cores: teach the projector to carry what the tower sees into the language model.

    python -m train.seeing --corpus DIR [DIR ...] --out DIR [--start FOLDER ...] [--held DIR] [--minutes 100]

Visual enhancement (Forensic-Chat, arXiv 2509.25502) without a gradient through the tower: its patch tokens of every
image, overview and crop, are read once and kept, half of the training images laundered, and the next-token loss on
one-word answers trains the projector alone. A step draws an eighth of each view's tokens, others each time.
train.visual is the same stage with LoRA on the tower, for GPUs.

--start names the folders that are put in first, as for train.stages. A language model that already writes rationales
must not write others because it sees: with --held, a folder of train.examinations, each step also looks at one of
their rationales and holds the model to what it said of it at the start (train.holding). OUT/tokens holds the tower's
tokens, OUT/projector.safetensors the projector: that with the best AUC on split `val`, less --hold times the divergence
where it is held, after a few more steps on all tokens, beside the adapter of the last folder of --start that has one;
OUT/accuracy.json what it reaches there and on `holdout`, sources that no training sees, by all tokens, beside the
untrained assembly. --measure trains nothing and writes there what the folders of --start reach. Exit code 75: stopped
after --minutes, the same command goes on; the last steps and what they reach, some twenty minutes, are not stopped.
"""

import argparse
import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from forensic_chat.encoder.tower import Tower, planes
from forensic_chat.mllm.loading import ADAPTER, PROJECTOR, assemble, load_projector, save_projector
from forensic_chat.mllm.prompts import messages
from forensic_chat.telling import SHOWN_CROPS
from forensic_chat.weights import base
from forensic_chat.weights.assemble import IMAGE_TOKEN
from train.chunks import UNFINISHED
from train.features import Example, examples, limited, look, seeded, tower_views
from train.holding import Held
from train.shortcuts import Fed, refuse_shortcuts
from train.visual import ASKED, alone

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
VIEWS = ("overview", "crop A")[: 1 + SHOWN_CROPS]
SPLITS = {"train": 1.0, "val": 0.5, "holdout": 1.5}
"""Images of a source and class, as a share of --most."""
READ_AT_ONCE, BATCH, CHECKED, GUARDED = 64, 16, 240, 3
"""Images between two looks at the clock, in a step, that a checkpoint is measured on, and that the guard against
shortcuts sees of a source and class."""
SWAPPED = 100
"""Times that views are dealt out anew to see what is left."""
CHECKPOINT, BEST = "checkpoint.pt", "best"
DRAWN = 24
"""Tokens of a view that a step sees, of 196."""
EVERY = 8
"""Of a view's tokens, each so many is read when a checkpoint is measured."""


def chosen(corpus: Path, most: int) -> list[Example]:
    """Photos and generated images, of each source at most so many as its split allows."""
    every = [e for e in examples(corpus) if e.item.label != "tampered"]
    return [
        example
        for split, share in SPLITS.items()
        for example in limited([e for e in every if e.item.split == split], round(share * most))
    ]


def views(example: Example) -> list[Pixels]:
    """Overview and crops as a conversation shows them, (224, 224, 3) each; half of the training images laundered."""
    laundered = example.item.split == "train" and seeded(example, 5).random() < 0.5
    seen = look(example, int(laundered), {})
    return tower_views(seen.pixels, seen.native, int(example.key))[: len(VIEWS)]


@cache
def tower(place: Path) -> Callable[[list[Pixels]], Floats]:
    """What reads the tokens of V views, (V, 196, 768): the encoder's int8 graph, or an assembled model's vision tower
    in float32, up to the hidden state that its projector reads."""
    if place.suffix == ".onnx":
        encoder = Tower(place, threads=1)
        return lambda views: encoder.look(views)[1]
    from transformers import LlavaForConditionalGeneration

    torch.set_num_threads(1)
    model = LlavaForConditionalGeneration.from_pretrained(str(place), dtype=torch.float32)
    own, layer = model.model.vision_tower.eval(), model.config.vision_feature_layer

    def read(views: list[Pixels]) -> Floats:
        pixels = torch.from_numpy(planes(views))
        tokens: Floats = own(pixels, output_hidden_states=True).hidden_states[layer][:, 1:].numpy()
        return tokens

    return read


@dataclass(frozen=True)
class Shown:
    """An image, and the file of its tokens."""

    example: Example
    file: Path

    @property
    def made(self) -> bool:
        return self.example.item.label == "synthetic"

    def tokens(self) -> Tensor:
        """(V, 196, 768) float16."""
        with np.load(self.file) as kept:
            return torch.from_numpy(kept["tokens"])

    @torch.inference_mode()
    def read(self, place: Path) -> None:
        """Let the tower at `place` read it."""
        tokens = tower(place)(views(self.example))
        part = self.file.with_suffix(".part.npz")
        np.savez(part, tokens=tokens.astype(np.float16))
        part.rename(self.file)


def shown(corpora: Sequence[Path], most: int, out: Path) -> list[Shown]:
    """The chosen images of all corpora, those to measure on first."""
    every = []
    for corpus in corpora:
        folder = out / "tokens" / corpus.name
        folder.mkdir(parents=True, exist_ok=True)
        every += [Shown(example, folder / example.file) for example in chosen(corpus, most)]
    return sorted(every, key=lambda image: image.example.item.split == "train")


def read_all(images: Sequence[Shown], place: Path, workers: int, end: float) -> bool:
    """Whether the tokens that the tower at `place` reads in all are kept now, before it is `end`."""
    missing = [image for image in images if not image.file.exists()]
    read = partial(Shown.read, place=place)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for start in range(0, len(missing), READ_AT_ONCE):
            if time.monotonic() > end:
                return False
            list(pool.map(read, missing[start : start + READ_AT_ONCE]))
            print(f"read {min(start + READ_AT_ONCE, len(missing))} of {len(missing)} images", flush=True)
    return True


def guard(images: Sequence[Shown]) -> None:
    """Raises UsageError if what delivered the crops that are trained on tells photos and generated images apart."""
    trained = [image.example for image in images if image.example.item.split == "train"]
    refuse_shortcuts([Fed(views(e)[-1], e.item.label, e.item.source) for e in limited(trained, GUARDED)])


class Asker:
    """The assembled model, frozen but for its projector, asked for one word about an image's views."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.tokenizer = model.requires_grad_(False).eval(), processor.tokenizer
        self.projector = model.model.multi_modal_projector.float().requires_grad_(True)
        render = partial(processor.apply_chat_template, add_generation_prompt=True, tokenize=False)
        self.prompts = [self._prompt(render(messages([alone(VIEWS, question)]))) for question, _ in ASKED]
        self.words = torch.tensor([[self._ids(word)[0] for word in words] for _, words in ASKED])

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    @torch.no_grad()
    def _prompt(self, text: str) -> tuple[Any, list[Tensor]]:
        """What stands before the first view, read already, and the embedded text behind each view."""
        embed = self.model.get_input_embeddings()
        before, *behind = (embed(torch.tensor([self._ids(part)])) for part in text.split(IMAGE_TOKEN))
        read = self.model.model.language_model(inputs_embeds=before, use_cache=True).past_key_values
        return read, behind

    def logits(self, tokens: Tensor, asked: int) -> Tensor:
        """(B, V, T, 768) tokens of views under the question at this index -> (B, vocabulary) of the next token."""
        read, behind = self.prompts[asked]
        seen = self.projector(tokens.float()).to(behind[0].dtype)
        pairs = [(seen[:, k], text.expand(len(tokens), -1, -1)) for k, text in enumerate(behind)]
        before = deepcopy(read)
        before.batch_repeat_interleave(len(tokens))
        states = self.model.model.language_model(
            inputs_embeds=torch.cat([part for pair in pairs for part in pair], 1), past_key_values=before
        ).last_hidden_state
        logits: Tensor = self.model.lm_head(states[:, -1]).float()
        return logits

    @torch.no_grad()
    def odds(self, images: Sequence[Shown], step: int) -> Floats:
        """(N,) log odds of the word for a generated image against that for a photo, by every step-th token."""
        found = []
        for start in range(0, len(images), BATCH):
            tokens = torch.stack([image.tokens()[:, ::step] for image in images[start : start + BATCH]])
            photo, made = self.logits(tokens, 0)[:, self.words[0]].T
            found.append(made - photo)
        return torch.cat(found).numpy()


@dataclass(frozen=True, eq=False)
class Pool:
    """Images of one class; a source is drawn by the square root of its size."""

    images: list[Shown]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, images: Sequence[Shown], made: bool) -> "Pool":
        mine = [image for image in images if image.made is made]
        sizes = Counter(image.example.item.source for image in mine)
        weights = np.array([sizes[image.example.item.source] ** -0.5 for image in mine])
        return cls(mine, weights / weights.sum())

    def draw(self, count: int, rng: np.random.Generator) -> list[Shown]:
        return [self.images[k] for k in rng.choice(len(self.images), count, p=self.weights)]


def step(asker: Asker, pools: Sequence[Pool], rng: np.random.Generator, drawn: int | None = None) -> Tensor:
    """The loss of one batch, as many photos as generated images, all under one question; of each view so many
    tokens, all of half as many images unless given."""
    asked, count = int(rng.integers(len(ASKED))), BATCH if drawn else BATCH // 2
    batch = [image for pool in pools for image in pool.draw(count // len(pools), rng)]
    tokens = []
    for image in batch:
        every = image.tokens()
        places = [np.sort(rng.choice(every.shape[1], drawn or every.shape[1], replace=False)) for _ in every]
        tokens.append(torch.stack([view[at] for view, at in zip(every, places, strict=True)]))
    right = asker.words[asked][[int(image.made) for image in batch]]
    return F.cross_entropy(asker.logits(torch.stack(tokens), asked), right)


def figures(images: Sequence[Shown], odds: Floats) -> dict[str, float]:
    """How well photos and generated images are told apart; `swapped`: when each is given another one's views, on
    average."""
    made = np.array([image.made for image in images])
    rng = np.random.default_rng(0)
    swapped = [balanced_accuracy_score(made, rng.permutation(odds) > 0) for _ in range(SWAPPED)]
    return {
        "images": len(images),
        "AUC": round(float(roc_auc_score(made, odds)), 4),
        "balanced accuracy": round(float(balanced_accuracy_score(made, odds > 0)), 4),
        "swapped": round(float(np.mean(swapped)), 4),
    }


def measured(images: Sequence[Shown], split: str) -> list[Shown]:
    """At most CHECKED images of a split, at random."""
    every = [image for image in images if image.example.item.split == split]
    return [every[k] for k in np.random.default_rng(0).permutation(len(every))[:CHECKED]]


@dataclass(frozen=True, eq=False)
class Pull:
    """What keeps the model near what it said: `weight` times the divergence on one rationale a step."""

    held: Held | None
    weight: float

    def backward(self, rng: np.random.Generator) -> float:
        """Add its gradient; the divergence, in nats a token, 0 where nothing is held."""
        if self.held is None:
            return 0.0
        found = self.held.divergence(int(rng.integers(len(self.held.rationales))))
        (self.weight * found).backward()
        return found.item()


def train(asker: Asker, images: Sequence[Shown], pull: Pull, args: argparse.Namespace, end: float) -> bool:
    """Whether all steps are done; the best projector so far, by `val`, is in OUT/best."""
    (args.out / BEST).mkdir(exist_ok=True)
    known = [image for image in images if image.example.item.split == "train"]
    pools = [Pool.of(known, made) for made in (False, True)]
    checked = measured(images, "val")
    optimizer = torch.optim.AdamW(asker.projector.parameters(), lr=args.rate, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min(1.0, (k + 1) / 20) * (0.55 + 0.45 * math.cos(math.pi * k / args.steps))
    )
    checkpoint, begun, best = args.out / CHECKPOINT, 0, -math.inf
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        begun, best = state["step"], state["best"]
        for name, part in (("projector", asker.projector), ("optimizer", optimizer), ("rate", rate)):
            part.load_state_dict(state[name])
    started, losses, moved = time.monotonic(), [], []
    for k in range(begun, args.steps):
        optimizer.zero_grad()
        rng = np.random.default_rng([args.seed, k])
        loss = step(asker, pools, rng, DRAWN)
        loss.backward()
        moved.append(pull.backward(rng))
        torch.nn.utils.clip_grad_norm_(asker.projector.parameters(), 1.0)
        optimizer.step()
        rate.step()
        losses.append(loss.item())
        late = time.monotonic() > end
        if late or (k + 1) % args.check == 0 or k + 1 == args.steps:
            found = figures(checked, asker.odds(checked, EVERY))
            score = found["AUC"] - pull.weight * float(np.mean(moved))
            if score >= best:
                best = score
                save_projector(asker.model, args.out / BEST / PROJECTOR)
            parts = {"projector": asker.projector, "optimizer": optimizer, "rate": rate}
            saved = {name: part.state_dict() for name, part in parts.items()}
            torch.save({"step": k + 1, "best": best, **saved}, checkpoint)
            seconds = (time.monotonic() - started) / (k + 1 - begun)
            print(
                f"step {k + 1}: loss {np.mean(losses):.3f}, divergence {np.mean(moved):.3f}, "
                f"{seconds:.1f} s a step, val {found}",
                flush=True,
            )
            losses, moved = [], []
        if late:
            return False
    return True


def settle(asker: Asker, images: Sequence[Shown], pull: Pull, args: argparse.Namespace) -> None:
    """A few steps on all tokens: by more tokens than a step drew the model leans to one of the words."""
    known = [image for image in images if image.example.item.split == "train"]
    pools = [Pool.of(known, made) for made in (False, True)]
    optimizer = torch.optim.AdamW(asker.projector.parameters(), lr=args.rate / 10, weight_decay=0.01)
    for k in range(args.settle):
        optimizer.zero_grad()
        rng = np.random.default_rng([args.seed, args.steps + k])
        loss = step(asker, pools, rng)
        loss.backward()
        moved = pull.backward(rng)
        torch.nn.utils.clip_grad_norm_(asker.projector.parameters(), 1.0)
        optimizer.step()
        print(f"all tokens, step {k + 1}: loss {loss.item():.3f}, divergence {moved:.3f}", flush=True)
    save_projector(asker.model, args.out / PROJECTOR)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, nargs="*", default=[], help="folders of trained parts")
    parser.add_argument("--held", type=Path, help="folder of train.examinations, to hold the model to")
    parser.add_argument("--hold", type=float, default=1.0, help="weight of the divergence")
    parser.add_argument("--most", type=int, default=16, help="training images of a source and class")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--settle", type=int, default=16, help="steps behind these that see all tokens")
    parser.add_argument("--check", type=int, default=50, help="steps between two looks at split val")
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", action="store_true", help="train nothing, measure what --start holds")
    parser.add_argument(
        "--shared-tower", action="store_true", help="read by the encoder's int8 tower, as the product does"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that read images")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so many; 0: at the end")
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes if args.minutes else math.inf
    images = shown(args.corpus, args.most, args.out)
    if args.measure:
        images = [image for split in ("val", "holdout") for image in measured(images, split)]
    place = base("clip-tower-int8") / "tower.onnx" if args.shared_tower else base("llava")
    if not read_all(images, place, args.workers, end):
        raise SystemExit(UNFINISHED)
    if args.measure:
        measure(images, {"measured": args.start}, args.out)
        return
    if not (args.out / CHECKPOINT).exists():
        guard(images)
    model, processor = assemble(base("llava"), *args.start)
    pull = Pull(Held(model, processor, args.held) if args.held else None, args.hold)
    asker = Asker(model, processor)
    if not train(asker, images, pull, args, end):
        raise SystemExit(UNFINISHED)
    load_projector(model, args.out / BEST / PROJECTOR)
    settle(asker, images, pull, args)
    for folder in (folder for folder in args.start if (folder / ADAPTER[0]).is_file()):
        for name in ADAPTER:
            shutil.copy(folder / name, args.out)
    measure(images, {"untrained": (), "trained": (*args.start, args.out)}, args.out)


def measure(images: Sequence[Shown], stages: Mapping[str, Sequence[Path]], out: Path) -> None:
    """Write to out/accuracy.json what the language model with each stage's folders sees by the views alone."""
    reached: dict[str, dict[str, dict[str, float]]] = {}
    for name, folders in stages.items():
        asker = Asker(*assemble(base("llava"), *folders))
        for split in ("val", "holdout"):
            if some := measured(images, split):
                found = figures(some, asker.odds(some, 1))
                reached.setdefault(split, {})[name] = found
                print(f"{split}, {name}: {found}", flush=True)
    (out / "accuracy.json").write_text(json.dumps(reached, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
