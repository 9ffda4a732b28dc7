"""Files kept once each, under their SHA-256."""

import errno
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from forensic_chat.sessions.database import Full, Missing, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_RECENT = 3600
"""Seconds after which a file that nothing refers to is a leftover."""


class Blobs:
    """`lock` is held by whoever keeps a file and refers to it, or drops one: in between, nobody else may."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self.lock = folder, threading.Lock()

    def keep(self, data: bytes) -> str:
        """The file's SHA-256; it is on the disk when this returns. Raises Full, Unavailable; nothing half
        written stays."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        part = path.with_suffix(".part")
        try:
            if path.exists():
                return sha256
            path.parent.mkdir(exist_ok=True, mode=0o700)
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync(path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise (Full if error.errno in _FULL else Unavailable) from error
        return sha256

    def read(self, sha256: str) -> bytes:
        """Raises Missing, and Unavailable if the disk gives something else back."""
        try:
            data = self._path(sha256).read_bytes()
        except FileNotFoundError:
            raise Missing from None
        except OSError as error:
            raise Unavailable from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Unavailable
        return data

    def drop(self, sha256: str) -> None:
        """Nothing if there is no such file."""
        if sha256:
            self._path(sha256).unlink(missing_ok=True)

    def sweep(self, used: Callable[[str], bool]) -> None:
        """Delete what an interrupted process left: files that nothing refers to."""
        for path in self._old():
            if not (re.fullmatch("[0-9a-f]{64}", path.name) and used(path.name)):
                path.unlink(missing_ok=True)

    def _old(self) -> Iterator[Path]:
        for path in self._folder.glob("??/*"):
            if path.is_file() and time.time() - path.stat().st_mtime > _RECENT:
                yield path

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def _sync(folder: Path) -> None:
    """The name of a new file outlasts a power cut only once its folder is on the disk."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
