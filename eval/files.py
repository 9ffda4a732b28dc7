"""Files of a run: written whole or not at all, so that a kill, or a shard beside this one, never meets half
of one.
"""

import json
import os
from pathlib import Path
from typing import Any

Shard = tuple[int, int]
"""Its number, from 1, and how many there are."""


def write(path: Path, data: bytes) -> None:
    """Put `data` into `path`, making its folder; the same bytes again leave the file alone."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def write_json(path: Path, content: Any) -> None:
    write(path, json.dumps(content, indent=1, ensure_ascii=False).encode())


def of_shard(path: Path, shard: Shard | None) -> Path:
    """rows.jsonl -> rows.2-of-5.jsonl, which `shards_beside` rows.jsonl finds; without a shard, `path`."""
    return path if shard is None else path.with_suffix(f".{shard[0]}-of-{shard[1]}{path.suffix}")
