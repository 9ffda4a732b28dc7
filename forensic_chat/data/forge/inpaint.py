"""Inpainting: something is removed and the hole filled from its surroundings."""

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.data.forge.forgery import ForgeFailed, Forgery, Pixels, composite, cut, require_size
from forensic_chat.data.forge.mattes import draw_box, draw_matte
from forensic_chat.schema import Box

Hole = NDArray[np.bool_]
"""(h, w), True where pixels are to be invented."""


def inpaint(photo: Pixels, rng: np.random.Generator) -> Forgery:
    """Remove a region and fill it in one of four ways. Raises ForgeFailed.

    Fast marching (Telea, An Image Inpainting Technique Based on the Fast Marching Method, 2004),
    Navier-Stokes (Bertalmio et al., 2001), patch by patch from the surroundings (after Criminisi et al.,
    Region Filling and Object Removal by Exemplar-Based Image Inpainting, 2004), or one shifted piece of the
    photo that fits the rim.
    """
    require_size(photo)
    method = str(rng.choice(["fast marching", "navier-stokes", "patches", "shift"], p=[0.15, 0.15, 0.4, 0.3]))
    smooth = method in ("fast marching", "navier-stokes")
    box = draw_box(rng, photo, 0.03, 0.1 if smooth else 0.3)
    matte = draw_matte(rng, cut(photo, box), feather=(0.3, 1.2))
    around = _context(box, photo)
    hole = np.zeros((around[3] - around[1], around[2] - around[0]), bool)
    x, y = box[0] - around[0], box[1] - around[1]
    hole[y : y + matte.shape[0], x : x + matte.shape[1]] = matte > 0
    context = cut(photo, around)
    if smooth:
        flag = cv2.INPAINT_TELEA if method == "fast marching" else cv2.INPAINT_NS
        filled = cv2.inpaint(
            np.ascontiguousarray(context), hole.astype(np.uint8), int(rng.integers(2, 7)), flag
        )
    elif method == "patches":
        filled = fill_by_patches(context, hole, rng)
        if rng.random() < 0.5:
            filled = level(filled, context, hole)
    else:
        filled = fill_by_shift(context, hole, rng)
    patch = filled[y : y + matte.shape[0], x : x + matte.shape[1]]
    words = {"patches": "patches copied from its surroundings", "shift": "one piece of its surroundings"}
    fill = words.get(method, "a smooth interpolation")
    truth = f"Something was removed {{where}} and the hole filled with {fill}."
    return composite(photo, box[:2], patch, matte, manipulation="inpaint", truth=truth, floor=3.0)


def _context(box: Box, photo: Pixels) -> Box:
    """The box and its surroundings, one box wide on every side."""
    x0, y0, x1, y1 = box
    across, down = max(48, x1 - x0), max(48, y1 - y0)
    return (
        max(0, x0 - across),
        max(0, y0 - down),
        min(photo.shape[1], x1 + across),
        min(photo.shape[0], y1 + down),
    )


_PATCH = 9
_CANDIDATES = 2500
_COARSE_SIDE = 128


def fill_by_patches(context: Pixels, hole: Hole, rng: np.random.Generator) -> Pixels:
    """Fill the hole with patches from outside it, each chosen to agree with what is already there.

    Patches are matched on a coarse copy (longer side 128); every filled coarse pixel remembers where it came
    from, and the full-size pixels are fetched from there, so that the fill keeps native grain.
    """
    step = max(1, int(np.ceil(max(context.shape[:2]) / _COARSE_SIDE)))
    height, width = (side // step for side in context.shape[:2])
    trimmed = context[: height * step, : width * step]
    small = cv2.resize(trimmed, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    coarse_hole = hole[: height * step, : width * step].reshape(height, step, width, step).max(axis=(1, 3))
    if min(height, width) <= 2 * _PATCH:
        raise ForgeFailed("there is too little around the hole")
    source = _match_patches(small, np.asarray(coarse_hole), rng)
    return _fetch(context, hole, source, step)


def _fetch(context: Pixels, hole: Hole, source: NDArray[np.intp], step: int) -> Pixels:
    """Full-size pixels for the hole: the mean of where a coarse pixel and its neighbours say they come from.

    Inside one patch they agree and the copy is exact; across a seam they differ and the seam is softened.
    """
    rows, columns = np.nonzero(hole)
    height, width = source.shape[:2]
    total = np.zeros((len(rows), 3), np.float32)
    count = np.zeros((len(rows), 1), np.float32)
    for down, across in ((0, 0), (-2, 0), (2, 0), (0, -2), (0, 2)):
        # The outermost rows and columns may lie beyond the last whole coarse pixel.
        row = np.clip(rows // step + down, 0, height - 1)
        column = np.clip(columns // step + across, 0, width - 1)
        origin = source[row, column]
        there = (
            np.clip(rows + (origin[:, 0] - row) * step, 0, context.shape[0] - 1),
            np.clip(columns + (origin[:, 1] - column) * step, 0, context.shape[1] - 1),
        )
        # What was removed must not come back.
        usable = ~hole[there][:, None]
        total += usable * context[there].astype(np.float32)
        count += usable
    filled = context.copy()
    filled[rows, columns] = np.rint(total / np.maximum(count, 1)).astype(np.uint8)
    return filled


def _match_patches(small: NDArray[np.float32], hole: Hole, rng: np.random.Generator) -> NDArray[np.intp]:
    """(h, w, 2) row and column that each coarse pixel is to come from."""
    half = _PATCH // 2
    height, width = hole.shape
    touched = cv2.dilate(hole.astype(np.uint8), np.ones((_PATCH, _PATCH), np.uint8)).astype(bool)
    whole = ~touched[half : height - half, half : width - half]
    centres = np.argwhere(whole) + half
    if len(centres) < 50:
        raise ForgeFailed("there is too little around the hole")
    centres = centres[rng.choice(len(centres), min(_CANDIDATES, len(centres)), replace=False)]
    windows = np.lib.stride_tricks.sliding_window_view(small, (_PATCH, _PATCH), axis=(0, 1))
    patches = windows[centres[:, 0] - half, centres[:, 1] - half].reshape(len(centres), -1)
    squares = patches**2
    values, known = small.copy(), ~hole
    source = np.indices(hole.shape).transpose(1, 2, 0).astype(np.intp)
    while not known.all():
        row, column = _most_certain(known, half)
        window = np.s_[row - half : row + half + 1, column - half : column + half + 1]
        there = known[window]
        weight = np.tile(there.reshape(-1), 3).astype(np.float32)
        wanted = values[window].transpose(2, 0, 1).reshape(-1) * weight
        best = centres[int((squares @ weight - 2 * (patches @ wanted)).argmin())]
        taken = np.s_[best[0] - half : best[0] + half + 1, best[1] - half : best[1] + half + 1]
        values[window] = np.where(there[..., None], values[window], values[taken])
        source[window] = np.where(there[..., None], source[window], source[taken])
        known[window] = True
    return source


def _most_certain(known: Hole, half: int) -> tuple[int, int]:
    """The unknown pixel with most known neighbours; its window is shifted to lie inside the picture."""
    around = cv2.blur(known.astype(np.float32), (_PATCH, _PATCH), borderType=cv2.BORDER_REFLECT_101)
    around[known] = -1
    row, column = np.unravel_index(int(around.argmax()), known.shape)
    return (
        int(np.clip(row, half, known.shape[0] - half - 1)),
        int(np.clip(column, half, known.shape[1] - half - 1)),
    )


_SHIFTS = 300


def fill_by_shift(context: Pixels, hole: Hole, rng: np.random.Generator) -> Pixels:
    """Fill the hole with the shifted piece of the context whose rim fits best, adapted in level."""
    rows, columns = np.nonzero(hole)
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    rim = cv2.dilate(hole.astype(np.uint8), np.ones((13, 13), np.uint8)).astype(bool) & ~hole
    rim_rows, rim_columns = np.nonzero(rim)
    chosen = rng.choice(len(rim_rows), min(400, len(rim_rows)), replace=False)
    rim_rows, rim_columns = rim_rows[chosen], rim_columns[chosen]
    height, width = hole.shape
    values = context.astype(np.float32)
    best, best_error = (0, 0), np.inf
    for _ in range(_SHIFTS):
        down, across = (
            int(rng.integers(-top, height - bottom + 1)),
            int(rng.integers(-left, width - right + 1)),
        )
        if hole[rows + down, columns + across].mean() > 0.02:
            continue
        there = np.clip(rim_rows + down, 0, height - 1), np.clip(rim_columns + across, 0, width - 1)
        error = float(((values[there] - values[rim_rows, rim_columns]) ** 2).mean())
        if error < best_error:
            best, best_error = (down, across), error
    if not np.isfinite(best_error):
        raise ForgeFailed("there is no piece to fill the hole with")
    moved = context.copy()
    moved[rows, columns] = context[rows + best[0], columns + best[1]]
    return level(moved, context, hole)


def _local_mean(
    values: NDArray[np.float32], weight: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    """Gaussian mean of (h, w, 3) values over the pixels that `weight` selects."""
    total = cv2.GaussianBlur(values * weight[..., None], (0, 0), sigma)
    return np.asarray(
        total / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-4)[..., None], np.float32
    )


def level(filled: Pixels, context: Pixels, hole: Hole) -> Pixels:
    """Shift the colours of the fill so that it meets the rim without a step; inside, as at the nearest rim
    pixel.

    A cheap stand-in for Poisson's equation, which OpenCV's seamlessClone would solve with the removed
    colours as part of its boundary.
    """
    inside, outside = hole.astype(np.float32), (~hole).astype(np.float32)
    step = _local_mean(context.astype(np.float32), outside, 3) - _local_mean(
        filled.astype(np.float32), inside, 3
    )
    rim = hole & (cv2.dilate(outside, np.ones((3, 3), np.uint8)) > 0)
    away = (~rim).astype(np.uint8)
    nearest = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    steps = np.zeros((int(nearest.max()) + 1, 3), np.float32)
    steps[nearest[rim]] = step[rim]
    shift = _local_mean(steps[nearest], inside, 6)
    levelled = np.clip(np.rint(filled + shift), 0, 255)
    return np.asarray(np.where(hole[..., None], levelled, context), np.uint8)
