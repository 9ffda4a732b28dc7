"""Splicing: a part of another photo is pasted in."""

import cv2
import numpy as np

from forensic_chat.data.forge.forgery import ForgeFailed, Forgery, Pixels, composite, cut, require_size
from forensic_chat.data.forge.mattes import draw_box, draw_matte
from forensic_chat.data.laundering import chain, launder

_KERNELS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def splice(photo: Pixels, donor: Pixels, rng: np.random.Generator) -> Forgery:
    """Paste a scaled, rotated part of `donor`, itself laundered, so that it has another history than
    `photo`.

    In half of the draws its colours are moved towards those of the place where it lands (mean and standard
    deviation per channel: Reinhard et al., Color Transfer between Images, 2001, here in RGB). Raises
    ForgeFailed.
    """
    require_size(photo)
    require_size(donor)
    x0, y0, x1, y1 = draw_box(rng, photo)
    size = (x1 - x0, y1 - y0)
    patch, scale, angle = _donor_patch(donor, size, rng)
    matte = draw_matte(rng, patch)
    truth = "A part of another photo was pasted {where}"
    details = ["resized"] if abs(scale - 1) > 0.05 else []
    details += [f"rotated by {angle:.0f} degrees"] if abs(angle) > 2 else []
    if rng.random() < 0.5:
        patch = _harmonise(patch, cut(photo, (x0, y0, x1, y1)), float(rng.uniform(0.3, 0.9)))
        details.append("matched in colour")
    truth += f", {' and '.join(details)}." if details else "."
    return composite(photo, (x0, y0), patch, matte, manipulation="splice", truth=truth, floor=6.0)


def _donor_patch(
    donor: Pixels, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Pixels, float, float]:
    """A patch of `size` (width, height) from a random place of the laundered donor; its scale and turn
    (degrees).
    """
    scale = float(np.exp(rng.uniform(np.log(0.5), np.log(1.5))))
    angle = float(rng.choice([0.0, rng.uniform(-12, 12), rng.uniform(-180, 180)], p=[0.5, 0.35, 0.15]))
    turn = np.deg2rad(angle)
    # What the turned box covers in the donor, before scaling.
    reach = np.array(
        [
            abs(size[0] * np.cos(turn)) + abs(size[1] * np.sin(turn)),
            abs(size[0] * np.sin(turn)) + abs(size[1] * np.cos(turn)),
        ]
    )
    limits = np.array([donor.shape[1], donor.shape[0]])
    scale = max(scale, float((reach / limits).max()) + 1e-3)
    if scale > 2.5:
        raise ForgeFailed("the donor photo is too small for this place")
    width, height = np.minimum(np.ceil(reach / scale).astype(int) + 2, limits)
    x, y = int(rng.integers(0, limits[0] - width + 1)), int(rng.integers(0, limits[1] - height + 1))
    piece, _ = launder(np.ascontiguousarray(donor[y : y + height, x : x + width]), None, chain(rng))
    if rng.random() < 0.3:
        piece = piece[:, ::-1]
    return _turn(np.ascontiguousarray(piece), reach, size, angle, int(rng.choice(_KERNELS))), scale, angle


def _turn(piece: Pixels, reach: np.ndarray, size: tuple[int, int], angle: float, kernel: int) -> Pixels:
    """Map `piece` (which stands for `reach` target pixels) onto a `size` box turned by `angle` degrees."""
    rows, columns = piece.shape[:2]
    zoom = max(reach[0] / columns, reach[1] / rows)
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, zoom)
    matrix[:, 2] += np.array(size) / 2 - (columns / 2, rows / 2)
    turned = cv2.warpAffine(piece, matrix, size, flags=kernel, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, np.uint8)


def _harmonise(patch: Pixels, place: Pixels, strength: float) -> Pixels:
    values = patch.astype(np.float32)
    mean, deviation = values.mean(axis=(0, 1)), values.std(axis=(0, 1)) + 1
    wanted_mean, wanted_deviation = place.mean(axis=(0, 1)), place.std(axis=(0, 1)) + 1
    gain = np.clip(wanted_deviation / deviation, 0.5, 1.6)
    matched = (values - mean) * gain + wanted_mean
    return np.asarray(np.clip(values + strength * (matched - values), 0, 255), np.uint8)
