"""The same images after the named chains of `data.laundering.PLATFORMS`: does the answer stay?

In the manner of TrueFake (Dell'Anna et al. 2025): every threshold is frozen before a picture is passed on - 0.5
and the operating points shipped with the weights - and each generator is counted in each chain.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from eval.detection import AGAINST
from eval.rows import Row
from eval.shortcuts import size_format
from eval.table import table
from eval.verdicts import Pairs, abstention, false_accusations, photographic, rate

HOW = ("labelled", "above_half")
"""The two frozen thresholds: labelled as a fake, and a fake probability above 0.5."""


def figures(pairs: Pairs, seed: int = 0) -> dict[str, Any]:
    """Per chain; pairs must hold the chain "clean". Screenshots and forgeries are left out."""
    photos = photographic(pairs)
    clean = {e.id: r for e, r in photos if r.chain == "clean"}
    names = dict.fromkeys(r.chain for _, r in photos)
    chains = {name: one([(e, r) for e, r in photos if r.chain == name], clean, seed) for name in names}
    worst = {
        how: max(chains, key=lambda name: chains[name]["false_accusations"][how]["rate"] or 0.0)
        for how in HOW
    } if chains else {}  # fmt: skip
    return {"chains": chains, "worst_for_false_accusations": worst}


def one(pairs: Pairs, clean: dict[str, Row], seed: int = 0) -> dict[str, Any]:
    """One chain.

    flips: label other than on the clean image; crossings: from real to fake or back; both among the images
    answered in both. found: of each kind of fake, at both frozen thresholds. masks: means over tampered
    images.
    """
    both = [(clean[e.id], r) for e, r in pairs if e.id in clean and clean[e.id].answered and r.answered]
    return {
        "n": len(pairs),
        **abstention(pairs),
        "answered": rate(sum(r.answered for _, r in pairs), len(pairs)),
        "flips": rate(sum(a.verdict != b.verdict for a, b in both), len(both)),
        "crossings": rate(sum(a.accused != b.accused for a, b in both), len(both)),
        "auc": {name: auc(pairs, fakes) for name, fakes in AGAINST.items()},
        "found": {
            label: hits([r for e, r in pairs if e.label == label]) for label in ("synthetic", "tampered")
        },
        "found_by_kind": {
            f"{label}: {kind}": hits([r for e, r in pairs if (e.label, e.kind) == (label, kind)])
            for label, kind in sorted({(e.label, e.kind) for e, _ in pairs if e.label != "real"})
        },
        "false_accusations": false_accusations(pairs),
        "masks": masks([r for e, r in pairs if e.label == "tampered" and r.masks]),
        "size_format": size_format(
            [(r.width, r.height, r.format) for _, r in pairs],
            [e.label != "real" for e, _ in pairs],
            [e.source for e, _ in pairs],
            seed,
        ),
    }


def hits(rows: Sequence[Row]) -> dict[str, Any]:
    """How many, and the share found at each frozen threshold."""
    shares = {"labelled": [r.accused for r in rows], "above_half": [r.fake > 0.5 for r in rows]}
    return {"n": len(rows), **{how: float(np.mean(v)) if v else None for how, v in shares.items()}}


def masks(rows: Sequence[Row]) -> dict[str, float | None]:
    """Mean F1 and IoU of what a user is shown, and pixel AUC."""
    return {
        key: float(np.mean([r.masks["shipped"][key] for r in rows])) if rows else None
        for key in ("f1", "iou", "auc")
    }


def auc(pairs: Pairs, fakes: Sequence[str]) -> float | None:
    """Of the fake probability; None unless both classes occur."""
    chosen = [(e.label != "real", r.fake) for e, r in pairs if e.label == "real" or e.label in fakes]
    if len({y for y, _ in chosen}) < 2:
        return None
    return float(roc_auc_score(*zip(*chosen, strict=True)))


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    header = ["", "n", "flips", "real<>fake", "coverage", *(f"AUC {name[8:]}" for name in AGAINST)]
    header += ["accused", "bound", "> 0.5", "bound", "size/format AUC"]
    rows = []
    for name, c in found["chains"].items():
        stays = [c[key]["rate"] for key in ("flips", "crossings", "answered")]
        accused = [c["false_accusations"][how] for how in HOW]
        bounds = [value for f in accused for value in (f["rate"], f["upper_95"])]
        rows.append([name, c["n"], *stays, *c["auc"].values(), *bounds, c["size_format"]["auc"]])
    parts = [
        table("after delivery (flips and real<>fake: among images answered before and after)", header, rows)
    ]
    worst = found["worst_for_false_accusations"]
    for how, words in zip(HOW, ("labelled fake", "with a fake probability over 0.5"), strict=True):
        if how in worst:
            f = found["chains"][worst[how]]["false_accusations"][how]
            parts.append(
                f"worst single chain for photos {words}: {worst[how]}, {f['hits']} of {f['n']}, "
                f"95 % upper bound {f['upper_95']:.3f}"
            )
    kinds = sorted({kind for c in found["chains"].values() for kind in c["found_by_kind"]})
    for how, words in zip(HOW, ("labelled fake", "fake probability over 0.5"), strict=True):
        rows = [
            [kind[:60], *((c["found_by_kind"].get(kind) or {}).get(how) for c in found["chains"].values())]
            for kind in kinds
        ]
        parts.append(table(f"found at the frozen threshold, {words}", ["", *found["chains"]], rows))
    return "\n\n".join(parts)
