"""Traces of upsampling and resampling in the frequency domain.

Generators build images by upsampling small feature maps, which leaves periodic patterns: isolated peaks in
the spectrum at halves, quarters and eighths of the sampling frequency (Zhang, Karaman and Chang 2019,
"Detecting and simulating artifacts in GAN fake images"; Corvi et al. 2023, "Intriguing properties of
synthetic images"). JPEG's 8 x 8 blocks put peaks at the same places, mostly along the axes: those are left
out. Scaling a photo makes the variance of its second derivative periodic (Gallagher 2005, "Detection of
linear and cubic interpolation in JPEG compressed images"; Kirchner 2008).
"""

import cv2
import numpy as np
import numpy.typing as npt

from forensic_chat.evidence.blocks import Grey, Map, luma
from forensic_chat.evidence.observation import Observation
from forensic_chat.imaging.intake import ExaminedImage

CROP = 256
_SMALL_CROP = 128
_MAX_CROPS = 9
_ROWS = 1024
_NAMES = {1: "1/8", 2: "1/4", 3: "3/8", 4: "1/2"}


def _crops(pixels: npt.NDArray[np.uint8]) -> list[Grey]:
    """Up to nine native crops spread evenly over the image; none if it is smaller than 128 pixels a side."""
    h, w = pixels.shape[:2]
    size = CROP if min(h, w) >= CROP else _SMALL_CROP
    if min(h, w) < size:
        return []
    corners = []
    for length in (h, w):
        count = min(3, length // size)
        corners.append(
            np.linspace(0, length - size, count).astype(int) if count > 1 else [(length - size) // 2]
        )
    return [luma(pixels[y : y + size, x : x + size]) for y in corners[0] for x in corners[1]][:_MAX_CROPS]


def residual_spectrum(crops: list[Grey]) -> Map:
    """(n, n) float32 mean log power of the crops' high-pass residuals, zero frequency in the middle."""
    n = crops[0].shape[0]
    window = np.outer(np.hanning(n), np.hanning(n)).astype(np.float32)
    total = np.zeros((n, n // 2 + 1), dtype=np.float32)
    for crop in crops:
        grey = crop.astype(np.float32)
        residual = grey - cv2.medianBlur(crop, 3)
        residual /= residual.std() + 0.1
        total += np.log(np.abs(np.fft.rfft2(residual * window)) ** 2 + 1e-3).astype(np.float32)
    half = total / len(crops)
    full = np.empty((n, n), dtype=np.float32)
    full[:, : n // 2 + 1] = half
    full[:, n // 2 + 1 :] = np.roll(half[::-1, 1 : n // 2][:, ::-1], 1, axis=0)
    return np.fft.fftshift(full)


def peak_excess(spectrum: Map) -> tuple[float, str]:
    """The highest harmonic peak over its surroundings in nepers of power, and its frequency ("1/4, 1/2").

    Looks at multiples of 1/8 in both directions, not on the axes and only where one of them is 1/4 or 1/2.
    """
    n = spectrum.shape[0]
    background = np.asarray(cv2.medianBlur(np.pad(spectrum, 8, mode="wrap"), 5))
    background = np.asarray(cv2.blur(background, (9, 9)))[8:-8, 8:-8]
    excess = spectrum - background
    best = (0.0, "none")
    for i, j in ((i, j) for i in range(1, 5) for j in (-3, -2, -1, 1, 2, 3, 4) if {i, abs(j)} & {2, 4}):
        # A half is its own mirror image; other peaks spread over a neighbouring bin.
        y, x = (n // 2 + i * n // 8) % n, (n // 2 + j * n // 8) % n
        value = float(excess[y, x])
        if value > best[0]:
            best = value, f"{_NAMES[i]}, {_NAMES[abs(j)]}"
    return best


def resampling(pixels: npt.NDArray[np.uint8]) -> float | None:
    """How periodic the mean second derivative is along rows and columns; None if the image is too small.

    The largest Fourier magnitude over the local median, JPEG's multiples of 1/8 left out; about 3 to 6 in
    an image that was never scaled.
    """
    h, w = pixels.shape[:2]
    if min(h, w) < _SMALL_CROP:
        return None
    y, x = max(0, (h - _ROWS) // 2), max(0, (w - _ROWS) // 2)
    grey = luma(pixels[y : y + _ROWS, x : x + _ROWS]).astype(np.int16)
    scores = []
    for part in (grey, grey.T):
        second = np.abs(2 * part[:, 1:-1] - part[:, :-2] - part[:, 2:])
        scores.append(_line_peak(np.minimum(second, 32).mean(axis=0)))
    return max(scores)


def _line_peak(line: npt.NDArray[np.float64]) -> float:
    line = line - np.convolve(np.pad(line, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    n = len(line)
    spectrum = np.abs(np.fft.rfft(line * np.hanning(n)))
    frequency = np.arange(len(spectrum)) / n
    usable = (frequency > 0.1) & (np.abs(frequency * 8 - np.round(frequency * 8)) * n / 8 > 2.5)
    median = np.asarray([np.median(spectrum[max(0, k - 24) : k + 25]) for k in np.flatnonzero(usable)])
    return float((spectrum[usable] / (median + 1e-3)).max())


def observe(image: ExaminedImage) -> list[Observation]:
    """Kinds `spectrum.peaks` (value: the peak over its surroundings) and `spectrum.resampling`."""
    crops = _crops(image.pixels)
    observations = []
    if crops:
        excess, where = peak_excess(residual_spectrum(crops))
        value = round(excess, 2)
        observations.append(
            Observation(
                "spectrum.peaks",
                f"The spectrum has no distinct peaks of upsampling (highest {value} over its surroundings).",
                f"The spectrum has a peak {value} over its surroundings at {where} of the sampling "
                "frequency, as the upsampling steps of a generator leave it.",
                value,
                score=round(excess, 4),
                suspects="synthetic",
            )
        )
    periodic = resampling(image.pixels)
    if periodic is not None:
        value = round(periodic, 2)
        observations.append(
            Observation(
                "spectrum.resampling",
                f"No clear periodic trace of scaling (score {value}).",
                f"Neighbouring pixels depend on each other at a regular period (score {value}): "
                "the image, or a part of it, was scaled.",
                value,
                score=round(periodic, 4),
                suspects="neutral",
            )
        )
    return observations
