"""What a score means on real photos: `calibration.json`, made by `train/calibrate_evidence.py`.

A kind may support "fake" only above a threshold that few real photos reach, and only where it was shown
that fakes reach it at least twice as often. All other kinds are neutral, whatever they measure.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from forensic_chat.evidence.observation import Evidence, Observation
from forensic_chat.schema import Supports

_UNDECIDED = " Honest photos reach this too, so it counts for nothing."


@dataclass(frozen=True)
class Kind:
    """How a measured kind reads."""

    supports: Supports
    """What a score above the threshold supports; "neutral" where the kind does not separate."""
    threshold: float
    false_alarm_rate: float
    """95 % upper bound of how often real photos exceed the threshold; 0 for neutral kinds, which never
    accuse.
    """
    knots: tuple[tuple[float, float], ...]
    """(score, strength) below the threshold and from it on, both increasing."""

    def strength(self, score: float) -> float:
        """0 to 1; below 0.1 under the threshold and for neutral kinds, from 0.5 on above it."""
        scores, strengths = zip(*self.knots, strict=True)
        return float(np.clip(np.interp(score, scores, strengths), 0.0, 1.0))


@dataclass(frozen=True)
class Calibration:
    kinds: dict[str, Kind]
    facts: dict[str, float]
    """Kind of fact -> 95 % upper bound of how often it supports "fake" on real photos."""


@cache
def calibration() -> Calibration:
    """The bundled calibration."""
    text = (files("forensic_chat.evidence") / "calibration.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    return Calibration(
        {
            name: Kind(
                row["supports"],
                row["threshold"],
                row["false_alarm_rate"],
                tuple((float(score), float(strength)) for score, strength in row["knots"]),
            )
            for name, row in stored["kinds"].items()
        },
        {name: row["false_alarm_rate"] for name, row in stored["facts"].items()},
    )


def calibrated(observations: Iterable[Observation], using: Calibration | None = None) -> list[Evidence]:
    """Observations, read with the bundled calibration or with `using`."""
    using = using or calibration()
    return [_read(observation, using) for observation in observations]


def _read(seen: Observation, using: Calibration) -> Evidence:
    if seen.fixed is not None:
        supports, strength = seen.fixed
        rate = using.facts.get(seen.kind, 0.0 if supports in ("neutral", "real") else 1.0)
        return Evidence(seen.kind, seen.clean, seen.value, supports, strength, rate, seen.box)
    kind = using.kinds.get(seen.kind)
    if kind is None or seen.score is None:
        return Evidence(seen.kind, seen.clean, seen.value, "neutral", 0.0, 0.0)
    strength = round(kind.strength(seen.score), 3)
    if seen.score <= kind.threshold:
        return Evidence(seen.kind, seen.clean, seen.value, "neutral", strength, kind.false_alarm_rate)
    if kind.supports == "neutral":
        return Evidence(seen.kind, seen.suspect + _UNDECIDED, seen.value, "neutral", strength, 0.0)
    return Evidence(
        seen.kind, seen.suspect, seen.value, kind.supports, strength, kind.false_alarm_rate, seen.box
    )
