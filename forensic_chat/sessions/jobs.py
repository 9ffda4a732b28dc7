"""Images that wait to be examined, in the order of their place in a job: a short job overtakes a long one.

What is done and what waits is in the rows and nowhere else, so a process that was killed goes on where it was.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import func, select

from forensic_chat.errors import DeadlineExceeded, ForensicChatError, UsageError
from forensic_chat.schema import BatchError, BatchExamination, BatchFailure, Examination, Model
from forensic_chat.sessions.blobs import Blobs
from forensic_chat.sessions.database import Database
from forensic_chat.sessions.tables import Item, Job, KeptExamination, new_id, owned, used

ATTEMPTS = 3
"""Times an examination may begin and the process end in it, before the file is given up."""
CANCELLED = BatchError(code="cancelled", message="the job was cancelled before this file was examined")
TOO_LATE = BatchError(
    code=DeadlineExceeded.code,
    message="the job's deadline passed before this file was examined; allow more time, or give less",
)


@dataclass(frozen=True)
class Waiting:
    """An image whose turn it is."""

    job: str
    position: int
    owner: str
    file: str
    sha256: str
    rationale: bool
    deadline: float | None
    """Seconds since 1970."""


class JobFile(Model):
    """One file of a job: it waits, or was examined, or has an error."""

    file: str
    examination: str | None
    """The id of its examination."""
    error: BatchError | None


class JobState(Model):
    id: str
    state: Literal["waiting", "running", "done", "cancelled"]
    created: datetime
    deadline: datetime | None
    total: int
    finished: int
    """Files that don't wait any more."""
    failed: int
    """Of these: files with an error."""
    files: list[JobFile]


class Jobs:
    """See `store.Store` for what every method raises."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database, self._blobs = database, blobs

    def add(
        self,
        owner: str,
        files: Iterable[tuple[str, bytes | ForensicChatError]],
        *,
        rationale: bool,
        deadline: float | None = None,
    ) -> str:
        """Keep files, or why one can't be examined, under a name each; the job's id is given back once all is
        on the disk. deadline: seconds from now.

        Raises UsageError if there are none, and what `files` raises; nothing is kept then.
        """
        key, now, items, hashes = new_id(), time.time(), list[Item](), set[str]()
        with self._blobs.lock:
            try:
                for file, given in files:
                    item = Item(job=key, position=len(items), file=file, sha256="", waiting=True)
                    items.append(item)
                    if isinstance(given, bytes):
                        item.sha256 = self._blobs.keep(given)
                        hashes.add(item.sha256)
                    else:
                        _fail(item, BatchError(code=given.code, message=str(given)))
                if not items:
                    raise UsageError("no image was given, by name or by content; nothing to examine")
                with self._database.writing() as session:
                    end = None if deadline is None else now + deadline
                    session.add(Job(id=key, owner=owner, created=now, rationale=rationale, deadline=end))
                    session.flush()
                    session.add_all(items)
            except BaseException:
                self._drop_unused(hashes)
                raise
        return key

    def state(self, owner: str, key: str, *, running: bool = False) -> JobState:
        """running: one of its files is being examined. Raises Missing."""
        with self._database.reading() as session:
            job = owned(session, Job, owner, key)
            items = session.scalars(select(Item).where(Item.job == key).order_by(Item.position)).all()
            files = [JobFile(file=i.file, examination=i.examination, error=_error(i)) for i in items]
            finished = sum(not item.waiting for item in items)
            return JobState(
                id=key,
                state=_word(job, finished, len(items), running),
                created=datetime.fromtimestamp(job.created, UTC),
                deadline=None if job.deadline is None else datetime.fromtimestamp(job.deadline, UTC),
                total=len(items),
                finished=finished,
                failed=sum(item.code is not None for item in items),
                files=files,
            )

    def rows(self, owner: str, key: str) -> Iterator[tuple[str | None, BatchExamination | BatchFailure]]:
        """The finished files' rows and the ids of their examinations, one read at a time. Raises Missing at
        once."""
        with self._database.reading() as session:
            owned(session, Job, owner, key)
            found = select(Item.position).where(Item.job == key, ~Item.waiting).order_by(Item.position)
            positions = session.scalars(found).all()
        return self._rows(key, positions)

    def _rows(
        self, key: str, positions: Iterable[int]
    ) -> Iterator[tuple[str | None, BatchExamination | BatchFailure]]:
        for position in positions:
            with self._database.reading() as session:
                item = session.get(Item, (key, position))
                if item is None:  # deleted meanwhile
                    continue
                kept = item.examination and session.get(KeptExamination, item.examination)
                row: BatchExamination | BatchFailure
                if kept:
                    found = Examination.model_validate_json(kept.document)
                    row = BatchExamination(**dict(found), file=item.file)
                elif error := _error(item):
                    row = BatchFailure(file=item.file, error=error, sha256=item.sha256 or None)
                else:
                    continue
                which = item.examination
            yield which, row

    def waiting(self) -> int:
        """Images of all owners that wait."""
        with self._database.reading() as session:
            return session.scalar(select(func.count()).select_from(Item).where(Item.waiting)) or 0

    def cancel(self, owner: str, key: str) -> None:
        """Give up the files that still wait. Raises Missing."""
        with self._blobs.lock:
            with self._database.writing() as session:
                job = owned(session, Job, owner, key)
                items = session.scalars(select(Item).where(Item.job == key, Item.waiting)).all()
                for item in items:
                    _fail(item, CANCELLED)
                job.cancelled = job.cancelled or bool(items)
                hashes = {item.sha256 for item in items}
            self._drop_unused(hashes)

    def next(self) -> Waiting | None:
        """The image whose turn it is, and that it began; None if none waits. Files whose job is over, or
        that ended the process ATTEMPTS times, are given up on the way."""
        while True:
            with self._blobs.lock:
                with self._database.writing() as session:
                    first = (
                        select(Item, Job)
                        .join(Job, Job.id == Item.job)
                        .where(Item.waiting)
                        .order_by(Item.position, Job.created, Job.id)
                        .limit(1)
                    )
                    found = session.execute(first).first()
                    if found is None:
                        return None
                    item, job = found
                    hopeless = _hopeless(item, job)
                    if hopeless is None:
                        item.begun += 1
                        return _waiting(item, job)
                    _fail(item, hopeless)
                    sha256 = item.sha256
                self._drop_unused({sha256})

    def put_back(self, item: Waiting) -> None:
        """Its examination was stopped, by no fault of the file."""
        with self._database.writing() as session:
            row = session.get(Item, (item.job, item.position))
            if row is not None and row.waiting:
                row.begun = 0

    def finish(self, item: Waiting, result: Examination | BatchError) -> None:
        """Keep what became of an image; nothing if its job was cancelled or deleted meanwhile."""
        with self._blobs.lock:
            with self._database.writing() as session:
                row = session.get(Item, (item.job, item.position))
                if row is None or not row.waiting:
                    return
                if isinstance(result, BatchError):
                    _fail(row, result)
                else:
                    kept = KeptExamination(
                        id=new_id(),
                        owner=item.owner,
                        created=time.time(),
                        sha256=item.sha256,
                        document=result.model_dump_json(),
                    )
                    session.add(kept)
                    session.flush()  # before the item refers to it
                    row.waiting, row.examination = False, kept.id
            self._drop_unused({item.sha256})

    def image(self, item: Waiting) -> bytes:
        """Raises Missing."""
        return self._blobs.read(item.sha256)

    def _drop_unused(self, hashes: set[str]) -> None:
        with self._database.reading() as session:
            for sha256 in hashes:
                if not used(session, sha256):
                    self._blobs.drop(sha256)


def _fail(item: Item, error: BatchError) -> None:
    item.waiting, item.code, item.message = False, error.code, error.message


def _error(item: Item) -> BatchError | None:
    return None if item.code is None else BatchError(code=item.code, message=item.message or "")


def _waiting(item: Item, job: Job) -> Waiting:
    return Waiting(item.job, item.position, job.owner, item.file, item.sha256, job.rationale, job.deadline)


def _hopeless(item: Item, job: Job) -> BatchError | None:
    if job.deadline is not None and time.time() >= job.deadline:
        return TOO_LATE
    if item.begun >= ATTEMPTS:
        message = f"the server ended {ATTEMPTS} times while it examined this file; it is not tried again"
        return BatchError(code="internal", message=message)
    return None


def _word(
    job: Job, finished: int, total: int, running: bool
) -> Literal["waiting", "running", "done", "cancelled"]:
    if job.cancelled:
        return "cancelled"
    if finished == total:
        return "done"
    return "running" if running or finished else "waiting"
