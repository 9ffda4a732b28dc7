"""The operating points of the encoder, frozen once by `train.fit_verdict` and shipped beside its
weights."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Calibration:
    """Chosen on predictions for training images of sources left out; MODEL_CARD.md says which figures share them."""

    undecided: tuple[float, float]
    """A fake probability between these is "inconclusive"."""

    unfamiliar_below: float
    """A familiarity below this is "inconclusive"."""

    unstable_above: float
    """Re-delivery that crosses 0.5 and moves the fake probability by more than this is "inconclusive"."""
    mask_threshold: float
    """A cell above this counts as changed."""
    mask_gate: float
    """The mask and its regions are shown when the probability of a change, by mask and copy alone, is at least this."""
    copy_gate: float
    """Or when what verdict.summarise_copy makes of a copy is."""

    false_alarm_rates: dict[str, float]
    """Finding kind -> 95 % upper bound of how often it supports "fake" on real photos of sources left
    out."""

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**stored, "undecided": tuple(stored["undecided"])})
