"""A connection to SQLite or PostgreSQL, and its failures in our own words."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import MetaData, create_engine, event, inspect, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateColumn

_DISK_FULL = "53100"
"""PostgreSQL's code for it."""


class Missing(Exception):
    """This owner has no such examination, conversation or job."""


class Conflict(Exception):
    """Another turn was added to the conversation meanwhile."""


class Full(Exception):
    """The disk is full; what was kept before is intact."""


class Unavailable(Exception):
    """The database or the images' folder can't be reached."""


class Database:
    """Transactions; each is on the disk when its block has ended. Safe for threads."""

    def __init__(self, url: str) -> None:
        """url: as SQLAlchemy reads it. Raises what SQLAlchemy raises."""
        self._engine = _engine(url)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        # SQLite has one writer at a time, and lets the others poll for it: here they queue
        self._turn = threading.Lock() if self.is_sqlite else nullcontext()

    def create(self, tables: MetaData) -> None:
        """Make the tables that are not there yet, and the columns that one made by an earlier version lacks."""
        tables.create_all(self._engine)
        with self._engine.begin() as connection:
            for table in tables.sorted_tables:
                there = {column["name"] for column in inspect(connection).get_columns(table.name)}
                for column in table.columns:
                    if column.name not in there:
                        made = CreateColumn(column).compile(dialect=self._engine.dialect)
                        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {made}")
        self._tables = list(tables.tables)

    def close(self) -> None:
        self._engine.dispose()

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with self.reading() as session:
                session.execute(select(1))
        except Unavailable:
            return False
        return True

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Raises Unavailable."""
        with _told(), Session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Commits at the block's end. Raises Unavailable, Full."""
        with self._turn, _told(), Session(self._engine) as session, session.begin():
            yield session

    def forget(self) -> None:
        """Let go of what was deleted: SQLite's log still holds it until it is emptied; PostgreSQL's pages until
        a vacuum."""
        with _told(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            else:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                    f"VACUUM {', '.join(self._tables)}"
                )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, DisconnectionError, TimeoutError) as error:
        raise (Full if _is_full(error) else Unavailable) from error


def _is_full(error: Exception) -> bool:
    cause: Any = getattr(error, "orig", None)
    return (
        getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(cause, "sqlstate", None) == _DISK_FULL
    )


def _engine(url: str) -> Engine:
    where = make_url(url)
    if where.drivername in ("postgres", "postgresql"):
        where = where.set(drivername="postgresql+psycopg")
    engine = create_engine(where, pool_size=16, max_overflow=48, pool_pre_ping=True)
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
