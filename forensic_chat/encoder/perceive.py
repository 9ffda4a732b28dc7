"""See once: both branches over one image, gathered into a Perception."""

import time
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from forensic_chat.encoder.config import TRACES, EncoderConfig
from forensic_chat.encoder.lowlevel import LowLevelBranch
from forensic_chat.encoder.tower import Tower
from forensic_chat.encoder.verdict import Floats, VerdictHead, softmax, summarise_lowlevel
from forensic_chat.imaging.views import View, crop, native_boxes, overview
from forensic_chat.schema import CLASSES, Box

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Tile:
    """The low-level branch's answer to one native tile of h x w cells."""

    box: Box
    """Pixels; starts on a multiple of the cell size."""

    verdict: Floats
    """(3,) logits."""

    traces: Floats
    """(len(TRACES),) probabilities."""
    maps: Floats
    """(2, h, w) probabilities: changed; the mask is right."""


@dataclass(frozen=True, eq=False)
class LowLevelMap:
    """The low-level branch over a whole image of H x W px."""

    mask: Floats
    """(ceil(H / 8), ceil(W / 8)) probability that a cell was changed."""
    reliability: Floats
    """Likewise: that the mask is right there."""

    verdicts: Floats
    """(T, 3) logits of the tiles."""

    traces: Floats
    """(len(TRACES),) highest probability over the tiles."""

    tiles: list[Tile]


@dataclass(frozen=True, eq=False)
class Perception:
    """What the encoder saw in one image."""

    logits: Floats
    """(3,) calibrated logits of real, synthetic, tampered."""

    lowlevel: LowLevelMap
    views: list[View]
    """The overview and the native crops that the tower read, most suspicious first."""
    traces: dict[str, float]
    """Trace type -> probability 0..1."""

    features: Floats
    """(V, D) the tower's features of the views, the overview's first."""

    familiarity: float
    """0..1: how many known images lie farther from the middle of the training images; near 0 = unfamiliar."""
    timings: dict[str, float]

    @cached_property
    def probabilities(self) -> dict[str, float]:
        return dict(zip(CLASSES, map(float, softmax(self.logits)), strict=True))

    @property
    def fake_probability(self) -> float:
        return 1 - self.probabilities["real"]


class Encoder:
    """Both branches and the verdict head, ready to look.

    Thread-safe for inference.
    """

    def __init__(
        self, config: EncoderConfig, lowlevel: LowLevelBranch, tower: Tower, head: VerdictHead
    ) -> None:
        self.config, self.lowlevel, self.tower, self.head = config, lowlevel, tower, head

    def perceive(self, pixels: Pixels) -> Perception:
        """(H, W, 3) uint8 RGB -> Perception.

        Memory beyond the image is a few tiles, whatever its size.
        """
        start = time.perf_counter()
        low = self.read_lowlevel(pixels)
        read = time.perf_counter()
        views = self.views(pixels, low)
        features = self.features(views)
        logits = self.head.fuse(self.summary(features, low))
        timings = {"encoder.lowlevel": read - start, "encoder.tower": time.perf_counter() - read}
        traces = dict(zip(TRACES, map(float, low.traces), strict=True))
        return Perception(logits, low, views, traces, features, self.head.familiarity(features[0]), timings)

    def views(self, pixels: Pixels, low: LowLevelMap) -> list[View]:
        """The overview and up to `max_crops` native crops, those with the highest mean mask score first."""
        height, width = pixels.shape[:2]
        size = self.config.view_size
        boxes = native_boxes(width, height, size, 0)
        stride = self.config.mask_stride

        def suspicion(box: Box) -> float:
            x0, y0, x1, y1 = (v // stride for v in box)
            return float(low.mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].mean())

        chosen = sorted(boxes, key=suspicion, reverse=True)[: self.config.max_crops]
        return [overview(pixels, size)] + [
            crop(pixels, box, f"crop {letter}", size) for letter, box in zip("ABCDEFGH", chosen, strict=False)
        ]

    def features(self, views: list[View]) -> Floats:
        """(V, D) float32: CLS tokens of the tapped blocks, then mean patch tokens, one row a view."""
        return self.tower.read([view.pixels for view in views]).reshape(len(views), -1)

    def summary(self, features: Floats, low: LowLevelMap) -> Floats:
        """What the fusion reads: see verdict.SUMMARY."""
        whole, crops = self.head.tower_logits(features)
        return np.concatenate([whole, crops, summarise_lowlevel(low.verdicts, low.mask, low.reliability)])

    def read_lowlevel(self, pixels: Pixels) -> LowLevelMap:
        """The low-level branch over overlapping native tiles of the image."""
        height, width = pixels.shape[:2]
        boxes = native_boxes(width, height, self.config.tile_size, self.config.tile_overlap)
        stride = self.config.mask_stride
        aligned = [(x0 - x0 % stride, y0 - y0 % stride, x1, y1) for x0, y0, x1, y1 in boxes]
        return gather([self._tile(pixels, box) for box in aligned], width, height, stride)

    def reread_lowlevel(self, pixels: Pixels, low: LowLevelMap, changed: Box) -> LowLevelMap:
        """`low` of an image whose pixels changed inside one box: only the tiles that touch it are read
        again."""
        tiles = [self._tile(pixels, t.box) if touches(t.box, changed) else t for t in low.tiles]
        return gather(tiles, pixels.shape[1], pixels.shape[0], self.config.mask_stride)

    @torch.inference_mode()
    def _tile(self, pixels: Pixels, box: Box) -> Tile:
        x0, y0, x1, y1 = box
        tile = pixels[y0:y1, x0:x1]
        padded = cv2.copyMakeBorder(tile, 0, (y0 - y1) % 16, 0, (x0 - x1) % 16, cv2.BORDER_REFLECT)
        planes = torch.from_numpy(padded).permute(2, 0, 1)[None].float()
        output = self.lowlevel(planes.contiguous(memory_format=torch.channels_last))
        maps = torch.stack([output.mask[0], output.reliability[0]]).sigmoid().numpy()
        stride = self.config.mask_stride
        cells = maps[:, : -(-(y1 - y0) // stride), : -(-(x1 - x0) // stride)]
        return Tile(box, output.verdict[0].numpy(), output.traces[0].sigmoid().numpy(), cells)


def gather(tiles: list[Tile], width: int, height: int, stride: int) -> LowLevelMap:
    """Lay tiles over the image; where they overlap, average with weights that fade towards a tile's rim."""
    rows, columns = -(-height // stride), -(-width // stride)
    sums = np.zeros((3, rows, columns), np.float32)
    for tile in tiles:
        x, y = tile.box[0] // stride, tile.box[1] // stride
        h, w = tile.maps.shape[1:]
        fade = np.minimum.outer(rim(h), rim(w))
        sums[:2, y : y + h, x : x + w] += tile.maps * fade
        sums[2, y : y + h, x : x + w] += fade
    mask, reliability = sums[:2] / sums[2]
    verdicts = np.stack([tile.verdict for tile in tiles])
    traces = np.stack([tile.traces for tile in tiles]).max(0)
    return LowLevelMap(mask, reliability, verdicts, traces, tiles)


def touches(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def rim(cells: int) -> Floats:
    """(cells,) weights: 1 in the middle, falling over the four cells towards both ends, never 0."""
    distance = np.minimum(np.arange(cells), np.arange(cells)[::-1]) + 1
    return np.minimum(distance / 4, 1).astype(np.float32)
