"""Everything that is decided without words: what was seen becomes findings, regions, a mask and a verdict."""

import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.encoder import masks
from forensic_chat.encoder.calibration import Calibration
from forensic_chat.encoder.perceive import Encoder, Perception
from forensic_chat.errors import ForensicChatError
from forensic_chat.evidence import collect
from forensic_chat.evidence.observation import Evidence
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.schema import (
    Box,
    Finding,
    Label,
    Mask,
    Probabilities,
    Region,
    Supports,
    Verdict,
)

Pixels = NDArray[np.uint8]
Check = Callable[[], None]
"""Called between stages; raises when the caller cancelled or the deadline passed."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """One image, looked at and judged."""

    image: ExaminedImage
    perception: Perception
    verdict: Verdict
    findings: list[Finding]
    regions: list[Region]
    mask: Mask | None
    warnings: list[str]
    timings: dict[str, float]


def judge(image: ExaminedImage, encoder: Encoder, calibration: Calibration, check: Check) -> Judgement:
    """Look once with the encoder, once more at a re-delivered copy, collect the evidence, decide."""
    perception = encoder.perceive(image.pixels)
    check()
    timings = dict(perception.timings)
    clock = time.perf_counter()
    again = encoder.perceive(redelivered(image.pixels)).fake_probability
    timings["encoder.stability"] = time.perf_counter() - clock
    check()
    clock = time.perf_counter()
    evidence = collect(image)
    timings["evidence"] = time.perf_counter() - clock
    check()
    shown = perception.probabilities["tampered"] >= calibration.mask_gate
    found = (
        masks.regions(perception.lowlevel.mask, image.width, image.height, calibration.mask_threshold)
        if shown
        else []
    )
    regions = [Region(id=f"R{k}", box=r.box, area=r.area, score=r.score) for k, r in enumerate(found, 1)]
    seen = encoder_evidence(perception, again, found, calibration)
    findings, regions = numbered(seen + evidence, regions, image)
    verdict = decide(perception, again, findings, calibration)
    warnings = [*image.warnings, *contradictions(verdict, findings)]
    mask = render_mask(perception, image, calibration) if found else None
    return Judgement(image, perception, verdict, findings, regions, mask, warnings, timings)


def redelivered(pixels: Pixels) -> Pixels:
    """The picture as a platform might pass it on: three quarters of the size, JPEG quality 70."""
    height, width = pixels.shape[:2]
    size = (max(8, round(width * 0.75)), max(8, round(height * 0.75)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    fine, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    if not fine:
        raise ForensicChatError("the image could not be re-compressed for the stability test; report this")
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def decide(
    perception: Perception, again: float, findings: Sequence[Finding], calibration: Calibration
) -> Verdict:
    """The label that the calibrated probabilities give, or `inconclusive` with its reasons."""
    p = perception.probabilities
    fake = min(1.0, max(0.0, 1 - p["real"]))
    label: Label = "real" if fake <= 0.5 else "synthetic" if p["synthetic"] >= p["tampered"] else "tampered"
    reasons = []
    low, high = calibration.undecided
    if low < fake < high:
        reasons.append(f"the probability of a fake, {fake:.2f}, is too near the middle to call")
    if perception.familiarity < calibration.unfamiliar_below:
        reasons.append("the image is unlike those the encoder knows")
    if (again > 0.5) != (fake > 0.5) and abs(again - fake) > calibration.unstable_above:
        reasons.append(f"re-compressed and scaled down, its probability of a fake moves to {again:.2f}")
    if label == "real" and any(f.kind.startswith(("metadata", "provenance")) and f.supports in ("synthetic", "tampered") and f.strength >= 0.5 for f in findings):
        reasons.append("the file's own metadata says that it was generated or edited, the pixels don't show it")
    total = sum(p.values())
    probabilities = Probabilities(**{name: min(1.0, value / total) for name, value in p.items()})
    decided: Label = "inconclusive" if reasons else label
    confidence = "undecided" if reasons else confidence_words(p[label])
    return Verdict(
        label=decided, probabilities=probabilities, fake_probability=fake, confidence=confidence, reasons=reasons
    )


def confidence_words(probability: float) -> str:
    return "very likely" if probability >= 0.95 else "likely" if probability >= 0.75 else "leaning"


def contradictions(verdict: Verdict, findings: Sequence[Finding]) -> list[str]:
    """What speaks against the verdict and a reader should not miss."""
    against: set[Supports] = {"synthetic", "tampered"} if verdict.label == "real" else {"real"}
    if verdict.label == "inconclusive":
        return []
    return [
        f"{finding.id} speaks against the verdict: {finding.summary}"
        for finding in findings
        if finding.supports in against and finding.strength >= 0.5
    ]


def encoder_evidence(
    perception: Perception, again: float, found: Sequence[masks.MaskRegion], calibration: Calibration
) -> list[Evidence]:
    """The encoder's own findings, in the form of every other evidence."""
    p, rates = perception.probabilities, calibration.false_alarm_rates
    synthetic, tampered = round(p["synthetic"], 2), round(p["tampered"], 2)
    familiarity = round(perception.familiarity, 2)
    moved = round(abs(again - perception.fake_probability), 2)
    marked = round(100 * sum(region.area for region in found), 1)
    fake = perception.fake_probability > 0.5
    is_synthetic, is_tampered = fake and synthetic >= tampered, fake and tampered > synthetic

    def scored(kind: str, sentence: str, value: float, supports: Supports, strength: float, box: Box | None = None) -> Evidence:
        return Evidence(kind, sentence, value, supports, strength, rates.get(kind, 0.0), box)

    evidence = [
        scored(
            "encoder.synthetic",
            f"The learned encoder's score for a wholly generated image is {synthetic} of 1.",
            synthetic, "synthetic" if is_synthetic else "neutral", synthetic,
        ),
        scored(
            "encoder.tampered",
            f"The learned encoder's score for a locally changed photo is {tampered} of 1.",
            tampered, "tampered" if is_tampered else "neutral", tampered,
        ),
    ]  # fmt: skip
    if found:
        sentence = f"The encoder's mask marks {marked} % of the image as changed."
        support: Supports = "tampered" if is_tampered else "neutral"
        evidence.append(scored("encoder.mask", sentence, marked, support, found[0].score, found[0].box))
    else:
        evidence.append(scored("encoder.mask", "The encoder's mask marks no part of the image as changed.", 0.0, "neutral", 0.0))
    evidence.append(
        scored(
            "encoder.familiarity",
            f"The image is as familiar to the encoder as {familiarity} (1 = most like the images it knows, 0 = unlike any).",
            familiarity, "neutral", 0.0,
        )  # fmt: skip
    )
    evidence.append(
        scored(
            "encoder.stability",
            f"Re-compressed and scaled down, the image's fake probability moves by {moved}.",
            moved, "neutral", 0.0,
        )  # fmt: skip
    )
    return evidence


def numbered(
    evidence: Sequence[Evidence], regions: list[Region], image: ExaminedImage
) -> tuple[list[Finding], list[Region]]:
    """Give ids; a box that supports something becomes a region, or is the region that it mostly covers."""
    regions, findings = list(regions), []
    for k, item in enumerate(evidence, 1):
        region = None
        if item.box is not None and item.supports != "neutral":
            region = next((r.id for r in regions if overlap(r.box, item.box) > 0.5), None)
            if region is None:
                region = f"R{len(regions) + 1}"
                x0, y0, x1, y1 = item.box
                area = (x1 - x0) * (y1 - y0) / (image.width * image.height)
                regions.append(Region(id=region, box=item.box, area=min(1.0, area), score=item.strength))
        fields: dict[str, Any] = {name: value for name, value in vars(item).items() if name != "box"}
        findings.append(Finding(id=f"E{k}", region=region, **fields))
    return findings, regions


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def render_mask(perception: Perception, image: ExaminedImage, calibration: Calibration) -> Mask:
    binary = masks.full_size(
        perception.lowlevel.mask, image.width, image.height, calibration.mask_threshold
    )
    _, data = cv2.imencode(".png", binary)
    return Mask(
        png=base64.b64encode(data.tobytes()).decode(),
        reliability=float(np.clip(perception.lowlevel.reliability.mean(), 0, 1)),
    )
