"""Random soft regions: free shapes, and shapes that follow what is in the picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.data.forge.forgery import Matte, Pixels
from forensic_chat.schema import Box

REACH = 4
"""A feather of sigma pixels is cut off after `REACH` * sigma pixels."""


def draw_box(rng: np.random.Generator, photo: Pixels, smallest: float = 0.04, largest: float = 0.55) -> Box:
    """A box of `smallest` to `largest` of the photo's area (log-uniform), at a random place wholly inside."""
    height, width = photo.shape[:2]
    area = np.exp(rng.uniform(np.log(smallest), np.log(largest))) * height * width
    aspect = np.exp(rng.uniform(-0.6, 0.6))
    box_width = int(np.clip(np.sqrt(area * aspect), 24, 0.9 * width))
    box_height = int(np.clip(np.sqrt(area / aspect), 24, 0.9 * height))
    x = int(rng.integers(0, width - box_width + 1))
    y = int(rng.integers(0, height - box_height + 1))
    return x, y, x + box_width, y + box_height


def draw_matte(rng: np.random.Generator, pixels: Pixels, feather: tuple[float, float] = (0.4, 2.5)) -> Matte:
    """A matte for the (h, w, 3) pixels of a box: in half of the draws it follows a segment of them.

    The edge is a Gaussian ramp of a sigma drawn from `feather`, in pixels; it ends inside the box.
    """
    height, width = pixels.shape[:2]
    sigma = float(rng.uniform(*feather))
    rim = min(int(np.ceil(2.5 * sigma)), min(height, width) // 4)
    inner = pixels[rim : height - rim, rim : width - rim]
    shape = follow(rng, inner) if rng.random() < 0.5 else None
    if shape is None:
        shape = free_shape(rng, *inner.shape[:2])
    padded = np.pad(shape, rim).astype(np.float32) / 255
    size = 2 * int(REACH * sigma) + 1
    matte = cv2.GaussianBlur(padded, (size, size), sigma)
    return np.where(matte < 1 / 256, 0, matte).astype(np.float32)


def free_shape(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A filled outline, 0 or 255, that touches most sides of its box: an ellipse, a smooth blob, or a
    polygon.
    """
    kind = rng.choice(["ellipse", "blob", "blob", "polygon"])
    corners = int(rng.integers(3, 9)) if kind == "polygon" else 72
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 2 * np.pi)
    radius = np.ones(corners)
    if kind == "polygon":
        radius = rng.uniform(0.6, 1.0, corners)
    elif kind == "blob":
        for wave in range(2, 7):
            radius = radius + rng.normal(0, 0.45 / wave) * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
        radius = np.clip(radius, 0.3, None)
    tilt = rng.uniform(0, np.pi) if kind == "ellipse" else 0.0
    x = radius * np.cos(angles)
    y = radius * np.sin(angles) * (rng.uniform(0.5, 1) if kind == "ellipse" else 1)
    points = np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=1)
    points -= points.min(axis=0)
    points *= (np.array([width, height]) - 1) / points.max(axis=0)
    shape = np.zeros((height, width), np.uint8)
    cv2.fillPoly(shape, [np.rint(points).astype(np.int32)], 255)
    return shape


_GRID = 48
_CLUSTERS = 5


def follow(rng: np.random.Generator, pixels: Pixels) -> NDArray[np.uint8] | None:
    """A 0/255 shape along the edges of the picture: the k-means segment (colour and place) at the box's
    centre.

    None when that segment is less than a seventh of the box or most of it.
    """
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    yx = np.indices((_GRID, _GRID)).reshape(2, -1).T.astype(np.float32)
    points = np.concatenate([lab, yx * rng.uniform(0.5, 1.5)], axis=1)
    centres = points[rng.choice(len(points), _CLUSTERS, replace=False)]
    for _ in range(5):
        nearest = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        for cluster in range(_CLUSTERS):
            if (nearest == cluster).any():
                centres[cluster] = points[nearest == cluster].mean(axis=0)
    labels = nearest.reshape(_GRID, _GRID)
    at = rng.integers(_GRID // 3, 2 * _GRID // 3, 2)
    same = (labels == labels[tuple(at)]).astype(np.uint8)
    # A segment that fills the box would be cut straight at its rim: round the corners off.
    ellipse = np.zeros_like(same)
    cv2.ellipse(ellipse, (_GRID // 2, _GRID // 2), (_GRID // 2 - 1, _GRID // 2 - 1), 0, 0, 360, 1, -1)
    closed = cv2.morphologyEx(same & ellipse, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    parts = cv2.connectedComponents(opened, connectivity=4)[1]
    segment = (parts == parts[tuple(at)]).astype(np.uint8)
    if not opened[tuple(at)] or not 0.15 <= segment.mean() <= 0.75:
        return None
    outline, _ = cv2.findContours(segment, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(segment, outline, -1, 1, cv2.FILLED)
    grown = cv2.resize(segment.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(grown, (0, 0), max(1.0, min(height, width) / 40))
    return np.where(smooth > 0.5, 255, 0).astype(np.uint8)
