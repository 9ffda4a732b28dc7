"""From answers to figures: five aspects per system, class and kind, with intervals, and pairs of systems on
the same items.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.explanation.answers import Answer
from eval.explanation.aspects import ASPECTS, Heard, Scored, heard, score
from eval.explanation.consistency import asserts_artefact
from eval.explanation.items import Item
from eval.explanation.kinds import KINDS
from eval.guards import f1_within_iou
from eval.table import table
from forensic_chat.mllm.vocabulary import general
from forensic_chat.schema import CLASSES
from forensic_chat.scoring.detection import group_intervals

MEAN = "mean"
COLUMNS = (*ASPECTS, MEAN)
FLIPS = 2000
"""Random sign patterns behind a p-value."""


@dataclass(frozen=True)
class Line:
    """One item of one system, scored."""

    item: Item
    answer: Answer
    heard: Heard
    scored: Scored

    @property
    def values(self) -> list[float]:
        """The five aspects and their mean, in the order of `COLUMNS`."""
        aspects = [self.scored.aspects[aspect] for aspect in ASPECTS]
        return [*aspects, float(np.mean(aspects))]


def lines(items: Sequence[Item], answers: Sequence[Answer]) -> list[Line]:
    """Score one system's answers; each is compared with its answers to the same kind of question."""
    read = [heard(i.kind, i.wording, a.answers, a.evidence) for i, a in zip(items, answers, strict=True)]
    alike: dict[str, list[int]] = {}
    for k, item in enumerate(items):
        alike.setdefault(item.kind if KINDS[item.kind].cites else "", []).append(k)
    found = []
    for k, (item, answer) in enumerate(zip(items, answers, strict=True)):
        mine = alike[item.kind if KINDS[item.kind].cites else ""]
        at = mine.index(k)
        others = [read[n] for n in (*mine[at + 1 :], *mine[:at]) if items[n].example.id != item.example.id]
        found.append(Line(item, answer, read[k], score(read[k], item.truth, others)))
    return found


def figures(found: Sequence[Line], seed: int, draws: int) -> dict[str, Any]:
    """All figures of one system."""
    tampered = [line for line in found if line.scored.iou is not None]
    places = _places([line.scored.iou or 0.0 for line in tampered])
    outcomes = Counter(fact.outcome for line in found for fact in line.scored.facts)
    return {
        "items": len(found),
        "aspects": _aspects(found, seed, draws),
        "unseen_sources": _aspects(
            [line for line in found if not line.item.example.in_training], seed, draws
        ),
        "classes": {
            label: _aspects([line for line in found if line.item.truth.label == label], seed, draws)
            for label in CLASSES
        },
        "kinds": {
            kind: {"items": len(mine), **_means(mine)}
            for kind in KINDS
            if (mine := [line for line in found if line.item.kind == kind])
        },
        "verdicts": {
            truth: dict(
                sorted(
                    Counter(
                        line.scored.verdict or "unparsable"
                        for line in found
                        if line.item.truth.label == truth
                    ).items()
                )
            )
            for truth in CLASSES
        },
        "places": {"tampered": len(tampered), **places},
        "reals_given_artefacts": _artefacts_on_reals(found),
        "sentences": {outcome: outcomes[outcome] for outcome in ("true", "unproven", "false")},
        "contradictions": dict(Counter(c for line in found for c in line.scored.contradictions)),
        "instructions_failed": dict(Counter(c for line in found for c in line.scored.failed)),
        "unparsable": [
            {"item": line.item.id, "why": line.answer.error or "no verdict, or two, can be read"}
            for line in found
            if line.scored.verdict is None
        ],
        "notes": dict(Counter(line.answer.note for line in found if line.answer.note)),
    }


def _places(ious: Sequence[float]) -> dict[str, float | None]:
    """Mean IoU and F1 over the same items."""
    if not ious:
        return {"iou": None, "f1": None}
    iou, f1 = float(np.mean(ious)), float(np.mean([2 * one / (1 + one) for one in ious]))
    f1_within_iou(f1, iou)
    return {"iou": round(iou, 4), "f1": round(f1, 4)}


def _artefacts_on_reals(found: Sequence[Line]) -> float | None:
    """Share of the items on real images whose answer gives an artefact as evidence."""
    reals = [line.heard.tested.pieces for line in found if line.item.truth.label == "real"]
    accused = [any(asserts_artefact(p) and not general(p.text) for p in pieces) for pieces in reals]
    return round(float(np.mean(accused)), 4) if accused else None


def _aspects(found: Sequence[Line], seed: int, draws: int) -> dict[str, Any]:
    """Each column's mean and its interval, from drawing whole groups of images."""
    values = np.array([line.values for line in found]).reshape(-1, len(COLUMNS))
    groups = [line.item.example.group for line in found]
    intervals = group_intervals(_column_means(values), groups, draws, seed) if found else {}
    means = _means(found)
    return {
        name: {"score": means[name], "interval": _rounded(intervals.get(name))}
        for name in COLUMNS
        if name in means
    }


def _column_means(values: NDArray[np.float64]) -> Callable[[NDArray[np.intp]], Mapping[str, float]]:
    return lambda index: dict(zip(COLUMNS, values[index].mean(axis=0).tolist(), strict=True))


def _means(found: Sequence[Line]) -> dict[str, float]:
    if not found:
        return {}
    means = np.array([line.values for line in found]).mean(axis=0)
    return {name: round(float(value), 2) for name, value in zip(COLUMNS, means, strict=True)}


def paired(a: Sequence[Line], b: Sequence[Line], seed: int, draws: int) -> dict[str, Any]:
    """How much higher `a` scores than `b` on the same items: mean difference, interval, and a two-sided p.

    p: how often random signs of whole groups' differences give as large a mean (sign-flip test). Raises
    ValueError unless the items are the same.
    """
    if [line.item.id for line in a] != [line.item.id for line in b]:
        raise ValueError("two systems are compared on the same items only")
    values = (np.array([line.values for line in lines]) for lines in (a, b))
    return differences(*values, [line.item.example.group for line in a], seed, draws)


def differences(
    a: NDArray[np.float64], b: NDArray[np.float64], groups: Sequence[str], seed: int, draws: int
) -> dict[str, Any]:
    """As `paired`, of (N, 6) values in the order of `COLUMNS` and the group of each of the N items."""
    gaps = a - b
    intervals = group_intervals(_column_means(gaps), groups, draws, seed)
    chances = _sign_flips(gaps, groups, seed)
    return {
        name: {
            "difference": round(float(gap), 2),
            "interval": _rounded(intervals.get(name)),
            "p": round(float(p), 4),
        }
        for name, gap, p in zip(COLUMNS, gaps.mean(axis=0), chances, strict=True)
    }


def _sign_flips(gaps: NDArray[np.float64], groups: Sequence[str], seed: int) -> NDArray[np.float64]:
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((len(names), gaps.shape[1]))
    np.add.at(sums, member, gaps)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (FLIPS, len(names)))
    as_large = np.abs(signs @ sums) >= np.abs(sums.sum(axis=0)) - 1e-9
    return (1 + as_large.sum(axis=0)) / (1 + FLIPS)


def show(systems: Mapping[str, dict[str, Any]], pairs: Sequence[dict[str, Any]]) -> str:
    """The figures as text."""
    header = ["", "items", *(name.replace("_", " ") for name in COLUMNS), "95 % of the mean"]
    rows = [_row(name, f["items"], f["aspects"]) for name, f in systems.items()]
    parts = [table("five aspects, 0 to 100", header, rows)]
    for name, f in systems.items():
        rows = [_row(label, "", f["classes"][label]) for label in CLASSES]
        rows += [[kind, m["items"], *(f"{m[c]:.1f}" for c in COLUMNS), ""] for kind, m in f["kinds"].items()]
        parts.append(table(f"{name}: by class and by kind of instruction", header, rows))
        places, said = f["places"], f["sentences"]
        parts.append(
            f"{name}: IoU of places on {places['tampered']} items {number(places['iou'])}; sentences "
            + ", ".join(f"{count} {outcome}" for outcome, count in said.items())
            + f"; real images given artefacts {number(f['reals_given_artefacts'])}"
            + f"; {len(f['unparsable'])} unparsable, counted as wrong"
        )
    if pairs:
        rows = [
            [f"{p['a']} - {p['b']}", *(f"{p['by'][c]['difference']:+.1f}" for c in COLUMNS), _p(p)]
            for p in pairs
        ]
        columns = [name.replace("_", " ") for name in COLUMNS]
        parts.append(table("the same items, paired", ["", *columns, "p of the mean"], rows))
    return "\n\n".join(parts)


def _row(name: str, items: object, aspects: Mapping[str, Any]) -> list[object]:
    if not aspects:
        return [name, items, *["-"] * len(COLUMNS), "-"]
    ends = aspects[MEAN]["interval"]
    interval = f"[{ends[0]:.1f}, {ends[1]:.1f}]" if ends else "-"
    return [name, items, *(f"{aspects[c]['score']:.1f}" for c in COLUMNS), interval]


def _p(pair: Mapping[str, Any]) -> str:
    return f"{pair['by'][MEAN]['p']:.4f}"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _rounded(interval: tuple[float, float] | None) -> list[float] | None:
    return [round(end, 2) for end in interval] if interval else None
