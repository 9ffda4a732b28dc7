"""Examinations and conversations that outlive a process: rows in a database, images as files beside it.

Every row has an owner, and asking for another owner's is the same as asking for what isn't there. An image
is kept once, under its SHA-256, as long as an examination of it is. Deleting overwrites: SQLite clears the
pages and its log is emptied.
"""

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, ForeignKey, Text, create_engine, event, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from forensic_chat.errors import UsageError
from forensic_chat.schema import Examination


class Missing(Exception):
    """There is no such examination or conversation of this owner."""


class Conflict(Exception):
    """Another turn was added to the conversation meanwhile."""


class _Base(DeclarativeBase):
    pass


class _Examination(_Base):
    __tablename__ = "examinations"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    created: Mapped[float]
    sha256: Mapped[str] = mapped_column(index=True)
    document: Mapped[str] = mapped_column(Text)


class _Conversation(_Base):
    __tablename__ = "conversations"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    created: Mapped[float]
    examination: Mapped[str] = mapped_column(ForeignKey("examinations.id", ondelete="CASCADE"), index=True)


class _Turn(_Base):
    __tablename__ = "turns"
    conversation: Mapped[str] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[float]
    question: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    claims: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    warnings: Mapped[list[str]] = mapped_column(JSON)


@dataclass(frozen=True)
class Exchange:
    """A question, its answer, and what became of the answer's claims."""

    question: str
    answer: str
    claims: list[dict[str, Any]]
    warnings: list[str]


class Store:
    """Examinations, conversations and images; safe for threads of one process."""

    def __init__(self, url: str, blobs: Path) -> None:
        """url: of the database, as SQLAlchemy reads it; tables are made if need be. blobs: the images'
        folder. Raises UsageError if either can't be used."""
        self._blobs, self._files = blobs, threading.Lock()
        try:
            blobs.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._engine = _engine(url)
            _Base.metadata.create_all(self._engine)
        except (ArgumentError, SQLAlchemyError, ImportError, OSError):
            raise UsageError(
                "the session store can't be opened; check FORENSIC_CHAT_DATABASE_URL and "
                "FORENSIC_CHAT_DATA_DIR, and that the database's driver is installed"
            ) from None

    def close(self) -> None:
        self._engine.dispose()

    def ready(self) -> bool:
        """Whether the database answers."""
        try:
            with self._reading() as session:
                session.execute(select(1))
        except SQLAlchemyError:
            return False
        return True

    def add_examination(self, owner: str, data: bytes, examination: Examination) -> str:
        """Keep an examination and the file it is of; its id is given back once both are on the disk."""
        key, sha256 = secrets.token_hex(16), examination.image.sha256
        with self._files, self._writing() as session:
            self._keep(sha256, data)
            session.add(
                _Examination(
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
        with self._reading() as session:
            return Examination.model_validate_json(_owned(session, _Examination, owner, key).document)

    def image(self, examination: Examination) -> bytes:
        """The file that was examined. Raises Missing."""
        try:
            return self._path(examination.image.sha256).read_bytes()
        except FileNotFoundError:
            raise Missing from None

    def delete_examination(self, owner: str, key: str) -> None:
        """With its conversations, and its image if no other examination is of it. Raises Missing."""
        with self._files, self._writing() as session:
            row = _owned(session, _Examination, owner, key)
            session.delete(row)
            session.flush()
            self._drop_unless_used(session, row.sha256)
        self._forget()

    def add_conversation(self, owner: str, examination: str) -> str:
        """Raises Missing if the owner has no such examination."""
        key = secrets.token_hex(16)
        with self._writing() as session:
            _owned(session, _Examination, owner, examination)
            session.add(_Conversation(id=key, owner=owner, created=time.time(), examination=examination))
        return key

    def conversation(self, owner: str, key: str) -> tuple[str, list[Exchange]]:
        """The examination's id, and what was said. Raises Missing."""
        with self._reading() as session:
            row = _owned(session, _Conversation, owner, key)
            turns = session.scalars(
                select(_Turn).where(_Turn.conversation == key).order_by(_Turn.position)
            ).all()
            said = [Exchange(turn.question, turn.answer, turn.claims, turn.warnings) for turn in turns]
            return row.examination, said

    def add_turn(self, owner: str, key: str, position: int, said: Exchange) -> None:
        """Add the turn at `position`, counted from 0; on the disk when this returns. Raises Conflict if it
        is taken, Missing if the conversation is gone."""
        try:
            with self._writing() as session:
                _owned(session, _Conversation, owner, key)
                session.add(
                    _Turn(conversation=key, position=position, created=time.time(), **vars(said)),
                )
        except IntegrityError:
            raise Conflict from None

    def delete_conversation(self, owner: str, key: str) -> None:
        """Raises Missing."""
        with self._writing() as session:
            session.delete(_owned(session, _Conversation, owner, key))
        self._forget()

    def delete_older(self, seconds: float) -> int:
        """Delete every examination older than that, with all that hangs on it; how many."""
        with self._files, self._writing() as session:
            old = session.scalars(
                select(_Examination).where(_Examination.created < time.time() - seconds)
            ).all()
            for row in old:
                session.delete(row)
            session.flush()
            for sha256 in {row.sha256 for row in old}:
                self._drop_unless_used(session, sha256)
        if old:
            self._forget()
        return len(old)

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with Session(self._engine) as session:
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with Session(self._engine) as session, session.begin():
            yield session

    def _path(self, sha256: str) -> Path:
        return self._blobs / sha256[:2] / sha256

    def _keep(self, sha256: str, data: bytes) -> None:
        path = self._path(sha256)
        if path.exists():
            return
        path.parent.mkdir(exist_ok=True, mode=0o700)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def _drop_unless_used(self, session: Session, sha256: str) -> None:
        if session.scalar(select(_Examination.id).where(_Examination.sha256 == sha256).limit(1)) is None:
            self._path(sha256).unlink(missing_ok=True)

    def _forget(self) -> None:
        """Empty SQLite's write-ahead log, which still holds what was deleted."""
        if self._engine.dialect.name == "sqlite":
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _owned(session: Session, kind: type[Any], owner: str, key: str) -> Any:
    row = session.get(kind, key)
    if row is None or row.owner != owner:
        raise Missing
    return row


def _engine(url: str) -> Engine:
    engine = create_engine(make_url(url))
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "secure_delete=ON",
                "busy_timeout=5000",
            ):
                connection.execute(f"PRAGMA {pragma}")

    return engine
