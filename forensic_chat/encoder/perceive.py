"""See once: the frozen tower and the heads on it over one image, gathered into a Perception."""

import time
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from forensic_chat.encoder.config import TRACES, EncoderConfig
from forensic_chat.encoder.maskhead import MaskHeads
from forensic_chat.encoder.residuals import read_residuals
from forensic_chat.encoder.tokens import PATCH, TokenMap, read_tokens
from forensic_chat.encoder.tower import Tower
from forensic_chat.encoder.verdict import Floats, VerdictHead, softmax, summarise_copy, summarise_mask
from forensic_chat.evidence import copymove
from forensic_chat.evidence.copymove import Copy
from forensic_chat.imaging.views import View, crop, native_boxes, overview
from forensic_chat.schema import CLASSES, Box

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ChangeMap:
    """Where an image of H x W px was changed: what the mask heads see, and a verified copy."""

    mask: Floats
    """(ceil(H / 8), ceil(W / 8)) probability that a cell was changed; high where a copy lies that counts."""

    reliability: Floats
    """Likewise: that the mask is right there."""

    traces: Floats
    """(len(TRACES),) probabilities."""

    tokens: TokenMap
    """What it was read from."""

    copy: Copy | None
    """Two places that show the same pixels."""

    summary: Floats
    """(CHANGE,) what the fusion reads of it: the last entries of verdict.SUMMARY."""


@dataclass(frozen=True, eq=False)
class Perception:
    """What the encoder saw in one image."""

    logits: Floats
    """(3,) calibrated logits of real, synthetic, tampered."""

    changed: float
    """0..1: that a place of it was changed, by mask and copy alone; as if half of all photos were changed."""

    changes: ChangeMap
    views: list[View]
    """The overview and the native crops that the tower read, most suspicious first."""
    traces: dict[str, float]
    """Trace type -> probability 0..1."""

    features: Floats
    """(V, D) the tower's features of the views, the overview's first."""

    tokens: Floats
    """(V, 196, 768) their patch tokens of the last tapped block."""

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
    """The tower and the heads on it, ready to look.

    Thread-safe for inference.
    """

    def __init__(self, config: EncoderConfig, mask_heads: MaskHeads, tower: Tower, head: VerdictHead) -> None:
        self.config, self.mask_heads, self.tower, self.head = config, mask_heads, tower, head

    def perceive(self, pixels: Pixels) -> Perception:
        """(H, W, 3) uint8 RGB -> Perception.

        Time and memory beyond the image are bounded: the tower reads the mask at 768 px at most, and crops are few.
        """
        start = time.perf_counter()
        changes = self.locate(pixels)
        located = time.perf_counter()
        views = self.views(pixels, changes)
        features, tokens = self.look(views)
        summary = self.summary(features, changes)
        logits, changed = self.head.fuse(summary), float(1 / (1 + np.exp(-self.head.changed(summary))))
        timings = {"encoder.mask": located - start, "encoder.views": time.perf_counter() - located}
        traces = dict(zip(TRACES, map(float, changes.traces), strict=True))
        familiarity = self.head.familiarity(features[0])
        return Perception(logits, changed, changes, views, traces, features, tokens, familiarity, timings)

    def look_again(self, pixels: Pixels, before: Perception) -> float:
        """Fake probability of another delivery `pixels` of the image that `before` was seen in.

        The overview and the two most suspicious crops are read again; what the mask and the other crops said
        stays, so that a second look costs a fraction of the first.
        """
        height, width = pixels.shape[:2]
        _, _, old_width, old_height = before.views[0].box
        across, down = width / old_width, height / old_height
        views = [overview(pixels, self.config.view_size)]
        for view in before.views[1:3]:
            x0, y0, x1, y1 = view.box
            box = round(x0 * across), round(y0 * down), round(x1 * across), round(y1 * down)
            views.append(crop(pixels, box, view.name, self.config.view_size))
        features = before.features.copy()
        features[: len(views)] = self.features(views)
        return float(1 - softmax(self.head.fuse(self.summary(features, before.changes)))[0])

    def views(self, pixels: Pixels, changes: ChangeMap) -> list[View]:
        """The overview and up to `max_crops` native crops, those with the highest mean mask score first."""
        height, width = pixels.shape[:2]
        size = self.config.view_size
        boxes = native_boxes(width, height, size, 0)
        stride = self.config.mask_stride

        def suspicion(box: Box) -> float:
            x0, y0, x1, y1 = (v // stride for v in box)
            return float(changes.mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].mean())

        chosen = sorted(boxes, key=suspicion, reverse=True)[: self.config.max_crops]
        return [overview(pixels, size)] + [
            crop(pixels, box, f"crop {letter}", size) for letter, box in zip("ABCDEFGH", chosen, strict=False)
        ]

    def features(self, views: list[View]) -> Floats:
        """(V, D) float32: CLS tokens of the tapped blocks, then mean patch tokens, one row a view."""
        return self.look(views)[0]

    def look(self, views: list[View]) -> tuple[Floats, Floats]:
        """The features, and (V, 196, 768) float32: the patch tokens of the last tapped block, which a language model
        over the same tower reads."""
        features, tokens = self.tower.look([view.pixels for view in views])
        return features.reshape(len(views), -1), tokens

    def summary(self, features: Floats, changes: ChangeMap) -> Floats:
        """What the fusion reads: see verdict.SUMMARY."""
        return np.concatenate([np.array(self.head.tower_logits(features), np.float32), changes.summary])

    def locate(
        self, pixels: Pixels, before: ChangeMap | None = None, changed: Box | None = None
    ) -> ChangeMap:
        """Where the image was changed.

        With `before`, its map before the pixels in `changed` were painted over, only what the box touches is
        read again, and of a copy what the box leaves; the mask is then what tokens tell, without residuals, as the
        summary is in any case.
        """
        known = None if before is None else before.tokens
        tokens = read_tokens(self.tower, pixels, self.config.picked, known, changed)
        height, width = pixels.shape[:2]
        if before is not None and changed is not None:
            copy = before.copy and before.copy.without(changed)
            return change_map(self.mask_heads, tokens, None, copy, width, height)
        rows, columns = tokens.grid.shape[:2]
        residuals = read_residuals(pixels, rows, columns, tokens.scale)
        return change_map(self.mask_heads, tokens, residuals, copymove.find(pixels), width, height)


def change_map(
    heads: MaskHeads, tokens: TokenMap, residuals: Floats | None, copy: Copy | None, width: int, height: int
) -> ChangeMap:
    """What `heads` make of the tokens and residuals of an image of width x height px, and its copy, on its own cells of
    8 px.

    Of a copy that counts, the place that the heads suspect more is marked.
    """
    with torch.inference_mode():
        output = heads(torch.from_numpy(tokens.grid).permute(2, 0, 1)[None])
        mask = output.mask
        if residuals is not None:
            mask = heads.sharpened(mask, torch.from_numpy(residuals).permute(2, 0, 1)[None])
        maps = torch.stack([mask[0], output.mask[0], output.reliability[0]]).sigmoid().numpy()
        traces = output.traces[0].sigmoid().numpy()
    step = PATCH / 2 / tokens.scale
    at = [
        ((np.arange(-(-length // 8), dtype=np.float32) + 0.5) * 8 / step - 0.5) for length in (width, height)
    ]
    x, y = np.meshgrid(*at)
    place, weighed, reliability = (
        cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in maps
    )
    counts = summarise_copy(copy.score if copy else 0.0)
    summary = np.append(summarise_mask(weighed, reliability), np.float32(counts))
    if copy is not None and counts > 0:
        copies = (on_cells(one, place.shape) for one in (copy.first, copy.second))
        likelier = max(copies, key=lambda one: float((place * one).sum() / max(one.sum(), 1)))
        place, reliability = np.maximum(place, likelier), np.maximum(reliability, likelier)
    return ChangeMap(place, reliability, traces, tokens, copy, summary)


def on_cells(place: NDArray[np.bool_], shape: tuple[int, int]) -> Floats:
    """A place in an image, in pixels of it reduced -> the share of it on each of `shape` cells."""
    rows, columns = shape
    share = cv2.resize(place.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(share, np.float32)


def touches(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
