"""Plots as SVG. Text stays text, colours are told apart by the colour-blind (Okabe & Ito 2008), and the same
figures give the same bytes.
"""

import base64
import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from eval.curves import Values, reliability, risk_coverage

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#000000")
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "forensic-chat",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
Interval = Sequence[float] | None
Truth = np.ndarray
"""(N,) bool: fake."""


def figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Inches; `columns` plots side by side."""
    with matplotlib.rc_context(STYLE):
        whole = Figure(figsize=(width, height))
        return whole, list(np.atleast_1d(whole.subplots(1, columns)))


def svg(whole: Figure) -> bytes:
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        whole.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def uri(data: bytes, kind: str = "image/svg+xml") -> str:
    """For an <img>: nothing in it runs, and nothing is fetched."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def roc(curves: Mapping[str, tuple[Values, Truth]]) -> Figure:
    """Name -> fake probabilities and truth."""
    whole, (axes,) = figure(4.4, 4.0)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
    for colour, (name, (p, y)) in zip(COLOURS, curves.items(), strict=False):
        false_alarms, found, _ = roc_curve(y, p)
        axes.plot(false_alarms, found, color=colour, label=name)
    axes.set(xlabel="reals above the threshold", ylabel="fakes above the threshold", title="ROC")
    axes.legend(loc="lower right")
    return whole


def calibration(p: Values, y: Truth) -> Figure:
    """Reliability diagram with the weight of each bin."""
    whole, (axes,) = figure(4.4, 4.0)
    stated, observed, weight = reliability(p, y)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
    axes.plot(stated, observed, color=COLOURS[0], linewidth=1)
    axes.scatter(stated, observed, s=12 + 400 * weight, color=COLOURS[0], alpha=0.6)
    axes.set(
        xlabel="stated probability of a fake", ylabel="share of fakes, classes balanced", title="Reliability",
        xlim=(0, 1), ylim=(0, 1),
    )  # fmt: skip
    return whole


def abstention(p: Values, y: Truth, own: tuple[float | None, float | None]) -> Figure:
    """Risk against coverage; `own`: coverage and risk of the labels that users get."""
    whole, (axes,) = figure(4.4, 4.0)
    axes.plot(*risk_coverage(p, y), color=COLOURS[0], label="by distance from 0.5")
    if None not in own:
        axes.plot(*([value] for value in own), "D", color=COLOURS[1], label="labels as given")
    axes.set(xlabel="coverage", ylabel="risk: share of wrong answers", title="Risk and coverage", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    return whole


def shares(title: str, rows: Sequence[tuple[str, float, Interval]]) -> Figure:
    """One bar a row: name, share, interval."""
    whole, (axes,) = figure(7.4, 0.6 + 0.24 * max(len(rows), 2))
    places = np.arange(len(rows))[::-1]
    values = np.array([value for _, value, _ in rows])
    axes.barh(
        places,
        values,
        color=COLOURS[0],
        height=0.7,
        xerr=errors(values, [i for *_, i in rows]),
        ecolor="#333333",
    )
    axes.set_yticks(places, [plain(name) for name, *_ in rows])
    axes.set(xlim=(0, 1), title=title)
    axes.grid(visible=False, axis="y")
    return whole


def grouped(
    title: str,
    names: Sequence[str],
    groups: Mapping[str, Sequence[tuple[float | None, Interval]]],
    top: float,
) -> Figure:
    """Bars side by side: for each of `names` one of every group."""
    whole, (axes,) = figure(max(7.4, 0.9 * len(names)), 3.4)
    width = 0.8 / max(len(groups), 1)
    for k, (group, values) in enumerate(groups.items()):
        heights = np.array([np.nan if value is None else value for value, _ in values], float)
        places = np.arange(len(names)) - 0.4 + width * (k + 0.5)
        bars = errors(heights, [interval for _, interval in values])
        axes.bar(
            places,
            heights,
            width,
            label=plain(group),
            color=COLOURS[k % len(COLOURS)],
            yerr=bars,
            ecolor="#333333",
        )
    axes.set_xticks(np.arange(len(names)), [plain(name) for name in names], rotation=20, ha="right")
    axes.set(ylim=(0, top), title=title)
    axes.grid(visible=False, axis="x")
    axes.legend(ncols=4, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.28))
    return whole


def lines(title: str, curves: Mapping[str, Mapping[str, Sequence[tuple[float, float | None]]]]) -> Figure:
    """Panel -> line -> points."""
    whole, panels = figure(2.5 * max(len(curves), 1), 2.9, max(len(curves), 1))
    whole.suptitle(title)
    for k, (axes, (panel, drawn)) in enumerate(zip(panels, curves.items(), strict=False)):
        for colour, (name, points) in zip(COLOURS, drawn.items(), strict=False):
            known = [(x, value) for x, value in points if value is not None]
            axes.plot(
                [x for x, _ in known], [v for _, v in known], "o-", color=colour, label=name, markersize=3
            )
        axes.set(xlabel=panel, ylim=(0, 1.02))
        if k == 0:
            axes.legend(fontsize=7, loc="lower left")
    return whole


def errors(values: Values, intervals: Sequence[Interval]) -> Values:
    """(2, N) distances to the ends of intervals; 0 where there is none."""
    ends = [interval or (value, value) for value, interval in zip(values, intervals, strict=True)]
    low, high = np.array(ends, float).reshape(-1, 2).T
    return np.clip(np.stack([values - low, high - values]), 0, None)


def plain(name: str) -> str:
    """Short, and without what matplotlib would read as a formula."""
    return name.replace("$", r"\$")[:48]
