"""Figures of what stages of training answered, with 95 % intervals by image (bootstrap), as train.stages prints them.

All claims are the model's own, before the product leaves out what fails its check. Differences between consecutive
stages are paired: the same images are drawn for both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.mllm.verify import passed
from forensic_chat.scoring.detection import group_intervals
from forensic_chat.scoring.text import rouge_l, words
from forensic_chat.telling import FEWEST_CLAIMS
from train.examinations import Examined
from train.rewards import REWARDS, Answer, accusing, invented, iou, total, verdict

OTHERS = 4
"""Answers of the same stage about other images, of the same verdict where there are enough, that `specificity` sees."""

BARS = {
    "claims verified by code": ">= 0.95",
    "invented findings or numbers": "< 0.005",
    "artefact claims on real verdicts": "< 0.01",
    "IoU of claimed boxes, tampered": ">= 0.40",
    "parse failures": "< 0.005",
    "ROUGE-L between images": "< 0.45",
    "seconds to first token": "<= 1.5",
    "seconds to full rationale": "<= 6",
    "views alone: balanced accuracy": ">= 0.85",
    "views alone: of another image": "0.5",
}


@dataclass(frozen=True)
class Line:
    """What one stage made of one image."""

    stage: str
    maker: str
    """A hash of the model and of what it was asked."""
    image: str
    """SHA-256."""
    text: str
    """Behind the forced verdict line."""
    finished: bool
    """Whether it ended before the limit of tokens."""
    first: float
    """Seconds to the first word, the whole prompt read."""
    whole: float
    """Seconds to the end of the answer."""
    processor: float
    """Processor seconds to the end of the answer."""
    opinion: dict[str, float]
    """First-word probabilities of the verdict after all that the product shows."""
    alone: dict[str, float]
    """The same after nothing but the views."""


Indices = NDArray[np.intp]
Measure = Callable[[Indices], float]
"""Of the images at these indices, repetitions included. Raises ValueError where it says nothing."""


def answers(records: Sequence[Examined], lines: Sequence[Line], seed: int) -> list[Answer]:
    """The lines as the rewards read them."""
    made = []
    for record, line in zip(records, lines, strict=True):
        rng = Random(f"{seed} {record.sha256}")
        pool = [(r.label == record.label, m.text) for r, m in zip(records, lines, strict=True) if m != line]
        rng.shuffle(pool)
        pool.sort(key=lambda other: not other[0])
        made.append(
            Answer(
                text=line.text,
                examined=record,
                prefix=answer_prefix(record.label, record.probabilities),
                others=[text for _, text in pool[:OTHERS]],
                finished=line.finished,
            )
        )
    return made


def rewards(answer: Answer, line: Line, weights: Sequence[float]) -> dict[str, float | None]:
    """Components and `reward`, their weighted sum, as GRPO has them. The verdict line is forced, so `verdict` is that
    of the model's own first word."""
    value, each = total(answer, weights)
    word = max(line.opinion, key=lambda name: line.opinion[name])
    stated = verdict(Answer(text=f"{word} 0.00\n", examined=answer.examined)) or 0.0
    weight = dict(zip((reward.__name__ for reward in REWARDS), weights, strict=True))["verdict"]
    return {"reward": value + weight * stated, **each, "verdict": stated}


def measures(
    records: Sequence[Examined], lines: Sequence[Line], weights: Sequence[float], seed: int
) -> dict[str, Measure]:
    """The rows of the table."""
    read = answers(records, lines, seed)
    overlaps = [
        (0.0, 0) if (mask := a.examined.changed()) is None else (iou(a.boxes, mask, a.examined.size), 1)
        for a in read
    ]
    scored = [rewards(answer, line, weights) for answer, line in zip(read, lines, strict=True)]
    parts: dict[str, list[tuple[float, float]]] = {
        "claims verified by code": [(sum(c.verified is True for c in a.claims), len(a.claims)) for a in read],
        "claims verified, or general": [(sum(map(passed, a.claims)), len(a.claims)) for a in read],
        "invented findings or numbers": [(sum(map(invented, a.claims)), len(a.claims)) for a in read],
        "artefact claims on real verdicts": [
            (accusing(a), len(a.claims)) if a.label == "real" else (0, 0) for a in read
        ],
        "IoU of claimed boxes, tampered": overlaps,
        "IoU, where a box is claimed": [
            o if a.boxes else (0.0, 0) for a, o in zip(read, overlaps, strict=True)
        ],
        "parse failures": [(len(a.parsed) < FEWEST_CLAIMS, 1) for a in read],
        "claims a rationale": [(len(a.claims), 1) for a in read],
        **{
            name if name == "reward" else f"reward: {name}": [
                (0.0, 0) if (value := each[name]) is None else (value, 1) for each in scored
            ]
            for name in scored[0]
        },
        "seconds to first token": [(line.first, 1) for line in lines],
        "seconds to full rationale": [(line.whole, 1) for line in lines],
        "processor seconds, rationale": [(line.processor, 1) for line in lines],
    }
    found = {name: ratio(each) for name, each in parts.items()}
    found["ROUGE-L between images"] = similarity([answer.text for answer in read])
    chances = np.array([line.alone["synthetic"] - line.alone["real"] for line in lines])
    truths = np.array([record.truth for record in records])
    judged = np.flatnonzero(truths != "tampered")
    order = np.random.default_rng(seed).permutation(judged)
    swapped = chances.copy()
    swapped[order] = chances[np.roll(order, 1)]  # nothing but the views is asked about: so it would answer
    found["views alone: balanced accuracy"] = apart(chances, truths, balanced_accuracy)
    found["views alone: of another image"] = apart(swapped, truths, balanced_accuracy)
    found["views alone: AUROC"] = apart(chances, truths, auroc)
    return found


def ratio(parts: Sequence[tuple[float, float]]) -> Measure:
    """Sum of the first over sum of the second."""
    columns = np.asarray(parts, np.float64)

    def measure(drawn: Indices) -> float:
        above, below = columns[drawn].sum(0)
        if not below:
            raise ValueError("nothing to count")
        return float(above / below)

    return measure


def similarity(texts: Sequence[str]) -> Measure:
    """Mean ROUGE-L of all pairs of different images."""
    split = [words(text) for text in texts]
    alike = np.zeros((len(texts), len(texts)))
    for k, mine in enumerate(split):
        for j in range(k):
            alike[k, j] = alike[j, k] = rouge_l(mine, split[j])

    def measure(drawn: Indices) -> float:
        different = drawn[:, None] != drawn[None]
        if not different.any():
            raise ValueError("a single image")
        return float(alike[np.ix_(drawn, drawn)][different].mean())

    return measure


def apart(scores: NDArray[np.float64], truths: NDArray[np.str_], statistic: Callable[..., float]) -> Measure:
    """A statistic of the scores of real and of synthetic images; tampered ones take no part."""

    def measure(drawn: Indices) -> float:
        real, synthetic = (scores[drawn[truths[drawn] == name]] for name in ("real", "synthetic"))
        if not len(real) or not len(synthetic):
            raise ValueError("a class is missing")
        return float(statistic(real, synthetic))

    return measure


def balanced_accuracy(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> float:
    """Called synthetic where the score is above 0."""
    return float((real <= 0).mean() + (synthetic > 0).mean()) / 2


def auroc(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> float:
    """Chance that a synthetic image scores above a real one, ties half."""
    return float(np.mean((np.sign(synthetic[:, None] - real) + 1) / 2))


def compared(
    records: Sequence[Examined],
    lines: dict[str, list[Line]],
    weights: Sequence[float],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Each stage's figures, and what changed from each to the next; None where there is nothing to measure."""
    images = [record.sha256 for record in records]
    every = {name: measures(records, made, weights, seed) for name, made in lines.items()}

    def figure(measure: Measure) -> dict[str, Any]:
        try:
            value = measure(np.arange(len(images)))
        except ValueError:
            return {"value": None, "interval": None}
        interval = group_intervals(lambda drawn: {"": measure(drawn)}, images, draws, seed).get("")
        return {"value": value, "interval": interval}

    def difference(before: Measure, after: Measure) -> Measure:
        return lambda drawn: after(drawn) - before(drawn)

    return {
        "stages": {name: {row: figure(m) for row, m in rows.items()} for name, rows in every.items()},
        "differences": {
            f"{a} -> {b}": {row: figure(difference(every[a][row], every[b][row])) for row in every[a]}
            for a, b in pairwise(every)
        },
    }


def markdown(found: dict[str, Any], about: dict[str, Any]) -> str:
    """Two tables: the stages, and the paired differences between consecutive ones."""
    counts = ", ".join(f"{count} {truth}" for truth, count in about["images"].items())
    text = f"{counts} images of split {about['split']}; 95 % intervals by image.\n\n"
    text += _table(found["stages"], BARS)
    if found["differences"]:
        text += "\nPaired differences; in bold those whose interval leaves out 0.\n\n"
        text += _table(found["differences"], None)
    return text


def _table(columns: dict[str, dict[str, Any]], bars: dict[str, str] | None) -> str:
    rows = [["", *(["bar"] if bars else []), *columns]]
    rows.append(["---"] * len(rows[0]))
    for name in next(iter(columns.values())):
        cells = [_cell(column[name], bold=bars is None) for column in columns.values()]
        rows.append([name, *([bars.get(name, "")] if bars else []), *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(figure: dict[str, Any], bold: bool) -> str:
    if figure["value"] is None:
        return "-"
    if figure["interval"] is None:
        return f"{figure['value']:.3f}"
    low, high = figure["interval"]
    mark = "**" if bold and (low > 0 or high < 0) else ""
    return f"{mark}{figure['value']:.3f}{mark} [{low:.3f}, {high:.3f}]"
