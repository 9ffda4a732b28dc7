"""From rows before and after an attack to success rates, and what two cheap defences would have done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.examples import Example
from eval.rows import Row
from eval.table import table
from eval.verdicts import rate

PLAIN = "png"
Rows = Mapping[str, Sequence[Row]]
"""Delivery -> a row for each image."""


@dataclass(frozen=True)
class Record:
    """One attacked image."""

    id: str
    key: str
    """SHA-256 of the image, the settings, the models and the code that attacks."""
    before: float
    """The twin's log odds of a fake on the clean image."""
    after: float
    """And on the attacked one, as it is saved."""
    largest_change: float
    """Grey levels."""
    psnr: float
    ssim: float
    feature_distance: float
    seconds: float


@dataclass(frozen=True)
class Condition:
    """One attack at one budget."""

    attack: str
    eps: int | None
    victims: Sequence[int]
    """Indices of the images attacked: told right before."""
    records: Sequence[Record]
    after: Rows

    @property
    def name(self) -> str:
        return self.attack if self.eps is None else f"{self.attack}, {self.eps}/255"


def right(example: Example, row: Row) -> bool:
    """Whether its probability is on the right side of 0.5."""
    return row.error is None and (row.fake > 0.5) == (example.label != "real")


def figures(clean: Sequence[Example], before: Rows, found: Sequence[Condition]) -> dict[str, Any]:
    """Per attack and delivery, among the images told right before, in that delivery too.

    success: the probability of a fake crosses 0.5. told_wrong: the label does; inconclusive: no label is given.
    """
    hit = [right(e, r) for e, r in zip(clean, before[PLAIN], strict=True)]
    attacked = {
        label: rate(sum(h for e, h in zip(clean, hit, strict=True) if e.label == label), count)
        for label in ("real", "synthetic", "tampered")
        if (count := sum(e.label == label for e in clean))
    }
    told = [k for k, h in enumerate(hit) if h]
    return {
        "right_before": attacked,
        "attacks": {c.name: one(clean, before, c) for c in found},
        "defences": {
            "redelivery": {
                "clean": rate(sum(flagged(before[PLAIN][k]) for k in told), len(told)),
                **{c.name: _flags(clean, c) for c in found},
            },
            "averaging": {
                "clean_right": rate(sum(_averaged(clean, before, k) for k in range(len(clean))), len(clean)),
                "clean_right_without": rate(sum(hit), len(clean)),
                **{c.name: _averaging(clean, before, c) for c in found},
            },
        },
    }


def one(clean: Sequence[Example], before: Rows, c: Condition) -> dict[str, Any]:
    deliveries = {}
    for name, rows in c.after.items():
        pairs = [
            (clean[k], r) for k, r in zip(c.victims, rows, strict=True) if right(clean[k], before[name][k])
        ]
        sides = {
            side: [(e, r) for e, r in pairs if (e.label == "real") == (side == "real")]
            for side in ("real", "fake")
        }
        deliveries[name] = {
            "success": rate(sum(not right(e, r) for e, r in pairs), len(pairs)),
            **{
                f"success_on_{side}": rate(sum(not right(e, r) for e, r in mine), len(mine))
                for side, mine in sides.items()
            },
            "told_wrong": rate(sum(_told_wrong(e, r) for e, r in pairs), len(pairs)),
            "inconclusive": rate(sum(not r.answered for _, r in pairs), len(pairs)),
        }
    twin = [
        (record.after > 0) != (clean[k].label != "real") and (record.before > 0) == (clean[k].label != "real")
        for k, record in zip(c.victims, c.records, strict=True)
    ]
    fooled = [not right(clean[k], r) for k, r in zip(c.victims, c.after[PLAIN], strict=True)]
    means = ("psnr", "ssim", "feature_distance", "largest_change", "seconds")
    return {
        "deliveries": deliveries,
        "twin": rate(sum(twin), len(twin)),
        "from_twin_to_product": rate(sum(a and b for a, b in zip(twin, fooled, strict=True)), sum(twin)),
        "quality": {name: round(float(np.mean([getattr(r, name) for r in c.records])), 4) for name in means}
        if c.records
        else {},
    }


def _told_wrong(example: Example, row: Row) -> bool:
    return row.answered and row.accused != (example.label != "real")


def flagged(row: Row) -> bool:
    """Whether the product found that re-delivery moves the probability by more than its frozen operating point."""
    return any(kind == "encoder.stability" and float(strength) > 0 for kind, _, strength, _ in row.findings)


def _flags(clean: Sequence[Example], c: Condition) -> dict[str, Any]:
    """Among successful attacks, how many the re-delivered copy gives away, and how many get no label."""
    won = [r for k, r in zip(c.victims, c.after[PLAIN], strict=True) if not right(clean[k], r)]
    return {
        "flagged": rate(sum(flagged(r) for r in won), len(won)),
        "inconclusive": rate(sum(not r.answered for r in won), len(won)),
    }


def _mean_odds(rows: Rows, k: int) -> float:
    chances = np.clip([row.fake for row in (rows[name][k] for name in rows)], 1e-6, 1 - 1e-6)
    return float(np.mean(np.log(chances / (1 - chances))))


def _averaged(clean: Sequence[Example], rows: Rows, k: int) -> bool:
    return (_mean_odds(rows, k) > 0) == (clean[k].label != "real")


def _averaging(clean: Sequence[Example], before: Rows, c: Condition) -> dict[str, Any]:
    """Success when the log odds are averaged over all deliveries, among images told right so before."""
    kept = [n for n, k in enumerate(c.victims) if _averaged(clean, before, k)]
    lost = sum((_mean_odds(c.after, n) > 0) != (clean[c.victims[n]].label != "real") for n in kept)
    return rate(lost, len(kept))


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    deliveries = list(next(iter(found["attacks"].values()))["deliveries"]) if found["attacks"] else []
    header = ["", "n", "twin", *deliveries, "told wrong", "no label", "PSNR", "SSIM", "features", "s"]
    rows: list[list[object]] = []
    for name, a in found["attacks"].items():
        plain, quality = a["deliveries"][PLAIN], a["quality"]
        success = [a["deliveries"][d]["success"]["rate"] for d in deliveries]
        rows.append(
            [name, plain["success"]["n"], a["twin"]["rate"], *success, plain["told_wrong"]["rate"]]
            + [plain["inconclusive"]["rate"]]
            + [quality.get(key) for key in ("psnr", "ssim", "feature_distance", "seconds")]
        )
    redelivery, averaging = found["defences"]["redelivery"], found["defences"]["averaging"]
    shields = [
        [
            name,
            redelivery[name]["flagged"]["rate"],
            redelivery[name]["inconclusive"]["rate"],
            found["attacks"][name]["deliveries"][PLAIN]["success"]["rate"],
            averaging[name]["rate"],
        ]
        for name in found["attacks"]
    ]
    clean = [
        f"clean: flagged {_text(redelivery['clean']['rate'])}; right {_text(averaging['clean_right_without']['rate'])}"
        f", averaged over deliveries {_text(averaging['clean_right']['rate'])}",
        f"twin: {found['twin']}; surrogates right on the clean images: {found['surrogates']}",
    ]
    return "\n\n".join(
        [
            table("attack success by delivery, among images told right before", header, rows),
            table(
                "defences: successful attacks given away; success without and with averaging",
                ["", "flagged", "no label", "success", "averaged"],
                shields,
            ),
            *clean,
        ]
    )


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
