"""Calibrate the evidence on real photos: thresholds, false-alarm rates, and which kinds may accuse at all.

    python -m train.calibrate_evidence --corpus DIR --runs DIR [--out forensic_chat/evidence/calibration.json]

Thresholds and rates come from the split `train`; the split `val` is only reported. Screenshots are left out
and reported apart. The observations of each image are cached by its hash in `--runs`, so that a stopped run
goes on; delete the folder after changing a test.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from scipy.stats import beta

from forensic_chat.errors import InputRejected
from forensic_chat.evidence import copymove, observe
from forensic_chat.imaging.intake import ExaminedImage, take_in

TARGET = 0.015
"""The share of train reals that may exceed a threshold."""
MIN_RATIO = 2.0
MIN_LOCATED = 0.2
CONFOUNDED = {
    "jpeg.double": "the corpus saved its forgeries at another quality than their originals, and most "
    "honest web photos were saved twice",
}
"""Kinds that stay neutral whatever the corpus says."""
LOCATED = ("jpeg.ghost", "jpeg.grid", "noise.inconsistency")
"""Kinds whose hits count only where their box meets the mask: elsewhere they may have seen the file's
history.
"""


@dataclass(frozen=True)
class Seen:
    """One image's row of the manifest and its observations."""

    row: dict[str, Any]
    observations: list[dict[str, Any]]

    def score(self, kind: str) -> float | None:
        return next((o["score"] for o in self.observations if o["kind"] == kind), None)

    def accuses(self, kind: str) -> bool:
        """Whether a fact of this kind supports fake."""
        return any(
            o["kind"] == kind and o["fixed"] is not None and o["fixed"][0] in ("synthetic", "tampered")
            for o in self.observations
        )


def bounds(hits: int, n: int) -> tuple[float, float]:
    """95 % Clopper-Pearson interval of a rate."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(0.975, hits + 1, n - hits))
    return low, high


def examine(corpus: Path, runs: Path) -> list[Seen]:
    """Observations of every image of the manifest, from the cache where it has them."""
    runs.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in (corpus / "manifest.jsonl").read_text().splitlines()]
    seen = []
    for k, row in enumerate(rows):
        cached = runs / f"{row['sha256']}.json"
        if not cached.exists():
            try:
                image = take_in(corpus / row["path"])
                copy = copymove.find(image.pixels)
                found = [
                    asdict(o) | {"located": located(o.box, row, image, corpus)} for o in observe(image, copy)
                ]
            except InputRejected as error:
                print(f"left out: {error}")
                found = []
            part = cached.with_suffix(".part")
            part.write_text(json.dumps(found))
            part.replace(cached)
        observations = json.loads(cached.read_text())
        if observations:
            seen.append(Seen(row, observations))
        if (k + 1) % 200 == 0:
            print(f"{k + 1} of {len(rows)} images", flush=True)
    return seen


def located(
    box: tuple[int, int, int, int] | None, row: dict[str, Any], image: ExaminedImage, corpus: Path
) -> float | None:
    """Intersection over union of the box with the mask's bounding box; None without either."""
    if box is None or not row["mask"] or image.orientation != 1:
        return None
    with Image.open(corpus / row["mask"]) as picture:
        mask = np.asarray(picture) > 127
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x0, y0, x1, y1 = box
    w = min(x1, xs[-1] + 1) - max(x0, xs[0])
    h = min(y1, ys[-1] + 1) - max(y0, ys[0])
    both = max(0, w) * max(0, h)
    union = (x1 - x0) * (y1 - y0) + (xs[-1] + 1 - xs[0]) * (ys[-1] + 1 - ys[0]) - both
    return float(both / union)


def exceeding(images: Iterable[Seen], kind: str, threshold: float, *, place: bool = False) -> tuple[int, int]:
    """How many of the images exceed the threshold (and, with `place`, point to the mask), of how many
    measured.
    """
    hits = n = 0
    for image in images:
        score = image.score(kind)
        if score is None:
            continue
        n += 1
        where = next(o["located"] for o in image.observations if o["kind"] == kind)
        hits += score > threshold and (not place or (where or 0.0) >= MIN_LOCATED)
    return hits, n


def is_crop(image: Seen) -> bool:
    return "[crop]" in (image.row["note"] or "")


def is_screenshot(image: Seen) -> bool:
    return "[screenshot]" in (image.row["note"] or "")


def comparisons(suspects: str, reals: list[Seen], fakes: list[Seen]) -> dict[str, tuple[Any, Any]]:
    """Pairs of groups in which fakes must exceed the threshold more often than reals, format being alike."""
    if suspects == "tampered":
        originals = {fake.row["authentic"] for fake in fakes}
        own = [real for real in reals if real.row["path"] in originals]
        return {"forgeries against their own originals": (fakes, own), "against all reals": (fakes, reals)}
    free = [real for real in reals if "casia" not in real.row["path"]]
    collages = ("sd-cheatsheet", "horde-showcase")  # WebP tiles, whose codec leaves peaks of its own
    clean = [fake for fake in fakes if not any(name in fake.row["path"] for name in collages)]
    return {
        "all, without WebP collages": (clean, free),
        "crops saved alike": ([f for f in clean if is_crop(f)], [r for r in free if is_crop(r)]),
        "JPEG files as found": (
            [f for f in clean if not is_crop(f) and f.row["format"] == "JPEG"],
            [r for r in free if not is_crop(r) and r.row["format"] == "JPEG"],
        ),
    }


def calibrate_kind(kind: str, suspects: str, reals: list[Seen], fakes: list[Seen]) -> dict[str, Any]:
    """Threshold, rate, knots, and whether the kind separates."""
    scores = np.sort([s for image in reals if (s := image.score(kind)) is not None])
    n = len(scores)
    allowed = int(TARGET * n)
    threshold = float(scores[n - 1 - allowed])
    hits, _ = exceeding(reals, kind, threshold)
    rate = bounds(hits, n)[1]
    why = CONFOUNDED.get(kind, "" if suspects != "neutral" else "what it sees is usual in honest photos")
    ratios = {}
    if suspects != "neutral":
        for name, (more, less) in comparisons(suspects, reals, fakes).items():
            a, na = exceeding(more, kind, threshold, place=kind in LOCATED)
            b, nb = exceeding(less, kind, threshold)
            low = bounds(a, na)[0] / bounds(b, nb)[1] if na and nb else 0.0
            ratios[name] = {"fake": [a, na], "real": [b, nb], "at_least": round(low, 2)}
            first = len(ratios) == 1
            point = (a / na) / ((b + 0.5) / nb) if na and nb else 0.0
            if not why and (low <= MIN_RATIO if first or suspects == "tampered" else point <= MIN_RATIO):
                why = f"fakes do not exceed it clearly more often ({name})"
    supports = "neutral" if why else suspects
    surest = min((r["at_least"] for r in ratios.values()), default=0.0)
    top = max(0.55, surest / (1 + surest)) if supports != "neutral" else 0.09
    middle = float(np.median(scores))
    knots = [[middle, 0.0], [max(threshold, middle + 1e-6), 0.09]]
    if supports != "neutral":
        knots += [[threshold + 1e-6, 0.5], [max(float(scores[-1]), threshold + 1e-3), top]]
    return {
        "supports": supports,
        "threshold": threshold,
        "reals": n,
        "reals_above": hits,
        "false_alarm_rate": round(rate, 4) if supports != "neutral" else 0.0,
        "knots": [[round(score, 6), round(strength, 3)] for score, strength in knots],
        "compared": ratios,
        "why_neutral": why,
    }


def calibrate(reals: list[Seen], fakes: list[Seen]) -> dict[str, Any]:
    suspects: dict[str, str] = {}
    facts: set[str] = set()
    for image in [*reals, *fakes]:
        for o in image.observations:
            if o["score"] is not None:
                suspects[o["kind"]] = o["suspects"]
            elif o["fixed"] is not None:
                facts.add(o["kind"])
    kinds = {}
    for kind, label in sorted(suspects.items()):
        measured = [image for image in reals if image.score(kind) is not None]
        if len(measured) >= 2:
            kinds[kind] = calibrate_kind(kind, label, measured, [f for f in fakes if f.row["label"] == label])
    rows = {}
    for kind in sorted(facts):
        hits = sum(image.accuses(kind) for image in reals)
        accusing = any(image.accuses(kind) for image in fakes) or kind in MAY_ACCUSE
        rows[kind] = {
            "false_alarm_rate": round(bounds(hits, len(reals))[1], 4) if accusing else 0.0,
            "reals": len(reals),
            "reals_accused": hits,
        }
    return {
        "made_by": "train/calibrate_evidence.py",
        "target": TARGET,
        "confidence": "rates are upper ends of 95 % Clopper-Pearson intervals on real training photos",
        "kinds": kinds,
        "facts": rows,
    }


MAY_ACCUSE = ("metadata.generator", "provenance.c2pa")
"""Facts that can support fake, whether the corpus holds a case or not."""


def report(calibration: dict[str, Any], groups: dict[str, list[Seen]]) -> None:
    """How often each kind supports fake, by group, beside the rate it states."""
    print(f"\n{'kind':24}{'states':>8}  " + "".join(f"{name:>18}" for name in groups))
    for kind, row in (calibration["kinds"] | calibration["facts"]).items():
        cells = []
        for images in groups.values():
            if "threshold" in row:
                hits, n = exceeding(images, kind, row["threshold"])
            else:
                hits, n = sum(image.accuses(kind) for image in images), len(images)
            cells.append(f"{hits:>6}/{n:<4}{hits / max(n, 1):6.3f} ")
        note = "" if row.get("supports", "") != "neutral" else f"  neutral: {row['why_neutral']}"
        print(f"{kind:24}{row['false_alarm_rate']:8.4f}  " + "".join(f"{c:>18}" for c in cells) + note)


def main() -> None:
    cv2.setNumThreads(1)  # a long job, beside others
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, help="folder with manifest.jsonl")
    parser.add_argument(
        "--runs", type=Path, required=True, help="cache of observations, outside the repository"
    )
    parser.add_argument("--out", type=Path, default=Path("forensic_chat/evidence/calibration.json"))
    arguments = parser.parse_args()
    groups: dict[str, list[Seen]] = defaultdict(list)
    for image in examine(arguments.corpus, arguments.runs):
        label = "screenshots" if is_screenshot(image) else f"{image.row['split']} {image.row['label']}"
        groups[label].append(image)
    found = calibrate(groups["train real"], groups["train synthetic"] + groups["train tampered"])
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    report(found, dict(sorted(groups.items())))


if __name__ == "__main__":
    main()
