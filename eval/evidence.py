"""Each finding's promise: how often it speaks for a fake on real images, against the rate it states."""

from collections.abc import Sequence
from typing import Any

from scipy.stats import binom

from eval.examples import Example
from eval.rows import Row
from eval.table import table
from forensic_chat.scoring.detection import rate_upper_bound

ACCUSES = ("synthetic", "tampered")


def figures(pairs: Sequence[tuple[Example, Row]]) -> dict[str, Any]:
    """Kind of finding -> how often it supports "synthetic" or "tampered", by true class; screenshots
    apart."""
    examined = [(e, r) for e, r in pairs if r.error is None and not e.forged]
    sets = {
        name: [r for e, r in examined if e.label == name and not e.screenshot]
        for name in ("real", "synthetic", "tampered")
    }
    sets["screenshot"] = [r for e, r in examined if e.screenshot]
    kinds = sorted({str(finding[0]) for _, r in examined for finding in r.findings})
    return {
        "n": {name: len(rows) for name, rows in sets.items()},
        "kinds": {kind: one(sets, kind) for kind in kinds},
    }


def one(sets: dict[str, list[Row]], kind: str) -> dict[str, Any]:
    """One kind.

    kept: the rate on reals is within what the finding states (the highest rate it stated). by_chance: how
    probable as many hits on reals or more are, were the stated rate the true one.
    """
    hits = {name: sum(accuses(row, kind) for row in rows) for name, rows in sets.items()}
    rates = {name: hits[name] / len(rows) if rows else None for name, rows in sets.items()}
    stated = max(
        (float(f[3]) for rows in sets.values() for r in rows for f in r.findings if f[0] == kind), default=0.0
    )
    real = rates["real"]
    return {
        "hits": hits,
        "rates": rates,
        "upper_95_real": rate_upper_bound(hits["real"], len(sets["real"])),
        "stated": stated,
        "kept": None if real is None else real <= stated,
        "by_chance": float(binom.sf(hits["real"] - 1, len(sets["real"]), stated)),
    }


def accuses(row: Row, kind: str) -> bool:
    return any(finding[0] == kind and finding[1] in ACCUSES for finding in row.findings)


def show(found: dict[str, Any]) -> str:
    """The figures as text; kinds that never accuse are counted in one line."""
    speaking = {kind: f for kind, f in found["kinds"].items() if any(f["hits"].values())}
    words = {True: "yes", False: "NO", None: None}
    rows = []
    for kind, f in speaking.items():
        held = [f["hits"]["real"], f["rates"]["real"], f["stated"], words[f["kept"]], f["by_chance"]]
        rows.append([kind, *held, f["rates"]["synthetic"], f["rates"]["tampered"], f["hits"]["screenshot"]])
    n = ", ".join(f"{count} {name}" for name, count in found["n"].items())
    header = ["finding", "on reals", "rate", "stated", "kept", "by chance"]
    header += ["on synthetic", "on tampered", "on screenshots"]
    silent = len(found["kinds"]) - len(speaking)
    return table(f"findings that support a fake ({n})", header, rows) + f"\n  {silent} other kinds never did"
