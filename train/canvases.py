"""Training canvases of the mask head: laundered photos, forgeries and generated images with their CLIP tokens.

    python -m train.canvases --corpus DIR [DIR ...] --out DIR --count 4000 [--autoencoders DIR] [--leave-out SOURCE ...]
    python -m train.canvases --corpus DIR --out DIR --only SOURCE [SOURCE ...]
    python -m train.canvases --residuals --corpus DIR [DIR ...] --out DIR --count 6000

The first form draws canvases: a class, then a source, then an image, then a place of at most 384 px a side; photos are
forged on the way, and three in four of every class go through a random laundering chain. The second reads the images
of the named sources as they are, for measuring on sources that the first form left out. With --residuals a canvas
holds residuals (encoder.residuals) in place of tokens, in a fifth of the time, and none is of a generated image, as
residuals tell where alone. One file a canvas, so a run goes on where it was stopped; the same seed gives the same
canvases.
"""

import argparse
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from forensic_chat.data.forge import (
    MANIPULATIONS,
    ForgeFailed,
    Manipulation,
    autoencoders,
    forge,
    regeneration,
)
from forensic_chat.data.laundering import Resize, chain, launder
from forensic_chat.data.manifest import Item
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.residuals import read_residuals
from forensic_chat.encoder.tokens import PATCH, read_tokens
from forensic_chat.encoder.tower import Tower
from forensic_chat.weights import base

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
SIDE = 384
SHARES = {"forged": 0.48, "real": 0.22, "synthetic": 0.18, "tampered": 0.12}
LAUNDERED = 0.75
GENERATED_DONOR = 0.3
"""Share of donors of splices that are generated images: what generative edits paste."""
PICKED = EncoderConfig().picked


@dataclass(frozen=True)
class Sample:
    """A canvas before the tower read it."""

    pixels: Pixels
    mask: Pixels
    """(H, W), 0 or 255."""
    label: str
    manipulation: str
    source: str


@dataclass(frozen=True)
class Photo:
    item: Item
    corpus: Path

    def read(self) -> tuple[Pixels, Pixels | None]:
        """Upright pixels and, of a tampered image, its mask."""
        pixels = upright(self.corpus / self.item.path, "RGB")
        return pixels, None if self.item.mask is None else upright(self.corpus / self.item.mask, "L")


def upright(path: Path, mode: str) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert(mode))


class Source:
    """Draws canvases; photos by class and source, sources by the square root of their size."""

    def __init__(self, photos: list[Photo], manipulations: dict[str, Manipulation]) -> None:
        self.manipulations = manipulations
        self.by_class: dict[str, dict[str, list[Photo]]] = {}
        for photo in photos:
            of_class = self.by_class.setdefault(photo.item.label, {})
            of_class.setdefault(photo.item.source, []).append(photo)
        self.shares = {k: v for k, v in SHARES.items() if k == "forged" or k in self.by_class}

    def photo(self, label: str, rng: np.random.Generator) -> Photo:
        sources = list(self.by_class[label].values())
        weights = np.sqrt([len(source) for source in sources])
        source = sources[int(rng.choice(len(sources), p=weights / weights.sum()))]
        return source[int(rng.integers(len(source)))]

    def draw(self, rng: np.random.Generator) -> Sample:
        weights = np.array(list(self.shares.values()))
        label = list(self.shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]
        photo = self.photo("real" if label == "forged" else label, rng)
        pixels, mask = photo.read()
        manipulation = photo.item.manipulation or ""
        pixels, mask = scaled(pixels, mask, rng)
        pixels, mask = cut(pixels, mask, int(rng.integers(SIDE, SIDE * 3 // 2)), rng)
        if label == "forged":
            origin = "synthetic" if rng.random() < GENERATED_DONOR else "real"
            donor, _ = cut(self.photo(origin, rng).read()[0], None, SIDE * 3 // 2, rng)
            try:
                forged = forge(pixels, [donor], rng, manipulations=self.manipulations)
                pixels, mask, manipulation = forged.pixels, forged.mask, forged.manipulation
            except ForgeFailed:
                label = "real"
        if rng.random() < LAUNDERED:
            pixels, mask = launder(np.ascontiguousarray(pixels), mask, chain(rng))
        pixels, mask = cut(pixels, mask, SIDE, rng)
        if mask is None:
            mask = np.zeros(pixels.shape[:2], np.uint8)
        label = {"forged": "tampered"}.get(label, label)
        if label == "tampered" and (mask > 127).mean() < 0.002:
            label = "real"
        return Sample(pixels, mask, label, manipulation, photo.item.source)


def scaled(pixels: Pixels, mask: Pixels | None, rng: np.random.Generator) -> tuple[Pixels, Pixels | None]:
    """One large image in three is scaled down, to 400..1000 px on its longer side."""
    longest = max(pixels.shape[:2])
    if longest <= 2 * SIDE or rng.random() > 1 / 3:
        return pixels, mask
    return Resize(float(rng.uniform(400, min(1000, longest))) / longest).apply(pixels, mask)


def cut(
    pixels: Pixels, mask: Pixels | None, side: int, rng: np.random.Generator
) -> tuple[Pixels, Pixels | None]:
    """A window of at most `side` px each way; with a mask, one that holds a changed pixel five times in six."""
    corner = []
    changed = None
    if mask is not None and mask.any() and rng.random() < 5 / 6:
        points = np.argwhere(mask > 127)
        changed = points[int(rng.integers(len(points)))] if len(points) else None
    for axis in (0, 1):
        room = max(0, pixels.shape[axis] - side)
        low, high = 0, room
        if changed is not None:
            low, high = max(0, int(changed[axis]) - side + 1), min(room, int(changed[axis]))
        corner.append(int(rng.integers(min(low, high), high + 1)))
    window = np.s_[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
    return pixels[window], None if mask is None else mask[window]


def whole(photo: Photo) -> Sample:
    """An image as it is, for measuring."""
    pixels, mask = photo.read()
    empty = np.zeros(pixels.shape[:2], np.uint8)
    item = photo.item
    return Sample(pixels, empty if mask is None else mask, item.label, item.manipulation or "", item.source)


def residuals_of(pixels: Pixels) -> Floats:
    """(16 h, 16 w, 3) -> (h, w, residuals.CHANNELS)"""
    return read_residuals(pixels, *(length // PATCH for length in pixels.shape[:2]))


def write(sample: Sample, read: Callable[[Pixels], Floats], target: Path) -> None:
    """Read a sample and keep it; pixels and mask are cut to whole tokens."""
    height, width = (length // PATCH * PATCH for length in sample.pixels.shape[:2])
    pixels, mask = sample.pixels[:height, :width], sample.mask[:height, :width]
    cells = (mask > 127).reshape(height // 8, 8, width // 8, 8).mean((1, 3))
    told = {"label": sample.label, "manipulation": sample.manipulation, "source": sample.source}
    keep(target, pixels, cells, read(pixels), told)


def keep(
    target: Path, pixels: Pixels, cells: NDArray[np.float64], tokens: Floats, told: dict[str, str]
) -> None:
    """Write a canvas: pixels (16 h, 16 w, 3), the changed share 0..1 of each 8 px cell (2h, 2w), tokens (h, w, D), and
    its label, manipulation and source.

    Tokens are kept in 8 bits between each channel's least and most, which halves disk and reading and rounds by a
    hundredth of a channel's spread.
    """
    low = tokens.min((0, 1))
    step = np.maximum(tokens.max((0, 1)) - low, 1e-6) / 255
    part = target.with_suffix(".part.npz")
    np.savez(
        part,
        pixels=np.frombuffer(png(pixels), np.uint8),
        mask=np.rint(cells * 255).astype(np.uint8),
        tokens=np.rint((tokens - low) / step).astype(np.uint8),
        low=low,
        step=step,
    )
    target.with_suffix(".json").write_text(json.dumps(told))
    part.rename(target)


def tokens_reader() -> Callable[[Pixels], Floats]:
    tower = Tower(base("clip-tower-int8") / "tower.onnx", threads=1)
    return lambda pixels: read_tokens(tower, pixels, PICKED).grid


def png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard", default="0/1", help="i/n: only canvases whose number is i modulo n")
    parser.add_argument(
        "--autoencoders", type=Path, help="folder of train.autoencoders: remade regions and holes"
    )
    parser.add_argument("--residuals", action="store_true", help="keep residuals, not the tower's tokens")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="SOURCE")
    parser.add_argument("--only", nargs="*", default=[], metavar="SOURCE")
    args = parser.parse_args()
    shard, shards = map(int, args.shard.split("/"))
    photos = [
        Photo(item, corpus)
        for corpus in args.corpus
        for item in read_manifest(corpus / "manifest.jsonl")
        if item.split == "train" and "[screenshot]" not in (item.note or "")
    ]
    read = residuals_of if args.residuals else tokens_reader()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.only:
        photos = [photo for photo in photos if photo.item.source in args.only]
        photos = [photos[k] for k in np.random.default_rng(args.seed).permutation(len(photos))]
        jobs = range(shard, len(photos), shards)
    else:
        manipulations = dict(MANIPULATIONS)
        if args.autoencoders:
            manipulations |= regeneration.manipulations(autoencoders.load(args.autoencoders))
        kept = [photo for photo in photos if photo.item.source not in args.leave_out]
        source = Source(kept, manipulations)
        if args.residuals:
            del source.shares["synthetic"]
        jobs = range(shard, args.count, shards)
    for number in jobs:
        target = args.out / f"{number:06d}.npz"
        if target.exists():
            continue
        sample = (
            whole(photos[number]) if args.only else source.draw(np.random.default_rng([args.seed, number]))
        )
        if min(sample.pixels.shape[:2]) >= 2 * PATCH:
            write(sample, read, target)
        if number // shards % 100 == 0:
            print(f"canvas {number} of {jobs.stop}", flush=True)


if __name__ == "__main__":
    main()
