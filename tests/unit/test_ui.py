"""What the browser app does for a tab, without a browser."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from forensic_chat.dialogue import Dialogue
from forensic_chat.errors import BackendUnavailable, UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.streaming import written_aside
from tests.factories import SpotEncoder, calibration
from tests.images import grainy, photo

gradio = pytest.importorskip("gradio", reason="needs the extra `ui`")

from forensic_chat.ui import page as pages  # noqa: E402
from forensic_chat.ui import server  # noqa: E402
from forensic_chat.ui.suggestions import COUNT, suggestions  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> pages.Page:
    monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), calibration()))
    monkeypatch.setattr(Examiner, "models", {"encoder": "spot"})
    return pages.Page(Examiner(backend=ScriptedBackend()))


def tab(session: str = "a") -> Any:
    return SimpleNamespace(session_hash=session)


def dropped(folder: Path, name: str = "forged.png") -> str:
    grainy((24, 16, 48, 32)).save(path := folder / name)
    return os.fspath(path)


def last(answers: Iterator[list[Any]]) -> str:
    return str([*answers][-1][0][-1]["content"])


def test_an_upload_is_off_the_disk_at_once(page: pages.Page, tmp_path: Path) -> None:
    page.receive(dropped(tmp_path), tab())
    assert list(tmp_path.iterdir()) == []
    verdict, result, *_ = page.examine(tab())
    assert "Tampered" in verdict
    assert "<img" in result
    assert list(tmp_path.iterdir()) == []


def test_names_are_neither_markup_nor_templates(page: pages.Page, tmp_path: Path) -> None:
    page.receive(dropped(tmp_path, "<img src=x onerror=alert(1)> {{1}} ${2}.png"), tab())
    verdict, result, *_ = page.examine(tab())
    for fragment in (verdict, result):
        assert "<img src=x" not in fragment
        assert "{{" not in fragment
        assert "${" not in fragment


def test_what_is_no_image_is_one_clear_line(page: pages.Page, tmp_path: Path) -> None:
    (path := tmp_path / "notes.txt").write_text("no picture")
    page.receive(os.fspath(path), tab())
    message, result, *rest = page.examine(tab())
    assert 'role="alert"' in message
    assert "notes.txt is not an image" in message
    assert result == ""
    assert not page.tabs
    assert rest[1]["interactive"] is False


def test_tabs_don_t_know_each_other_and_close(page: pages.Page, tmp_path: Path) -> None:
    for session in "ab":
        page.receive(dropped(tmp_path), tab(session))
        page.examine(tab(session))
    assert "R1" in last(page.ask("Where exactly?", tab("a")))
    assert page.tabs["b"].shown == []
    key = page.tabs["a"].key
    assert page.tab(key) is page.tabs["a"]
    page.close(tab("a"))
    assert page.tab(key) is None
    assert list(page.tabs) == ["b"]
    assert "no longer in memory" in last(page.ask("Where exactly?", tab("a")))


def test_the_oldest_tab_makes_room(page: pages.Page, tmp_path: Path) -> None:
    for session in range(pages.MOST_TABS + 3):
        page.receive(dropped(tmp_path), tab(str(session)))
    assert len(page.tabs) == pages.MOST_TABS
    assert "0" not in page.tabs


def test_an_answer_can_be_stopped_and_asked_again(page: pages.Page, tmp_path: Path) -> None:
    page.receive(dropped(tmp_path), tab())
    page.examine(tab())
    answers = page.ask("What did you check?", tab())
    next(answers)
    page.stop(tab())
    assert last(answers).endswith("(stopped; not checked)")
    assert "verified" in last(page.ask("Where exactly?", tab()))


def test_starting_over_forgets_what_was_said(page: pages.Page, tmp_path: Path) -> None:
    page.receive(dropped(tmp_path), tab())
    page.examine(tab())
    first = last(page.ask("Where exactly?", tab()))
    shown, *_ = page.restart(tab())
    assert shown == []
    assert last(page.ask("Where exactly?", tab())) == first


def test_another_image_stops_the_one_before(page: pages.Page, tmp_path: Path) -> None:
    page.receive(dropped(tmp_path), tab())
    before = page.tabs["a"]
    page.receive(dropped(tmp_path), tab())
    assert before.stop.is_set()
    assert page.tabs["a"] is not before


def test_suggestions_are_new_and_few(page: pages.Page, tmp_path: Path) -> None:
    page.receive(dropped(tmp_path), tab())
    page.examine(tab())
    dialogue = page.tabs["a"].dialogue
    assert isinstance(dialogue, Dialogue)
    first = suggestions(dialogue.examination)
    assert len(first) == COUNT
    assert not set(first[:2]) & set(suggestions(dialogue.examination, first[:2]))


def test_only_this_machine_is_answered_and_nothing_is_fetched(page: pages.Page, tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    _, app = server.build(page._examiner, os.fspath(tmp_path))
    here = TestClient(app, base_url="http://127.0.0.1")
    answer = here.get("/")
    assert answer.status_code == 200
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert TestClient(app, base_url="http://evil.example").get("/").status_code == 400
    assert here.get("/tab/nobody/examination.json").status_code == 404


def test_a_port_in_use_is_said() -> None:
    with server._listen(0) as taken, pytest.raises(UsageError, match="choose another with --port"):
        server._listen(taken.getsockname()[1])
    with pytest.raises(UsageError):
        server._listen(70_000)


def test_the_answer_is_written_whether_or_not_it_is_read() -> None:
    cancel, ended = threading.Event(), threading.Event()

    def pieces() -> Iterator[str]:
        yield from "abc"
        ended.set()

    reading = written_aside(pieces(), cancel)
    assert next(reading) == "a"
    assert ended.wait(10)
    assert not cancel.is_set()
    reading.close()
    assert cancel.is_set()

    def failing() -> Iterator[str]:
        yield "a"
        raise BackendUnavailable("gone")

    with pytest.raises(BackendUnavailable, match="gone"):
        list(written_aside(failing(), threading.Event()))


def test_photos_are_examined_too(page: pages.Page, tmp_path: Path) -> None:
    photo().save(path := tmp_path / "photo.jpg")
    page.receive(os.fspath(path), tab())
    _, result, *_ = page.examine(tab())
    assert "Nothing is marked" in result
