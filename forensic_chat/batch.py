"""Examines a folder into an append-only JSONL file, so that a stopped run can go on where it was.

A row counts as done when its file still has the row's SHA-256, the same models took part, and the row has
what this run would write (a rationale or none, the mask's file). All of that is read from the rows; there is
no state beside them. A file that changed, or another model version, is examined again and appended; the later
row holds.
"""

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar

from forensic_chat import maskfile
from forensic_chat.errors import BackendUnavailable, Cancelled, ForensicChatError, InputRejected, UsageError
from forensic_chat.imaging import sniff
from forensic_chat.schema import BatchError, BatchExamination, BatchFailure

if TYPE_CHECKING:
    from forensic_chat.examiner import Examiner

SUFFIXES = frozenset(
    "." + ending
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "bmp", "dib", "gif", "avif"),
        *("heic", "heif", "jp2", "jxl", "svg", "psd", "ico"),
    )
)
"""Names of images end so, compared in lower case; formats that are not examined get a row that says it."""

AT_ONCE = 8
"""Images under way at a time where the language model writes several rationales side by side."""
Row = TypeVar("Row")

_ROW_STARTS = (b'{"schema_version":', b'{"file":')


@dataclass(frozen=True)
class Folder:
    """What a run will examine; paths are relative to `root`."""

    root: Path
    images: tuple[Path, ...]
    passed_over: int
    """How many other files there are."""
    unreadable: tuple[Path, ...]
    """Folders that could not be listed."""


@dataclass(frozen=True)
class Step:
    """One image is dealt with: `examined` and `failed` appended a row, `kept` found one of an earlier run."""

    file: str
    outcome: Literal["examined", "failed", "kept"]
    message: str = ""
    """Why it failed."""


def find(root: Path, *, leave_out: tuple[Path, ...] = ()) -> Folder:
    """The images under `root` at any depth, sorted, but none of `leave_out`; linked folders are not entered.

    Raises UsageError if `root` is no folder or holds no image.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; a single image is examined by `forensic-chat analyze`")
    out = {path.resolve() for path in leave_out}
    images, passed_over, unreadable = [], 0, []
    for name, folders, files in os.walk(root, onerror=lambda error: unreadable.append(Path(error.filename))):
        here = Path(name)
        folders[:] = [folder for folder in folders if (here / folder).resolve() not in out]
        for path in (here / file for file in files):
            if not path.is_file() or path.resolve() in out:
                continue
            if _is_image(path):
                images.append(path.relative_to(root))
            else:
                passed_over += 1
    if not images:
        raise UsageError(f"{root} holds no image, by name or by content; nothing to examine")
    return Folder(root, tuple(sorted(images, key=row_name)), passed_over, tuple(unreadable))


def _is_image(path: Path) -> bool:
    """By its name, or by its first bytes: downloads often come without an ending."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return sniff.examined_format(file.read(64)) is not None
    except OSError:
        return False


def row_name(path: Path) -> str:
    """A row's `file`: forward slashes; bytes of the name that are no text are spelled out as \\xNN."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def run(
    examiner: "Examiner",
    folder: Folder,
    out: Path,
    *,
    rationale: bool = True,
    masks: Path | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> None:
    """Append a row to `out` for every image of `folder` that has none there yet.

    `masks` is a folder for mask files, `<masks>/<file>.png`, each written before its row. A file that can't
    be examined becomes a row with an error and does not stop the run. Raises UsageError if `out` or `masks`
    can't be used, and BackendUnavailable, which every further file would meet as well. However a run ends,
    `out` holds complete rows and at most one torn line, which the next run drops.
    """
    earlier = _Earlier.read(out)

    def row_of(relative: Path) -> BatchExamination | BatchFailure | None:
        file, path = row_name(relative), folder.root / relative
        mask = masks / f"{file}.png" if masks else None
        if earlier.has(file, path, examiner, rationale=rationale, mask=mask):
            return None
        return examined(examiner, path, file, rationale=rationale)

    at_once = AT_ONCE if rationale and examiner.concurrent else 1
    with _appending(out, earlier.length) as rows:
        for relative, row in zip(folder.images, _each(row_of, folder.images, at_once), strict=True):
            file = row_name(relative)
            mask = masks / f"{file}.png" if masks else None
            if row is None:
                on_step(Step(file, "kept"))
                continue
            if mask and isinstance(row, BatchExamination):
                row = maskfile.write(row, mask)
            rows.write(row.model_dump_json().encode() + b"\n")
            rows.flush()
            os.fsync(rows.fileno())
            if isinstance(row, BatchFailure):
                on_step(Step(file, "failed", row.error.message))
            else:
                on_step(Step(file, "examined"))


def _each(work: Callable[[Path], Row], paths: Sequence[Path], at_once: int) -> Iterator[Row]:
    """What `work` gives for each path, in their order, `at_once` of them at a time."""
    if at_once == 1:
        yield from map(work, paths)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="batch") as threads:
        begun: deque[Future[Row]] = deque()
        try:
            for path in paths:
                begun.append(threads.submit(work, path))
                if len(begun) == at_once:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()


def examined(
    examiner: "Examiner",
    source: Path | bytes,
    file: str,
    *,
    rationale: bool,
    cancel: threading.Event | None = None,
) -> BatchExamination | BatchFailure:
    """The row of one file, whatever is wrong with it. Raises BackendUnavailable and Cancelled."""
    try:
        examination = examiner.examine(
            source, rationale=rationale, name=file.rpartition("/")[2], cancel=cancel
        )
        return BatchExamination(**dict(examination), file=file)
    except (BackendUnavailable, Cancelled):
        raise
    except ForensicChatError as error:
        failure = BatchError(code=error.code, message=str(error))
    except Exception as error:  # one file must never cost the folder
        message = f"internal error ({type(error).__name__}); `forensic-chat analyze` on this file shows more"
        failure = BatchError(code="internal", message=message)
    return BatchFailure(file=file, error=failure, sha256=_sha256(source))


def _sha256(source: Path | bytes) -> str | None:
    """None if the file can't be read."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    try:
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


@contextmanager
def _appending(out: Path, length: int) -> Iterator[BinaryIO]:
    """`out`, cut to its first `length` bytes and open for appending; OSErrors become UsageErrors."""
    try:
        with out.open("ab") as rows:
            rows.truncate(length)
            yield rows
    except OSError as error:
        where = error.filename if error.filename else out
        raise UsageError(f"can't write {where}: {error.strerror}; the rows written so far are kept") from None


@dataclass
class _Earlier:
    """The last row of each file that an earlier run left in `out`, without masks and texts."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    length: int = 0
    """Bytes of complete rows; what follows them is a torn line."""

    @classmethod
    def read(cls, out: Path) -> "_Earlier":
        earlier = cls()
        if not out.exists():
            return earlier
        if not out.is_file():
            raise UsageError(f"{out} is not a file; --out names the file that rows are appended to")
        try:
            with out.open("rb") as lines:
                for line in lines:
                    earlier._add(line, out)
        except OSError as error:
            raise UsageError(f"can't read {out}: {error.strerror}; choose another --out") from None
        return earlier

    def _add(self, line: bytes, out: Path) -> None:
        torn = not line.endswith(b"\n")
        try:
            if not any(line.startswith(start[: len(line)]) for start in _ROW_STARTS):
                raise ValueError  # never cut a file that is not ours
            if torn:
                return
            row = json.loads(line)
            self.rows[row["file"]] = _facts(row)
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{out} has lines that are no rows of a batch; choose another --out") from None
        self.length += len(line)

    def has(self, file: str, path: Path, examiner: "Examiner", *, rationale: bool, mask: Path | None) -> bool:
        """Whether the file's row says all that a new examination would."""
        row = self.rows.get(file)
        if row is None or row["sha256"] != _sha256(path):
            return False
        if "error" in row:  # other errors may have passed: tried again
            return bool(row["error"] == InputRejected.code)
        if mask and not (mask.is_file() and row["mask"] in (None, mask.as_posix())):
            return False
        if row["rationale"] != rationale:
            return False
        return bool(row["models"] == examiner.models | (examiner.backend.models if rationale else {}))


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    if "error" in row:
        return {"sha256": row["sha256"], "error": row["error"]["code"]}
    return {
        "sha256": row["image"]["sha256"],
        "models": row["models"],
        "rationale": row["rationale"] is not None,
        "mask": row["mask"] and row["mask"]["png"],
    }
