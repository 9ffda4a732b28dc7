"""Everything that is decided without words: what was seen becomes findings, regions, a mask and a
verdict."""

import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.data.laundering import Jpeg, Resize, launder
from forensic_chat.data.protocol import suspicious
from forensic_chat.encoder import masks
from forensic_chat.encoder.calibration import Calibration
from forensic_chat.encoder.perceive import Encoder, Perception
from forensic_chat.evidence import collect
from forensic_chat.evidence import warnings as evidence_warnings
from forensic_chat.findings import encoder_evidence, numbered
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.schema import (
    Finding,
    Label,
    Mask,
    Probabilities,
    Region,
    Supports,
    Verdict,
)

Pixels = NDArray[np.uint8]

REDELIVERY = (Resize(0.75), Jpeg(70))
DECLARATIONS = ("metadata.generator", "provenance.c2pa")
"""Findings that repeat what the file says of itself."""
WEIGHS = 0.5
"""Strength from which a finding is weighed against a verdict."""
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
    """Look with the encoder, again at views of a re-delivered copy, collect the evidence, decide."""
    perception = encoder.perceive(image.pixels)
    check()
    timings = dict(perception.timings)
    clock = time.perf_counter()
    again = encoder.look_again(redelivered(image.pixels), perception)
    timings["encoder.stability"] = time.perf_counter() - clock
    check()
    clock = time.perf_counter()
    evidence = collect(image, perception.changes.copy)
    timings["evidence"] = time.perf_counter() - clock
    check()
    clock = time.perf_counter()
    found = (
        masks.regions(perception.changes.mask, image.width, image.height, calibration.mask_threshold)
        if shows_mask(perception, calibration)
        else []
    )
    regions = [Region(id=f"R{k}", box=r.box, area=r.area, score=r.score) for k, r in enumerate(found, 1)]
    seen = encoder_evidence(perception, again, found, calibration)
    findings, regions = numbered(seen + evidence, regions, image)
    verdict = decide(perception, again, findings, calibration)
    warnings = [*image.warnings, *evidence_warnings(evidence), *contradictions(verdict, findings)]
    mask = render_mask(perception, image, calibration) if found else None
    timings["verdict"] = time.perf_counter() - clock
    return Judgement(image, perception, verdict, findings, regions, mask, warnings, timings)


def shows_mask(perception: Perception, calibration: Calibration) -> bool:
    """Whether the mask speaks; what is generated as a whole has no changed place."""
    generated = perception.probabilities["synthetic"] >= calibration.undecided[1]
    copied = bool(perception.changes.summary[-1] >= calibration.copy_gate)
    return (perception.changed >= calibration.mask_gate or copied) and not generated


def redelivered(pixels: Pixels) -> Pixels:
    """The picture as a platform might pass it on: three quarters of the size, JPEG quality 70."""
    return np.ascontiguousarray(launder(pixels, None, REDELIVERY)[0])


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
    if label == "real" and any(map(declares_fake, findings)):
        reasons.append(
            "the file's own metadata says that it was generated or edited, the pixels don't show it"
        )
    marked = next((f.region for f in findings if f.kind == "encoder.mask" and f.supports == "tampered"), None)
    if label == "real" and marked:
        reasons.append(
            f"the whole looks like a photo, but the encoder's mask marks a changed place, {marked}"
        )
    copied = next((f for f in findings if f.kind == "copymove.matches" and suspicious(f)), None)
    if label == "real" and copied and not marked:
        reasons.append(
            f"the whole looks like a photo, but two of its places show the same pixels, {copied.id}"
        )
    total = sum(p.values())
    probabilities = Probabilities(**{name: min(1.0, value / total) for name, value in p.items()})
    decided: Label = "inconclusive" if reasons else label
    confidence = "undecided" if reasons else confidence_words(p[label])
    return Verdict(
        label=decided,
        probabilities=probabilities,
        fake_probability=fake,
        confidence=confidence,
        reasons=reasons,
    )


def declares_fake(finding: Finding) -> bool:
    """Whether the file itself says that it was generated or edited.

    Metadata is easily forged: it can make a verdict inconclusive, never turn it.
    """
    accuses = finding.supports in ("synthetic", "tampered") and finding.strength >= WEIGHS
    return accuses and finding.kind in DECLARATIONS


def confidence_words(probability: float) -> str:
    return "very likely" if probability >= 0.95 else "likely" if probability >= 0.75 else "leaning"


def contradictions(verdict: Verdict, findings: Sequence[Finding]) -> list[str]:
    """What speaks against the verdict and a reader should not miss."""
    if verdict.label == "inconclusive":
        return []
    against: set[Supports] = {"synthetic", "tampered"} if verdict.label == "real" else {"real"}
    return [
        f"{finding.id} speaks against the verdict: {finding.summary}"
        for finding in findings
        if finding.supports in against and finding.strength >= WEIGHS
    ]


def render_mask(perception: Perception, image: ExaminedImage, calibration: Calibration) -> Mask:
    binary = masks.full_size(perception.changes.mask, image.width, image.height, calibration.mask_threshold)
    _, data = cv2.imencode(".png", binary)
    return Mask(
        png=base64.b64encode(data.tobytes()).decode(),
        reliability=float(np.clip(perception.changes.reliability.mean(), 0, 1)),
    )
