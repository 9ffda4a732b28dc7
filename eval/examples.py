"""The images to measure on: from a manifest, or from a folder layout real/ fake/ tampered/ mask/."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from forensic_chat.batch import SUFFIXES
from forensic_chat.data.manifest import Item
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.errors import UsageError
from forensic_chat.schema import CLASSES

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
    """`data`: a manifest, or a folder with `manifest.jsonl` or with real/ fake/ tampered/ mask/.

    split: of a manifest; None = all. view: of a manifest that keeps an image whole and as native crops
    (train.gather), the one to measure on; lines without a view are whole. Raises UsageError if there is
    nothing to measure on.
    """
    manifest = data if data.is_file() else data / "manifest.jsonl"
    if manifest.is_file():
        items = read_manifest(manifest)
        known = {item.source for item in items if item.split == "train"}
        lines = [json.loads(line) for line in manifest.read_text("utf-8").splitlines() if line.strip()]
        chosen = [
            item
            for item, line in zip(items, lines, strict=True)
            if split in (None, item.split) and line.get("view", "whole") == view
        ]
        found = [_of_item(item, manifest.parent, known) for item in chosen]
    elif data.is_dir():
        found = [example for name in FOLDERS for example in _of_folder(data, name)]
    else:
        raise UsageError(f"{data} is neither a folder nor a manifest; name one with --data")
    if not found:
        raise UsageError(
            f"{data} holds no images to measure on (a manifest's split, or real/ fake/ tampered/)"
        )
    return found


def _of_item(item: Item, root: Path, known: set[str]) -> Example:
    kinds = {"real": item.source, "synthetic": item.generator, "tampered": item.manipulation}
    return Example(
        id=item.path,
        path=root / item.path,
        label=item.label,
        kind=kinds[item.label] or "not stated",
        source=item.source,
        group=item.group,
        mask=root / item.mask if item.mask else None,
        screenshot="[screenshot]" in (item.note or ""),
        in_training=item.split != "train" and item.source in known,
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
    """mask/a.png or mask/a.jpg.png for tampered/a.jpg; raises UsageError if there is neither."""
    candidates = [masks / inside.with_suffix(".png"), masks / f"{inside}.png"]
    for path in candidates:
        if path.is_file():
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
