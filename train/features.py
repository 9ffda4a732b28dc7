"""What the frozen tower and trained mask heads see in every image, cached a file an image and variant.

    python -m train.features --corpus DIR [DIR ...] --out DIR --variants 0 1
    python -m train.features --corpus DIR [DIR ...] --out DIR --variants 0 1 --heads RUN RUN --residuals RUN RUN
    python -m train.features --corpus DIR [DIR ...] --out DIR --variants 0 1 --remade 8 --autoencoders DIR

Variant 0 is the image as it is; the others are a random window of random aspect (so that the overview does not
tell the frame's shape) through a random laundering chain, the same for every class. With --heads and
--residuals, the runs of train.mask_head by fold, each image is read by those folds' heads that did not see its source,
and left out if all did. With --forged,
photos are read once more after one of our forgeries, so that photo and forgery differ in nothing but the change; with
--remade, windows of photos are read as they are and passed through an autoencoder of train.autoencoders.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from forensic_chat.data.forge import ForgeFailed, autoencoders, forge
from forensic_chat.data.forge.autoencoders import DESIGNS, Autoencoder, remade
from forensic_chat.data.laundering import Step, chain, launder
from forensic_chat.data.manifest import Item
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.maskhead import MaskHead, MaskHeads
from forensic_chat.encoder.perceive import change_map
from forensic_chat.encoder.residuals import read_residuals
from forensic_chat.encoder.tokens import read_tokens
from forensic_chat.encoder.tower import Tower
from forensic_chat.evidence import copymove
from forensic_chat.imaging.views import crop, native_boxes, overview
from forensic_chat.weights import base
from train.mask_figures import load as load_head

Pixels = NDArray[np.uint8]
LONGEST = 1600
WINDOW = 640
CROPS = 2
AUTOENCODER = "autoencoder "
"""What the generator of a remade photo starts with."""


@dataclass(frozen=True)
class Example:
    """One image to be read: its file, and native crops of it where the file itself was scaled down."""

    item: Item
    path: Path
    native: tuple[Path, ...]
    key: str
    """Name of its cache files."""
    made: Literal["", "forged", "window", "remade"] = ""
    """What is made of the image before it is read; a window is what its remade twin was remade from."""
    donor: Path | None = None
    """Of a photo to be forged: what a splice may paste."""

    @property
    def file(self) -> str:
        return f"{self.key}{'-' if self.made else ''}{self.made}.npz"


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


def seeded(example: Example, purpose: int) -> np.random.Generator:
    return np.random.default_rng([purpose, *example.key.encode()])


def forgeries(every: list[Example], most: int, split: str = "train") -> list[Example]:
    """At most `most` photos a source, to be forged, each with another photo of the split as donor.

    Photos that a gathered set had to scale down are left out: their native crops would stay unforged.
    """
    photos = [e for e in every if e.item.label == "real" and e.item.split == split and not e.native]
    made = []
    for example in limited(photos, most):
        item = replace(example.item, label="tampered", manipulation="forged")
        donor = photos[int(seeded(example, 1).integers(len(photos)))].path
        made.append(replace(example, item=item, made="forged", donor=donor))
    return made


def twins(every: list[Example], most: int) -> list[Example]:
    """Windows of at most `most` photos a source, each once as it is and once to be remade by an autoencoder."""
    photos = [e for e in every if e.item.label == "real" and e.item.split == "train" and not e.native]
    made = []
    for example in limited(photos, most):
        generator = AUTOENCODER + sorted(DESIGNS)[int(seeded(example, 2).integers(len(DESIGNS)))]
        made.append(replace(example, made="window"))
        made.append(
            replace(
                example, item=replace(example.item, label="synthetic", generator=generator), made="remade"
            )
        )
    return made


def pixels_of(path: Path, mode: str = "RGB") -> Pixels:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert(mode))


def windowed(shape: tuple[int, ...], rng: np.random.Generator, most: int = LONGEST) -> tuple[slice, ...]:
    """60 to 100 % of each side, at most `most` px, anywhere."""
    window = []
    for full in shape:
        length = min(most, max(min(224, full), round(full * rng.uniform(0.6, 1))))
        start = int(rng.integers(full - length + 1))
        window.append(slice(start, start + length))
    return tuple(window)


@dataclass(frozen=True, eq=False)
class Look:
    """What there is to see of an example in one variant, the same whenever it is asked for."""

    pixels: Pixels
    native: list[Pixels]
    truth: Pixels | None
    """Of a forged photo: (H, W), 255 where it was changed."""


def look(example: Example, variant: int, models: Mapping[str, Autoencoder]) -> Look:
    """Raises ForgeFailed for a photo that offers no place for a forgery."""
    pixels, native, truth = pixels_of(example.path), [pixels_of(path) for path in example.native], None
    seed = seeded(example, 0)
    if example.donor is not None:
        made = forge(pixels, [pixels_of(example.donor)], seed)
        pixels, truth = made.pixels, made.mask
    elif example.made:
        pixels = np.ascontiguousarray(pixels[windowed(pixels.shape[:2], seed, WINDOW)])
        if example.made == "remade":
            name = (example.item.generator or "").removeprefix(AUTOENCODER)
            pixels = remade(pixels, models[name], seed)
    if variant == 0:
        return Look(pixels, native, truth)
    rng = seeded(example, variant)
    steps: list[Step] = chain(rng)
    window = windowed(pixels.shape[:2], rng)
    pixels, truth = launder(
        np.ascontiguousarray(pixels[window]),
        None if truth is None else np.ascontiguousarray(truth[window]),
        steps,
    )
    return Look(pixels, [launder(np.ascontiguousarray(c), None, steps)[0] for c in native], truth)


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
    """The mask heads of a fold, and the sources that either was trained on."""

    head: MaskHead
    residual_head: MaskHead
    seen: frozenset[str]

    @classmethod
    def load(cls, run: Path, residuals: Path) -> "Trained":
        seen = (json.loads((folder / "run.json").read_text())["seen"] for folder in (run, residuals))
        return cls(load_head(run), load_head(residuals), frozenset[str]().union(*seen))


def together(trained: list[Trained]) -> MaskHeads:
    mask_heads = MaskHeads(EncoderConfig(mask_heads=len(trained)))
    for k, fold in enumerate(trained):
        mask_heads.heads[k], mask_heads.residual_heads[k] = fold.head, fold.residual_head
    return mask_heads.eval()


def mask_row(tower: Tower, heads: MaskHeads, seen: Look) -> dict[str, NDArray[np.generic]]:
    height, width = seen.pixels.shape[:2]
    tokens = read_tokens(tower, seen.pixels, EncoderConfig().picked)
    rows, columns = tokens.grid.shape[:2]
    residuals = read_residuals(seen.pixels, rows, columns, tokens.scale)
    changes = change_map(heads, tokens, residuals, copymove.find(seen.pixels), width, height)
    row: dict[str, NDArray[np.generic]] = {
        "summary": changes.summary,
        "mask": np.rint(changes.mask * 255).astype(np.uint8),
    }
    if seen.truth is not None:
        row["truth"] = on_cells(seen.truth, changes.mask.shape)
    return row


def on_cells(mask: Pixels, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """An image's mask (H, W), 0 to 255, on `shape` cells of 8 px: changed where more than half of the cell is."""
    rows, columns = shape
    height, width = mask.shape
    padded = cv2.copyMakeBorder(mask, 0, rows * 8 - height, 0, columns * 8 - width, cv2.BORDER_REPLICATE)
    return cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA) > 127


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", type=int, nargs="+", required=True)
    parser.add_argument("--heads", type=Path, nargs="*", default=[], metavar="RUN")
    parser.add_argument("--residuals", type=Path, nargs="*", default=[], metavar="RUN")
    parser.add_argument("--limit", type=int, help="at most so many images a source, chosen at random")
    parser.add_argument("--forged", type=int, default=0, help="forge at most so many photos a source as well")
    parser.add_argument("--remade", type=int, default=0, help="remake windows of at most so many a source")
    parser.add_argument("--autoencoders", type=Path, help="folder of train.autoencoders")
    args = parser.parse_args()
    if args.remade and not args.autoencoders:
        parser.error("--remade needs --autoencoders, a folder of train.autoencoders")
    if len(args.heads) != len(args.residuals):
        parser.error("--heads and --residuals name a run for each fold, in the same order")
    models = autoencoders.load(args.autoencoders) if args.remade else {}
    tower = Tower(base("clip-tower-int8") / "tower.onnx", threads=1)
    trained = [Trained.load(*runs) for runs in zip(args.heads, args.residuals, strict=True)]
    for corpus in args.corpus:
        every = examples(corpus)
        chosen = limited(every, args.limit) + forgeries(every, args.forged) + twins(every, args.remade)
        for variant in args.variants:
            folder = args.out / corpus.name / f"variant{variant}"
            folder.mkdir(parents=True, exist_ok=True)
            for done, example in enumerate(chosen):
                target = folder / example.file
                if target.exists():
                    continue
                fresh = [t for t in trained if example.item.source not in t.seen]
                if trained and not fresh:
                    continue
                try:
                    seen = look(example, variant, models)
                except ForgeFailed:
                    continue
                if trained:
                    row = mask_row(tower, together(fresh), seen)
                else:
                    views = tower_views(seen.pixels, seen.native, int(example.key))
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
