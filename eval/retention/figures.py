"""What the tuning changed: perplexities and checks of both models, paired."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.retention.checks import Check
from eval.retention.replies import Line
from eval.table import table
from forensic_chat.scoring.detection import group_intervals

VERDICT = re.compile(r"\A\W*(real|synthetic|tampered|inconclusive)\s+[01]\.\d", re.IGNORECASE)
"""How the product answers an examination, which none of the questions asks for."""


def figures(
    base: dict[str, Line],
    tuned: dict[str, Line],
    asked: Sequence[Check],
    read: dict[str, str],
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """Perplexities and pass rates of both, and what the tuning changed, with 95 % intervals over texts and checks.

    forgotten: the interval of the perplexities' ratio lies above 1, or that of the difference of the pass rates
    below 0.
    """
    parts = {"all": list(read)}
    for kind in ("passage", "python"):
        parts[kind] = [name for name in read if name.startswith(kind)]
    text = {part: _perplexities(base, tuned, names, seed, draws) for part, names in parts.items() if names}
    kinds = {check.id.rsplit("-", 1)[0] for check in asked}
    dialogue = _passed(base, tuned, asked, seed, draws)
    ratio, gap = text["all"]["interval"], dialogue["interval"]
    return {
        "perplexity": text,
        "checks": dialogue,
        "by_kind": {
            kind: _passed(base, tuned, [c for c in asked if c.id.rsplit("-", 1)[0] == kind], seed, draws)
            for kind in sorted(kinds)
        },
        "lost": [c.id for c in asked if _ok(base, c) and not _ok(tuned, c)],
        "gained": [c.id for c in asked if _ok(tuned, c) and not _ok(base, c)],
        "verdicts_nobody_asked_for": {
            name: sum(VERDICT.match(lines[c.id].replies[-1]) is not None for c in asked)
            for name, lines in (("base", base), ("tuned", tuned))
        },
        "forgotten": bool((ratio and ratio[0] > 1) or (gap and gap[1] < 0)),
    }


def _ok(lines: dict[str, Line], check: Check) -> bool:
    return check.holds(lines[check.id].replies[-1])


def _perplexities(
    base: dict[str, Line], tuned: dict[str, Line], names: Sequence[str], seed: int, draws: int
) -> dict[str, Any]:
    nats = np.array([[lines[name].nats for name in names] for lines in (base, tuned)])
    tokens = np.array([base[name].tokens for name in names])

    def ratio(index: NDArray[np.intp]) -> dict[str, float]:
        change = nats[1, index].sum() - nats[0, index].sum()
        return {"ratio": math.exp(change / tokens[index].sum())}

    return {
        "texts": len(names),
        "tokens": int(tokens.sum()),
        "base": math.exp(nats[0].sum() / tokens.sum()),
        "tuned": math.exp(nats[1].sum() / tokens.sum()),
        **ratio(np.arange(len(names))),
        "interval": group_intervals(ratio, list(names), draws, seed).get("ratio"),
    }


def _passed(
    base: dict[str, Line], tuned: dict[str, Line], asked: Sequence[Check], seed: int, draws: int
) -> dict[str, Any]:
    passed = np.array([[_ok(lines, check) for check in asked] for lines in (base, tuned)], float)

    def gap(index: NDArray[np.intp]) -> dict[str, float]:
        return {"difference": float((passed[1, index] - passed[0, index]).mean())}

    return {
        "checks": len(asked),
        "base": float(passed[0].mean()),
        "tuned": float(passed[1].mean()),
        **gap(np.arange(len(asked))),
        "interval": group_intervals(gap, [check.id for check in asked], draws, seed).get("difference"),
    }


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    text = [
        [part, f["texts"], f["tokens"], f["base"], f["tuned"], f["ratio"], f["interval"]]
        for part, f in found["perplexity"].items()
    ]
    parts = {"all": found["checks"], **found["by_kind"]}
    said = [[p, f["checks"], f["base"], f["tuned"], f["difference"], f["interval"]] for p, f in parts.items()]
    intrusions = found["verdicts_nobody_asked_for"]
    return "\n\n".join(
        [
            table("perplexity", ["", "texts", "tokens", "base", "tuned", "ratio", "95 %"], text),
            table("checks passed", ["", "n", "base", "tuned", "difference", "95 %"], said),
            f"verdicts that nobody asked for: base {intrusions['base']}, tuned {intrusions['tuned']}",
            f"forgotten: {'yes' if found['forgotten'] else 'not shown'}",
        ]
    )
