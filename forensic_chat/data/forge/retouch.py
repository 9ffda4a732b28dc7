"""Retouching: a region's look is changed, its content stays."""

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.data.forge.forgery import Forgery, Pixels, composite, cut, require_size
from forensic_chat.data.forge.mattes import draw_box, draw_matte


def retouch(photo: Pixels, rng: np.random.Generator) -> Forgery:
    """Blur, sharpen, add noise to, recolour, or brighten or darken a region. Raises ForgeFailed."""
    require_size(photo)
    box = draw_box(rng, photo, 0.05, 0.6)
    region = np.ascontiguousarray(cut(photo, box))
    how = str(rng.choice(["blurred", "sharpened", "made noisy", "recoloured", "relit"]))
    patch = _changed(region, how, rng)
    matte = draw_matte(rng, region, feather=(0.8, 6.0))
    truth = f"A region {{where}} was {'brightened or darkened' if how == 'relit' else how} afterwards."
    return composite(photo, box[:2], patch, matte, manipulation="retouch", truth=truth, floor=2.0)


def _changed(region: Pixels, how: str, rng: np.random.Generator) -> NDArray[np.float32]:
    values = region.astype(np.float32)
    match how:
        case "blurred":
            return np.asarray(cv2.GaussianBlur(values, (0, 0), float(rng.uniform(1.0, 4.0))), np.float32)
        case "sharpened":
            blurred = cv2.GaussianBlur(values, (0, 0), float(rng.uniform(0.8, 2.5)))
            return np.asarray(values + np.float32(rng.uniform(1.0, 2.5)) * (values - blurred), np.float32)
        case "made noisy":
            grain = rng.standard_normal(region.shape, dtype=np.float32)
            if rng.random() < 0.5:
                grain[...] = grain[..., :1]
            return np.asarray(values + np.float32(rng.uniform(4, 14)) * grain, np.float32)
        case "recoloured":
            hsv = cv2.cvtColor(region, cv2.COLOR_RGB2HSV)
            # OpenCV counts hue from 0 to 179.
            hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(15, 165))) % 180
            hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.8, 1.4), 0, 255).astype(np.uint8)
            return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)
    gain = float(rng.choice([rng.uniform(0.55, 0.85), rng.uniform(1.15, 1.6)]))
    return np.asarray(np.clip(values * gain + rng.uniform(-8, 8), 0, 255), np.float32)
