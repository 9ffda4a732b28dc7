"""Copy-move: two places of one image that show the same pixels.

Source of the method: keypoints matched within one image with the generalised two-nearest-neighbours test
and verified by a similarity transform (Amerini et al. 2011, "A SIFT-based forensic method for copy-move
attack detection"; Christlein et al. 2012 for the evaluation), then confirmed pixel by pixel: the
transformed image must correlate with itself. Repeated patterns (windows, fences, tiles) match at many
places at once and are left out; so is print, whose letters match each other all over the page.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from forensic_chat.evidence.blocks import Grey, Map, luma
from forensic_chat.evidence.observation import Observation
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.schema import Box

MAX_SIDE = 1600
_FEATURE_PIXELS = 300_000
_KEYPOINTS = 2000
_RATIO = 0.6
_MIN_INLIERS = 4
_MIN_SHARE = 0.15
"""Of all keypoints of the image that match, the share that must agree on a copy's transform: in median it is .6 and
more in forged photos, .09 on receipts and forms."""
_WINDOW = 9
_CORRELATION = 0.92
_GROW = 0.7
_CORNER = 2.0e-4
_APART = 20.0
_MAX_OVERLAP = 0.15
_MAX_FLAT = 0.65

Points = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Copy:
    """A verified pair of places, in pixels of an image reduced to `scale` times its size."""

    exact: Map
    """(N,) 0 to 1, how exactly each pixel of the copy that has structure in two directions correlates with its
    source."""
    pairs: Map
    """(N, 4) x, y of these pixels and of their sources."""
    first: Mask
    second: Mask
    matches: int
    """Keypoints that agree on the transform."""
    scale: float = 1.0

    @property
    def weight(self) -> float:
        """Pixels of the copy, each weighted by its exactness."""
        return float(self.exact.sum())

    @property
    def score(self) -> float:
        """log(1 + weight)."""
        return float(np.log1p(self.weight))

    def without(self, box: Box) -> "Copy":
        """What is left of it where a box of the image, in its own pixels, is painted over: a pixel counts only as
        long as its source is seen, too."""
        x0, y0, x1, y1 = (side * self.scale for side in box)
        x, y = self.pairs[:, 0::2], self.pairs[:, 1::2]
        seen = ~((x >= x0) & (x < x1) & (y >= y0) & (y < y1)).any(axis=1)
        return replace(self, exact=self.exact[seen], pairs=self.pairs[seen])


def reduced(pixels: npt.NDArray[np.uint8]) -> tuple[Grey, float]:
    """Brightness at most `MAX_SIDE` long and about `_FEATURE_PIXELS` large, and the scale it was reduced
    by.
    """
    h, w = pixels.shape[:2]
    scale = min(1.0, MAX_SIDE / max(h, w), (_FEATURE_PIXELS / (h * w)) ** 0.5)
    if scale < 1:
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        return luma(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))), scale
    return luma(pixels), 1.0


def _self_matches(grey: Grey) -> tuple[Points, Points]:
    """(n, 2) source and target points of keypoints that look alike, each pair once."""
    sift = cv2.SIFT.create(nfeatures=_KEYPOINTS, contrastThreshold=0.02)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    keypoints = keypoints[:_KEYPOINTS]
    empty = np.zeros((0, 2), dtype=np.float32)
    if descriptors is None or len(keypoints) < 8:
        return empty, empty
    where = np.array([k.pt for k in keypoints], dtype=np.float32)
    unit = descriptors[:_KEYPOINTS]
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-6)
    alike = unit @ unit.T
    x, y = where[:, 0], where[:, 1]
    # A keypoint's own place, and its double with another orientation, are no match.
    near = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2 < _APART**2
    alike[near] = -1.0
    rows = np.arange(len(where))
    ranks = []
    for _ in range(3):
        best = alike.argmax(axis=1)
        ranks.append((best, np.sqrt(np.maximum(2.0 - 2.0 * alike[rows, best], 0.0))))
        alike[rows, best] = -1.0
    # g2NN over one or two copies: the next one has to be clearly worse, else the texture repeats.
    one = ranks[0][1] < _RATIO * ranks[1][1]
    two = ~one & (ranks[1][1] < _RATIO * ranks[2][1])
    sources = np.concatenate([rows[one], rows[two], rows[two]])
    targets = np.concatenate([ranks[0][0][one], ranks[0][0][two], ranks[1][0][two]])
    pairs = np.unique(np.sort(np.stack([sources, targets], axis=1), axis=1), axis=0)
    return where[pairs[:, 0]], where[pairs[:, 1]]


def _correlation(here: Map, moved: Map) -> Map:
    """Zero-mean normalised cross-correlation in a 9 x 9 window around each pixel, -1 to 1."""
    box = (_WINDOW, _WINDOW)
    mean_a, mean_b = cv2.blur(here, box), cv2.blur(moved, box)
    var_a = cv2.blur(here * here, box) - mean_a * mean_a
    var_b = cv2.blur(moved * moved, box) - mean_b * mean_b
    covariance = cv2.blur(here * moved, box) - mean_a * mean_b
    return np.asarray(covariance / np.sqrt(np.maximum(var_a * var_b, 1.0)), dtype=np.float32)


def _moved(here: Map, matrix: Matrix) -> Map:
    """The image as `matrix` moves it; what comes from outside is made unlike anything."""
    h, w = here.shape
    return np.asarray(cv2.warpAffine(here, matrix, (w, h), flags=cv2.INTER_LINEAR, borderValue=-1e4))


def _grown(seed: Mask, allowed: Mask) -> Mask:
    """The connected parts of `allowed` that hold some of `seed`: the copy with its smoother parts."""
    labels = np.asarray(cv2.connectedComponents((allowed | seed).astype(np.uint8), connectivity=4)[1])
    return np.isin(labels, np.unique(labels[seed]))


def _confirm(here: Map, corners: Mask, matrix: Matrix, targets: Points) -> Copy | None:
    """The connected correlating area that contains the matched points, and the place it came from.

    None for what repeats rather than was copied: source and copy overlap, or the pattern goes on after the
    next step of the same length.
    """
    h, w = here.shape
    moved = _moved(here, matrix)
    likeness = _correlation(here, moved)
    same = (likeness > _CORRELATION) & corners
    same &= _correlation(here, _moved(moved, matrix)) < 0.8
    solid = cv2.morphologyEx(same.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    labels = np.asarray(cv2.connectedComponents(cv2.dilate(solid, np.ones((9, 9), np.uint8)))[1])
    at = np.clip(targets.round().astype(int), 0, [w - 1, h - 1])
    touched = np.unique(labels[at[:, 1], at[:, 0]])
    second = (solid > 0) & np.isin(labels, touched[touched > 0])
    exact = np.clip((likeness[second] - _CORRELATION) / (1 - _CORRELATION), 0, 1)
    ys, xs = np.nonzero(second)
    whole = np.stack([xs, ys, np.ones_like(xs)], axis=1).astype(np.float32)
    sources = whole @ cv2.invertAffineTransform(matrix).T.astype(np.float32)
    second = _grown(second, likeness > _GROW)
    back = cv2.warpAffine(
        second.astype(np.uint8), matrix, (w, h), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    first = np.asarray(back) > 0
    if not first.any() or int((first & second).sum()) > _MAX_OVERLAP * int(second.sum()):
        return None
    return Copy(exact, np.hstack([whole[:, :2], sources]), first, second, len(targets))


def is_graphic(grey: Grey) -> bool:
    """Whether most pixels equal all their neighbours, as in screenshots and drawings: a sensor always has
    grain.

    Letters and icons are exact copies of each other there, and nobody forged them.
    """
    around = np.ones((3, 3), np.uint8)
    flat = cv2.dilate(grey, around) == cv2.erode(grey, around)
    return float(np.mean(flat)) > _MAX_FLAT


def find_copy(grey: Grey) -> Copy | None:
    """The best verified copy in a (H, W) uint8 image, or None."""
    sources, targets = _self_matches(grey)
    here = grey.astype(np.float32)
    corners = np.asarray(cv2.cornerMinEigenVal(grey, 7, ksize=3)) > _CORNER
    best: Copy | None = None
    fewest = max(_MIN_INLIERS, _MIN_SHARE * len(sources))
    for _ in range(3):
        if len(sources) < fewest:
            break
        cv2.setRNGSeed(7)  # RANSAC draws from OpenCV's generator; the same image must give the same finding
        matrix, inliers = cv2.estimateAffinePartial2D(
            sources, targets, method=cv2.RANSAC, ransacReprojThreshold=3.0, maxIters=2000, confidence=0.99
        )
        if inliers is None or int(inliers.sum()) < fewest:
            break
        kept = inliers.ravel() > 0
        if matrix is not None and 0.4 < float(np.hypot(matrix[0, 0], matrix[1, 0])) < 2.5:
            copy = _confirm(here, corners, matrix, targets[kept])
            if copy is not None and (best is None or copy.weight > best.weight):
                best = copy
        sources, targets = sources[~kept], targets[~kept]
    return best


def find(pixels: npt.NDArray[np.uint8]) -> Copy | None:
    """The best verified copy in an image (H, W, 3) uint8; None in a graphic, see `is_graphic`."""
    if is_graphic(luma(pixels)):
        return None
    grey, scale = reduced(pixels)
    copy = find_copy(grey)
    return copy and replace(copy, scale=scale)


def _box(mask: Mask, scale: float, width: int, height: int) -> Box:
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        int(xs[0] / scale),
        int(ys[0] / scale),
        min(width, int(np.ceil((xs[-1] + 1) / scale))),
        min(height, int(np.ceil((ys[-1] + 1) / scale))),
    )


def observe(image: ExaminedImage, copy: Copy | None) -> list[Observation]:
    """One observation about what `find` found, kind `copymove.matches`; its value is the number of verified
    matches."""
    if copy is None and is_graphic(luma(image.pixels)):
        clean = "Copies were not looked for: in a graphic or screenshot repeated parts are normal."
        return [Observation("copymove.matches", clean, clean, None)]
    if copy is None:
        clean = "No part of the image was found twice (0 matching points)."
        return [Observation("copymove.matches", clean, clean, 0, score=0.0, suspects="tampered")]
    first, second = (_box(mask, copy.scale, image.width, image.height) for mask in (copy.first, copy.second))
    return [
        Observation(
            "copymove.matches",
            f"Two places look alike ({copy.matches} matching points), no more than repeated patterns do.",
            f"The same pixels appear twice ({copy.matches} matching points): at {list(first)} and at "
            f"{list(second)}.",
            copy.matches,
            score=round(copy.score, 4),
            suspects="tampered",
            box=second,
        )
    ]
