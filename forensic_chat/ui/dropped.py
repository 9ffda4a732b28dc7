"""Files and ZIP archives that were dropped, as images to examine one by one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from forensic_chat.errors import InputRejected
from forensic_chat.imaging import archive
from forensic_chat.settings import Settings, settings

MOST_FILES = 200


def images(paths: Sequence[Path]) -> Iterator[tuple[str, bytes | InputRejected]]:
    """Each file, and each file in those that are archives: its name and its bytes, or why they can't be had.

    Nothing is unpacked to the disk. Raises InputRejected at the file that makes them too many or, unpacked, too
    large together, and for an archive that can't be read.
    """
    limits = settings().model_copy(update={"max_batch_files": MOST_FILES})
    most, count, size = limits.max_batch_bytes, 0, 0
    for path in paths:
        for name, data in _of(path, limits):
            count, size = count + 1, size + (len(data) if isinstance(data, bytes) else 0)
            if count > MOST_FILES:
                raise InputRejected(
                    f"at most {MOST_FILES} images are examined in one batch; for more, use "
                    "`forensic-chat batch` on a folder"
                )
            if size > most:
                raise InputRejected(
                    f"the images of one batch may have {most / 1e6:g} MB together; give fewer at a time"
                )
            yield name, data


def _of(path: Path, limits: Settings) -> Iterator[tuple[str, bytes | InputRejected]]:
    with path.open("rb") as file:
        if archive.looks_packed(file.read(4)) or path.suffix.lower() == ".zip":
            file.seek(0)
            for name, data in archive.unpack(file, path.name, limits):
                yield f"{path.name}/{name}", data
        else:
            file.seek(0)
            yield path.name, file.read(limits.max_file_bytes + 1)  # intake says what is too large
