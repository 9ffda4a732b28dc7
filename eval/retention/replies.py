"""What each model made of every text and check, kept in an append-only JSONL file so that a stopped run goes on."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eval.bars import Step
from eval.retention.checks import Check
from eval.retention.speakers import LONGEST_REPLY, Speaker
from eval.rows import complete_lines


@dataclass(frozen=True)
class Line:
    """What one speaker made of one text or check."""

    speaker: str
    maker: str
    """SHA-256 of the speaker and of the text or check."""
    id: str
    nats: float = 0.0
    tokens: int = 0
    replies: list[str] = field(default_factory=list)


def complete(
    speaker: Speaker,
    asked: Sequence[Check],
    read: dict[str, str],
    path: Path,
    on_step: Step,
) -> dict[str, Line]:
    """A line for every text and check, by id; those that `path` lacks are made and appended."""
    lines, length = complete_lines(path, _line, "lines of eval.forgetting")
    if path.exists():
        os.truncate(path, length)
    known = {(line.speaker, line.id): line for line in lines}
    found: dict[str, Line] = {}
    total = len(read) + len(asked)
    for item in [*read.items(), *((check.id, check) for check in asked)]:
        name, content = item
        maker = hashlib.sha256(f"{speaker.maker}{content!r}{LONGEST_REPLY}".encode()).hexdigest()
        line = known.get((speaker.name, name))
        if line is None or line.maker != maker:
            line = _made(speaker, name, content, maker)
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(line), ensure_ascii=False) + "\n")
            on_step(len(found) + 1, total)
        found[name] = line
    return found


def _made(speaker: Speaker, name: str, content: str | Check, maker: str) -> Line:
    if isinstance(content, str):
        nats, tokens = speaker.surprise(content)
        return Line(speaker.name, maker, name, nats=nats, tokens=tokens)
    turns: list[dict[str, str]] = []
    for question in content.turns:
        turns.append({"role": "user", "content": question})
        turns.append({"role": "assistant", "content": speaker.reply(turns)})
    return Line(speaker.name, maker, name, replies=[turn["content"] for turn in turns[1::2]])


def _line(stored: dict[str, Any]) -> Line:
    return Line(**stored)
