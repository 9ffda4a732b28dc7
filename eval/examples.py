"""The images to measure on: from a manifest, or from a folder layout real/ fake/ tampered/ mask/."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from forensic_chat.batch import SUFFIXES
from forensic_chat.errors import UsageError
from forensic_chat.schema import CLASSES

UNSTATED = "not stated"
FIELDS = (
    "path", "label", "mask", "generator", "manipulation", "source", "group", "split", "note", "view",
)  # fmt: skip
"""Of a manifest's line; others are passed over."""
FOLDERS: dict[str, Literal["real", "synthetic", "tampered"]] = {
    "real": "real",
    "fake": "synthetic",
    "tampered": "tampered",
}


@dataclass(frozen=True)
class Example:
    """One image and what is true of it."""

    id: str
    """Path relative to the data, with forward slashes."""
    path: Path
    label: Literal["real", "synthetic", "tampered"]
    kind: str
    """Generator of a synthetic image, manipulation of a tampered one, source of a real one."""
    source: str
    group: str
    """Everything made from one scene, prompt or original."""
    mask: Path | None = None
    """In stored orientation; above 127 = changed."""
    screenshot: bool = False
    forged: bool = False
    """Made for this run, or its original: the encoder was trained on such forgeries."""
    in_training: bool = False
    """Whether the manifest's split `train` has images of the same source."""


def read(data: Path, split: str | None, view: str = "whole") -> list[Example]:
    """`data`: a manifest, or a folder with `manifest.jsonl` or `.csv` or with real/ fake/ tampered/ mask/.

    A manifest, JSON lines or CSV with a header, needs `path` and `label` of each image (real, synthetic or
    tampered), and `mask` of a tampered one; `generator`, `manipulation`, `source`, `group`, `split` and `note`
    are used where they are stated. split: of a manifest that states splits; None = all. view: of a manifest
    that keeps an image whole and as native crops (train.gather), the one to measure on; lines without a view
    are whole. Raises UsageError if there is nothing to measure on, and for a line that is not right.
    """
    names = (data,) if data.is_file() else (data / "manifest.jsonl", data / "manifest.csv")
    if manifest := next((path for path in names if path.is_file()), None):
        records = _records(manifest)
        known = {record.get("source") or UNSTATED for _, record in records if record.get("split") == "train"}
        found = [
            _of_record(record, manifest.parent, known, where)
            for where, record in records
            if split in (None, record.get("split") or split) and (record.get("view") or "whole") == view
        ]
    elif data.is_dir():
        found = [example for name in FOLDERS for example in _of_folder(data, name)]
    else:
        raise UsageError(f"{data} is neither a folder nor a manifest; name one with --data")
    if not found:
        raise UsageError(
            f"{data} holds no images to measure on (a manifest's split, or real/ fake/ tampered/)"
        )
    return found


def _records(manifest: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Where each line stands, and what it says."""
    try:
        text = manifest.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"{manifest.name} can't be read as a manifest; give UTF-8 JSON lines or CSV"
        ) from None
    if manifest.suffix.lower() == ".csv":
        rows = csv.DictReader(text.splitlines())
        return [(f"{manifest.name} line {rows.line_num}", row) for row in rows]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            where = f"{manifest.name} line {number}"
            try:
                found.append((where, dict(json.loads(line))))
            except (ValueError, TypeError):
                raise UsageError(f"{where} is not a JSON object; write one object a line") from None
    return found


def _of_record(record: Mapping[str, Any], root: Path, known: set[str], where: str) -> Example:
    for name in FIELDS:
        if not isinstance(record.get(name), str | None):
            raise UsageError(f"{where}: field {name!r} is {record[name]!r:.60}; write a string or null")
    path, label, mask = record.get("path"), record.get("label"), record.get("mask")
    if not path:
        raise UsageError(f"{where}: field 'path' is missing; name the image, relative to the manifest")
    if label not in CLASSES:
        raise UsageError(f"{where}: field 'label' is {label!r:.60}; write {' or '.join(map(repr, CLASSES))}")
    if label == "tampered" and not mask:
        raise UsageError(f"{where}: field 'mask' is missing; a tampered image needs its mask")
    source = record.get("source") or UNSTATED
    kinds = {"real": source, "synthetic": record.get("generator"), "tampered": record.get("manipulation")}
    return Example(
        id=path,
        path=root / path,
        label=label,
        kind=kinds[label] or UNSTATED,
        source=source,
        group=record.get("group") or path,
        mask=root / mask if mask else None,
        screenshot="[screenshot]" in (record.get("note") or ""),
        in_training=record.get("split") != "train" and source != UNSTATED and source in known,
    )


def _of_folder(root: Path, name: str) -> list[Example]:
    """real/, fake/ or tampered/: the first folder inside is the image's kind; files of one name (without
    ending) are one group, so that an original and what was made of it stay together."""
    found = []
    for path in sorted((root / name).rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        inside = path.relative_to(root / name)
        kind = inside.parts[0] if len(inside.parts) > 1 else name
        mask = _mask_beside(root / "mask", inside) if name == "tampered" else None
        found.append(
            Example(
                id=path.relative_to(root).as_posix(),
                path=path,
                label=FOLDERS[name],
                kind=kind,
                source=f"{name}/{kind}",
                group=path.stem,
                mask=mask,
            )
        )
    return found


def _mask_beside(masks: Path, inside: Path) -> Path:
    """mask/a.png, mask/a.jpg.png or the same with another image's ending for tampered/a.jpg; raises UsageError
    if there is none."""
    for stem in (inside.with_suffix(""), inside):
        for ending in (".png", *sorted(SUFFIXES - {".png"})):
            if (path := masks / f"{stem}{ending}").is_file():
                return path
    raise UsageError(
        f"tampered/{inside.as_posix()} has no mask; add mask/{inside.with_suffix('.png').as_posix()}"
    )


def sample(examples: Sequence[Example], limit: int | None, seed: int) -> list[Example]:
    """At most `limit` examples, in their old order: classes take turns, within a class its sources do."""
    if limit is None or limit >= len(examples):
        return list(examples)
    drawn: dict[str, dict[str, list[int]]] = {label: {} for label in CLASSES}
    for index in np.random.default_rng(seed).permutation(len(examples)):
        example = examples[index]
        drawn[example.label].setdefault(example.source, []).append(int(index))
    queues = [_turns(list(sources.values())) for sources in drawn.values()]
    return [examples[index] for index in sorted(_turns(queues)[:limit])]


def _turns(queues: Sequence[Sequence[int]]) -> list[int]:
    """One of each queue, then the second of each, and so on."""
    longest = max(map(len, queues), default=0)
    return [queue[k] for k in range(longest) for queue in queues if k < len(queue)]
