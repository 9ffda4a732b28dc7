"""What systems said: the best and the worst answers of a run."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.explanation.answers import read as read_answers
from eval.explanation.sheet import ANSWERS, ITEMS, SCORES

RATIONALES = 3
"""Best, and worst, of each system."""


@dataclass(frozen=True)
class Quote:
    title: str
    text: str
    turns: list[tuple[str, str]]


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
