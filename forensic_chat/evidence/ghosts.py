"""JPEG ghosts and the 8 x 8 grid: regions whose compression history differs from the rest. Any format.

Both work on decoded pixels in stored orientation, since the grid lies in the file's own rows and columns.
"""

import math
import sys

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from forensic_chat.evidence.blocks import (
    Component,
    Grey,
    Map,
    block_mean,
    centre,
    heaviest_component,
    luma,
)
from forensic_chat.evidence.observation import Observation
from forensic_chat.imaging.intake import ExaminedImage

MAX_PIXELS = 2_000_000
QUALITIES = (50, 60, 68, 76, 82, 88, 94)
GHOST_BLOCK = 16
GRID_WINDOW = 16


def stored(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """`pixels` (H, W, 3), turned upright by EXIF `orientation` 1..8, in the rows and columns of the file (a
    view).
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels


def ghost_maps(grey: Grey) -> Map:
    """(qualities, h, w) mean squared change per 16 x 16 block when saved again at each of `QUALITIES`."""
    maps = []
    for quality in QUALITIES:
        _, saved = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
        again = cv2.imdecode(saved, cv2.IMREAD_GRAYSCALE)
        change = cv2.absdiff(grey, np.asarray(again))
        maps.append(block_mean(cv2.multiply(change, change, dtype=cv2.CV_16U), GHOST_BLOCK))
    return np.stack(maps)


def ghost(grey: Grey) -> tuple[float, int, Component] | None:
    """Score, quality and component of the strongest ghost (Farid 2009, "Exposing digital forgeries from JPEG
    ghosts"): a group of blocks that hardly changes at a quality at which the rest does.
    """
    maps = ghost_maps(grey)
    low, high = maps.min(axis=0), maps.max(axis=0)
    busy = high - low > 2.0
    if busy.sum() < 30:
        return None
    share = (maps - low) / np.maximum(high - low, 1e-6)
    best: tuple[float, int, Component] | None = None
    for quality, values in zip(QUALITIES, share, strict=True):
        middle = float(np.median(values[busy]))
        spread = max(1.4826 * float(np.median(np.abs(values[busy] - middle))), 0.03)
        z = cv2.blur(np.where(busy, (middle - values) / spread, 0).astype(np.float32), (3, 3))
        found = heaviest_component(z > 1.5, np.asarray(z, dtype=np.float32), at_most=0.4)
        if found is not None:
            score = found.weight / float(z.size) ** 0.5
            if best is None or score > best[0]:
                best = score, quality, found
    return best


def grid_votes(grey: Grey) -> npt.NDArray[np.int64]:
    """(h, w) phase 0..63 (8 * row + column) of the blocking grid that each 16 x 16 window shows best.

    Block edges raise the cross-difference of neighbouring pixels (Chen and Hsu 2008), summed here per
    column and per row modulo 8. -1 where the window is too flat or saturated to vote.
    """
    wide = grey.astype(np.int16)
    cross = np.abs(wide[:-1, :-1] + wide[1:, 1:] - wide[:-1, 1:] - wide[1:, :-1])
    cross = np.minimum(cross, 16)
    n, size = GRID_WINDOW // 8, GRID_WINDOW
    h, w = cross.shape[0] // size, cross.shape[1] // size
    cells = cross[: h * size, : w * size].reshape(h, n, 8, w, n, 8)
    columns = cells.sum(axis=(1, 2, 4))
    rows = cells.sum(axis=(1, 4, 5)).transpose(0, 2, 1)
    votes = 8 * rows.argmax(axis=2) + columns.argmax(axis=2)
    total = columns.sum(axis=2)
    return np.where(total > size * size * 0.25, votes, -1)


def foreign_grid(votes: npt.NDArray[np.int64]) -> tuple[float, int, Component] | None:
    """-log10 of the expected number of chance findings, phase and component of the most surprising group of
    windows that agree on another grid than the image's (a contrario decision: Nikoukhah et al. 2021,
    "ZERO").
    """
    valid = votes >= 0
    counts = np.bincount(votes[valid], minlength=64)
    main = int(counts.argmax())
    best: tuple[float, int, Component] | None = None
    for phase in np.argsort(counts)[::-1][:6]:
        if phase == main or counts[phase] < 6:
            continue
        agree = (votes == phase).astype(np.uint8)
        density = np.asarray(cv2.boxFilter(agree.astype(np.float32), -1, (5, 5)))
        found = heaviest_component(density > 0.2, density, at_most=0.5)
        if found is None:
            continue
        inside = int((valid & found.mask).sum())
        hits = int((agree > 0)[found.mask].sum())
        chance = max(float(bdtrc(hits - 1, max(inside, 1), 1 / 64)), sys.float_info.min)
        score = -math.log10(chance) - math.log10(64 * votes.size)
        if best is None or score > best[0]:
            best = score, int(phase), found
    return best


def observe(image: ExaminedImage) -> list[Observation]:
    """Kinds `jpeg.ghost` and `jpeg.grid`; the value of both is the score, 0 = nothing."""
    file_pixels = stored(image.pixels, image.orientation)
    height, width = file_pixels.shape[:2]
    x0, y0, x1, y1 = centre(width, height, MAX_PIXELS, 16)
    grey = luma(file_pixels[y0:y1, x0:x1])
    observations = []
    found = ghost(grey)
    value = 0.0 if found is None else round(found[0], 2)
    quality = 0 if found is None else found[1]
    observations.append(
        Observation(
            "jpeg.ghost",
            f"Saved again as JPEG, all regions react as their content lets them (score {value}).",
            f"Saved again at JPEG quality {quality}, one region hardly changes while the rest does "
            f"(score {value}): it was probably saved at that quality before.",
            value,
            score=value,
            suspects="tampered",
            box=None
            if found is None
            else image.to_oriented(found[2].box(GHOST_BLOCK, width, height, (x0, y0))),
        )
    )
    grid = foreign_grid(grid_votes(grey))
    score = 0.0 if grid is None else round(max(float(grid[0]), 0.0), 1)
    observations.append(
        Observation(
            "jpeg.grid",
            f"No region has a JPEG block grid of its own (score {score}).",
            f"One region has a JPEG block grid that is shifted against the rest (score {score}): "
            "it was saved as JPEG in another place before.",
            score,
            score=score,
            suspects="tampered",
            box=None
            if grid is None or score == 0
            else image.to_oriented(grid[2].box(GRID_WINDOW, width, height, (x0, y0))),
        )
    )
    return observations
