"""The figures to quote of each suite, with what must be read beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eval.explanation.figures import MEAN
from eval.localisation import BASELINES, METHODS
from eval.table import text


@dataclass(frozen=True)
class Headline:
    """A figure with what must be read beside it, as text."""

    suite: str
    name: str
    value: str
    interval: str
    unseen: str
    alone: str


def headlines(suite: str, found: dict[str, Any]) -> Iterator[Headline]:
    """The figures to quote, never without the AUC of size and format alone."""
    match suite:
        case "detection":
            for name, f in found["pairs"].items():
                if f:
                    yield from _separated(suite, name, f, found["unseen_sources"])
            alone = _alone((found["pairs"]["real vs fake"] or {}).get("size_format"))
            for how, words in (("labelled", "labelled fake"), ("above_half", "fake probability > 0.5")):
                yield _accused(suite, f"photos: {words}", found["false_accusations"][how], alone)
        case "localisation":
            for part, f in found.items():
                yield from _located(part, f)
        case "robustness":
            yield from _delivered(found)
        case "degradation":
            clean = found["clean"]["auc"]["real vs synthetic"]
            lowest = [
                (p["auc"]["real vs synthetic"], f"{name} {p['x']:g}")
                for name, curve in found["curves"].items()
                for p in curve
                if p["auc"]["real vs synthetic"] is not None
            ]
            if lowest:
                name = f"AUC, real vs synthetic: lowest, {min(lowest)[1]} (as they are: {text(clean)})"
                yield Headline(suite, name, text(min(lowest)[0]), "-", "-", "as for detection")
        case "explanation":
            alone = _alone(found["size_format"])
            for name, f in found["systems"].items():
                mean, unseen = f["aspects"][MEAN], f["unseen_sources"].get(MEAN, {})
                ends = "-" if mean["interval"] is None else "{:.1f} to {:.1f}".format(*mean["interval"])
                score = f"{unseen['score']:.1f}" if unseen else "none to measure"
                yield Headline(
                    suite, f"{name}: mean of five aspects", f"{mean['score']:.1f}", ends, score, alone
                )


def _separated(suite: str, name: str, f: dict[str, Any], unseen: dict[str, Any] | None) -> Iterator[Headline]:
    other = f if unseen is None else unseen[name]
    for key, words in (("auc", "AUC"), ("balanced_accuracy", "balanced accuracy at 0.5")):
        held_out = text(other[key]) if other else "none to measure"
        yield Headline(
            suite, f"{words}, {name}", text(f[key]), _ends(f["intervals"].get(key)), held_out,
            _alone(f["size_format"]),
        )  # fmt: skip


def _accused(suite: str, name: str, f: dict[str, Any], alone: str) -> Headline:
    value = f"{text(f['rate'])} ({f['hits']} of {f['n']})"
    return Headline(suite, name, value, f"at most {f['upper_95']:.3f}", "-", alone)


def _located(part: str, f: dict[str, Any]) -> Iterator[Headline]:
    if not f["tampered"]:
        return
    best = max(BASELINES, key=lambda name: f["methods"][name]["macro"]["iou"])
    for name in ("shipped", "half", best):
        m = f["methods"][name]
        title = f"{part}: IoU, macro over manipulations: {METHODS[name]}"
        title += " (best of the simple tools)" if name == best else ""
        interval = f"{_ends(m['intervals'].get('iou'))} (micro)"
        yield Headline(
            "localisation", title, text(m["macro"]["iou"]), interval, "-", _alone(f["size_format"])
        )


def _delivered(found: dict[str, Any]) -> Iterator[Headline]:
    chains = {name: c for name, c in found["chains"].items() if name != "clean"}
    for how, words in (("labelled", "labelled fake"), ("above_half", "fake probability > 0.5")):
        if found["chains"]:
            name = found["worst_for_false_accusations"][how]
            chain = found["chains"][name]
            title = f"photos: {words}, worst single chain: {name}"
            alone = _alone(chain["size_format"])
            yield _accused("robustness", title, chain["false_accusations"][how], alone)
    for key, words, pick in (
        ("flips", "verdict flips among answered, most", max),
        ("answered", "coverage, least", min),
    ):
        known = {name: c[key] for name, c in chains.items() if c[key]["rate"] is not None}
        if known:
            name = pick(known, key=lambda name: known[name]["rate"])
            title = f"{words}: {name}"
            bound = f"at most {known[name]['upper_95']:.3f}" if key == "flips" else "-"
            value = f"{text(known[name]['rate'])} ({known[name]['hits']} of {known[name]['n']})"
            yield Headline("robustness", title, value, bound, "-", _alone(chains[name]["size_format"]))


def _alone(shortcut: dict[str, Any] | None) -> str:
    if shortcut is None:
        return "one class only"
    return shortcut["note"] if shortcut["auc"] is None else f"{text(shortcut['auc'])} ({shortcut['note']})"


def _ends(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
