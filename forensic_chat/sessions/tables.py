"""The database's tables. Ids are 128 random bits in hexadecimal, times are seconds since 1970 (UTC)."""

import re
import secrets
from typing import Any

from sqlalchemy import JSON, ForeignKey, Text, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from forensic_chat.sessions.database import Missing


class Base(DeclarativeBase):
    pass


class KeptExamination(Base):
    __tablename__ = "examinations"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    created: Mapped[float] = mapped_column(index=True)
    sha256: Mapped[str] = mapped_column(index=True)
    document: Mapped[str] = mapped_column(Text)
    """The examination as JSON."""


class Conversation(Base):
    __tablename__ = "conversations"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    created: Mapped[float]
    examination: Mapped[str] = mapped_column(ForeignKey("examinations.id", ondelete="CASCADE"), index=True)


class Turn(Base):
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
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, server_default="[]")


class Job(Base):
    """Images that somebody wants examined and does not wait for."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    created: Mapped[float] = mapped_column(index=True)
    rationale: Mapped[bool]
    deadline: Mapped[float | None]
    """When images that are still waiting are given up."""
    cancelled: Mapped[bool] = mapped_column(default=False)


class Item(Base):
    """One image of a job: it waits, or has an examination, or an error."""

    __tablename__ = "items"
    job: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(index=True)
    waiting: Mapped[bool] = mapped_column(index=True)
    begun: Mapped[int] = mapped_column(default=0)
    """How often its examination began without coming to an end."""
    examination: Mapped[str | None] = mapped_column(
        ForeignKey("examinations.id", ondelete="CASCADE"), index=True
    )
    code: Mapped[str | None]
    message: Mapped[str | None] = mapped_column(Text)


def new_id() -> str:
    return secrets.token_hex(16)


def owned(session: Session, kind: type[Any], owner: str, key: str) -> Any:
    """The row of that id. Raises Missing, also where it is another owner's."""
    row = session.get(kind, key) if re.fullmatch("[0-9a-f]{32}", key) else None
    if row is None or row.owner != owner:
        raise Missing
    return row


def used(session: Session, sha256: str) -> bool:
    """Whether an examination is of the file of that hash, or one still waits for it."""
    examined = select(KeptExamination.id).where(KeptExamination.sha256 == sha256)
    waits = select(Item.job).where(Item.sha256 == sha256, Item.waiting)
    return any(session.scalar(found.limit(1)) is not None for found in (examined, waits))
