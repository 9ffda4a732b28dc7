"""The encoder's own findings, and ids for all: `E1`, `E2`, ..., and the regions `R1`, `R2`, ... they cite."""

from collections.abc import Sequence

from forensic_chat.encoder.calibration import Calibration
from forensic_chat.encoder.masks import MaskRegion
from forensic_chat.encoder.perceive import Perception
from forensic_chat.evidence.observation import Evidence
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.schema import Box, Finding, Region, Supports

TELLING = 0.8
"""Strength of a neutral finding that a reader must weigh."""


def encoder_evidence(
    perception: Perception, again: float, found: Sequence[MaskRegion], calibration: Calibration
) -> list[Evidence]:
    """What the encoder saw, in the form of every other evidence.

    again: the fake probability after re-delivery. found: the mask's regions, largest first; empty where it is
    not shown.
    """
    p = perception.probabilities
    synthetic, tampered = round(p["synthetic"], 2), round(p["tampered"], 2)
    familiarity = round(perception.familiarity, 2)
    moved = round(abs(again - perception.fake_probability), 2)
    fake = perception.fake_probability > 0.5
    says: Supports = "neutral" if not fake else "synthetic" if synthetic >= tampered else "tampered"
    unfamiliar = perception.familiarity < calibration.unfamiliar_below
    marked = round(100 * sum(region.area for region in found), 1)
    rows: list[tuple[str, str, float, Supports, float, Box | None]] = [
        (
            "encoder.synthetic",
            f"The learned score for a wholly generated image is {synthetic} of 1.",
            synthetic,
            "synthetic" if says == "synthetic" else "neutral",
            synthetic,
            None,
        ),
        (
            "encoder.tampered",
            f"The learned score for a locally changed photo is {tampered} of 1.",
            tampered,
            "tampered" if says == "tampered" else "neutral",
            tampered,
            None,
        ),
        (
            "encoder.mask",
            f"The encoder's mask marks {marked} % of the image as changed.",
            marked,
            "tampered" if found else "neutral",
            found[0].score if found else 0.0,
            found[0].box if found else None,
        ),
        (
            "encoder.familiarity",
            f"Likeness to the images the encoder knows: {familiarity} (0 = unlike any, 1 = most like them).",
            familiarity,
            "neutral",
            TELLING if unfamiliar else 0.0,
            None,
        ),
        (
            "encoder.stability",
            f"Scaled down and re-compressed, the image's fake probability moves by {moved}.",
            moved,
            "neutral",
            TELLING if moved > calibration.unstable_above else 0.0,
            None,
        ),
    ]
    rates = calibration.false_alarm_rates
    return [
        # a kind that may accuse and was not measured promises nothing
        Evidence(kind, summary, value, supports, strength, rates.get(kind, float(supports != "neutral")), box)
        for kind, summary, value, supports, strength, box in rows
    ]


def numbered(
    evidence: Sequence[Evidence], regions: Sequence[Region], image: ExaminedImage
) -> tuple[list[Finding], list[Region]]:
    """Findings and regions with ids.

    A box that supports something is the region that it mostly covers, or becomes a region of its own.
    """
    places, findings = list(regions), []
    for k, item in enumerate(evidence, 1):
        region = None
        if item.box is not None and item.supports != "neutral":
            region = next((place.id for place in places if overlap(place.box, item.box) > 0.5), None)
            if region is None:
                region = f"R{len(places) + 1}"
                x0, y0, x1, y1 = item.box
                area = min(1.0, (x1 - x0) * (y1 - y0) / (image.width * image.height))
                places.append(Region(id=region, box=item.box, area=area, score=item.strength))
        findings.append(item.finding(k, region))
    return findings, places


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
