"""Stage 2a: examinations of training images, as the language model will meet them.

    python -m train.examine_corpus --corpus DIR --out DIR --count 1000

Takes images evenly over classes and sources, and forged photos, through random laundering chains, and
judges each with the shipped encoder and evidence. Writes one safetensors of views and one JSON an image;
goes on where it was.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from forensic_chat.data.forge import ForgeFailed, forge
from forensic_chat.data.laundering import chain, launder
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.examiner import Examiner
from forensic_chat.imaging.intake import take_in
from forensic_chat.imaging.views import trace_map
from forensic_chat.judgement import Judgement, judge
from forensic_chat.stopping import Stopping
from train.tiles import KEPT_SIDE, Kept, read


def draw(kept: list[Kept], rng: np.random.Generator) -> tuple[np.ndarray, str, str]:
    """Pixels, label and truth of one example: a third each class, half of the tampered ones forged here."""
    label = ("real", "synthetic", "tampered")[rng.integers(3)]
    make = label == "tampered" and rng.random() < 0.5
    pool = [k for k in kept if k.item.label == ("real" if make else label)]
    sources = sorted({k.item.source for k in pool})
    source = sources[rng.integers(len(sources))]
    of_source = [k for k in pool if k.item.source == source]
    one = of_source[rng.integers(len(of_source))]
    pixels, truth = one.pixels, one.item.generator or one.item.manipulation or "photo"
    if make:
        donor = pool[rng.integers(len(pool))].pixels
        forged = forge(pixels, [donor], rng)
        pixels, truth = forged.pixels, forged.truth
    if rng.random() < 0.7:
        pixels, _ = launder(np.ascontiguousarray(pixels), None, chain(rng))
    return np.ascontiguousarray(pixels), label, truth


def keep(judgement: Judgement, label: str, truth: str, target: Path) -> None:
    perception = judgement.perception
    views = [*perception.views, trace_map(perception.lowlevel.mask)]
    save_file({f"{k:02d}": view.pixels for k, view in enumerate(views)}, target.with_suffix(".safetensors"))
    row = {
        "label": label,
        "truth": truth,
        "views": [{"name": view.name, "box": view.box} for view in views],
        "size": [judgement.image.width, judgement.image.height],
        "findings": [finding.model_dump() for finding in judgement.findings],
        "regions": [region.model_dump() for region in judgement.regions],
        "verdict": judgement.verdict.model_dump(),
    }
    target.with_suffix(".part").write_text(json.dumps(row))
    target.with_suffix(".part").rename(target.with_suffix(".json"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--shard", type=int, nargs=2, default=(0, 1), metavar=("I", "N"), help="this part of N"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    items = [i for i in read_manifest(args.corpus / "manifest.jsonl") if i.split == "train"]
    rng = np.random.default_rng(args.seed)
    kept = [read(item, args.corpus, rng) for item in items]
    examiner = Examiner.load()
    for k in range(args.shard[0], args.count, args.shard[1]):
        target = args.out / f"{k:05d}"
        if target.with_suffix(".json").exists():
            continue
        try:
            pixels, label, truth = draw(kept, np.random.default_rng([args.seed, k]))
        except ForgeFailed:
            continue
        image = take_in(to_file(pixels), name="image.jpg")
        keep(judge(image, examiner.encoder, examiner.calibration, Stopping()), label, truth, target)
        if k % 50 == 0:
            print(f"{k} of {args.count}", flush=True)


def to_file(pixels: np.ndarray) -> bytes:
    """A JPEG of quality 95: findings on the container need a file, and it must be the same for every
    class."""
    import cv2

    assert max(pixels.shape) <= 2 * KEPT_SIDE
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


if __name__ == "__main__":
    main()
