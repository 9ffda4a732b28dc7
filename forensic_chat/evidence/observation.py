"""What a test returns before calibration (`Observation`) and after it (`Evidence`)."""

from dataclasses import dataclass
from typing import Literal

from forensic_chat.schema import Box, Finding, Supports

Value = float | int | str | bool | None


@dataclass(frozen=True)
class Observation:
    """One thing a test saw.

    A test either measures (`score`, to be calibrated on real photos) or reads a fact (`fixed`). Both
    sentences quote `value` exactly as it stands there.
    """

    kind: str
    """`family.test`, for example "jpeg.ghost"."""
    clean: str
    """One sentence for a calibrated score that is unremarkable, and for facts."""
    suspect: str
    """One sentence for a score that few real photos reach."""
    value: Value
    score: float | None = None
    """Statistic to calibrate, larger = more suspicious; None for a fact, or when nothing could be
    measured.
    """
    suspects: Literal["synthetic", "tampered", "neutral"] = "neutral"
    """What a remarkable score supports."""
    fixed: tuple[Supports, float] | None = None
    """For facts: what it supports and how strongly, 0 to 1."""
    box: Box | None = None
    """Where, in oriented pixels; None: the whole image, or nowhere in particular."""


@dataclass(frozen=True)
class Evidence:
    """A calibrated observation: the fields of `schema.Finding` but its ids, and the box instead of a
    region.
    """

    kind: str
    summary: str
    value: Value
    supports: Supports
    strength: float
    """0 to 1."""
    false_alarm_rate: float
    """On real photos: how often evidence of this kind supports "fake" (95 % upper bound)."""
    box: Box | None = None

    def finding(self, number: int, region: str | None = None) -> Finding:
        """Under its id, E and `number`, and at the region that the box became."""
        return Finding(
            id=f"E{number}",
            kind=self.kind,
            summary=self.summary,
            value=self.value,
            supports=self.supports,
            strength=self.strength,
            false_alarm_rate=self.false_alarm_rate,
            region=region,
        )


def fact(
    kind: str, sentence: str, value: Value, supports: Supports = "neutral", strength: float = 0.1
) -> Observation:
    """An observation that needs no calibrated score."""
    return Observation(kind, sentence, sentence, value, fixed=(supports, strength))
