"""Compare systems that answered the same items of the explanation benchmark.

    python -m eval.comparison RUN [RUN ...] --out docs/comparison

RUN: a folder of `python -m eval.run --suite explanation`. Writes OUT/README.md, aspects.svg and results.json:
figures only, no image, no name of one and no answer.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eval import plots
from eval.explanation.figures import COLUMNS, MEAN, differences
from eval.explanation.sheet import SCORES
from eval.files import write, write_json
from eval.report.charts import aspects
from eval.table import text
from forensic_chat.errors import ForensicChatError, UsageError
from forensic_chat.schema import CLASSES

PAGE, PLOT, RESULTS = "README.md", "aspects.svg", "results.json"
PRIVATE = ("unparsable", "notes")
"""Of a system's figures: what names images or quotes answers; counted instead."""


@dataclass
class Compared:
    """Systems on the same items, in the same order."""

    run: dict[str, Any]
    size_format: dict[str, Any]
    groups: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    """System -> (N, 6): the five aspects and their mean."""
    about: dict[str, Any] = field(default_factory=dict)
    """System -> models, family and hash."""


def read(runs: Sequence[Path]) -> Compared:
    """Raises UsageError where there is nothing to compare, or runs are not of the same items, rules and seed."""
    whole: Compared | None = None
    items: list[str] = []
    for folder in runs:
        result, rows = _run(folder)
        about, found = result["run"], result["figures"]
        if whole is None:
            whole = Compared(about, found["size_format"])
            items = [row["item"] for row in rows if row["system"] == next(iter(found["systems"]))]
        for what, mine, first in (
            ("items", about["items"]["sha256"], whole.run["items"]["sha256"]),
            ("scoring rules", about["rules"], whole.run["rules"]),
            ("seed", about["options"]["seed"], whole.run["options"]["seed"]),
        ):
            if mine != first:
                raise UsageError(
                    f"{folder.name} has other {what} than {runs[0].name}; run both by one command"
                )
        for name, figures in found["systems"].items():
            if name in whole.figures:
                raise UsageError(f"{name!r} is in two runs; leave one out")
            by_item = {row["item"]: row for row in rows if row["system"] == name}
            marks = [list(by_item[item]["aspects"].values()) for item in items]
            whole.values[name] = np.array([[*mine, float(np.mean(mine))] for mine in marks])
            whole.groups = [by_item[item]["group"] for item in items]
            counts = {f"{key}_count": len(figures[key]) for key in PRIVATE}
            whole.figures[name] = {k: v for k, v in figures.items() if k not in PRIVATE} | counts
            whole.about[name] = about["systems"][name]
    if whole is None or len(whole.figures) < 2:
        raise UsageError("a comparison needs two systems at least; name them with --system in one run")
    return whole


def _run(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        result = json.loads((folder / "results.json").read_text("utf-8"))["explanation"]
        return result, [json.loads(line) for line in (folder / SCORES).read_text("utf-8").splitlines()]
    except (OSError, ValueError, KeyError):
        raise UsageError(
            f"{folder} holds no explanation results; run python -m eval.run --suite explanation --out {folder}"
        ) from None


def pairs(whole: Compared) -> list[dict[str, Any]]:
    """Every two systems: how much higher the first scores, with intervals from whole groups redrawn."""
    seed, draws = (whole.run["options"][name] for name in ("seed", "draws"))
    return [
        {"a": a, "b": b, "by": differences(whole.values[a], whole.values[b], whole.groups, seed, draws)}
        for a, b in combinations(whole.values, 2)
    ]


def results(whole: Compared, found: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page shows, with what made it; folders by their last name only."""
    options = dict(whole.run["options"])
    for name in ("data", "judge"):
        options[name] = options.get(name) and Path(options[name]).name
    options["system"] = [Path(name).name for name in options["system"]]
    made = {name: whole.run[name] for name in ("data", "items", "rules", "commit", "versions", "machine")}
    return {
        "run": {"options": options, **made, "thresholds": whole.run["thresholds"], "systems": whole.about},
        "size_format": whole.size_format,
        "systems": whole.figures,
        "pairs": found,
    }


def page(content: dict[str, Any]) -> str:
    """The page, as Markdown."""
    run, systems, alone = content["run"], content["systems"], content["size_format"]
    options = run["options"]
    columns = [name.replace("_", " ") for name in COLUMNS]
    command = ["python -m eval.run --suite explanation --system", *systems]
    for name in ("data", "split", "limit", "seed", "draws"):
        command += [] if options[name] is None else [f"--{name} {options[name]}"]
    # Markdown, not HTML: nothing to escape but the bars of tables
    environment = Environment(
        undefined=StrictUndefined, loader=FileSystemLoader(Path(__file__).parent), keep_trailing_newline=True
    )
    return environment.get_template("comparison.md.jinja").render(
        items=run["items"],
        data=run["data"],
        images=", ".join(f"{count} {label}" for label, count in run["data"]["images"].items()),
        alone=f"what size and format alone give away can't be measured here ({alone['note']})"
        if alone["auc"] is None
        else f"size and format alone tell fakes from photos with an AUC of {text(alone['auc'])} ({alone['note']})",
        means=_markdown(
            ["", *columns, "unparsable"],
            [[name, *_scores(f["aspects"]), str(f["unparsable_count"])] for name, f in systems.items()],
        ),
        unseen=_markdown(
            ["", *columns], [[name, *_scores(f["unseen_sources"])] for name, f in systems.items()]
        ),
        classes=_markdown(
            ["", *columns],
            [
                [f"{name}: {label}", *_scores(f["classes"][label])]
                for name, f in systems.items()
                for label in CLASSES
            ],
        ),
        gaps=_markdown(
            ["", *columns, "p of the mean"],
            [
                [f"{p['a']} − {p['b']}", *map(_gap, p["by"].values()), f"{p['by'][MEAN]['p']:.4f}"]
                for p in content["pairs"]
            ],
        ),
        command=" ".join(command),
        commit=run["commit"],
        rules=run["rules"],
    )


def _scores(found: dict[str, Any]) -> list[str]:
    return [_score(found.get(column)) for column in COLUMNS]


def _score(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    ends = found["interval"]
    return f"{found['score']:.1f}" + (f" [{ends[0]:.1f}, {ends[1]:.1f}]" if ends else "")


def _gap(found: dict[str, Any]) -> str:
    ends = found["interval"]
    return f"{found['difference']:+.1f}" + (f" [{ends[0]:+.1f}, {ends[1]:+.1f}]" if ends else "")


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def main(argv: list[str] | None = None) -> int:
    """0 when done, otherwise the error's exit code and one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m eval.comparison", description=__doc__.partition("\n")[0])
    parser.add_argument("run", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        whole = read(options.run)
    except ForensicChatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    content = results(whole, pairs(whole))
    write_json(options.out / RESULTS, content)
    bars = aspects({name: f["aspects"] for name, f in whole.figures.items()})
    write(options.out / PLOT, plots.svg(bars))
    write(options.out / PAGE, page(content).encode())
    print(options.out / PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
