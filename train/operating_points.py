"""The thresholds that ship, each chosen on images of sources left out of training."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from forensic_chat.data.manifest import Item
from forensic_chat.encoder.verdict import softmax
from forensic_chat.scoring.detection import rate_upper_bound
from forensic_chat.scoring.localisation import overlap

ACCUSATIONS = 0.03
"""The rate of photos labelled fake that the undecided band is to keep below, in every variant."""
MARKED_PHOTOS = 0.01
"""The share of a photo's area that the mask may mark, on average."""
UNFAMILIAR = 0.01


@dataclass(frozen=True, eq=False)
class Points:
    """What the choice is made on: N images, V variants."""

    items: list[Item]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    """(N, V, 3), by models that did not see the image's source."""
    masks: list[list[NDArray[np.uint8]]]
    use: NDArray[np.bool_]
    corpora: list[Path]


def freeze(points: Points) -> dict[str, object]:
    """The fields of `forensic_chat.encoder.calibration.Calibration`."""
    p = softmax(points.logits[points.use])
    labels = points.labels[points.use]
    fake, real = 1 - p[..., 0], labels == 0
    high = max(0.5, max(float(np.quantile(fake[real, v], 1 - ACCUSATIONS)) for v in range(fake.shape[1])))
    low = min(0.5, float(np.quantile(fake[~real], 0.1)))
    synthetic = (fake > 0.5) & (p[..., 1] >= p[..., 2])
    tampered = (fake > 0.5) & (p[..., 2] > p[..., 1])
    threshold, gate = mask_points(points, p[..., 2])
    rates = {
        kind: bound(flagged[real])
        for kind, flagged in (
            ("encoder.synthetic", synthetic),
            ("encoder.tampered", tampered),
            ("encoder.mask", tampered & (p[..., 2] >= gate)),
        )
    }
    undecided = [round(max(low, 0.3), 3), round(min(high, 0.8), 3)]
    covered = ((fake <= undecided[0]) | (fake >= undecided[1])).mean()
    accused = (fake[real] >= undecided[1]).mean(0)
    print(f"undecided {undecided}: coverage {covered:.3f}, photos labelled fake {accused.round(3).tolist()}")
    print(f"mask threshold {threshold}, gate {gate}; false-alarm rates {rates}")
    return {
        "undecided": undecided,
        "unfamiliar_below": UNFAMILIAR,
        "unstable_above": 0.2,
        "mask_threshold": threshold,
        "mask_gate": gate,
        "false_alarm_rates": rates,
    }


def bound(flagged: NDArray[np.bool_]) -> float:
    """95 % upper bound of a rate over photos; the worst variant counts."""
    return round(max(rate_upper_bound(int(v.sum()), len(v)) for v in flagged.T), 4)


def mask_points(points: Points, tampered: NDArray[np.float32]) -> tuple[float, float]:
    """Threshold and gate of the mask: the best mean F1 on tampered images among those that keep photos clean."""
    chosen = [k for k in np.flatnonzero(points.use) if points.labels[k] != 1 and points.masks[k]]
    probability = dict(zip(np.flatnonzero(points.use), tampered[:, 0], strict=True))
    truths = {k: truth(points, k) for k in chosen if points.labels[k] == 2}
    best, found = (0.5, 0.3), -1.0
    for threshold in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        areas = {k: float((points.masks[k][0] > threshold * 255).mean()) for k in chosen}
        f1 = {k: overlap(points.masks[k][0] > threshold * 255, t).f1 for k, t in truths.items() if t.any()}
        for gate in (0.1, 0.2, 0.3, 0.4, 0.5):
            shown = {k: probability[k] >= gate for k in chosen}
            photos = [areas[k] * shown[k] for k in chosen if points.labels[k] == 0]
            score = float(np.mean([f1[k] * shown[k] for k in f1])) if f1 else 0.0
            if np.mean(photos) <= MARKED_PHOTOS and score > found:
                best, found = (threshold, gate), score
    print(f"mask: mean F1 {found:.3f} at 8 px cells on {len(truths)} tampered images of sources left out")
    return best


def truth(points: Points, k: int) -> NDArray[np.bool_]:
    """The truth mask on the cells of the image's mask."""
    item = points.items[k]
    path = next(c / item.mask for c in points.corpora if item.mask and (c / item.mask).exists())
    with Image.open(path) as image:
        mask = np.asarray(ImageOps.exif_transpose(image).convert("L"))
    rows, columns = points.masks[k][0].shape
    padded = cv2.copyMakeBorder(
        mask, 0, rows * 8 - mask.shape[0], 0, columns * 8 - mask.shape[1], cv2.BORDER_REPLICATE
    )
    return cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA) > 127
