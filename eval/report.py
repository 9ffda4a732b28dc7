"""One self-contained page of a run: headline figures, plots, worst cases, masks, rationales. It fetches nothing
and runs nothing; all text on it is escaped, file names and answers too.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eval import maps, plots
from eval.delivery import deliver
from eval.detection import AGAINST
from eval.examples import Example
from eval.explanation.answers import read as read_answers
from eval.explanation.figures import COLUMNS, MEAN
from eval.explanation.sheet import ANSWERS, ITEMS, SCORES
from eval.localisation import BASELINES, METHODS
from eval.rows import Row, map_of
from eval.table import text
from eval.verdicts import Pairs
from forensic_chat.imaging.intake import take_in

FILE = "report.html"
SIDE = 240
"""Of a thumbnail's longer side, in px."""
CASES = 8
"""Worst images of each kind."""
RATIONALES = 3
"""Best, and worst, of each system."""
BARS = 40
"""Most generators in one plot; the table has all."""
Image = tuple[str, str]
"""What it shows, and its data URI."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Suite:
    """What one suite found, and on what."""

    name: str
    run: dict[str, Any]
    figures: dict[str, Any]
    pairs: Pairs
    text: str


@dataclass(frozen=True)
class Headline:
    """A figure with what must be read beside it, as text."""

    suite: str
    name: str
    value: str
    interval: str
    unseen: str
    alone: str


@dataclass(frozen=True)
class Card:
    images: list[Image]
    caption: str


@dataclass(frozen=True)
class Gallery:
    title: str
    text: str
    cards: list[Card]


@dataclass(frozen=True)
class Quote:
    title: str
    text: str
    turns: list[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """One suite on the page."""

    name: str
    about: str
    figures: str
    run: str
    plots: list[Image] = field(default_factory=list)
    galleries: list[Gallery] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)


def page(suites: Sequence[Suite], out: Path) -> str:
    """The HTML; `out`: the run's folder, with the masks and answers kept there."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(Path(__file__).parent),
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.jinja").render(
        headlines=[headline for suite in suites for headline in headlines(suite)],
        sections=[section(suite, out) for suite in suites],
    )


def section(suite: Suite, out: Path) -> Section:
    drawn: list[tuple[str, Figure]] = []
    galleries: list[Gallery] = []
    quotes: list[Quote] = []
    match suite.name:
        case "detection":
            drawn, galleries = _detection(suite), worst(suite.pairs)
        case "localisation":
            drawn, galleries = _localisation(suite), masks(suite.pairs, out)
        case "robustness":
            drawn = _robustness(suite)
        case "degradation":
            drawn = _degradation(suite)
        case "explanation":
            drawn, quotes = _explanation(suite), list(rationales(out, list(suite.figures["systems"])))
    data = suite.run["data"]
    images = ", ".join(f"{count} {label}" for label, count in data["images"].items())
    about = f"{images}; {data['of_sources_in_training']} of them of sources that training knows. "
    about += f"Data {data['sha256'][:16]}, models and code {suite.run['models_and_code'][:16]}, commit "
    about += f"{suite.run['commit']}, seed {suite.run['options']['seed']}."
    made = json.dumps(suite.run, indent=1, ensure_ascii=False)
    pictures = [(alt, plots.uri(plots.svg(figure))) for alt, figure in drawn]
    return Section(suite.name, about, suite.text, made, pictures, galleries, quotes)


def headlines(suite: Suite) -> Iterator[Headline]:
    """The figures to quote, never without the AUC of size and format alone."""
    found = suite.figures
    match suite.name:
        case "detection":
            for name, f in found["pairs"].items():
                if f:
                    yield from _separated(suite.name, name, f, found["unseen_sources"])
            alone = _alone((found["pairs"]["real vs fake"] or {}).get("size_format"))
            for how, words in (("labelled", "labelled fake"), ("above_half", "fake probability > 0.5")):
                yield _accused(suite.name, f"photos: {words}", found["false_accusations"][how], alone)
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
                yield Headline(suite.name, name, text(min(lowest)[0]), "-", "-", "as for detection")
        case "explanation":
            alone = _alone(found["size_format"])
            for name, f in found["systems"].items():
                mean, unseen = f["aspects"][MEAN], f["unseen_sources"].get(MEAN, {})
                ends = "-" if mean["interval"] is None else "{:.1f} to {:.1f}".format(*mean["interval"])
                score = f"{unseen['score']:.1f}" if unseen else "none to measure"
                yield Headline(
                    suite.name, f"{name}: mean of five aspects", f"{mean['score']:.1f}", ends, score, alone
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


def photos(pairs: Pairs) -> Pairs:
    return [(e, r) for e, r in pairs if r.error is None and not e.screenshot and not e.forged]


def _detection(suite: Suite) -> list[tuple[str, Figure]]:
    mine = photos(suite.pairs)
    curves = {}
    for name, fakes in AGAINST.items():
        chosen = [(r.fake, e.label != "real") for e, r in mine if e.label == "real" or e.label in fakes]
        p, y = np.array([p for p, _ in chosen], float), np.array([y for _, y in chosen], bool)
        if y.any() and not y.all():
            curves[name] = (p, y)
    drawn: list[tuple[str, Figure]] = []
    if curves:
        drawn.append(("ROC curves", plots.roc(curves)))
        name = next(name for name in ("real vs fake", *curves) if name in curves)
        own = suite.figures["abstention"]
        drawn.append(("reliability diagram", plots.calibration(*curves[name])))
        drawn.append(
            ("risk against coverage", plots.abstention(*curves[name], (own["coverage"], own["risk"])))
        )
    for label, words in (
        ("synthetic", "generator"),
        ("tampered", "manipulation"),
        ("real", "source of reals"),
    ):
        rows = [k for k in suite.figures["kinds"] if k["label"] == label][:BARS]
        if rows:
            title = f"share with a fake probability over 0.5, by {words}"
            bars = [(f"{k['kind']} ({k['n']})", k["above_half"], k["interval"]) for k in rows]
            drawn.append((title, plots.shares(title, bars)))
    return drawn


def _localisation(suite: Suite) -> list[tuple[str, Figure]]:
    drawn = []
    for part, f in suite.figures.items():
        if f["tampered"]:
            kinds = list(f["manipulations"])
            bars = {
                title: [(f["manipulations"][kind][name]["iou"], None) for kind in kinds]
                for name, title in METHODS.items()
            }
            title = f"{part}: mean IoU by manipulation"
            drawn.append((title, plots.grouped(title, kinds, bars, 1.0)))
    return drawn


def _robustness(suite: Suite) -> list[tuple[str, Figure]]:
    chains = suite.figures["chains"]
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


def _degradation(suite: Suite) -> list[tuple[str, Figure]]:
    wanted = {
        "AUC, real vs synthetic": lambda p: p["auc"]["real vs synthetic"],
        "AUC, real vs tampered": lambda p: p["auc"]["real vs tampered"],
        "synthetic over 0.5": lambda p: p["synthetic_found"],
        "reals over 0.5": lambda p: p["reals_above_half"],
        "mask IoU": lambda p: p["mask_iou"],
    }
    curves = {
        name: {line: [(p["x"], pick(p)) for p in points] for line, pick in wanted.items()}
        for name, points in suite.figures["curves"].items()
    }
    title = "as one damage grows"
    return [(title, plots.lines(title, curves))]


def _explanation(suite: Suite) -> list[tuple[str, Figure]]:
    return [(ASPECTS_TITLE, aspects({name: f["aspects"] for name, f in suite.figures["systems"].items()}))]


ASPECTS_TITLE = "five aspects and their mean, 0 to 100"


def aspects(systems: dict[str, Any]) -> Figure:
    """System -> column -> score and interval."""
    bars = {
        name: [(found[column]["score"], found[column]["interval"]) for column in COLUMNS]
        for name, found in systems.items()
    }
    return plots.grouped(ASPECTS_TITLE, [name.replace("_", " ") for name in COLUMNS], bars, 100.0)


def worst(pairs: Pairs) -> list[Gallery]:
    """Photos most, and fakes least, taken for fakes."""
    mine = photos(pairs)
    reals = sorted((p for p in mine if p[0].label == "real"), key=lambda p: -p[1].fake)[:CASES]
    fakes = sorted((p for p in mine if p[0].label != "real"), key=lambda p: p[1].fake)[:CASES]
    told = "Worst first, whether or not they are wrong."
    shown = (("Photos with the highest fake probability", reals), ("Fakes with the lowest", fakes))
    return [Gallery(title, told, [_case(e, r) for e, r in cases]) for title, cases in shown if cases]


def _case(e: Example, r: Row) -> Card:
    caption = f"{e.id}: {e.label}, {e.kind}; told {r.verdict}, fake probability {r.fake:.2f}"
    return Card([("the image", thumbnail(take_in(e.path).pixels))], caption)


def masks(pairs: Pairs, out: Path) -> list[Gallery]:
    """Tampered images from the best mask to the worst, with what simple tools show."""
    marked = [
        (e, r)
        for e, r in pairs
        if r.error is None and e.mask is not None and (out / map_of(r.content)).is_file()
    ]
    marked.sort(key=lambda p: -p[1].masks["half"]["iou"])
    places = sorted({round(k * (len(marked) - 1) / (CASES - 1)) for k in range(CASES)}) if marked else []
    cards = [_mask_card(*marked[k], out) for k in places]
    told = "From the best IoU at 0.5 to the worst. White line: the truth; red: where each map is high."
    return [Gallery("Masks", told, cards)] if cards else []


def _mask_card(e: Example, r: Row, out: Path) -> Card:
    image = take_in(e.path)
    _, _, truth = deliver(e, ())
    assert truth is not None
    soft = cv2.imdecode(np.frombuffer((out / map_of(r.content)).read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    levels = {"the mask, soft": np.asarray(soft, np.uint8)}
    levels |= {METHODS[name].removesuffix(" at 0.5"): found for name, found in maps.simple(image).items()}
    images = [("the image", thumbnail(image.pixels))]
    images += [(name, thumbnail(overlaid(image.pixels, found, truth))) for name, found in levels.items()]
    fit = ", ".join(f"{METHODS[name]} {r.masks[name]['iou']:.2f}" for name in METHODS if name in r.masks)
    return Card(images, f"{e.id}: {e.kind}; told {r.verdict}. IoU: {fit}")


def overlaid(pixels: Pixels, levels: Pixels, truth: NDArray[np.bool_]) -> Pixels:
    """A thumbnail-sized picture: red by `levels` (any size), the truth (H, W) outlined in white."""
    small = _small(pixels)
    size = (small.shape[1], small.shape[0])
    red = cv2.resize(levels, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    mixed = small * (0.75 - 0.5 * red) + red * np.array([200, 0, 0], np.float32)
    drawn = np.ascontiguousarray(mixed.clip(0, 255).astype(np.uint8))
    marked = cv2.resize(truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outline, _ = cv2.findContours(marked, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(drawn, outline, -1, (255, 255, 255), 1))


def thumbnail(pixels: Pixels) -> str:
    """(H, W, 3) RGB -> the data URI of a small JPEG."""
    coded = cv2.imencode(
        ".jpg", cv2.cvtColor(_small(pixels), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80]
    )
    return plots.uri(coded[1].tobytes(), "image/jpeg")


def _small(pixels: Pixels) -> Pixels:
    scale = min(1.0, SIDE / max(pixels.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in pixels.shape[1::-1])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def rationales(out: Path, systems: Sequence[str]) -> Iterator[Quote]:
    """The answers with the highest and the lowest mean of the five aspects, ties by item."""
    items = {row["id"]: row for row in _lines(out / ITEMS)}
    scores = _lines(out / SCORES)
    answers, _ = read_answers(out / ANSWERS)
    for system in systems:
        mine = sorted(
            (row for row in scores if row["system"] == system),
            key=lambda row: (-float(np.mean(list(row["aspects"].values()))), row["item"]),
        )
        best, rest = mine[:RATIONALES], mine[RATIONALES:]
        for word, rows in (("best", best), ("worst", rest[-RATIONALES:][::-1])):
            for row in rows:
                said = answers[row["item"], system]
                texts = [*said.answers, *[said.error or ""] * len(items[row["item"]]["turns"])]
                turns = list(zip(items[row["item"]]["turns"], texts, strict=False))
                yield Quote(f"{system}: one of the {word} answers", _scored(row), turns)


def _scored(row: dict[str, Any]) -> str:
    marks = ", ".join(f"{name.replace('_', ' ')} {value:.0f}" for name, value in row["aspects"].items())
    against = "; ".join([*row["contradictions"], *row["failed"]])
    return f"{row['item']} is {row['truth']}, told {row['verdict']}. {marks}. Held against it: {against or 'nothing'}."


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
