"""Examine training images once, and keep what the later stages need of each.

    python -m train.examinations --corpus DIR --out DIR [--train 240] [--val 24] [--forged 60] [--minutes 100]

Of the corpus, and photos of it that we forge, for few of its tampered images are found. Each image gets one JSON file
(verdict, findings, regions, what the masking test says of each region, the truth) and one PNG with the views the
language model is shown, side by side. Files that exist are kept, so the command goes on where it stopped. The
language model takes no part.
"""

import argparse
import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forensic_chat import Examiner
from forensic_chat.data.forge import ForgeFailed
from forensic_chat.data.rationales import Case
from forensic_chat.encoder import occlusion
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.errors import InputRejected
from forensic_chat.imaging.intake import take_in
from forensic_chat.imaging.views import VIEW_SIZE, View, trace_map
from forensic_chat.judgement import Judgement, judge
from forensic_chat.mllm.verify import RegionTest
from forensic_chat.schema import CLASSES, Box, Finding, Label, Model, Probabilities, Region
from forensic_chat.telling import SHOWN_CROPS
from train.chunks import UNFINISHED
from train.features import Example, examples, forgeries, look, seeded

Pixels = NDArray[np.uint8]
MASK_SIDE = 128
"""Longest side of a kept mask: a box drawn on it is right to a hundredth of the image."""


class Seen(Model):
    """A view the language model is shown, without its pixels."""

    name: str
    box: Box


class Examined(Model):
    """What is kept of one examined image."""

    sha256: str
    split: str
    truth: Label
    size: tuple[int, int]
    """(width, height), oriented."""
    label: Label
    probabilities: Probabilities
    reasons: list[str]
    findings: list[Finding]
    regions: list[Region]
    masking: dict[str, float]
    """Region -> percentile of the masking test; on a fake verdict, for every region."""
    views: list[Seen]
    mask: str | None
    """Of a tampered image: where it was changed, a PNG (base64) of 0 and 255, at most 128 px a side."""

    def case(self) -> Case:
        return Case(
            self.findings,
            self.regions,
            self.label,
            self.probabilities,
            self.size,
            self.truth,
            self.reasons,
        )

    def changed(self) -> NDArray[np.bool_] | None:
        """(h, w): where the image was changed, if that is known."""
        if self.mask is None:
            return None
        data = np.frombuffer(base64.b64decode(self.mask), np.uint8)
        decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        return decoded > 127

    def region_test(self, region: Region) -> RegionTest:
        """The masking test as the product runs it, from what was measured."""
        share = self.masking.get(region.id, 0.0)
        return RegionTest(passed=share >= occlusion.PASSES, percentile=share)


def delivered(example: Example) -> tuple[bytes, Pixels | None]:
    """The file to be examined, and the mask (H, W), 0 to 255, if there is one: a forged photo comes as a JPEG of
    quality 80 to 97. Raises ForgeFailed for a photo that offers no place for a forgery."""
    if example.made:
        seen = look(example, 0, {})
        quality = int(seeded(example, 3).integers(80, 98))
        _, data = cv2.imencode(".jpg", seen.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return data.tobytes(), seen.truth
    if example.item.mask is None:
        return example.path.read_bytes(), None
    folder = example.path.parents[len(Path(example.item.path).parts) - 1]
    with Image.open(folder / example.item.mask) as image:
        return example.path.read_bytes(), np.asarray(image.convert("L"))


def examined(example: Example, mask: Pixels | None, judgement: Judgement, encoder: Encoder) -> Examined:
    """What is kept of a judged image; the masking test runs here."""
    image, verdict = judgement.image, judgement.verdict
    masking = {}
    if verdict.label in ("synthetic", "tampered"):
        for region in judgement.regions:
            masking[region.id] = occlusion.percentile(
                encoder, image.pixels, judgement.perception, region.box, verdict.label
            )
    return Examined(
        sha256=image.sha256,
        split=example.item.split,
        truth=example.item.label,
        size=(image.width, image.height),
        label=verdict.label,
        probabilities=verdict.probabilities,
        reasons=verdict.reasons,
        findings=judgement.findings,
        regions=judgement.regions,
        masking=masking,
        views=[Seen(name=view.name, box=view.box) for view in views_of(judgement)],
        mask=kept_mask(mask, (image.width, image.height)),
    )


def views_of(judgement: Judgement) -> list[View]:
    """The views that the product shows the language model."""
    perception = judgement.perception
    return [*perception.views[: 1 + SHOWN_CROPS], trace_map(perception.changes.mask)]


def kept_mask(mask: Pixels | None, size: tuple[int, int]) -> str | None:
    """None without a mask (H, W), and where it lies otherwise than the oriented image of `size`."""
    if mask is None or mask.shape != size[::-1] or not (mask > 127).any():
        return None
    scale = min(1.0, MASK_SIDE / max(mask.shape))
    small = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".png", np.where(small > 127, 255, 0).astype(np.uint8))
    return base64.b64encode(data.tobytes()).decode()


def load(folder: Path, split: str) -> list[tuple[Examined, list[View]]]:
    """The examinations of a split with their views, by hash."""
    found = []
    for path in sorted(folder.glob("*.json")):
        record = Examined.model_validate_json(path.read_text("utf-8"))
        if record.split == split:
            with Image.open(path.with_suffix(".png")) as strip:
                pixels = np.asarray(strip.convert("RGB"))
            views = [
                View(
                    seen.name, seen.box, np.ascontiguousarray(pixels[:, k * VIEW_SIZE : (k + 1) * VIEW_SIZE])
                )
                for k, seen in enumerate(record.views)
            ]
            found.append((record, views))
    return found


def save(folder: Path, record: Examined, views: list[View]) -> None:
    """Views first: a JSON file that is there has its views."""
    stem = folder / record.sha256[:16]
    Image.fromarray(np.concatenate([view.pixels for view in views], axis=1)).save(stem.with_suffix(".png"))
    stem.with_suffix(".json").write_text(record.model_dump_json(indent=1) + "\n", "utf-8")


def drawn(corpus: Path, split: str, count: int, seed: int) -> list[Example]:
    """Different images of a split, a third each class as far as they go."""
    rng = Random(seed)
    every = [example for example in examples(corpus) if example.item.split == split]
    classes = [[e for e in every if e.item.label == label] for label in CLASSES]
    return [e for group in classes for e in rng.sample(group, min(len(group), -(-count // len(classes))))]


def forged(corpus: Path, split: str, count: int) -> list[Example]:
    """Photos of a split to be forged, as many of one source as of another as far as they go."""
    every = examples(corpus)
    sources = max(1, len({e.item.source for e in every if e.item.label == "real" and e.item.split == split}))
    return forgeries(every, -(-count // sources), split)[:count]


def examine_all(chosen: list[Example], out: Path, late: Callable[[], bool]) -> bool:
    """Whether all are done."""
    examiner = Examiner.load()
    encoder, calibration = examiner.encoder, examiner.calibration
    for done, example in enumerate(chosen):
        if late():
            return False
        start = time.perf_counter()
        try:
            data, mask = delivered(example)
            if (out / f"{hashlib.sha256(data).hexdigest()[:16]}.json").exists():
                continue
            judgement = judge(take_in(data, name=example.path.name), encoder, calibration, lambda: None)
        except (InputRejected, ForgeFailed) as error:
            print(f"{example.item.path}: {error}")
            continue
        save(out, examined(example, mask, judgement, encoder), views_of(judgement))
        if done % 20 == 0:
            print(f"{done} of {len(chosen)}, {time.perf_counter() - start:.1f} s for this one", flush=True)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=240, help="images of split train")
    parser.add_argument("--val", type=int, default=24, help="images of split val")
    parser.add_argument("--forged", type=int, default=60, help="photos of split train that we forge, besides")
    parser.add_argument("--val-forged", type=int, default=12, help="likewise of split val")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so many; 0: at the end")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * args.minutes
    chosen = [
        example
        for split, count, made in (("val", args.val, args.val_forged), ("train", args.train, args.forged))
        for example in drawn(args.corpus, split, count, args.seed) + forged(args.corpus, split, made)
    ]
    # by hash, so that what a stopped run holds is a random part of it
    chosen.sort(key=lambda example: example.item.sha256)
    if not examine_all(chosen, args.out, lambda: bool(args.minutes) and time.monotonic() > end):
        raise SystemExit(UNFINISHED)
    print(f"{len(list(args.out.glob('*.json')))} examinations in {args.out.name}")


if __name__ == "__main__":
    main()
