"""How figures fall as one kind of damage grows: JPEG, WebP, scaling, cropping, blur, noise."""

from typing import Any

from eval.delivery import Chain
from eval.detection import AGAINST
from eval.robustness import auc, hits, masks
from eval.rows import Row
from eval.table import table
from eval.verdicts import Pairs, false_accusations, photographic
from forensic_chat.data.laundering import Blur, Crop, GaussianNoise, Jpeg, Resize, Webp

CURVES: dict[str, dict[float, Chain]] = {
    "JPEG quality": {q: (Jpeg(q),) for q in (95, 80, 65, 50)},
    "WebP quality": {q: (Webp(q),) for q in (90, 70, 50)},
    "scale": {s: (Resize(s),) for s in (0.5, 0.75, 1.5, 2.0)},
    "share of each side kept": {s: (Crop((1 - s) / 2, (1 - s) / 2, s, s),) for s in (0.9, 0.7, 0.5)},
    "blur, sigma in px": {s: (Blur(s),) for s in (0.5, 1.0, 2.0)},
    "noise, sigma in grey levels": {s: (GaussianNoise(s, 0),) for s in (2.0, 5.0, 10.0)},
}
"""Damage -> its strength -> the chain."""
UNTOUCHED = {
    "scale": 1.0,
    "share of each side kept": 1.0,
    "blur, sigma in px": 0.0,
    "noise, sigma in grey levels": 0.0,
}
"""Where on its axis the image as it is stands; a codec's quality has no such place."""
CHAINS: dict[str, Chain] = {
    "clean": (),
    **{f"{name} {x:g}": chain for name, points in CURVES.items() for x, chain in points.items()},
}


def figures(pairs: Pairs) -> dict[str, Any]:
    """Damage -> points, in order of strength; photos only, as for `robustness`."""
    photos = photographic(pairs)
    by_chain: dict[str, list[Any]] = {}
    for e, r in photos:
        by_chain.setdefault(r.chain, []).append((e, r))
    found = {}
    for name, points in CURVES.items():
        chains = {x: f"{name} {x:g}" for x in points}
        chains |= {UNTOUCHED[name]: "clean"} if name in UNTOUCHED else {}
        found[name] = [{"x": x, **point(by_chain.get(chains[x], []))} for x in sorted(chains)]
    return {"clean": point(by_chain.get("clean", [])), "curves": found}


def point(pairs: Pairs) -> dict[str, Any]:
    """One strength; thresholds are the frozen ones."""

    def of(label: str) -> list[Row]:
        return [r for e, r in pairs if e.label == label]

    return {
        "n": len(pairs),
        "auc": {name: auc(pairs, fakes) for name, fakes in AGAINST.items()},
        "synthetic_found": hits(of("synthetic"))["above_half"],
        "tampered_found": hits(of("tampered"))["above_half"],
        "reals_above_half": false_accusations(pairs)["above_half"]["rate"],
        "mask_iou": masks([r for r in of("tampered") if r.masks])["iou"],
    }


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    header = ["", "n", *(f"AUC {name[8:]}" for name in AGAINST), "synthetic found", "tampered found"]
    header += ["reals > 0.5", "mask IoU"]
    points = [("as they are", found["clean"])]
    points += [(f"{name} {p['x']:g}", p) for name, curve in found["curves"].items() for p in curve]
    rows = [
        [title, p["n"], *p["auc"].values()]
        + [p[key] for key in ("synthetic_found", "tampered_found", "reals_above_half", "mask_iou")]
        for title, p in points
    ]
    return table("by strength of one damage; found: fake probability over 0.5", header, rows)
