"""What the frozen tower and trained mask heads see in every image, cached a file an image and variant.

    python -m train.features --corpus DIR [DIR ...] --out DIR --variants 0 1
    python -m train.features --corpus DIR [DIR ...] --out DIR --variants 0 1 --heads RUN RUN

Variant 0 is the image as it is; the others are a random window of random aspect (so that the overview does not
tell the frame's shape) through a random laundering chain, the same for every class. With --heads, the runs of
train.mask_head, each image is read by those heads that did not see its source, and left out if all did.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from forensic_chat.data.laundering import Step, chain, launder
from forensic_chat.data.manifest import Item
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.maskhead import MaskHead, MaskHeads
from forensic_chat.encoder.perceive import change_map
from forensic_chat.encoder.tokens import read_tokens
from forensic_chat.encoder.tower import Tower
from forensic_chat.encoder.verdict import summarise_mask
from forensic_chat.imaging.views import crop, native_boxes, overview
from forensic_chat.weights import base
from train.mask_head import load as load_head

Pixels = NDArray[np.uint8]
LONGEST = 1600
CROPS = 2


@dataclass(frozen=True)
class Example:
    """One image to be read: its file, and native crops of it where the file itself was scaled down."""

    item: Item
    path: Path
    native: tuple[Path, ...]
    key: str
    """Name of its cache files."""


def examples(corpus: Path) -> list[Example]:
    """One example an image. A gathered set (train.gather) stores an image whole and, if large, as native crops."""
    manifest = corpus / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    crops: dict[str, list[Path]] = defaultdict(list)
    for row in rows:
        if row.get("view") == "crop":
            crops[row["original_sha256"]].append(corpus / row["path"])
    found = []
    for index, (item, row) in enumerate(zip(read_manifest(manifest), rows, strict=True)):
        if row.get("view", "whole") == "whole":
            native = tuple(crops[row["original_sha256"]][:CROPS]) if row.get("resized") else ()
            found.append(Example(item, corpus / item.path, native, f"{index:05d}"))
    return found


def pixels_of(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def windowed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """60 to 100 % of each side, at most LONGEST px, anywhere."""
    for axis in (0, 1):
        full = pixels.shape[axis]
        length = min(LONGEST, max(min(224, full), round(full * rng.uniform(0.6, 1))))
        start = int(rng.integers(full - length + 1))
        pixels = np.take(pixels, np.arange(start, start + length), axis)
    return np.ascontiguousarray(pixels)


def variant_pixels(example: Example, variant: int) -> tuple[Pixels, list[Pixels]]:
    """The image of a variant and its native crops, the same whenever they are asked for."""
    pixels, native = pixels_of(example.path), [pixels_of(path) for path in example.native]
    if variant == 0:
        return pixels, native
    rng = np.random.default_rng([variant, *example.key.encode()])
    steps: list[Step] = chain(rng)
    pixels, _ = launder(windowed(pixels, rng), None, steps)
    return pixels, [launder(np.ascontiguousarray(crop), None, steps)[0] for crop in native]


def tower_views(pixels: Pixels, native: list[Pixels], seed: int) -> list[Pixels]:
    """The overview and CROPS random native crops, (224, 224, 3) each."""
    rng = np.random.default_rng(seed)
    views = [overview(pixels).pixels]
    for k in range(CROPS):
        whole = native[k % len(native)] if native else pixels
        boxes = native_boxes(whole.shape[1], whole.shape[0], 224, 0)
        views.append(crop(whole, boxes[int(rng.integers(len(boxes)))], "crop").pixels)
    return views


@dataclass(frozen=True)
class Trained:
    """A mask head and the sources it was trained on."""

    head: MaskHead
    seen: frozenset[str]

    @classmethod
    def load(cls, run: Path) -> "Trained":
        return cls(load_head(run), frozenset(json.loads((run / "run.json").read_text())["seen"]))


def together(heads: list[MaskHead]) -> MaskHeads:
    mask_heads = MaskHeads(EncoderConfig(mask_heads=len(heads)))
    for slot, head in zip(mask_heads.heads, heads, strict=True):
        slot.load_state_dict(head.state_dict())
    return mask_heads.eval()


def mask_row(tower: Tower, heads: MaskHeads, pixels: Pixels) -> dict[str, NDArray[np.generic]]:
    tokens = read_tokens(tower, pixels, EncoderConfig().picked)
    changes = change_map(heads, tokens, pixels.shape[1], pixels.shape[0])
    return {
        "summary": summarise_mask(changes.mask, changes.reliability),
        "mask": np.rint(changes.mask * 255).astype(np.uint8),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", type=int, nargs="+", required=True)
    parser.add_argument("--heads", type=Path, nargs="*", default=[], metavar="RUN")
    parser.add_argument("--limit", type=int, help="at most so many images a source, chosen at random")
    args = parser.parse_args()
    tower = Tower(base("clip-tower-int8") / "tower.onnx", threads=1)
    trained = [Trained.load(run) for run in args.heads]
    for corpus in args.corpus:
        chosen = limited(examples(corpus), args.limit)
        for variant in args.variants:
            folder = args.out / corpus.name / f"variant{variant}"
            folder.mkdir(parents=True, exist_ok=True)
            for done, example in enumerate(chosen):
                target = folder / f"{example.key}.npz"
                if target.exists():
                    continue
                fresh = [t.head for t in trained if example.item.source not in t.seen]
                if trained and not fresh:
                    continue
                pixels, native = variant_pixels(example, variant)
                if trained:
                    row = mask_row(tower, together(fresh), pixels)
                else:
                    views = tower_views(pixels, native, int(example.key))
                    row = {"features": tower.read(views).astype(np.float16)}
                np.savez(target.with_suffix(".part.npz"), **row)
                target.with_suffix(".part.npz").rename(target)
                if done % 200 == 0:
                    print(f"{corpus.name}, variant {variant}: {done} of {len(chosen)}", flush=True)


def limited(every: list[Example], most: int | None) -> list[Example]:
    """In random order; at most `most` of a source, and eight times that of tampered images, which few sources have."""
    order = np.random.default_rng(0).permutation(len(every))
    taken: dict[str, int] = defaultdict(int)
    chosen = []
    for index in order:
        item = every[index].item
        taken[f"{item.label} {item.source}"] += 1
        allowed = most if most is None or item.label != "tampered" else 8 * most
        if allowed is None or taken[f"{item.label} {item.source}"] <= allowed:
            chosen.append(every[index])
    return chosen


if __name__ == "__main__":
    main()
