"""Copy-move: a part of the photo is copied to another place in it."""

import cv2
import numpy as np

from forensic_chat.data.forge.forgery import ForgeFailed, Forgery, Pixels, composite, cut, require_size
from forensic_chat.data.forge.mattes import draw_box, draw_matte

_TRIES = 30


def copy_move(photo: Pixels, rng: np.random.Generator) -> Forgery:
    """Copy a region; in half of the draws it is scaled, turned or mirrored on the way. Raises ForgeFailed.

    The mask marks the pasted copy only, not its original.
    """
    require_size(photo)
    x0, y0, x1, y1 = draw_box(rng, photo, 0.03, 0.25)
    patch = cut(photo, (x0, y0, x1, y1)).copy()
    matte = draw_matte(rng, patch)
    how = []
    if rng.random() < 0.5:
        scale = float(np.exp(rng.uniform(np.log(0.7), np.log(1.4))))
        angle = float(rng.choice([0.0, rng.uniform(-30, 30), rng.uniform(-180, 180)], p=[0.4, 0.4, 0.2]))
        how = [f"scaled by {scale:.2f}"] + ([f"rotated by {angle:.0f} degrees"] if abs(angle) > 2 else [])
        patch, matte = _transform(
            patch, matte, scale, angle, int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC)))
        )
        if rng.random() < 0.4:
            patch, matte = patch[:, ::-1], matte[:, ::-1]
            how.append("mirrored")
    corner = _landing(photo, (x0, y0, x1, y1), matte.shape, rng)
    if rng.random() < 0.3:
        # A little retouching against the eye, as a careful forger would.
        patch = np.clip(patch.astype(np.float32) * rng.uniform(0.92, 1.08) + rng.uniform(-6, 6), 0, 255)
    truth = "A part of this photo was copied and pasted {where}" + (f", {' and '.join(how)}." if how else ".")
    return composite(photo, corner, patch, matte, manipulation="copy-move", truth=truth, floor=6.0)


def _transform(
    patch: Pixels, matte: np.ndarray, scale: float, angle: float, kernel: int
) -> tuple[Pixels, np.ndarray]:
    """Scale and turn both about the centre, in a box that holds the result."""
    height, width = matte.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (int(np.ceil(width * cosine + height * sine)), int(np.ceil(width * sine + height * cosine)))
    matrix[:, 2] += np.array(size) / 2 - (width / 2, height / 2)
    turned = cv2.warpAffine(patch, matrix, size, flags=kernel, borderMode=cv2.BORDER_REFLECT_101)
    return turned.astype(np.uint8), cv2.warpAffine(matte, matrix, size, flags=cv2.INTER_LINEAR).astype(
        np.float32
    )


def _landing(
    photo: Pixels, origin: tuple[int, int, int, int], size: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, int]:
    """A corner (x, y) where the copy hides at most a third of its original."""
    height, width = size[:2]
    if height >= photo.shape[0] or width >= photo.shape[1]:
        raise ForgeFailed("the copied part is larger than the photo")
    x0, y0, x1, y1 = origin
    for _ in range(_TRIES):
        x = int(rng.integers(0, photo.shape[1] - width + 1))
        y = int(rng.integers(0, photo.shape[0] - height + 1))
        across, down = min(x + width, x1) - max(x, x0), min(y + height, y1) - max(y, y0)
        if max(across, 0) * max(down, 0) <= (x1 - x0) * (y1 - y0) / 3:
            return x, y
    raise ForgeFailed("there is no room for the copy beside its original")
