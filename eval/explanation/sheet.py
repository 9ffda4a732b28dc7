"""A sheet for human graders, and how far they agree with the code and with a judge.

    python -m eval.explanation.sheet write --run OUT --file sheet.csv --items 40
    python -m eval.explanation.sheet read --run OUT --file anna.csv ben.csv

The sheet is blind: a row's code stands for its item and system, and rows are in an order of their own.
"""

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.explanation.agreement import Grades, Unit, agreement
from eval.explanation.answers import read
from eval.explanation.aspects import ASPECTS, Aspect
from eval.table import table
from forensic_chat.errors import ForensicChatError, UsageError

ITEMS, ANSWERS, SCORES, JUDGED = "items.jsonl", "answers.jsonl", "scores.jsonl", "judged.jsonl"
COLUMNS = ("code", "image", "truth", "conversation", *ASPECTS)


def code(item: str, system: str) -> str:
    return hashlib.sha256(f"{item}\0{system}".encode()).hexdigest()[:12]


def write(run: Path, file: Path, items: int) -> int:
    """Rows for `items` items of every system of a run, all grades empty; returns how many."""
    known = {row["id"]: row for row in _lines(run / ITEMS)}
    answers, _ = read(run / ANSWERS)
    graded = [(row["item"], row["system"]) for row in _lines(run / SCORES)]
    chosen = sorted({item for item, _ in graded}, key=lambda item: code(item, ""))[:items]
    units = sorted((unit for unit in graded if unit[0] in chosen), key=lambda unit: code(*unit))
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(COLUMNS)
        for item, system in units:
            rows.writerow(
                [code(item, system), *_shown(known[item], answers[item, system].answers), *[""] * 5]
            )
    return len(units)


def _shown(item: dict[str, Any], answers: Sequence[str]) -> list[str]:
    truth = item["truth"]
    where = f" {truth['boxes']}" if truth["boxes"] else ""
    said = "\n".join(f"Q: {q}\nA: {a}" for q, a in zip(item["turns"], answers, strict=False))
    # a cell that begins with one of these is a formula to a spreadsheet
    return [
        text if text[:1] not in "=+-@" else f"'{text}"
        for text in (item["image"], truth["label"] + where, said)
    ]


def grades(run: Path, file: Path) -> dict[Unit, dict[Aspect, float]]:
    """The grades of a filled sheet; rows without any are left out.

    Raises UsageError naming the first row that is not right.
    """
    units = {code(row["item"], row["system"]): (row["item"], row["system"]) for row in _lines(run / SCORES)}
    found: dict[Unit, dict[Aspect, float]] = {}
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            given = {aspect: (row.get(aspect) or "").strip() for aspect in ASPECTS}
            filled = {aspect: text for aspect, text in given.items() if text}
            if not filled:
                continue
            unit = units.get(row.get("code") or "")
            if unit is None:
                raise UsageError(
                    f"{file.name} row {number} has no code of this run; keep the column as written"
                )
            found[unit] = {
                aspect: _grade(text, f"{file.name} row {number}") for aspect, text in filled.items()
            }
    return found


def _grade(text: str, where: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise UsageError(f"{where}: {text!r:.20} is no grade; write a number from 0 to 100")
    return value


def kept(path: Path) -> dict[Unit, dict[Aspect, float]]:
    """The scores, or a judge's grades, that a run keeps."""
    return {(row["item"], row["system"]): row["aspects"] for row in _lines(path)}


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UsageError(f"{path.name} is not there; run the suite explanation with this --out first")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def compared(run: Path, files: Sequence[Path]) -> dict[str, dict[str, float | int | None]]:
    graders: dict[str, Grades] = {"code": kept(run / SCORES)}
    if (run / JUDGED).is_file():
        graders["judge"] = kept(run / JUDGED)
    return agreement(graders | {file.stem: grades(run, file) for file in files})


def show(found: dict[str, dict[str, float | int | None]]) -> str:
    header = ["", "units", *(aspect.replace("_", " ") for aspect in ASPECTS)]
    rows = [[name, by["units"], *(by[aspect] for aspect in ASPECTS)] for name, by in found.items()]
    return table("Krippendorff's alpha (interval)", header, rows)


def main(argv: list[str] | None = None) -> int:
    words = argparse.ArgumentParser(prog="python -m eval.explanation.sheet", description=__doc__)
    words.add_argument("do", choices=["write", "read"])
    words.add_argument("--run", type=Path, required=True, help="the --out of a run")
    words.add_argument("--file", type=Path, nargs="+", required=True)
    words.add_argument("--items", type=int, default=40)
    options = words.parse_args(argv)
    try:
        if options.do == "write":
            print(f"{write(options.run, options.file[0], options.items)} rows to grade, each aspect 0 to 100")
        else:
            print(show(compared(options.run, options.file)))
    except (ForensicChatError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
