"""What the frozen tower and a trained low-level branch see in every image, cached a file an image and
variant.

python -m train.features --corpus DIR --out DIR --variants 3 python -m train.features --corpus DIR --out DIR
--variants 2 --lowlevel RUN [RUN ...]

Variant 0 is the image as it is; the others are a random window of random aspect (so that the overview does
not tell the frame's shape) through a random laundering chain, the same for every class. With --lowlevel,
each image is read by the run that left its source out (`run.json` of train.pretrain_encoder says which),
else by the last run given.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors.torch import load_file

from forensic_chat.data.laundering import chain, launder
from forensic_chat.data.manifest import Item
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.lowlevel import LowLevelBranch
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.encoder.tower import Tower
from forensic_chat.encoder.verdict import summarise_lowlevel
from forensic_chat.imaging.views import crop, native_boxes, overview
from forensic_chat.weights import base

LONGEST = 1600


def variant_pixels(item: Item, root: Path, variant: int, index: int) -> NDArray[np.uint8]:
    """The image of a variant, (H, W, 3) uint8, the same whenever it is asked for."""
    with Image.open(root / item.path) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    if variant == 0:
        return pixels
    rng = np.random.default_rng([variant, index])
    for axis in (0, 1):
        full = pixels.shape[axis]
        length = min(LONGEST, max(min(224, full), round(full * rng.uniform(0.6, 1))))
        start = int(rng.integers(full - length + 1))
        pixels = np.take(pixels, np.arange(start, start + length), axis)
    return launder(np.ascontiguousarray(pixels), None, chain(rng))[0]


def tower_views(pixels: NDArray[np.uint8], seed: int) -> list[NDArray[np.uint8]]:
    """The overview and two random native crops."""
    boxes = native_boxes(pixels.shape[1], pixels.shape[0], 224, 0)
    picks = np.random.default_rng(seed).permutation(len(boxes))[:2]
    views = [overview(pixels), *(crop(pixels, boxes[k], "crop") for k in picks)]
    return [view.pixels for view in views]


def lowlevel_encoder(run: Path | None) -> tuple[Encoder, set[str]]:
    """An encoder of which only the low-level branch is used, and the sources that it was not trained on."""
    assert run is not None
    config = EncoderConfig()
    branch = LowLevelBranch(config)
    branch.load_state_dict(load_file(run / "lowlevel.safetensors"))
    left_out = set(json.loads((run / "run.json").read_text())["left_out"])
    return Encoder(config, branch.eval().fused(), None, None), left_out  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", type=int, nargs="+", required=True)
    parser.add_argument("--lowlevel", type=Path, nargs="*", default=[])
    parser.add_argument("--split", help="only this split")
    args = parser.parse_args()
    items = read_manifest(args.corpus / "manifest.jsonl")
    tower = None if args.lowlevel else Tower(base("clip-tower-int8") / "tower.onnx", threads=1)
    encoders = [lowlevel_encoder(run) for run in args.lowlevel]
    order = np.random.default_rng(0).permutation(len(items))
    for variant in args.variants:
        folder = args.out / f"variant{variant}"
        folder.mkdir(parents=True, exist_ok=True)
        for done, index in enumerate(order):
            item, target = items[index], folder / f"{index:05d}.npy"
            if target.exists() or (args.split and item.split != args.split):
                continue
            pixels = variant_pixels(item, args.corpus, variant, int(index))
            if tower is not None:
                row = tower.read(tower_views(pixels, int(index))).astype(np.float16)
            else:
                encoder = next((e for e, out in encoders if item.source in out), encoders[-1][0])
                low = encoder.read_lowlevel(pixels)
                row = np.concatenate(
                    [summarise_lowlevel(low.verdicts, low.mask, low.reliability), low.traces]
                )
            np.save(target.with_suffix(".part.npy"), row)
            target.with_suffix(".part.npy").rename(target)
            if done % 200 == 0:
                print(f"variant {variant}: {done} of {len(items)}", flush=True)


if __name__ == "__main__":
    main()
