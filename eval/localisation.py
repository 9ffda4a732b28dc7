"""Where: masks against the truth, image by image, at the threshold that was frozen with the weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.examples import Example
from eval.guards import f1_within_iou
from eval.rows import Row
from eval.shortcuts import size_format
from eval.table import table, text
from forensic_chat.scoring.detection import group_intervals

METHODS = {
    "shipped": "shipped",
    "ungated": "shipped, whatever the verdict",
    "half": "the mask at 0.5",
    "ela": "ELA at 0.5",
    "noise": "noise map at 0.5",
    "ghost": "JPEG ghost at 0.5",
    "copymove": "copy-move at 0.5",
    "everything": "mark everything",
}
"""Method -> name in tables."""
BASELINES = ("ela", "noise", "ghost", "copymove", "everything")
PARTS = {"data": False, "forged": True}
FIT = ("f1", "iou", "auc", "otsu_iou")


def figures(pairs: Sequence[tuple[Example, Row]], seed: int, draws: int) -> dict[str, Any]:
    """The data's own images, and apart from them the forgeries made for the run, on whose kind the encoder
    was trained."""
    examined = [(e, r) for e, r in pairs if r.error is None]
    parts = {name: [p for p in examined if p[0].forged == forged] for name, forged in PARTS.items()}
    return {name: part(chosen, seed, draws) for name, chosen in parts.items()}


def part(examined: Sequence[tuple[Example, Row]], seed: int, draws: int) -> dict[str, Any]:
    """Per method: F1, IoU and pixel AUC over tampered images (macro: over manipulations), and the area marked
    on real ones."""
    tampered = [(e, r) for e, r in examined if e.label == "tampered" and e.mask]
    reals = [r for e, r in examined if e.label == "real" and not e.screenshot]
    both = [(e, r) for e, r in examined if e.label in ("real", "tampered") and not e.screenshot]
    return {
        "tampered": len(tampered),
        "real": len(reals),
        "manipulations": {
            kind: {"n": sum(e.kind == kind for e, _ in tampered)}
            | {name: fit([r for e, r in tampered if e.kind == kind], name) for name in METHODS}
            for kind in sorted({e.kind for e, _ in tampered})
        },
        "methods": {name: method(tampered, reals, name, seed, draws) for name in METHODS},
        "size_format": size_format(
            [(r.width, r.height, r.format) for _, r in both],
            [e.label == "tampered" for e, _ in both],
            [e.source for e, _ in both],
            seed,
        ),
    }


def method(
    tampered: Sequence[tuple[Example, Row]], reals: Sequence[Row], name: str, seed: int, draws: int
) -> dict[str, Any]:
    """One method over all images."""
    rows = [r for _, r in tampered]
    per_kind = [
        fit([r for e, r in tampered if e.kind == kind], name)
        for kind in sorted({e.kind for e, _ in tampered})
    ]
    values = {key: np.array([of_row(r, name)[key] for r in rows]) for key in FIT}
    intervals = group_intervals(
        lambda index: {key: float(v[index].mean()) for key, v in values.items()},
        [e.group for e, _ in tampered],
        draws,
        seed,
    )
    areas = np.array([of_row(r, name)["area"] for r in reals])
    return {
        "micro": fit(rows, name),
        "macro": {key: float(np.mean([kind[key] for kind in per_kind])) for key in FIT} if per_kind else {},
        "intervals": intervals,
        "false_positive_area": float(areas.mean()) if len(areas) else None,
        "reals_marked": float((areas > 0).mean()) if len(areas) else None,
    }


def fit(rows: Sequence[Row], name: str) -> dict[str, float]:
    """Means over images."""
    if not rows:
        return {}
    means = {key: float(np.mean([of_row(r, name)[key] for r in rows])) for key in FIT}
    f1_within_iou(means["f1"], means["iou"])
    return means


def of_row(row: Row, name: str) -> dict[str, float]:
    """Figures of one method on one image; "everything" follows from the truth's share."""
    if name != "everything":
        return row.masks[name]
    truth = row.masks["shipped"].get("truth")
    if truth is None:
        return {"area": 1.0}
    return {"f1": 2 * truth / (1 + truth), "iou": truth, "auc": 0.5, "otsu_iou": truth, "area": 1.0}


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    return "\n\n".join(_show(name, one) for name, one in found.items() if one["tampered"])


def _show(name: str, found: dict[str, Any]) -> str:
    header = [
        "",
        "F1 macro",
        "IoU macro",
        "pixel AUC macro",
        "IoU macro, Otsu",
        "F1 micro",
        "95 %",
        "IoU micro",
    ]
    header += ["area on reals", "reals marked"]
    rows = []
    for key, title in METHODS.items():
        m = found["methods"][key]
        macro, micro = (
            [m["macro"][k] for k in FIT],
            [m["micro"]["f1"], m["intervals"].get("f1"), m["micro"]["iou"]],
        )
        rows.append([title, *macro, *micro, m["false_positive_area"], m["reals_marked"]])
    kinds = [
        [kind, f["n"], *(f[key]["f1"] for key in METHODS), f["shipped"]["iou"], f["shipped"]["auc"]]
        for kind, f in found["manipulations"].items()
    ]
    shortcut = found["size_format"]
    title = (
        f"{name}: {found['tampered']} tampered, {found['real']} real images; AUC of size and format alone "
    )
    title += f"{text(shortcut['auc'])}, {shortcut['note']}"
    by_kind = table("by manipulation: F1", ["", "n", *METHODS, "shipped IoU", "shipped AUC"], kinds)
    return table(title, header, rows) + "\n\n" + by_kind
