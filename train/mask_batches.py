"""Canvases (train.canvases) read back, and batches of windows of them, to train a mask head on."""

import io
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from forensic_chat.encoder.config import TRACES
from train.shortcuts import Fed

TRACE_OF = {
    "copy-move": "copymove", "face-swap": "splice", "regenerate-region": "resynthesis",
    "recolour": "retouch", "regenerate-hole": "inpaint", "removal": "inpaint", "text-edit": "inpaint",
}  # fmt: skip


@dataclass(frozen=True)
class Canvas:
    path: Path
    label: str
    manipulation: str
    source: str

    def read(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """(h, w, D) tokens and (2h, 2w) mask cells, 255 = changed."""
        with np.load(self.path) as stored:
            return tokens_of(stored, np.s_[:]), stored["mask"]

    def windowed(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The same of a window at random."""
        with np.load(self.path) as stored:
            mask = stored["mask"]
            rows, columns = window(mask)
            doubled = tuple(slice(2 * side.start, 2 * side.stop) for side in (rows, columns))
            return tokens_of(stored, (rows, columns)), mask[doubled]

    def pixels(self) -> NDArray[np.uint8]:
        with np.load(self.path) as stored, Image.open(io.BytesIO(stored["pixels"].tobytes())) as image:
            return np.asarray(image)

    def fed(self) -> Fed:
        """A window of its pixels, as training draws them."""
        with np.load(self.path) as stored:
            rows, columns = window(stored["mask"])
        pixels = self.pixels()
        rows, columns = (slice(16 * side.start, 16 * side.stop) for side in (rows, columns))
        return Fed(np.ascontiguousarray(pixels[rows, columns]), self.label, self.source)


def window(cells: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Rows and columns of tokens to train on, 55 to 100 % of each side, at random (torch's generator).

    Sources differ in the aspect of their images; windows of random aspect don't tell them apart. Where cells
    (2h, 2w) of the canvas were changed, the window holds one.
    """
    changed = np.argwhere(cells > 127)
    point = changed[int(torch.randint(len(changed), ()))] // 2 if len(changed) else None
    sides = []
    for axis in (0, 1):
        full = cells.shape[axis] // 2
        length = max(min(4, full), round(full * (0.55 + 0.45 * float(torch.rand(())))))
        first, last = 0, full - length
        if point is not None:
            first, last = max(0, int(point[axis]) - length + 1), min(last, int(point[axis]))
        start = int(torch.randint(first, last + 1, ()))
        sides.append(slice(start, start + length))
    return sides[0], sides[1]


def tokens_of(stored: Any, cells: Any) -> NDArray[np.float32]:
    """Undo the 8 bits of train.canvases, for some rows and columns."""
    return np.asarray(stored["low"] + stored["step"] * stored["tokens"][cells].astype(np.float32), np.float32)


def canvases(folders: list[Path]) -> list[Canvas]:
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*[0-9].npz")):
            found.append(Canvas(path, **json.loads(path.with_suffix(".json").read_text())))
    return found


def few_of_each(every: list[Canvas], seed: int, most: int = 400) -> list[Canvas]:
    """At most `most` canvases of each class, at random."""
    taken: dict[str, list[Canvas]] = defaultdict(list)
    for k in np.random.default_rng(seed).permutation(len(every)):
        taken[every[k].label].append(every[k])
    return [canvas for same in taken.values() for canvas in same[:most]]


class Batch(NamedTuple):
    tokens: Tensor
    """(B, D, h, w); zero where an image is smaller than the batch's largest."""
    inside: Tensor
    """(B, 1, h, w)"""
    mask: Tensor
    """(B, 2h, 2w), 0..1"""
    has_mask: Tensor
    """(B,): 0 for generated images, whose every pixel is fake and none was changed."""
    traces: Tensor
    """(B, len(TRACES))"""

    def mirrored(self) -> "Batch":
        tokens, inside, mask = (t.flip(-1) for t in (self.tokens, self.inside, self.mask))
        return self._replace(tokens=tokens, inside=inside, mask=mask)


def batch_of(chosen: list[Canvas]) -> Batch:
    """Windows of some canvases."""
    read = [canvas.windowed() for canvas in chosen]
    rows, columns = (max(tokens.shape[axis] for tokens, _ in read) for axis in (0, 1))
    count, dim = len(read), read[0][0].shape[-1]
    tokens = np.zeros((count, rows, columns, dim), np.float32)
    inside = np.zeros((count, 1, rows, columns), np.float32)
    mask = np.zeros((count, 2 * rows, 2 * columns), np.float32)
    traces = torch.zeros(count, len(TRACES))
    for k, (canvas, (grid, cells)) in enumerate(zip(chosen, read, strict=True)):
        h, w = grid.shape[:2]
        tokens[k, :h, :w], inside[k, 0, :h, :w], mask[k, : 2 * h, : 2 * w] = grid, 1, cells / np.float32(255)
        if canvas.label == "synthetic":
            traces[k, TRACES.index("generated")] = 1
        elif canvas.label == "tampered":
            name = TRACE_OF.get(canvas.manipulation, canvas.manipulation)
            traces[k, TRACES.index(name)] = 1
    has_mask = torch.tensor([float(canvas.label != "synthetic") for canvas in chosen])
    return Batch(
        torch.from_numpy(tokens).permute(0, 3, 1, 2),
        torch.from_numpy(inside),
        torch.from_numpy(mask),
        has_mask,
        traces,
    )
