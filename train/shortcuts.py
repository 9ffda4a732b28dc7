"""Shortcut guard: can the classes be told apart by what the pixels' delivery shows, not by what made them?

A classifier sees only width, height, aspect, the phase of the 8x8 grid, and JPEG quality and chroma subsampling as
estimated from the very pixels that are fed. Predicted for whole sources left out, it must stay under 60 % balanced
accuracy for every class against real photos, else training must not start: `refuse_shortcuts`.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dct
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from forensic_chat.errors import UsageError
from forensic_chat.evidence.blocks import luma
from forensic_chat.evidence.jpeg import standard_table

Pixels = NDArray[np.uint8]

BAR = 0.60
FEATURES = ("width", "height", "aspect", "grid row", "grid column", "JPEG quality", "chroma subsampling")
_QUALITIES = np.arange(40, 99, 2)
_FOLDS = 5


@dataclass(frozen=True)
class Fed:
    """One picture as a training run feeds it."""

    pixels: Pixels
    """(H, W, 3) RGB, 64 px or more each way."""
    label: str
    source: str


def grid_phase(grey: NDArray[np.float32]) -> tuple[int, int]:
    """Row and column, 0..7, of the first edge of the 8x8 grid that the cross-differences of neighbours show best
    (Chen & Hsu 2008). Some pair comes out where there is no grid, too.
    """
    phases = []
    for axis in (0, 1):
        difference = np.abs(np.diff(grey, axis=axis))
        step = np.abs(np.diff(difference, axis=1 - axis)).mean(axis=1 - axis)
        profile = [float(step[offset::8].mean()) for offset in range(8)]
        phases.append((int(np.argmax(profile)) + 1) % 8)
    return phases[0], phases[1]


def jpeg_quality(grey: NDArray[np.float32], phase: tuple[int, int]) -> int:
    """libjpeg quality 40..98 whose steps the low-frequency coefficients at this grid phase are multiples of;
    100 where none fits (after Fan & de Queiroz 2003: the likelihood over the quantisation steps).

    Of several that fit, the coarsest: multiples of a step are multiples of its divisors.
    """
    part = grey[phase[0] :, phase[1] :]
    rows, columns = (side // 8 for side in part.shape)
    blocks = (
        part[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    )
    basis = dct(np.eye(8, dtype=np.float32), axis=0, norm="ortho")
    coefficients = basis @ (blocks - 128) @ basis.T
    low = [(u, v) for u in range(4) for v in range(4) if 0 < u + v < 5]
    values = np.stack([coefficients[:, u, v] for u, v in low])
    fits = []
    for quality in _QUALITIES:
        table = standard_table(int(quality))
        steps = np.array([[table[u, v]] for u, v in low], np.float32)
        # What would have been rounded to zero tells nothing; neither do steps near the noise of decoding.
        telling = (np.abs(values) > steps / 2) & (steps >= 2)
        ripple = np.cos(2 * np.pi * values / steps)
        fits.append(float(ripple[telling].mean()) if telling.sum() >= 40 else 0.0)
    good = np.flatnonzero(np.array(fits) > max(0.35, 0.9 * max(fits)))
    return int(_QUALITIES[good[0]]) if len(good) else 100


def subsampled(chroma: NDArray[np.float32], axis: int, phase: int) -> bool:
    """Whether chroma (H, W, 2) was doubled along an axis by the triangle filter of JPEG and WebP decoders.

    From a pair of its outputs the filter's input follows, and neighbouring pairs must agree on the input that they
    share. Of pairs that start at odd distances from the 8x8 grid (at `phase`) all do, across the grid's lines too;
    of the others none. Where every sample was stored, only crossing a line makes a difference.
    """
    lines = np.moveaxis(chroma, axis, 0)[phase:]
    misfit = (3 * lines[1:-2] - lines[:-3]) - (3 * lines[2:-1] - lines[3:])
    power = np.array([np.square(misfit[start::8]).mean() for start in range(8)])
    across, within = power[[5, 7]].mean(), power[[1, 3]].mean()
    return bool(power[::2].mean() > 1.2 * power[1::2].mean() and across < 1.8 * within)


def features(pixels: Pixels) -> list[float]:
    """The values of `FEATURES`; subsampling is 0 for 4:4:4, 1 for one direction, 2 for both."""
    height, width = pixels.shape[:2]
    grey = luma(pixels).astype(np.float32)
    phase = grid_phase(grey)
    chroma = cv2.cvtColor(pixels.astype(np.float32), cv2.COLOR_RGB2YCrCb)[..., 1:]
    halves = sum(subsampled(chroma, axis, phase[axis]) for axis in (0, 1))
    return [width, height, width / height, *phase, jpeg_quality(grey, phase), halves]


def bits_per_pixel(pixels: Pixels) -> float:
    """Of the picture as a JPEG of quality 90: detail and noise, so partly content."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return 8 * buffer.tell() / (pixels.shape[0] * pixels.shape[1])


def balanced_accuracy(
    x: NDArray[np.float64], y: NDArray[np.bool_], sources: NDArray[np.str_], seed: int
) -> float | None:
    """Of a random forest on whole sources left out; None where a class has fewer than two sources."""
    fewest = min(len(set(sources[y])), len(set(sources[~y])))
    if fewest < 2:
        return None
    folds = StratifiedGroupKFold(min(_FOLDS, fewest), shuffle=True, random_state=seed)
    forest = RandomForestClassifier(100, min_samples_leaf=8, class_weight="balanced", random_state=seed)
    guessed = cross_val_predict(forest, x, y, groups=sources, cv=folds)
    return float(balanced_accuracy_score(y, guessed))


def refuse_shortcuts(fed: Sequence[Fed], seed: int = 0) -> None:
    """Print what the guard's classifier reaches for each class against real, and bits per pixel beside it.

    A few hundred pictures of each class are enough. Raises UsageError, naming the feature that tells most alone,
    when a class reaches 60 %. A class of a single source can't be judged, and this is said.
    """
    labels, sources = np.array([one.label for one in fed]), np.array([one.source for one in fed])
    x = np.array([features(one.pixels) for one in fed], np.float64)
    bits = np.array([[bits_per_pixel(one.pixels)] for one in fed])
    leaks = []
    for label in sorted(set(labels) - {"real"}):
        chosen = (labels == label) | (labels == "real")
        y, groups = labels[chosen] == label, sources[chosen]
        reached = balanced_accuracy(x[chosen], y, groups, seed)
        if reached is None:
            print(f"shortcuts, {label} against real: too few sources to judge", flush=True)
            continue
        alone = {
            name: balanced_accuracy(x[chosen][:, [k]], y, groups, seed) or 0.5
            for k, name in enumerate(FEATURES)
        }
        worst = max(alone, key=lambda name: alone[name])
        detail = balanced_accuracy(bits[chosen], y, groups, seed)
        print(
            f"shortcuts, {label} against real, sources left out: balanced accuracy {reached:.3f} (bar {BAR}; "
            f"most alone: {worst} {alone[worst]:.3f}); bits per pixel, partly content, {detail:.3f}",
            flush=True,
        )
        if reached >= BAR:
            leaks.append(f"{label} from real at {reached:.1%} without looking (most by {worst})")
    if leaks:
        raise UsageError(
            f"the fed pixels tell {'; '.join(leaks)}; crop, scale and re-compress every class alike, then start again"
        )
