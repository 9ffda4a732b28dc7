"""What users were told, counted: labels, accuracy at 0.5, false accusations, abstention."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.examples import Example
from eval.rows import Row
from forensic_chat.schema import CLASSES
from forensic_chat.scoring.detection import group_intervals, rate_upper_bound

Pairs = Sequence[tuple[Example, Row]]
LABELS = [*CLASSES, "inconclusive"]


def photographic(pairs: Pairs) -> Pairs:
    """Those that were examined; screenshots, and forgeries made for the run, apart."""
    return [(e, r) for e, r in pairs if r.error is None and not e.screenshot and not e.forged]


def told(pairs: Pairs) -> dict[str, dict[str, int]]:
    """True class -> how many were given each label."""
    return {
        truth: {label: sum(r.verdict == label for e, r in pairs if e.label == truth) for label in LABELS}
        for truth in CLASSES
    }


def accuracy(pairs: Pairs) -> dict[str, float | None]:
    """Right at 0.5, of real (R.Acc) and of fake images (F.Acc).

    micro: every image weighs the same. macro: every kind (generator, manipulation, source of reals) does,
    then both classes.
    """
    right = {e.id: (r.fake > 0.5) == (e.label != "real") for e, r in pairs}
    sides = {
        side: [e for e, _ in pairs if (e.label == "real") == (side == "real")] for side in ("real", "fake")
    }
    by_kind = {
        side: [
            float(np.mean([right[e.id] for e in examples if (e.label, e.kind) == kind]))
            for kind in {(e.label, e.kind) for e in examples}
        ]
        for side, examples in sides.items()
    }
    r_acc, f_acc = (_mean([right[e.id] for e in sides[side]]) for side in ("real", "fake"))
    r_macro, f_macro = (_mean(by_kind[side]) for side in ("real", "fake"))
    return {
        "r_acc": r_acc,
        "f_acc": f_acc,
        "micro": _mean(list(right.values())),
        "r_acc_macro": r_macro,
        "f_acc_macro": f_macro,
        "macro": None if r_macro is None or f_macro is None else (r_macro + f_macro) / 2,
    }


def false_accusations(pairs: Pairs) -> dict[str, dict[str, Any]]:
    """Of real images: labelled as a fake, at a fake probability above 0.5, and left inconclusive; each with
    the one-sided 95 % upper bound."""
    reals = [r for e, r in pairs if e.label == "real"]
    hits = {
        "labelled": sum(r.accused for r in reals),
        "above_half": sum(r.fake > 0.5 for r in reals),
        "inconclusive": sum(not r.answered for r in reals),
    }
    return {name: rate(count, len(reals)) for name, count in hits.items()}


def rate(hits: int, n: int) -> dict[str, Any]:
    share = hits / n if n else None
    return {"hits": hits, "n": n, "rate": share, "upper_95": rate_upper_bound(hits, n)}


def abstention(pairs: Pairs) -> dict[str, float | None]:
    """Coverage: share that gets a label other than inconclusive. Risk: share of wrong ones (real called fake,
    fake called real) among those; `risk_unabstained`: among all, at 0.5. Both classes weigh the same."""
    classes = [[(e, r) for e, r in pairs if (e.label == "real") == real] for real in (True, False)]

    def wrong(e: Example, r: Row) -> bool:
        return r.accused != (e.label != "real")

    per_class = [
        {
            "coverage": _mean([r.answered for _, r in side]),
            "risk": _mean([wrong(e, r) for e, r in side if r.answered]),
            "risk_unabstained": _mean([(r.fake > 0.5) != (e.label != "real") for e, r in side]),
        }
        for side in classes
    ]
    result: dict[str, float | None] = {}
    for name in per_class[0]:
        real, fake = (side[name] for side in per_class)
        result[name] = None if real is None or fake is None else (real + fake) / 2
    return result | {"coverage_real": per_class[0]["coverage"], "coverage_fake": per_class[1]["coverage"]}


def kinds(pairs: Pairs, seed: int = 0, draws: int = 500) -> list[dict[str, Any]]:
    """Every generator, manipulation and source of reals, largest first. interval: of `above_half`, whole
    groups redrawn; None where all are of one group."""
    cells: dict[tuple[str, str], list[tuple[Example, Row]]] = {}
    for e, r in pairs:
        cells.setdefault((e.label, e.kind), []).append((e, r))
    found = [
        {
            "label": label,
            "kind": kind,
            "n": len(mine),
            "above_half": _mean([r.fake > 0.5 for _, r in mine]),
            "labelled_fake": _mean([r.accused for _, r in mine]),
            "inconclusive": _mean([not r.answered for _, r in mine]),
            "interval": _interval(mine, seed, draws),
        }
        for (label, kind), mine in cells.items()
    ]
    return sorted(found, key=lambda row: (CLASSES.index(row["label"]), -row["n"], row["kind"]))


def _interval(pairs: Pairs, seed: int, draws: int) -> tuple[float, float] | None:
    hits = np.array([r.fake > 0.5 for _, r in pairs], float)
    groups = [e.group for e, _ in pairs]
    return group_intervals(lambda index: {"hits": float(hits[index].mean())}, groups, draws, seed).get("hits")


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
