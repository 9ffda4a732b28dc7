"""The lines of train/sources.jsonl: which files of which public repository are gathered, and what they are."""

import fnmatch
import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from train.clones import Blob
from train.packing import Packed, Require

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SMALLEST_FILE = 6_000  # bytes: below it an icon, a placeholder or a thumbnail
NO_PICTURE = re.compile(
    r"(logo|icon|favicon|sprite|badge|sponsor|screenshot|qrcode|wechat|node_modules|site-packages)", re.I
)
VAL_SHARE = 15  # per cent of the groups of a source


@dataclass(frozen=True)
class Source:
    """One line of sources.jsonl: which files of which repository, and what they are."""

    repo: str
    commit: str
    label: str
    include: list[str]
    exclude: list[str] = field(default_factory=list)
    generator: str | None = None
    generator_in_path: str = ""
    kind: str = ""
    licence: str = "none stated"
    group: str = ""  # regular expression; what it matches in a path names the group; "": each file its own
    require: Require = ""
    grid: list[int] = field(default_factory=lambda: [1, 1])
    max: int = 0  # 0: all
    any_name: bool = False  # take files that NO_PICTURE would skip
    holdout: bool = False
    modern: bool = True
    note: str = ""
    count: int = 0

    def at_most(self, images: int) -> "Source":
        """The source, its `max` no larger than so many; 0: as it is."""
        return replace(self, max=min(self.max or images, images)) if images else self

    @property
    def key(self) -> str:
        """Names the source's part on disk; changes with everything that decides its content or its fields."""
        told = {k: v for k, v in asdict(self).items() if k not in ("note", "count")}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        return f"images/{self.label}/{self.repo.replace('/', '+')}-{self.key}"


def read_sources(path: Path) -> list[Source]:
    return [Source(**json.loads(line)) for line in path.read_text("utf-8").splitlines() if line.strip()]


def choose(source: Source, blobs: list[Blob]) -> list[Blob]:
    """The files a source names, in an order that does not follow their names: `max` takes a fair sample."""

    def wanted(blob: Blob) -> bool:
        return (
            blob.path.lower().endswith(SUFFIXES)
            and blob.size >= SMALLEST_FILE
            and (source.any_name or not NO_PICTURE.search(blob.path))
            and any(fnmatch.fnmatchcase(blob.path, glob) for glob in source.include)
            and not any(fnmatch.fnmatchcase(blob.path, glob) for glob in source.exclude)
        )

    return sorted(filter(wanted, blobs), key=lambda b: hashlib.sha256(b.path.encode()).digest())


def group_of(source: Source, path: str) -> str:
    found = re.search(source.group, path) if source.group else None
    return f"{source.repo}:{found.group(0) if found else path}"


def generator_of(source: Source, path: str) -> str | None:
    """The source's generator; with `generator_in_path`, completed by what that expression's group 1 finds."""
    found = re.search(source.generator_in_path, path) if source.generator_in_path else None
    return (source.generator or "") + found.group(1) if found else source.generator


def split_of(source: Source, group: str) -> str:
    """`holdout` for whole held-out sources; else `val` for 15 % of the groups, drawn by digest."""
    if source.holdout:
        return "holdout"
    return "val" if hashlib.sha256(group.encode()).digest()[0] * 100 < VAL_SHARE * 256 else "train"


def rows_of(source: Source, path: str, packed: Packed) -> list[tuple[dict[str, Any], bytes]]:
    """Manifest rows and files of one kept image: the corpus' fields, plus what each view is."""
    group = group_of(source, path)
    stem = f"{packed.orig_sha256[:12]}{f'-{packed.tile}' if source.grid != [1, 1] else ''}"
    rows = []
    for view in packed.views:
        row: dict[str, Any] = {
            "path": f"{source.folder}/{view.name}/{stem}.webp",
            "sha256": hashlib.sha256(view.data).hexdigest(),
            "label": source.label,
            "generator": generator_of(source, path),
            "manipulation": None,
            "mask": None,
            "authentic": None,
            "source": source.repo,
            "commit": source.commit,
            "orig_path": path,
            "licence": source.licence,
            "width": view.size[0],
            "height": view.size[1],
            "format": "WEBP",
            "group": group,
            "split": split_of(source, group),
            "modern": source.modern,
            "note": source.note,
            "kind": source.kind,
            "view": view.name,
            "resized": view.resized,
            "box": list(view.box),
            "original_width": packed.original[0],
            "original_height": packed.original[1],
            "original_format": packed.orig_format,
            "original_sha256": packed.orig_sha256,
            "tile": packed.tile,
            "phash": f"{packed.phash:016x}",
            "dhash": f"{packed.dhash:016x}",
        }
        rows.append((row, view.data))
    return rows
