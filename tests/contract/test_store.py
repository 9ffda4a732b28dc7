"""What every session store must do: SQLite, and PostgreSQL where FORENSIC_CHAT_TEST_POSTGRES names an empty
database by its SQLAlchemy URL."""

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra `serve`")

from sqlalchemy import event, text

from forensic_chat.errors import InputRejected, UsageError
from forensic_chat.schema import BatchError, BatchExamination, BatchFailure
from forensic_chat.sessions.database import Conflict, Database, Full, Missing, Unavailable
from forensic_chat.sessions.jobs import ATTEMPTS
from forensic_chat.sessions.store import Exchange, Store
from forensic_chat.sessions.tables import Base
from tests.fakes import examination

POSTGRES = os.environ.get("FORENSIC_CHAT_TEST_POSTGRES", "")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 's.db'}"
    if not POSTGRES:
        pytest.skip("needs a PostgreSQL server: FORENSIC_CHAT_TEST_POSTGRES, as .ci/run sets it")
    empty = Database(POSTGRES)
    Base.metadata.drop_all(empty._engine)
    empty.close()
    return POSTGRES


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    made = Store(url, tmp_path / "images")
    yield made
    made.close()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def found(data: bytes) -> Any:
    image = examination().image.model_copy(update={"sha256": digest(data)})
    return examination(image)


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "images").rglob("*") if path.is_file()]


def test_what_is_kept_comes_back_to_its_owner_only(store: Store) -> None:
    key = store.add_examination("a", b"one", found(b"one"))
    assert store.examination("a", key) == found(b"one")
    assert store.image(found(b"one")) == b"one"
    said = store.add_conversation("a", key)
    turns = [
        Exchange(f"¿{k}\u2028?", "an\u00e4\U0001f600swer", [{"text": "x"}], ["w"], [{"id": "E9"}])
        for k in range(3)
    ]
    for k, turn in enumerate(turns):
        store.add_turn("a", said, k, turn)
    assert store.conversation("a", said) == (key, turns)
    for call in (
        lambda: store.examination("b", key),
        lambda: store.conversation("b", said),
        lambda: store.add_conversation("b", key),
        lambda: store.add_turn("b", said, 3, turns[0]),
        lambda: store.delete_examination("b", key),
        lambda: store.delete_conversation("b", said),
        lambda: store.examination("a", "\0"),
        lambda: store.examination("a", "' OR 1=1 --"),
        lambda: store.conversation("a", key),
    ):
        with pytest.raises(Missing):
            call()


def test_a_store_of_an_earlier_version_is_read(store: Store, url: str, tmp_path: Path) -> None:
    said = store.add_conversation("a", store.add_examination("a", b"one", found(b"one")))
    store.add_turn("a", said, 0, Exchange("q", "a", [], []))
    with store._database.writing() as session:
        session.execute(text("ALTER TABLE turns DROP COLUMN findings"))
    again = Store(url, tmp_path / "images")
    turn = Exchange("q", "a", [], [], [{"id": "E20"}])
    again.add_turn("a", said, 1, turn)
    assert again.conversation("a", said)[1] == [Exchange("q", "a", [], []), turn]
    again.close()


def test_one_of_two_turns_at_the_same_place_is_a_conflict(store: Store) -> None:
    said = store.add_conversation("a", store.add_examination("a", b"one", found(b"one")))
    outcomes = list[str]()

    def say(word: str) -> None:
        try:
            store.add_turn("a", said, 0, Exchange(word, word, [], []))
            outcomes.append(word)
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=say, args=(f"{k}",)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("conflict") == 7
    assert len(store.conversation("a", said)[1]) == 1


def test_deleting_takes_all_that_hangs_on_it(store: Store, tmp_path: Path) -> None:
    one, two = (store.add_examination(owner, b"same", found(b"same")) for owner in "ab")
    said = store.add_conversation("a", one)
    store.add_turn("a", said, 0, Exchange("q", "a", [], []))
    assert len(files(tmp_path)) == 1, "the same file is kept once"
    store.delete_examination("a", one)
    with pytest.raises(Missing):
        store.conversation("a", said)
    assert store.image(store.examination("b", two)) == b"same"
    store.delete_examination("b", two)
    assert not files(tmp_path)


def test_what_is_old_goes_and_leftovers_of_a_killed_process_too(store: Store, tmp_path: Path) -> None:
    key = store.add_examination("a", b"one", found(b"one"))
    job = store.jobs.add("a", [("f.png", b"two")], rationale=False)
    for name in ("0" * 64, "x.part"):
        (tmp_path / "images" / "00").mkdir(exist_ok=True)
        left = tmp_path / "images" / "00" / name
        left.write_bytes(b"left")
        os.utime(left, (0, 0))
    assert store.delete_older(1000) == 0
    assert {path.name for path in files(tmp_path)} == {digest(b"one"), digest(b"two")}
    assert store.delete_older(-1) == 1
    assert not files(tmp_path)
    for call in (lambda: store.examination("a", key), lambda: store.jobs.state("a", job)):
        with pytest.raises(Missing):
            call()


def test_a_damaged_or_lost_file_is_not_handed_out(store: Store, tmp_path: Path) -> None:
    store.add_examination("a", b"one", found(b"one"))
    (path,) = files(tmp_path)
    path.write_bytes(b"0ne")
    with pytest.raises(Unavailable):
        store.image(found(b"one"))
    path.unlink()
    with pytest.raises(Missing):
        store.image(found(b"one"))


def test_a_job_from_beginning_to_end(store: Store, tmp_path: Path) -> None:
    refused = InputRejected("big.png is larger than 20 MB; save a smaller copy")
    job = store.jobs.add("a", [("x/1.png", b"1"), ("big.png", refused), ("2.png", b"2")], rationale=True)
    assert store.jobs.waiting() == 2
    assert store.jobs.state("a", job).state == "running"
    one = store.jobs.next()
    assert one is not None
    assert (one.file, one.rationale, store.jobs.image(one)) == ("x/1.png", True, b"1")
    store.jobs.finish(one, found(b"1"))
    store.jobs.finish(one, found(b"1"))  # a second time changes nothing
    two = store.jobs.next()
    assert two is not None
    store.jobs.finish(two, BatchError(code="input_rejected", message="no"))
    assert store.jobs.next() is None
    state = store.jobs.state("a", job)
    assert (state.state, state.total, state.finished, state.failed) == ("done", 3, 3, 2)
    (key, first), (_, second), (_, third) = store.jobs.rows("a", job)
    assert key == state.files[0].examination
    assert isinstance(first, BatchExamination)
    assert first.file == "x/1.png"
    assert isinstance(second, BatchFailure)
    assert second.error.message == str(refused)
    assert third.file == "2.png"
    assert {path.name for path in files(tmp_path)} == {digest(b"1")}, "a failed file is not kept"
    for call in (
        lambda: store.jobs.state("b", job),
        lambda: store.jobs.rows("b", job),
        lambda: store.jobs.cancel("b", job),
        lambda: store.delete_job("b", job),
    ):
        with pytest.raises(Missing):
            call()
    store.delete_job("a", job)
    with pytest.raises(Missing):
        store.examination("a", key or "")
    assert not files(tmp_path)


def test_a_short_job_overtakes_a_long_one(store: Store) -> None:
    store.jobs.add("a", [(f"a{k}", bytes([k])) for k in range(3)], rationale=False)
    store.jobs.add("b", [("b0", b"b")], rationale=False)
    order = []
    while item := store.jobs.next():
        order.append(item.file)
        store.jobs.finish(item, found(b"x"))
    assert order == ["a0", "b0", "a1", "a2"]


def test_a_cancelled_job_and_a_late_one(store: Store, tmp_path: Path) -> None:
    job = store.jobs.add("a", [("1", b"1"), ("2", b"2")], rationale=False)
    item = store.jobs.next()
    assert item is not None
    store.jobs.cancel("a", job)
    store.jobs.finish(item, found(b"1"))
    state = store.jobs.state("a", job)
    assert (state.state, {file.error.code for file in state.files if file.error}) == (
        "cancelled",
        {"cancelled"},
    )
    late = store.jobs.add("a", [("3", b"3")], rationale=False, deadline=1e-9)
    assert store.jobs.next() is None
    (file,) = store.jobs.state("a", late).files
    assert file.error is not None
    assert file.error.code == "deadline_exceeded"
    assert not files(tmp_path)


def test_a_file_that_ends_the_process_is_given_up(store: Store, url: str, tmp_path: Path) -> None:
    job = store.jobs.add("a", [("1", b"1")], rationale=False)
    item = store.jobs.next()
    assert item is not None
    store.jobs.put_back(item)  # stopped on purpose: does not count
    for _ in range(ATTEMPTS):
        again = Store(url, tmp_path / "images")
        assert again.jobs.next() is not None
        again.close()
    assert store.jobs.next() is None
    assert store.jobs.state("a", job).files[0].error is not None


def test_a_job_is_kept_whole_or_not_at_all(store: Store, tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[str, bytes]]:
        yield "1", b"1"
        raise InputRejected("the archive is damaged")

    with pytest.raises(InputRejected):
        store.jobs.add("a", broken(), rationale=False)
    with pytest.raises(UsageError, match="no image"):
        store.jobs.add("a", [], rationale=False)
    assert store.jobs.waiting() == 0
    assert not files(tmp_path)


def test_a_full_disk_costs_nothing_that_was_kept(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = store.add_examination("a", b"one", found(b"one"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Full):
            store.add_examination("a", b"two", found(b"two"))
        with pytest.raises(Full):
            store.jobs.add("a", [("2", b"two")], rationale=False)
    assert {path.name for path in files(tmp_path)} == {digest(b"one")}
    assert store.examination("a", key) == found(b"one")
    store.add_examination("a", b"two", found(b"two"))


def test_a_full_database_too(tmp_path: Path) -> None:
    """SQLite with a cap on its pages: as on a disk without room."""
    store = Store(f"sqlite:///{tmp_path / 's.db'}", tmp_path / "images")
    said = store.add_conversation("a", store.add_examination("a", b"one", found(b"one")))
    engine = store._database._engine
    cap = lambda connection, _: connection.execute("PRAGMA max_page_count=60")  # noqa: E731
    event.listen(engine, "connect", cap)
    engine.dispose()
    kept = 0

    def fill() -> None:
        nonlocal kept
        for kept in range(1000):
            store.add_turn("a", said, kept, Exchange("q" * 1000, "a" * 1000, [], []))

    with pytest.raises(Full):
        fill()
    assert len(store.conversation("a", said)[1]) == kept > 3
    event.remove(engine, "connect", cap)
    engine.dispose()
    store.add_turn("a", said, kept, Exchange("q" * 1000, "a", [], []))
    store.close()


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    for url in ("nonsense://", "postgresql://nobody@127.0.0.1:1/x", f"sqlite:///{tmp_path}/no/such/s.db"):
        with pytest.raises(UsageError, match="FORENSIC_CHAT_DATABASE_URL"):
            Store(url, tmp_path / "images")
