"""JPEG structure: tables, quality and double compression, read from the file's own coefficients.

Facts about how a file was saved describe its last save, not its honesty: nearly every photo on the web was
saved more than once, so only the calibration may let one of these count against an image.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import jpeglib
import numpy as np
import numpy.typing as npt

from forensic_chat.evidence.observation import Observation, fact
from forensic_chat.imaging.containers import MalformedError, walk
from forensic_chat.imaging.intake import ExaminedImage

Table = npt.NDArray[np.int64]

# Luminance and chrominance tables of ITU-T T.81 annex K, row by row; libjpeg scales them by "quality".
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_LOW_FREQUENCIES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2), (0, 3), (3, 0))
_BINS = 64
_ENOUGH = 400


@dataclass(frozen=True)
class Coefficients:
    """What a JPEG file stores, in stored orientation."""

    luminance: npt.NDArray[np.int16]
    """(rows, columns, 8, 8) quantised coefficients of the brightness blocks."""
    table: Table
    """(8, 8) quantisation steps of the brightness."""
    sampling: str
    """Chroma subsampling: "4:4:4", "4:2:0", ..., or "grey"."""
    progressive: bool


def read_coefficients(data: bytes) -> Coefficients | None:
    """The coefficients of JPEG bytes that `intake` accepted; None for a kind that is not read (CMYK, two
    components, damaged).
    """
    with tempfile.TemporaryDirectory(prefix="forensic-chat-") as folder:
        path = Path(folder) / "image.jpg"
        # Without metadata: the library gives up on files of many application segments.
        path.write_bytes(walk(data, "JPEG").payload)
        try:
            jpeg = jpeglib.read_dct(str(path))
            if jpeg.num_components not in (1, 3):
                return None
            jpeg.load()
        except (OSError, MalformedError, IndexError):
            return None
        table = np.asarray(jpeg.qt[int(jpeg.quant_tbl_no[0])], dtype=np.int64)
        return Coefficients(
            np.asarray(jpeg.Y), table, _sampling(jpeg.samp_factor), bool(jpeg.progressive_mode)
        )


def _sampling(factors: npt.NDArray[np.int64]) -> str:
    if len(factors) == 1:
        return "grey"
    (v, h), (cv, ch) = (tuple(int(n) for n in factors[i]) for i in (0, 1))
    names = {(1, 1): "4:4:4", (1, 2): "4:2:2", (2, 2): "4:2:0", (2, 1): "4:4:0", (1, 4): "4:1:1"}
    return names.get((v // max(cv, 1), h // max(ch, 1)), "unusual")


def standard_table(quality: int) -> Table:
    """The (8, 8) brightness table that libjpeg writes for `quality` 1 to 100."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: Table = np.clip((_LUMINANCE * scale + 50) // 100, 1, 255)
    return table


def estimated_quality(table: Table) -> tuple[int, bool]:
    """The libjpeg quality 1 to 100 whose table is nearest, and whether it is that very table."""
    distances = [int(np.abs(standard_table(q) - table).sum()) for q in range(1, 101)]
    best = int(np.argmin(distances))
    return best + 1, distances[best] == 0


def periodicity(coefficients: Coefficients) -> float | None:
    """How periodic the histograms of low-frequency coefficients are; None where there are too few.

    Quantising twice with different steps leaves regular peaks and gaps (Popescu and Farid 2004,
    "Statistical tools for digital forensics"; Lukas and Fridrich 2003). The statistic is the largest
    Fourier magnitude of the detrended histogram away from its low frequencies, over their median, averaged
    over the three most telling of ten coefficients; about 2 to 4 without periodicity.
    """
    scores = []
    for u, v in _LOW_FREQUENCIES:
        values = np.abs(coefficients.luminance[:, :, u, v].ravel()).astype(np.int64)
        histogram = np.bincount(values[values < _BINS], minlength=_BINS)[1:].astype(np.float64)
        filled = int(np.searchsorted(np.cumsum(histogram), 0.98 * histogram.sum())) + 1
        if histogram.sum() < _ENOUGH or filled < 12:
            continue
        histogram = np.sqrt(histogram[:filled])  # evens out the counting noise
        trend = np.convolve(np.pad(histogram, 3, mode="edge"), np.ones(7) / 7, mode="valid")
        spectrum = np.abs(np.fft.rfft((histogram - trend) * np.hanning(filled), 256))[24:]
        scores.append(float(spectrum.max() / (np.median(spectrum) + 0.25)))
    return float(np.mean(sorted(scores)[-3:])) if len(scores) >= 3 else None


def observe(image: ExaminedImage) -> list[Observation]:
    """Kinds `jpeg.quality` (a fact) and `jpeg.double`; none for other formats."""
    if image.format != "JPEG":
        return []
    coefficients = read_coefficients(image.data)
    if coefficients is None:
        return [fact("jpeg.quality", "The JPEG tables could not be read.", None)]
    quality, standard = estimated_quality(coefficients.table)
    tables = "the standard tables" if standard else "tables of its maker's own, nearest to the standard ones"
    way = "progressive" if coefficients.progressive else "baseline"
    observations = [
        fact(
            "jpeg.quality",
            f"Last saved as {way} JPEG of quality {quality} (of 100) with {tables}, "
            f"colour stored as {coefficients.sampling}.",
            quality,
            strength=0.05,
        )
    ]
    score = periodicity(coefficients)
    if score is not None:
        value = round(score, 2)
        observations.append(
            Observation(
                "jpeg.double",
                f"The JPEG values show no clear trace of an earlier save at another quality (score {value}).",
                f"The JPEG values have regular gaps (score {value}): saved before at another quality.",
                value,
                score=round(score, 4),
                suspects="tampered",
            )
        )
    return observations
