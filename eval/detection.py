"""Real or fake: how well the probabilities separate and mean what they say, and what a user is told.

The operating point is 0.5 and the label is the product's own: nothing is tuned on the images measured. Only
TPR@5%FPR and EER read their threshold off the curve; they describe the curve.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score, roc_curve

from eval.shortcuts import size_format
from eval.table import table
from eval.verdicts import (
    LABELS,
    Pairs,
    abstention,
    accuracy,
    false_accusations,
    kinds,
    photographic,
    told,
)
from forensic_chat.schema import CLASSES
from forensic_chat.scoring.detection import (
    balanced_nll,
    equal_error_rate,
    expected_calibration_error,
    group_intervals,
    hit_rate_at,
)

AGAINST = {
    "real vs synthetic": ("synthetic",),
    "real vs tampered": ("tampered",),
    "real vs fake": ("synthetic", "tampered"),
}


def figures(pairs: Pairs, seed: int, draws: int) -> dict[str, Any]:
    """All figures of one chain; screenshots and forgeries made for the run apart. `unseen_sources`: the pairs
    again, of images whose source the split `train` lacks; None where that is all of them."""
    examined = [(e, r) for e, r in pairs if r.error is None]
    photos = photographic(pairs)
    unseen = [(e, r) for e, r in photos if not e.in_training]
    return {
        "not_examined": {label: sum(e.label == label for e, r in pairs if r.error) for label in CLASSES},
        "pairs": {name: separation(photos, fakes, seed, draws) for name, fakes in AGAINST.items()},
        "unseen_sources": None
        if len(unseen) == len(photos)
        else {name: separation(unseen, fakes, seed, draws) for name, fakes in AGAINST.items()},
        "forged vs their originals": separation(
            [p for p in examined if p[0].forged], ("tampered",), seed, draws
        ),
        "told": told(photos),
        "accuracy": accuracy(photos),
        "false_accusations": false_accusations(photos),
        "abstention": abstention(photos),
        "kinds": kinds(photos, seed, draws),
        "screenshots": false_accusations([p for p in examined if p[0].screenshot]),
    }


def separation(pairs: Pairs, fakes: Sequence[str], seed: int, draws: int) -> dict[str, Any] | None:
    """Figures of real images against some fakes, each with its interval; None unless both occur."""
    chosen = [(e, r) for e, r in pairs if e.label == "real" or e.label in fakes]
    y = np.array([e.label != "real" for e, _ in chosen], bool)
    if len(set(y)) < 2:
        return None
    p = np.array([r.fake for _, r in chosen])
    statistics = _statistics(p, y)
    everything = np.arange(len(y))
    groups, sources = ([getattr(e, name) for e, _ in chosen] for name in ("group", "source"))
    return {
        "real": int((~y).sum()),
        "fake": int(y.sum()),
        **statistics(everything),
        "intervals": group_intervals(statistics, groups, draws, seed),
        "intervals_over_sources": group_intervals(statistics, sources, draws, seed),
        "size_format": size_format(
            [(r.width, r.height, r.format) for _, r in chosen], y.tolist(), sources, seed
        ),
    }


def _statistics(
    p: NDArray[np.float64], y: NDArray[np.bool_]
) -> Callable[[NDArray[np.intp]], dict[str, float]]:
    def statistics(index: NDArray[np.intp]) -> dict[str, float]:
        fake, truth = p[index], y[index]
        if truth.all() or not truth.any():
            raise ValueError("both classes are needed")
        false_alarms, hits, _ = roc_curve(truth, fake, drop_intermediate=False)
        return {
            "auc": float(roc_auc_score(truth, fake)),
            "ap": float(average_precision_score(truth, fake)),
            "balanced_accuracy": float(balanced_accuracy_score(truth, fake > 0.5)),
            "tpr_at_5_fpr": hit_rate_at(false_alarms, hits),
            "eer": equal_error_rate(false_alarms, hits),
            "nll": balanced_nll(fake, truth),
            "ece": expected_calibration_error(fake, truth),
        }

    return statistics


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    compared = found["pairs"] | {"forged vs originals": found["forged vs their originals"]}
    unseen = found["unseen_sources"] or {}
    compared |= {f"unseen sources: {name}": f for name, f in unseen.items()}
    header = ["", "real/fake", "AUC", "95 %", "size/format AUC", "bAcc", "95 %"]
    header += ["AP", "TPR@5%", "EER", "NLL", "ECE"]
    rows = []
    for name, f in compared.items():
        if f:
            ends = f["intervals"].get
            first = [f["auc"], ends("auc"), f["size_format"]["auc"], f["balanced_accuracy"]]
            rest = [f[key] for key in ("ap", "tpr_at_5_fpr", "eer", "nll", "ece")]
            rows.append([name, f"{f['real']}/{f['fake']}", *first, ends("balanced_accuracy"), *rest])
    accused = [
        [f"{where}: {how}", f"{f['hits']}/{f['n']}", f["rate"], f["upper_95"]]
        for where, counts in (("photos", found["false_accusations"]), ("screenshots", found["screenshots"]))
        for how, f in counts.items()
        if f["n"]
    ]
    by_kind = [[f"{k.pop('label')}: {k.pop('kind')}"[:60], *k.values()] for k in map(dict, found["kinds"])]
    answers = [[truth, *(counts[label] for label in LABELS)] for truth, counts in found["told"].items()]
    return "\n\n".join(
        [
            table("separation by the fake probability", header, rows),
            table(
                "accuracy at 0.5; coverage, risk",
                ["", ""],
                list((found["accuracy"] | found["abstention"]).items()),
            ),
            table("what was told", ["truth", *LABELS], answers),
            table("real images accused", ["", "hits/n", "rate", "95 % bound"], accused),
            table("by kind", ["", "n", "> 0.5", "labelled fake", "inconclusive", "95 % of > 0.5"], by_kind),
        ]
    ) + "".join(f"\nsize and format, {name}: {f['size_format']['note']}" for name, f in compared.items() if f)
