"""The plots of each suite."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eval import plots
from eval.detection import AGAINST
from eval.explanation.figures import COLUMNS
from eval.localisation import METHODS
from eval.verdicts import Pairs, photographic

BARS = 40
"""Most generators in one plot; the table has all."""
Chart = tuple[str, Figure]
"""What it shows, and the plot."""


def detection(found: dict[str, Any], pairs: Pairs) -> list[Chart]:
    mine = photographic(pairs)
    curves = {}
    for name, fakes in AGAINST.items():
        chosen = [(r.fake, e.label != "real") for e, r in mine if e.label == "real" or e.label in fakes]
        p, y = np.array([p for p, _ in chosen], float), np.array([y for _, y in chosen], bool)
        if y.any() and not y.all():
            curves[name] = (p, y)
    drawn: list[Chart] = []
    if curves:
        drawn.append(("ROC curves", plots.roc(curves)))
        name = next(name for name in ("real vs fake", *curves) if name in curves)
        own = found["abstention"]
        drawn.append(("reliability diagram", plots.calibration(*curves[name])))
        drawn.append(
            ("risk against coverage", plots.abstention(*curves[name], (own["coverage"], own["risk"])))
        )
    for label, words in (
        ("synthetic", "generator"),
        ("tampered", "manipulation"),
        ("real", "source of reals"),
    ):
        rows = [k for k in found["kinds"] if k["label"] == label][:BARS]
        if rows:
            title = f"share with a fake probability over 0.5, by {words}"
            bars = [(f"{k['kind']} ({k['n']})", k["above_half"], k["interval"]) for k in rows]
            drawn.append((title, plots.shares(title, bars)))
    return drawn


def localisation(found: dict[str, Any]) -> list[Chart]:
    drawn = []
    for part, f in found.items():
        if f["tampered"]:
            kinds = list(f["manipulations"])
            bars = {
                title: [(f["manipulations"][kind][name]["iou"], None) for kind in kinds]
                for name, title in METHODS.items()
            }
            title = f"{part}: mean IoU by manipulation"
            drawn.append((title, plots.grouped(title, kinds, bars, 1.0)))
    return drawn


def robustness(found: dict[str, Any]) -> list[Chart]:
    chains = found["chains"]
    if not chains:
        return []
    bars: dict[str, list[tuple[float | None, None]]] = {
        "synthetic found (label)": [(c["found"]["synthetic"]["labelled"], None) for c in chains.values()],
        "tampered found (label)": [(c["found"]["tampered"]["labelled"], None) for c in chains.values()],
        "photos accused (label)": [
            (c["false_accusations"]["labelled"]["rate"], None) for c in chains.values()
        ],
        "flips among answered": [(c["flips"]["rate"], None) for c in chains.values()],
        "coverage": [(c["answered"]["rate"], None) for c in chains.values()],
        "AUC, real vs synthetic": [(c["auc"]["real vs synthetic"], None) for c in chains.values()],
    }
    title = "after each chain, at thresholds frozen before it"
    return [(title, plots.grouped(title, list(chains), bars, 1.0))]


def degradation(found: dict[str, Any]) -> list[Chart]:
    wanted = {
        "AUC, real vs synthetic": lambda p: p["auc"]["real vs synthetic"],
        "AUC, real vs tampered": lambda p: p["auc"]["real vs tampered"],
        "synthetic over 0.5": lambda p: p["synthetic_found"],
        "reals over 0.5": lambda p: p["reals_above_half"],
        "mask IoU": lambda p: p["mask_iou"],
    }
    curves = {
        name: {line: [(p["x"], pick(p)) for p in points] for line, pick in wanted.items()}
        for name, points in found["curves"].items()
    }
    title = "as one damage grows"
    return [(title, plots.lines(title, curves))]


def explanation(found: dict[str, Any]) -> list[Chart]:
    return [(ASPECTS_TITLE, aspects({name: f["aspects"] for name, f in found["systems"].items()}))]


ASPECTS_TITLE = "five aspects and their mean, 0 to 100"


def aspects(systems: dict[str, Any]) -> Figure:
    """System -> column -> score and interval."""
    bars = {
        name: [(found[column]["score"], found[column]["interval"]) for column in COLUMNS]
        for name, found in systems.items()
    }
    return plots.grouped(ASPECTS_TITLE, [name.replace("_", " ") for name in COLUMNS], bars, 100.0)
