"""Files out of a zip that a stranger packed: bounded in number, in bytes and in what reading it costs."""

import io
import zipfile
from collections.abc import Iterator
from typing import IO

from forensic_chat.errors import InputRejected
from forensic_chat.settings import Settings

_MOST_AT_ONCE = 4_000_000
"""Bytes of one read: the list of files is read in one, and nothing else needs as much."""
_PIECE = 1 << 16
_MAX_NAME = 200


def unpack(packed: IO[bytes], name: str, limits: Settings) -> Iterator[tuple[str, bytes | InputRejected]]:
    """Each file's path in the archive, with forward slashes and nothing that leads out, and its bytes, or why
    they can't be had; folders and what systems add (`__MACOSX`, hidden files) are left out.

    Raises InputRejected for what is no zip, or unpacks to more than `limits.max_batch_files` files or
    `limits.max_batch_bytes`.
    """
    try:
        archive = zipfile.ZipFile(_Sparing(packed))
    except InputRejected:
        raise
    except Exception:  # on hostile bytes it may raise anything
        raise InputRejected(f"{name} is not an intact zip archive; pack the images again") from None
    with archive:
        members = [member for member in archive.infolist() if _wanted(member)]
        if len(members) > limits.max_batch_files:
            raise InputRejected(
                f"{name} holds {len(members)} files, and at most {limits.max_batch_files} are taken at a "
                "time; split it"
            )
        left = limits.max_batch_bytes
        for member in members:
            path = safe_path(member.filename)
            data = _read(archive, member, path, limits, left)
            left -= len(data) if isinstance(data, bytes) else 0
            if left < 0:
                raise InputRejected(
                    f"{name} unpacks to more than {limits.max_batch_bytes / 1e6:g} MB; split it"
                )
            yield path, data


def safe_path(name: str) -> str:
    """A path to show: relative, forward slashes, no `..`, control characters replaced, cut from the front."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    path = "".join(char if char.isprintable() else "?" for char in "/".join(parts))
    return path[-_MAX_NAME:] or "image"


def looks_packed(head: bytes) -> bool:
    """Whether a file is a zip, and not an image with one behind it."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _wanted(member: zipfile.ZipInfo) -> bool:
    path = safe_path(member.filename)
    last = path.rpartition("/")[2]
    return not (member.is_dir() or path.startswith("__MACOSX/") or last.startswith("."))


def _read(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str, limits: Settings, left: int
) -> bytes | InputRejected:
    """Stops a byte after what may be taken, whatever the archive says of the file's size."""
    most, out = min(limits.max_file_bytes, left) + 1, io.BytesIO()
    try:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return InputRejected(f"{path} is packed in a way that is not read here; use plain zip")
        with archive.open(member) as file:
            while out.tell() < most and (piece := file.read(min(_PIECE, most - out.tell()))):
                out.write(piece)
    except Exception:
        encrypted = member.flag_bits & 1
        why = "is encrypted; pack it without a password" if encrypted else "is damaged; pack it again"
        return InputRejected(f"{path} {why}")
    if out.tell() > limits.max_file_bytes:
        megabytes = limits.max_file_bytes / 1e6
        return InputRejected(
            f"{path} is larger than {megabytes:g} MB; save a smaller copy or raise the limit"
        )
    return out.getvalue()


class _Sparing:
    """A file of which nobody reads very much at once: a list of a million files stays unread."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(_MOST_AT_ONCE + 1 if size < 0 else size) if size <= _MOST_AT_ONCE else b""
        if size > _MOST_AT_ONCE or len(data) > _MOST_AT_ONCE:
            raise InputRejected("the archive's list of files is too long to be read; split it")
        return data
