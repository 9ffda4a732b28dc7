"""Native, laundered training tiles with labels and masks, made on the fly from a manifest's images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.utils.data import IterableDataset, get_worker_info

from forensic_chat.data.forge import ForgeFailed, forge
from forensic_chat.data.laundering import chain, launder
from forensic_chat.data.manifest import Item
from forensic_chat.encoder.config import TRACES
from forensic_chat.schema import CLASSES

Pixels = NDArray[np.uint8]
KEPT_SIDE = 1280
TRACE_OF = {"splice": "splice", "copymove": "copymove", "copy-move": "copymove", "inpaint": "inpaint",
            "removal": "inpaint", "resynthesis": "resynthesis", "retouch": "retouch"}  # fmt: skip


@dataclass
class Kept:
    """One image in memory: at most KEPT_SIDE x KEPT_SIDE native pixels of it."""

    pixels: Pixels
    mask: Pixels | None
    item: Item


def read(item: Item, root: Path, rng: np.random.Generator) -> Kept:
    """Decode, turn upright, keep a native window (around the changed pixels, when there are any)."""
    image = ImageOps.exif_transpose(Image.open(root / item.path))
    pixels = np.asarray(image.convert("RGB"))
    mask = None
    if item.mask is not None:
        mask = np.asarray(Image.open(root / item.mask).convert("L"))
    if max(pixels.shape) > KEPT_SIDE:
        y, x = window(pixels.shape[:2], KEPT_SIDE, mask, rng)
        pixels = pixels[y : y + KEPT_SIDE, x : x + KEPT_SIDE].copy()
        mask = None if mask is None else mask[y : y + KEPT_SIDE, x : x + KEPT_SIDE].copy()
    return Kept(pixels, mask, item)


def window(
    shape: tuple[int, ...], side: int, mask: Pixels | None, rng: np.random.Generator
) -> tuple[int, int]:
    """Top left of a random window of `side` px; with a mask, one that holds a changed pixel four times in
    five."""
    room = [max(0, shape[0] - side), max(0, shape[1] - side)]
    if mask is not None and mask.any() and rng.random() < 0.8:
        ys, xs = np.nonzero(mask)
        k = rng.integers(len(ys))
        lows = [max(0, int(p) - side + 1) for p in (ys[k], xs[k])]
        highs = [min(r, int(p)) for r, p in zip(room, (ys[k], xs[k]), strict=True)]
        return tuple(int(rng.integers(min(a, b), b + 1)) for a, b in zip(lows, highs, strict=True))  # type: ignore[return-value]
    return int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1))


class Tiles(IterableDataset[dict[str, torch.Tensor]]):
    """Endless tiles: a class is drawn by `shares`, then a source evenly, then an image, then a place in it.

    Even draws over sources keep one large source from being the class. Forged photos are made on the fly
    from real ones. Every class goes through the same laundering chains, three times in four.
    """

    def __init__(self, kept: list[Kept], size: int, shares: dict[str, float], seed: int) -> None:
        self.kept, self.size, self.seed = kept, size, seed
        self.names, self.weights = list(shares), np.array(list(shares.values())) / sum(shares.values())
        self.by_class: dict[str, dict[str, list[Kept]]] = {name: {} for name in CLASSES}
        for k in kept:
            self.by_class[k.item.label].setdefault(k.item.source, []).append(k)

    def draw(self, label: str, rng: np.random.Generator) -> Kept:
        """Sources in proportion to the square root of their size, images evenly within."""
        sources = list(self.by_class[label].values())
        weights = np.sqrt([len(s) for s in sources])
        source = sources[rng.choice(len(sources), p=weights / weights.sum())]
        return source[rng.integers(len(source))]

    def tile(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        label = self.names[rng.choice(len(self.names), p=self.weights)]
        kept = self.draw("real" if label == "forged" else label, rng)
        pixels, mask, manipulation = kept.pixels, kept.mask, kept.item.manipulation
        side = self.size * 2 if rng.random() < 0.5 else self.size + self.size // 2
        y, x = window(pixels.shape[:2], side, mask, rng)
        pixels = pixels[y : y + side, x : x + side]
        mask = None if mask is None else mask[y : y + side, x : x + side]
        if label == "forged":
            donors = [self.draw("real", rng).pixels for _ in range(1)]
            try:
                forged = forge(pixels, donors, rng)
                pixels, mask, manipulation = forged.pixels, forged.mask, forged.manipulation
            except ForgeFailed:
                label = "real"
        if rng.random() < 0.75:
            pixels, mask = launder(np.ascontiguousarray(pixels), mask, chain(rng))
        pixels, mask = padded(pixels, mask, self.size)
        y, x = window(pixels.shape[:2], self.size, mask, rng)
        pixels = pixels[y : y + self.size, x : x + self.size]
        mask = (
            np.zeros(pixels.shape[:2], np.uint8)
            if mask is None
            else mask[y : y + self.size, x : x + self.size]
        )
        if rng.random() < 0.5:
            pixels, mask = pixels[:, ::-1], mask[:, ::-1]
        return self.sample(pixels, mask, label, manipulation)

    def sample(
        self, pixels: Pixels, mask: Pixels, label: str, manipulation: str | None
    ) -> dict[str, torch.Tensor]:
        target = torch.from_numpy((mask > 127).astype(np.float32))[None]
        coarse = torch.nn.functional.avg_pool2d(target, 8)[0]
        area = float(coarse.mean())
        traces = torch.zeros(len(TRACES))
        if label == "synthetic":
            traces[TRACES.index("generated")] = 1
        elif area > 0.005 and manipulation is not None:
            traces[TRACES.index(TRACE_OF[manipulation])] = 1
        # a tile of a tampered image in which (almost) nothing changed is a tile of a photo
        tile_label = 1 if label == "synthetic" else 2 if area > 0.01 else 0
        return {
            "pixels": torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
            "mask": coarse,
            "label": torch.tensor(tile_label),
            "traces": traces,
            "has_mask": torch.tensor(float(label != "synthetic")),
        }

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield self.tile(rng)


def padded(pixels: Pixels, mask: Pixels | None, side: int) -> tuple[Pixels, Pixels | None]:
    """Mirror an image that is smaller than `side` until it is not."""
    height, width = pixels.shape[:2]
    grow = ((0, max(0, side - height)), (0, max(0, side - width)))
    if not any(g for _, g in grow):
        return pixels, mask
    mask = None if mask is None else np.pad(mask, grow, mode="symmetric")
    return np.pad(pixels, (*grow, (0, 0)), mode="symmetric"), mask
