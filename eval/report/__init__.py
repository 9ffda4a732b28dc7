"""One self-contained page of a run: headline figures, plots, worst cases, masks, rationales. It fetches nothing
and runs nothing; all text on it is escaped, file names and answers too.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eval import plots
from eval.report import charts
from eval.report.charts import Chart
from eval.report.galleries import Gallery, Image, masks, worst
from eval.report.headlines import headlines
from eval.report.quotes import Quote, rationales
from eval.verdicts import Pairs

FILE = "report.html"


@dataclass(frozen=True)
class Suite:
    """What one suite found, and on what."""

    name: str
    run: dict[str, Any]
    figures: dict[str, Any]
    pairs: Pairs
    text: str


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
        headlines=[headline for suite in suites for headline in headlines(suite.name, suite.figures)],
        sections=[section(suite, out) for suite in suites],
    )


def section(suite: Suite, out: Path) -> Section:
    drawn: list[Chart] = []
    shown: list[Gallery] = []
    quotes: list[Quote] = []
    found = suite.figures
    match suite.name:
        case "detection":
            drawn, shown = charts.detection(found, suite.pairs), worst(suite.pairs)
        case "localisation":
            drawn, shown = charts.localisation(found), masks(suite.pairs, out)
        case "robustness":
            drawn = charts.robustness(found)
        case "degradation":
            drawn = charts.degradation(found)
        case "explanation":
            drawn, quotes = charts.explanation(found), list(rationales(out, list(found["systems"])))
    data = suite.run["data"]
    images = ", ".join(f"{count} {label}" for label, count in data["images"].items())
    about = f"{images}; {data['of_sources_in_training']} of them of sources that training knows. "
    about += f"Data {data['sha256'][:16]}, models and code {suite.run['models_and_code'][:16]}, commit "
    about += f"{suite.run['commit']}, seed {suite.run['options']['seed']}."
    made = json.dumps(suite.run, indent=1, ensure_ascii=False)
    pictures = [(alt, plots.uri(plots.svg(figure))) for alt, figure in drawn]
    return Section(suite.name, about, suite.text, made, pictures, shown, quotes)
