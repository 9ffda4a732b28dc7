"""A second opinion by another model: blind, in both orders, with probes of its own bias.

Its grades stand beside the code's and never in their place: a judge that can't be reached stops the run, and
a reply that can't be read is counted and left out.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.explanation.agreement import Unit, agreement
from eval.explanation.answers import System
from eval.explanation.aspects import ASPECTS, Aspect
from eval.explanation.endpoint import EndpointConfig, Message, picture
from eval.explanation.figures import Line
from eval.explanation.reading import json_object
from eval.explanation.rubrics import RUBRICS, SYSTEM, request, truth_text
from forensic_chat.errors import UsageError

PADDING = (
    "This answer responds to the question that was asked. It has been written with care and is meant to be "
    "read as a whole. Further questions are welcome at any time."
)
"""Says nothing; a judge that grades it higher grades length."""
Chat = Callable[[Sequence[Message]], str]
Texts = tuple[str, ...]


@dataclass(frozen=True)
class JudgeConfig(EndpointConfig):
    """An endpoint that grades."""

    items: int = 60
    """How many items it grades, evenly over them all."""
    probes: int = 15
    """How many items each probe of its bias takes."""


def require_other_family(config: EndpointConfig, systems: Sequence[System]) -> None:
    """Raises UsageError if the judge is of a family that wrote, or a family is not known."""
    judge = config.family.casefold().strip()
    if not judge:
        raise UsageError("the judge's family is empty; name it, so that it does not grade its own kind")
    for system in systems:
        family = system.family.casefold().strip()
        if not family:
            raise UsageError(
                f"the family of the model behind {system.name} is not known; add it to its file, so that no "
                "judge grades its own kind"
            )
        if family in judge or judge in family or judge in " ".join(system.models).casefold():
            raise UsageError(
                f"the judge is of the family {config.family}, which wrote the answers of {system.name}; take another"
            )


class Judge:
    """Asks for grades and keeps every reply in an append-only file, so that a stopped run goes on."""

    def __init__(self, chat: Chat, model: str, path: Path) -> None:
        self._chat, self._model, self._path = chat, model, path
        self._replies = _replies(path)
        self.unreadable = 0

    def grade(
        self, aspect: Aspect, line: Line, answers: Sequence[Texts], measured: Sequence[str]
    ) -> list[float] | None:
        """0..100 for each of one or two answers to one item; None if the reply can't be read."""
        truth = truth_text(line.item.truth, line.item.example.kind)
        text = request(aspect, truth, line.item.turns, answers, measured)
        messages: list[Message] = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": [picture(line.item.example.path), {"type": "text", "text": text}]},
        ]
        grades = grades_of(self._reply(messages), len(answers))
        self.unreadable += grades is None
        return grades

    def both_orders(
        self, aspect: Aspect, line: Line, answers: Sequence[Texts], measured: Sequence[str]
    ) -> tuple[list[float], float] | None:
        """Each answer's grade, averaged over its two places, and by how much the first place was favoured."""
        first = self.grade(aspect, line, answers, measured)
        second = self.grade(aspect, line, answers[::-1], measured[::-1])
        if first is None or second is None:
            return None
        grades = [(first[k] + second[1 - k]) / 2 for k in (0, 1)]
        return grades, float(np.mean([first[0] - first[1], second[0] - second[1]]))

    def _reply(self, messages: list[Message]) -> str:
        key = hashlib.sha256((self._model + json.dumps(messages)).encode()).hexdigest()
        if key not in self._replies:
            self._replies[key] = self._chat(messages)
            with self._path.open("ab") as lines:
                lines.write(json.dumps({"key": key, "reply": self._replies[key]}).encode() + b"\n")
                lines.flush()
                os.fsync(lines.fileno())
        return self._replies[key]


def _replies(path: Path) -> dict[str, str]:
    """Kept replies; a torn last line is cut off."""
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)
    try:
        rows = [json.loads(line) for line in whole.splitlines()]
        return {row["key"]: row["reply"] for row in rows}
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{path.name} has lines that are no replies of a judge; choose another --out"
        ) from None


def grades_of(reply: str, n: int) -> list[float] | None:
    """The grades in a reply; None unless it is the object asked for, numbers from 0 to 100."""
    stated = json_object(reply)
    if stated is None or set(stated) != {f"answer_{k}" for k in range(1, n + 1)}:
        return None
    values = [stated[f"answer_{k}"] for k in range(1, n + 1)]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 100 for v in values):
        return None
    return [float(value) for value in values]


def judged(
    judge: Judge, config: JudgeConfig, systems: dict[str, list[Line]]
) -> tuple[dict[str, Any], dict[Unit, dict[Aspect, float]]]:
    """Figures of a judge over evenly chosen items, and its grades.

    Alone, a system is graded by itself; else the first one is set against each other one.
    """
    names = list(systems)
    chosen = _evenly(len(systems[names[0]]), config.items)
    grades: dict[Unit, dict[Aspect, list[float]]] = {}
    favoured: list[float] = []
    for k in chosen:
        mine = {name: systems[name][k] for name in names}
        for aspect in ASPECTS:
            for name, values in _graded(judge, aspect, mine, favoured).items():
                unit = grades.setdefault((mine[name].item.id, name), {})
                unit.setdefault(aspect, []).extend(values)
    means: dict[Unit, dict[Aspect, float]] = {
        unit: {aspect: float(np.mean(values)) for aspect, values in by.items() if values}
        for unit, by in grades.items()
    }
    code = {(line.item.id, name): line.scored.aspects for name, lines in systems.items() for line in lines}
    probes = probe(judge, [systems[names[0]][k] for k in _evenly(len(systems[names[0]]), config.probes)])
    figures = {
        "model": config.model,
        "family": config.family,
        "rubrics_sha256": hashlib.sha256((SYSTEM + json.dumps(RUBRICS)).encode()).hexdigest(),
        "items": len(chosen),
        "systems": {name: _per_aspect(means, name) for name in names},
        "first_place_favoured": _mean(favoured),
        "bias": probes,
        "unreadable_replies": judge.unreadable,
        "agreement": agreement({"code": code, "judge": means}),
    }
    return figures, means


def _graded(
    judge: Judge, aspect: Aspect, mine: dict[str, Line], favoured: list[float]
) -> dict[str, list[float]]:
    names = list(mine)
    found: dict[str, list[float]] = {name: [] for name in names}
    line = mine[names[0]]
    if len(names) == 1:
        found[names[0]] += judge.grade(aspect, line, [_texts(line)], [_measured(line)]) or []
    for name in names[1:]:
        both = [line, mine[name]]
        result = judge.both_orders(aspect, line, [_texts(b) for b in both], [_measured(b) for b in both])
        if result is not None:
            found[names[0]].append(result[0][0])
            found[name].append(result[0][1])
            favoured.append(result[1])
    return found


def probe(judge: Judge, lines: Sequence[Line]) -> dict[str, float | None]:
    """Grades that should not differ: of an answer and the same one padded (`length`), set in bullets
    (`format`), or again (`position`, the first minus the second). Means over the items, aspects in turn."""
    found: dict[str, list[float]] = {"length": [], "format": [], "position": []}
    for k, line in enumerate(lines):
        aspect: Aspect = ASPECTS[k % len(ASPECTS)]
        plain, measured = _texts(line), [_measured(line)] * 2
        for name, changed in (("length", _padded(plain)), ("format", _bulleted(plain))):
            result = judge.both_orders(aspect, line, [changed, plain], measured)
            if result is not None:
                found[name].append(result[0][0] - result[0][1])
        twice = judge.grade(aspect, line, [plain, plain], measured)
        if twice is not None:
            found["position"].append(twice[0] - twice[1])
    return {name: _mean(values) for name, values in found.items()}


def _texts(line: Line) -> Texts:
    return tuple(answer.text for answer in line.heard.answers)


def _padded(texts: Texts) -> Texts:
    return (*texts[:-1], f"{texts[-1]}\n{PADDING}")


def _bulleted(texts: Texts) -> Texts:
    lines = [line.strip().removeprefix("- ") for line in texts[-1].replace(". ", ".\n").splitlines()]
    return (*texts[:-1], "\n".join(f"- {line}" for line in lines if line))


def _measured(line: Line) -> str:
    return "\n".join(f"{f.id}: {f.summary}" for f in line.heard.evidence.findings)


def _per_aspect(means: dict[Unit, dict[Aspect, float]], name: str) -> dict[str, float | None]:
    return {
        aspect: _mean([by[aspect] for (_, system), by in means.items() if system == name and aspect in by])
        for aspect in ASPECTS
    }


def _evenly(n: int, wanted: int) -> list[int]:
    return sorted({int(k) for k in np.linspace(0, n - 1, min(n, wanted)).round()}) if n and wanted > 0 else []


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 2) if values else None
