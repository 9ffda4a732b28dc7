"""Rules that no figure may break, held by code."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from forensic_chat.encoder.calibration import Calibration
from forensic_chat.errors import UsageError

CALIBRATION = "calibration.json"


def f1_within_iou(f1: float, iou: float) -> None:
    """F1 and IoU of one aggregation over the same images: F1 is 2 IoU / (1 + IoU) for one image and, as that
    curve bends down, at most that for means. Raises AssertionError where it is not: then one of the two was
    counted otherwise (inverted masks, background, other images)."""
    bound = 2 * iou / (1 + iou)
    if f1 > bound + 1e-5:  # rows keep six decimals
        raise AssertionError(
            f"F1 {f1:.4f} above 2 IoU / (1 + IoU) = {bound:.4f}: the two contradict each other"
        )


def frozen_thresholds(used: Calibration, folder: Path) -> dict[str, Any]:
    """The operating points of a run and the hash of the file that they come from.

    folder: of the encoder's weights. Raises AssertionError unless those in use are those that were frozen
    with the weights: no threshold may be chosen on what is measured.
    """
    path = folder / CALIBRATION
    if used != Calibration.load(path):
        raise AssertionError("the thresholds in use are not those frozen with the weights")
    points = json.loads(path.read_text("utf-8"))
    points.pop("false_alarm_rates")
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **points}


def not_trained_on(split: str | None) -> None:
    """Raises UsageError for a split that weights were fitted on."""
    if split in ("train", "all"):
        raise UsageError(
            f"the split {split!r} holds training images, and a score on them says nothing; use val or holdout"
        )


def rules(paths: Iterable[Path]) -> str:
    """SHA-256 of the code that scores: figures of different rules are not compared."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()
