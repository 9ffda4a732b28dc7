"""Files and ZIP archives that were dropped, as images to examine one by one.

Nothing is unpacked to the disk, names are only shown, and what an archive says of itself is checked before
anything in it is read; no more than it announced is read then.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from forensic_chat.batch import SUFFIXES
from forensic_chat.errors import InputRejected
from forensic_chat.imaging import sniff
from forensic_chat.settings import settings

MOST_FILES = 200
MOST_BYTES = 400_000_000
"""That the images of one batch may have together, unpacked."""
_MOST_ENTRIES = 5_000
"""That an archive may list; what is no image among them is passed over."""
_ENTRY = b"PK\x01\x02"
_HEAD = 64


@dataclass(frozen=True)
class Member:
    """An image to examine."""

    name: str
    size: int
    """Bytes, as announced."""
    read: Callable[[], bytes]
    """Raises InputRejected."""


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[list[Member]]:
    """The images among the files `paths` and in those that are ZIP archives; archives in archives are no images.

    Raises InputRejected if there is none, if they are too many or too large together, or for an archive that is
    damaged.
    """
    with ExitStack() as stack:
        members: list[Member] = []
        for path in paths:
            if _is_archive(path):
                members += _listed(stack.enter_context(_archive(path)), path.name)
            else:
                members.append(Member(path.name, path.stat().st_size, _reader(path)))
        if not members:
            raise InputRejected(
                "there is no image in it, by name or by content; give images, or a ZIP of them"
            )
        if len(members) > MOST_FILES:
            raise InputRejected(
                f"{len(members)} images are too many for one batch; give at most {MOST_FILES}, or use "
                "`forensic-chat batch` for a whole folder"
            )
        total = sum(member.size for member in members)
        if total > MOST_BYTES:
            raise InputRejected(
                f"the images have {total / 10**6:.0f} MB unpacked; at most {MOST_BYTES / 10**6:.0f} MB are "
                "examined in one batch: give fewer"
            )
        yield members


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix.lower() == ".zip" or file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _archive(path: Path) -> zipfile.ZipFile:
    data = path.read_bytes()
    if data.count(_ENTRY) > _MOST_ENTRIES:  # before a list of them is made
        raise InputRejected(f"{path.name} lists more than {_MOST_ENTRIES} entries; give a smaller archive")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise InputRejected(f"{path.name} is not an intact ZIP archive; pack it again") from None


def _listed(archive: zipfile.ZipFile, name: str) -> list[Member]:
    return [
        Member(f"{name}/{_shown(entry.filename)}", entry.file_size, _unpacker(archive, entry))
        for entry in archive.infolist()
        if not entry.is_dir() and not _hidden(entry.filename) and _is_image(archive, entry)
    ]


def _is_image(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """By its name, or by its first bytes."""
    if PurePosixPath(entry.filename).suffix.lower() in SUFFIXES:
        return True
    try:
        with archive.open(entry) as file:
            return sniff.examined_format(file.read(_HEAD)) is not None
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError):
        return False


def _hidden(name: str) -> bool:
    """What file managers add to archives."""
    return any(part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in name.split("/"))


def _shown(name: str) -> str:
    """A path that leads nowhere but down."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(settings().max_file_bytes + 1)  # intake refuses what is longer, in its own words

    return read


def _unpacker(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        if entry.flag_bits & 1:
            raise InputRejected("it is encrypted in the archive; pack it without a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputRejected("its compression is not read here; pack it as an ordinary ZIP")
        if entry.file_size > settings().max_file_bytes:
            raise InputRejected(
                f"it has {entry.file_size / 10**6:.0f} MB; at most {settings().max_file_bytes / 10**6:.0f} MB "
                "are examined"
            )
        try:
            with archive.open(entry) as file:
                return file.read(settings().max_file_bytes + 1)
        except Exception:  # whatever the library says of a damaged archive
            raise InputRejected("it is damaged in the archive; pack it again") from None

    return read
