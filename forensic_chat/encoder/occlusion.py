"""Does the verdict rest on this region? Mask it out and see, against random boxes of the same size.

The test of a cited region: filling it must lower the verdict's logit more than filling 95 % of random boxes
of the same shape does. Occlusion as attribution after Zeiler & Fergus 2014; the comparison with random
boxes keeps the fill's own traces from counting for or against the region.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from forensic_chat.encoder.perceive import Encoder, Perception, touches
from forensic_chat.imaging.views import crop, overview
from forensic_chat.schema import CLASSES, Box, Label

RANDOM_BOXES = 20
"""With 20, a region that is nothing special beats all of them less than once in twenty."""
PASSES = 95
"""Percentile from which a region counts as a reason for the verdict."""


def percentile(
    encoder: Encoder,
    pixels: NDArray[np.uint8],
    perception: Perception,
    box: Box,
    label: Label,
    check: Callable[[], None] = lambda: None,
) -> float:
    """0..100: the share of random boxes whose filling lowers the logit of `label` less than filling `box`
    does; of those looked at until PASSES can't be reached any more.

    label: a fake label. check: called before each of the at most 21 looks, which take seconds together on a large
    image; what it raises ends the test. Deterministic: the boxes depend on `box` and the image's size alone.
    """
    height, width = pixels.shape[:2]

    def filled(place: Box) -> float:
        check()
        return logit(occluded(encoder, pixels, perception, place), label)

    left, spared = filled(box), RANDOM_BOXES * (1 - PASSES / 100)
    more: list[bool] = []
    for other in random_boxes(box, width, height):
        more.append(left < filled(other))
        if more.count(False) > spared + 1e-9:
            break
    return 100 * float(np.mean(more))


def logit(logits: NDArray[np.float32], label: Label) -> float:
    """log p / (1 - p) of one label under a softmax."""
    k = CLASSES.index(label)
    others = np.delete(logits, k)
    return float(logits[k] - np.logaddexp.reduce(others))


def occluded(
    encoder: Encoder, pixels: NDArray[np.uint8], perception: Perception, box: Box
) -> NDArray[np.float32]:
    """The (3,) logits with `box` filled by its mean colour; only what the box touches is read again."""
    x0, y0, x1, y1 = box
    filled = pixels.copy()
    filled[y0:y1, x0:x1] = pixels[y0:y1, x0:x1].mean((0, 1)).round().astype(np.uint8)
    changes = encoder.locate(filled, perception.changes, box)
    features = perception.features.copy()
    views = perception.views
    again = [0] + [k for k, view in enumerate(views[1:], 1) if touches(view.box, box)]
    size = encoder.config.view_size
    fresh = [overview(filled, size), *(crop(filled, views[k].box, views[k].name, size) for k in again[1:])]
    features[again] = encoder.features(fresh)
    return encoder.head.fuse(encoder.summary(features, changes))


def random_boxes(box: Box, width: int, height: int) -> list[Box]:
    """Boxes of the same shape anywhere in the image, not over more than a quarter of `box` where there is
    room."""
    w, h = box[2] - box[0], box[3] - box[1]
    rng = np.random.default_rng([*box, width, height])
    candidates = []
    for _ in range(4 * RANDOM_BOXES):
        x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
        shared = max(0, w - abs(x - box[0])) * max(0, h - abs(y - box[1]))
        candidates.append((shared, (x, y, x + w, y + h)))
    candidates.sort(key=lambda pair: pair[0] > w * h / 4)
    return [other for _, other in candidates[:RANDOM_BOXES]]
