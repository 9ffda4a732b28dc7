"""What the frozen tower and a trained low-level branch see in every image, cached a file an image and variant.

    python -m train.features --corpus DIR [DIR ...] --out DIR --variants 0 1
    python -m train.features --corpus DIR [DIR ...] --out DIR --variants 0 1 --lowlevel RUN

Variant 0 is the image as it is; the others are a random window of random aspect (so that the overview does not
tell the frame's shape) through a random laundering chain, the same for every class. With --lowlevel, only images
of the sources that RUN left out (`run.json` of train.pretrain_encoder) are read, by its low-level branch.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors.torch import load_file

from forensic_chat.data.laundering import Step, chain, launder
from forensic_chat.data.manifest import Item
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.lowlevel import LowLevelBranch
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.encoder.tower import Tower
from forensic_chat.encoder.verdict import summarise_lowlevel
from forensic_chat.imaging.views import crop, native_boxes, overview
from forensic_chat.weights import base

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


def branch_of(run: Path) -> tuple[Encoder, set[str]]:
    """An encoder of which only the low-level branch is used, and the sources that it was not trained on."""
    branch = LowLevelBranch(EncoderConfig())
    branch.load_state_dict(load_file(run / "lowlevel.safetensors"))
    left_out = set(json.loads((run / "run.json").read_text())["left_out"])
    return Encoder(EncoderConfig(), branch.eval().fused(), None, None), left_out  # type: ignore[arg-type]


def lowlevel_row(encoder: Encoder, pixels: Pixels) -> dict[str, NDArray[np.generic]]:
    low = encoder.read_lowlevel(pixels)
    return {
        "summary": summarise_lowlevel(low.verdicts, low.mask, low.reliability),
        "mask": np.rint(low.mask * 255).astype(np.uint8),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", type=int, nargs="+", required=True)
    parser.add_argument("--lowlevel", type=Path)
    parser.add_argument("--limit", type=int, help="at most so many images a source, chosen at random")
    args = parser.parse_args()
    tower = None if args.lowlevel else Tower(base("clip-tower-int8") / "tower.onnx", threads=1)
    encoder, left_out = branch_of(args.lowlevel) if args.lowlevel else (None, set())
    for corpus in args.corpus:
        chosen = limited(examples(corpus), args.limit)
        if encoder is not None:
            chosen = [example for example in chosen if example.item.source in left_out]
        for variant in args.variants:
            folder = args.out / corpus.name / f"variant{variant}"
            folder.mkdir(parents=True, exist_ok=True)
            for done, example in enumerate(chosen):
                target = folder / f"{example.key}.npz"
                if target.exists():
                    continue
                pixels, native = variant_pixels(example, variant)
                if encoder is not None:
                    row = lowlevel_row(encoder, pixels)
                else:
                    assert tower is not None
                    views = tower_views(pixels, native, int(example.key))
                    row = {"features": tower.read(views).astype(np.float16)}
                np.savez(target.with_suffix(".part.npz"), **row)
                target.with_suffix(".part.npz").rename(target)
                if done % 200 == 0:
                    print(f"{corpus.name}, variant {variant}: {done} of {len(chosen)}", flush=True)


def limited(every: list[Example], most: int | None) -> list[Example]:
    """In random order; at most `most` of a source."""
    order = np.random.default_rng(0).permutation(len(every))
    taken: dict[str, int] = defaultdict(int)
    chosen = []
    for index in order:
        source = every[index].item.source
        taken[source] += 1
        if most is None or taken[source] <= most:
            chosen.append(every[index])
    return chosen


if __name__ == "__main__":
    main()
