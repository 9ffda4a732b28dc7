"""Examinations, conversations and jobs that outlive a process: rows in a database, images as files beside it.

Every row has an owner, and asking for another owner's is the same as asking for what isn't there. An image is
kept once, under its SHA-256, as long as an examination is of it or waits for it. Deleting overwrites: SQLite
clears the pages and its log is emptied; PostgreSQL vacuums.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from forensic_chat.errors import UsageError
from forensic_chat.schema import Examination
from forensic_chat.sessions.blobs import Blobs
from forensic_chat.sessions.database import Conflict, Database, Missing
from forensic_chat.sessions.jobs import Jobs
from forensic_chat.sessions.tables import (
    Base,
    Conversation,
    Item,
    Job,
    KeptExamination,
    Turn,
    new_id,
    owned,
    used,
)

__all__ = ["Conflict", "Exchange", "Missing", "Store"]


@dataclass(frozen=True)
class Exchange:
    """A question, its answer, what became of the answer's claims, and the findings of a second look, if the
    question asked for one."""

    question: str
    answer: str
    claims: list[dict[str, Any]]
    warnings: list[str]
    findings: list[dict[str, Any]] = field(default_factory=list)


class Store:
    """Safe for threads of one process; a second process needs a folder of its own.

    Every method raises Unavailable where the database or the disk can't be reached, and those that keep
    something Full; what they were to keep is then not kept, and everything else is as it was.
    """

    def __init__(self, url: str, blobs: Path) -> None:
        """url: of the database, as SQLAlchemy reads it; tables are made if need be. blobs: the images'
        folder. Raises UsageError if either can't be used."""
        try:
            self._blobs = Blobs(blobs)
            self._database = Database(url)
            self._database.create(Base.metadata)
        except (ArgumentError, SQLAlchemyError, ImportError, OSError):
            raise UsageError(
                "the session store can't be opened; check FORENSIC_CHAT_DATABASE_URL and "
                "FORENSIC_CHAT_DATA_DIR, and that the database runs and its driver is installed"
            ) from None
        self.jobs = Jobs(self._database, self._blobs)

    def close(self) -> None:
        self._database.close()

    def ready(self) -> bool:
        """Whether the database answers."""
        return self._database.ready()

    def add_examination(self, owner: str, data: bytes, examination: Examination) -> str:
        """Keep an examination and the file it is of; its id is given back once both are on the disk."""
        key = new_id()
        with self._blobs.lock:
            sha256 = self._blobs.keep(data)
            with self._database.writing() as session:
                session.add(
                    KeptExamination(
                        id=key,
                        owner=owner,
                        created=time.time(),
                        sha256=sha256,
                        document=examination.model_dump_json(),
                    )
                )
        return key

    def examination(self, owner: str, key: str) -> Examination:
        """Raises Missing."""
        with self._database.reading() as session:
            document: str = owned(session, KeptExamination, owner, key).document
        return Examination.model_validate_json(document)

    def image(self, examination: Examination) -> bytes:
        """The file that was examined. Raises Missing."""
        return self._blobs.read(examination.image.sha256)

    def delete_examination(self, owner: str, key: str) -> None:
        """With its conversations, and its image if no other examination is of it. Raises Missing."""
        with self._blobs.lock:
            with self._database.writing() as session:
                row = owned(session, KeptExamination, owner, key)
                sha256 = row.sha256
                session.delete(row)
            self._drop({sha256})

    def delete_job(self, owner: str, key: str) -> None:
        """With its examinations, and all that hangs on those. Raises Missing."""
        with self._blobs.lock:
            with self._database.writing() as session:
                hashes = _delete_jobs(session, [owned(session, Job, owner, key).id])
            self._drop(hashes)

    def add_conversation(self, owner: str, examination: str) -> str:
        """Raises Missing if the owner has no such examination."""
        key = new_id()
        with self._database.writing() as session:
            owned(session, KeptExamination, owner, examination)
            session.add(Conversation(id=key, owner=owner, created=time.time(), examination=examination))
        return key

    def conversation(self, owner: str, key: str) -> tuple[str, list[Exchange]]:
        """The examination's id, and what was said. Raises Missing."""
        with self._database.reading() as session:
            row = owned(session, Conversation, owner, key)
            turns = session.scalars(
                select(Turn).where(Turn.conversation == key).order_by(Turn.position)
            ).all()
            said = [
                Exchange(turn.question, turn.answer, turn.claims, turn.warnings, turn.findings)
                for turn in turns
            ]
            return row.examination, said

    def add_turn(self, owner: str, key: str, position: int, said: Exchange) -> None:
        """Add the turn at `position`, counted from 0; on the disk when this returns. Raises Conflict if it
        is taken, Missing if the conversation is gone."""
        try:
            with self._database.writing() as session:
                owned(session, Conversation, owner, key)
                session.add(Turn(conversation=key, position=position, created=time.time(), **vars(said)))
        except IntegrityError:
            raise Conflict from None

    def delete_conversation(self, owner: str, key: str) -> None:
        """Raises Missing."""
        with self._database.writing() as session:
            session.delete(owned(session, Conversation, owner, key))
        self._database.forget()

    def delete_older(self, seconds: float) -> int:
        """Delete every job and examination older than that, with all that hangs on it, and what an
        interrupted process left; how many examinations."""
        end = time.time() - seconds
        with self._blobs.lock:
            with self._database.writing() as session:
                jobs = session.scalars(select(Job.id).where(Job.created < end)).all()
                hashes = _delete_jobs(session, jobs)
                old = session.execute(
                    select(KeptExamination.id, KeptExamination.sha256).where(KeptExamination.created < end)
                ).all()
                session.execute(delete(KeptExamination).where(KeptExamination.created < end))
            if old or jobs:
                self._drop(hashes | {sha256 for _, sha256 in old})
            with self._database.reading() as session:
                self._blobs.sweep(lambda sha256: used(session, sha256))
        return len(old)

    def _drop(self, hashes: Collection[str]) -> None:
        """Of these files those that nothing refers to any more, and what the database remembers of the rows."""
        with self._database.reading() as session:
            for sha256 in hashes:
                if not used(session, sha256):
                    self._blobs.drop(sha256)
        self._database.forget()


def _delete_jobs(session: Session, jobs: Collection[str]) -> set[str]:
    """The hashes of the files that they were about."""
    if not jobs:
        return set()
    hashes = session.scalars(select(Item.sha256).where(Item.job.in_(jobs))).all()
    examined = select(Item.examination).where(Item.job.in_(jobs), Item.examination.is_not(None))
    session.execute(delete(KeptExamination).where(KeptExamination.id.in_(examined)))
    session.execute(delete(Job).where(Job.id.in_(jobs)))
    return set(hashes)
