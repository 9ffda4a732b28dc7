"""Second looks at a judged image, for questions that ask for one.

What they find accuses nobody: the verdict was calibrated on whole images as they came, and stays.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from forensic_chat.data.laundering import Jpeg, Resize, Step, launder
from forensic_chat.encoder.calibration import Calibration
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.evidence.observation import Evidence
from forensic_chat.findings import TELLING
from forensic_chat.judgement import Judgement
from forensic_chat.mllm.verify import RegionTest
from forensic_chat.schema import Box, Region
from forensic_chat.telling import Masking

DELIVERIES: dict[str, tuple[str, tuple[Step, ...]]] = {
    "redelivery.rough": ("saved as a JPEG of quality 40", (Jpeg(40),)),
    "redelivery.half": ("half as wide and high, as a JPEG of quality 70", (Resize(0.5), Jpeg(70))),
}
"""Kind of finding -> how the image is delivered again."""

Check = Callable[[], None]
"""Called between looks; raises when the caller cancelled or the deadline passed."""


@dataclass(frozen=True, eq=False)
class Looking:
    """See `dialogue.Looks`."""

    judgement: Judgement
    encoder: Encoder
    calibration: Calibration
    masking: Masking
    lock: threading.Lock
    """Held while the encoder looks: a conversation may run beside another."""

    def masked(self, region: Region, check: Check) -> RegionTest:
        """Whether the verdict rests on a region."""
        return self.masking(region, check)

    def zoom(self, box: Box | None, check: Check) -> list[Evidence]:
        """A part cut out at its full size and seen like an image of its own, with room around a small one.

        box: in oriented pixels; None: the part that the encoder found most suspicious.
        """
        image, views = self.judgement.image, self.judgement.perception.views
        if box is None:
            box = views[1].box if len(views) > 1 else (0, 0, image.width, image.height)
        x0, y0, x1, y1 = part = roomy(box, image.width, image.height, self.encoder.config.view_size)
        check()
        with self.lock:
            seen = self.encoder.perceive(np.ascontiguousarray(image.pixels[y0:y1, x0:x1]))
        check()
        marked = round(100 * float((seen.changes.mask > self.calibration.mask_threshold).mean()), 1)
        synthetic, tampered = (round(seen.probabilities[name], 2) for name in ("synthetic", "tampered"))
        where = f"Cut out at [{','.join(map(str, part))}] and seen by itself, the part"
        return [
            _quiet("zoom.synthetic", f"{where} scores {synthetic} of 1 for generation.", synthetic),
            _quiet("zoom.tampered", f"{where} scores {tampered} of 1 for a local change.", tampered),
            _quiet("zoom.mask", f"{where} is marked as changed in {marked} % of its pixels.", marked),
        ]

    def redelivered(self, check: Check) -> list[Evidence]:
        """How far the fake probability moves in deliveries that the examination did not try."""
        perception, found = self.judgement.perception, []
        before = perception.fake_probability
        for kind, (how, chain) in DELIVERIES.items():
            check()
            pixels = np.ascontiguousarray(launder(self.judgement.image.pixels, None, chain)[0])
            with self.lock:
                again = self.encoder.look_again(pixels, perception)
            moved = round(abs(again - before), 2)
            summary = (
                f"Delivered again, {how}, the image's fake probability moves by {moved}, to {again:.2f}."
            )
            turned = (again > 0.5) != (before > 0.5)
            found.append(_quiet(kind, summary, moved, TELLING if turned else 0.0))
        return found


def roomy(box: Box, width: int, height: int, side: int) -> Box:
    """The box, widened about its middle to `side` px each way where the image has them."""
    x0, x1 = _stretched(box[0], box[2], width, side)
    y0, y1 = _stretched(box[1], box[3], height, side)
    return x0, y0, x1, y1


def _stretched(start: int, stop: int, length: int, side: int) -> tuple[int, int]:
    wanted = min(length, max(side, stop - start))
    first = min(max(0, (start + stop - wanted) // 2), length - wanted)
    return first, first + wanted


def _quiet(kind: str, summary: str, value: float, strength: float = 0.0) -> Evidence:
    return Evidence(kind, summary, value, "neutral", strength, 0.0)
