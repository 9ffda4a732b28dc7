"""The same images after the named chains of `data.laundering.PLATFORMS`: does the answer stay?"""

from collections.abc import Sequence
from typing import Any

from sklearn.metrics import roc_auc_score

from eval.detection import AGAINST
from eval.rows import Row
from eval.table import table
from eval.verdicts import Pairs, abstention, false_accusations, rate


def figures(pairs: Pairs) -> dict[str, Any]:
    """Per chain; pairs must hold the chain "clean". Screenshots and forgeries are left out."""
    photos = [(e, r) for e, r in pairs if r.error is None and not e.screenshot and not e.forged]
    clean = {e.id: r for e, r in photos if r.chain == "clean"}
    names = dict.fromkeys(r.chain for _, r in photos)
    chains = {name: one([(e, r) for e, r in photos if r.chain == name], clean) for name in names}
    worst = {
        how: max(chains, key=lambda name: chains[name]["false_accusations"][how]["rate"] or 0.0)
        for how in ("labelled", "above_half")
    } if chains else {}  # fmt: skip
    return {"chains": chains, "worst_for_false_accusations": worst}


def one(pairs: Pairs, clean: dict[str, Row]) -> dict[str, Any]:
    """One chain.

    flips: label other than on the clean image; crossings: from real to fake or back; both among the images
    answered in both.
    """
    both = [(clean[e.id], r) for e, r in pairs if e.id in clean and clean[e.id].answered and r.answered]
    return {
        "n": len(pairs),
        **abstention(pairs),
        "answered": rate(sum(r.answered for _, r in pairs), len(pairs)),
        "flips": rate(sum(a.verdict != b.verdict for a, b in both), len(both)),
        "crossings": rate(sum(a.accused != b.accused for a, b in both), len(both)),
        "auc": {name: _auc(pairs, fakes) for name, fakes in AGAINST.items()},
        "false_accusations": false_accusations(pairs),
    }


def _auc(pairs: Pairs, fakes: Sequence[str]) -> float | None:
    chosen = [(e.label != "real", r.fake) for e, r in pairs if e.label == "real" or e.label in fakes]
    if len({y for y, _ in chosen}) < 2:
        return None
    return float(roc_auc_score(*zip(*chosen, strict=True)))


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    header = ["", "n", "flips", "real<>fake", "coverage", *(f"AUC {name[8:]}" for name in AGAINST)]
    header += ["accused", "bound", "> 0.5", "bound"]
    rows = []
    for name, c in found["chains"].items():
        stays = [c[key]["rate"] for key in ("flips", "crossings", "answered")]
        accused = [c["false_accusations"][how] for how in ("labelled", "above_half")]
        bounds = [value for f in accused for value in (f["rate"], f["upper_95"])]
        rows.append([name, c["n"], *stays, *c["auc"].values(), *bounds])
    return table(
        "after delivery (flips and real<>fake: among images answered before and after)", header, rows
    )
