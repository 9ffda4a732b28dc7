"""Image collections described by one JSON object a line (`manifest.jsonl`)."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from forensic_chat.errors import UsageError
from forensic_chat.schema import CLASSES


@dataclass(frozen=True)
class Item:
    """One image of a collection. Paths are relative to the manifest's folder, with forward slashes."""

    path: str
    sha256: str
    label: Literal["real", "synthetic", "tampered"]
    generator: str | None
    """What made a synthetic image."""
    manipulation: str | None
    """What was done to a tampered image."""
    mask: str | None
    """PNG, one channel, 0 or 255 (changed), size of the image as stored (EXIF orientation not applied)."""
    authentic: str | None
    """The untouched original of a tampered image."""
    source: str
    """Where it comes from; images of one source share cameras, tools and habits, so folds never split one."""
    commit: str | None
    orig_path: str | None
    licence: str
    width: int
    height: int
    format: str
    group: str
    """Everything made from one scene, prompt or original; never in both splits."""
    split: Literal["train", "val", "holdout"]
    """`holdout`: sources kept whole for measuring; they choose nothing."""
    modern: bool
    """Latent diffusion (2022) or later."""
    note: str | None


_TYPES: dict[str, Any] = get_type_hints(Item)
_FIELDS = tuple(field.name for field in fields(Item))


def read(path: Path) -> list[Item]:
    """Every line of a manifest; empty lines and unknown fields are passed over.

    Raises UsageError naming the line and the field for the first line that is not right.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"{path.name} can't be read as a manifest; give a UTF-8 file, one object a line"
        ) from None
    return [_item(line, f"{path.name} line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _item(line: str, where: str) -> Item:
    try:
        record = json.loads(line)
    except ValueError:
        raise UsageError(f"{where} is not JSON; write one object a line") from None
    if not isinstance(record, dict):
        raise UsageError(f"{where} is not a JSON object; write one object a line")
    for name in _FIELDS:
        if name not in record:
            raise UsageError(f"{where}: field {name!r} is missing; add it (null where it does not apply)")
        if not _fits(record[name], _TYPES[name]):
            wanted = _in_words(_TYPES[name])
            raise UsageError(f"{where}: field {name!r} is {record[name]!r:.60}; write {wanted}")
    if record["label"] == "tampered" and record["mask"] is None:
        raise UsageError(f"{where}: field 'mask' is null; a tampered image needs its mask")
    return Item(**{name: record[name] for name in _FIELDS})


def _fits(value: object, wanted: Any) -> bool:
    allowed = get_args(wanted)
    if isinstance(allowed and allowed[0], str):
        return value in allowed
    if wanted is int:
        return type(value) is int and value > 0
    return type(value) in (allowed or (wanted,))


def _in_words(wanted: Any) -> str:
    allowed = get_args(wanted)
    if isinstance(allowed and allowed[0], str):
        return " or ".join(repr(value) for value in allowed)
    words = {str: "a string", int: "a whole number above 0", bool: "true or false", NoneType: "null"}
    return " or ".join(words[kind] for kind in allowed or (wanted,))


def folds(items: list[Item], k: int, seed: int) -> list[set[str]]:
    """Split whole sources into `k` folds whose shares of each class are as equal as a greedy pass makes them.

    Largest sources first, each to the fold where the sum of squared class shares grows least; ties by `seed`.
    A class with fewer sources than folds is absent from some. Raises UsageError when there are fewer sources
    than folds or k < 2.
    """
    sources = sorted({item.source for item in items})
    if not 2 <= k <= len(sources):
        raise UsageError(
            f"{len(sources)} sources can't be split into {k} folds; use 2 to {len(sources)} folds"
        )
    row = {source: index for index, source in enumerate(sources)}
    counts = np.zeros((len(sources), len(CLASSES)))
    for item in items:
        counts[row[item.source], CLASSES.index(item.label)] += 1
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    shuffled = np.random.default_rng(seed).permutation(len(sources))
    order = shuffled[np.argsort(-shares[shuffled].max(axis=1), kind="stable")]
    filled = np.zeros((k, len(CLASSES)))
    result: list[set[str]] = [set() for _ in range(k)]
    for index in order:
        growth = ((filled + shares[index]) ** 2 - filled**2).sum(axis=1)
        # An empty fold wins a tie, so that none stays empty.
        fold = min(range(k), key=lambda f: (round(float(growth[f]), 12), len(result[f]), f))
        filled[fold] += shares[index]
        result[fold].add(sources[index])
    return result
