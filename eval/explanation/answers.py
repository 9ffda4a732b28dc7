"""What each system answered, kept in an append-only JSONL file so that a stopped run goes on after the last answer.

An answer holds while the image, the questions and the system are the same; else it is asked for again and
the later line holds.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from eval.explanation.facts import Evidence
from eval.explanation.items import Item
from eval.rows import complete_lines, shards_beside
from forensic_chat.errors import AnswerUnparsable, InputRejected
from forensic_chat.schema import Finding, Region


@dataclass(frozen=True)
class Given:
    """A system's answers to one item."""

    answers: list[str]
    """One for each turn."""
    evidence: Evidence = field(default_factory=Evidence)
    note: str | None = None
    """What a reader must know, for example that code wrote the text."""


class System(Protocol):
    """Anything that can be asked about an image."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str:
        """Of the model that writes: a judge must be of another one."""
        ...

    @property
    def maker(self) -> str:
        """Changes whenever its answers may."""
        ...

    @property
    def models(self) -> dict[str, str]:
        """Names to versions and hashes."""
        ...

    def answer(self, item: Item) -> Given:
        """Raises InputRejected or AnswerUnparsable for an item that it can't answer: counted as wrong.
        BackendUnavailable stops the run."""
        ...


@dataclass(frozen=True)
class Answer:
    """One line of the file."""

    item: str
    system: str
    content: str
    maker: str
    answers: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    regions: list[dict[str, Any]] = field(default_factory=list)
    note: str | None = None
    error: str | None = None
    seconds: float = 0.0

    @property
    def evidence(self) -> Evidence:
        return Evidence(
            [Finding.model_validate(f) for f in self.findings],
            [Region.model_validate(r) for r in self.regions],
        )


def complete(
    items: Sequence[Item],
    systems: Sequence[System],
    path: Path,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[str, list[Answer]], float]:
    """By system, an answer to every item, in that order; and the seconds that those asked for now took.

    Answers that `path` lacks are taken from shards beside it or asked for, and appended. All systems answer all items
    of an image before the next image: they can share its examination, and items the prompt before their question.
    What a loss of power may take is the last image's answers. Raises UsageError for a file with other content,
    BackendUnavailable.
    """
    earlier, length = read(path)
    shards = [answer for other in shards_beside(path) for answer in read(other)[0].values()]
    given = {(a.item, a.system, a.content, a.maker): a for a in shards}
    found: dict[str, list[Answer]] = {system.name: [] for system in systems}
    done, seconds = 0, 0.0
    with path.open("ab") as lines:
        lines.truncate(length)
        for _, group in groupby(items, key=lambda item: item.example.id):
            of_image = list(group)
            for system in systems:
                for item in of_image:
                    done += 1
                    key = (item.id, system.name, item.content, system.maker)
                    known = earlier.get(key[:2])
                    if known is None or (known.content, known.maker) != key[2:]:
                        known = given.get(key)
                        if known is None:
                            known = ask(item, system, item.content, system.maker)
                            seconds += known.seconds
                        lines.write(json.dumps(asdict(known), ensure_ascii=False).encode() + b"\n")
                        lines.flush()
                        on_step(done, len(items) * len(systems))
                    found[system.name].append(known)
            os.fsync(lines.fileno())
    return found, seconds


def ask(item: Item, system: System, content: str, maker: str) -> Answer:
    """One new line."""
    start = time.perf_counter()
    given, error = Given([]), None
    try:
        given = system.answer(item)
    except (InputRejected, AnswerUnparsable) as rejected:
        error = str(rejected)
    seconds = round(time.perf_counter() - start, 4)
    return Answer(
        item.id,
        system.name,
        content,
        maker,
        given.answers,
        [finding.model_dump() for finding in given.evidence.findings],
        [region.model_dump(mode="json") for region in given.evidence.regions],
        given.note,
        error,
        seconds,
    )


def read(path: Path) -> tuple[dict[tuple[str, str], Answer], int]:
    """The last line of each item and system, and how many bytes complete lines take."""
    rows, length = complete_lines(path, lambda stored: Answer(**stored), "answers of this benchmark")
    return {(row.item, row.system): row for row in rows}, length
