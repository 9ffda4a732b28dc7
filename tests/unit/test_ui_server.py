"""How the browser app is served."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensic_chat.errors import BackendUnavailable, UsageError
from forensic_chat.report.custody import check
from forensic_chat.settings import settings
from forensic_chat.streaming import written_aside
from tests.unit.ui_page import dropped, page, tab

pytest.importorskip("gradio", reason="needs the extra `ui`")

from forensic_chat.ui import memory, server
from forensic_chat.ui import page as pages

__all__ = ["page"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_only_this_machine_is_answered_and_nothing_is_fetched(
    page: pages.Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.testclient import TestClient

    built, app = server.build(page.examine._examiner, os.fspath(tmp_path))
    here = TestClient(app, base_url="http://127.0.0.1")
    answer = here.get("/")
    assert answer.status_code == 200
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert "httponly; path=/; samesite=strict" in answer.headers["set-cookie"].lower()
    assert TestClient(app, base_url="http://evil.example").get("/").status_code == 400
    assert here.get("/tab/nobody/examination.json").status_code == 404
    assert here.get("/batch/nobody/results.csv").status_code == 404

    browser = here.cookies[memory.COOKIE]
    mine = tab("a", browser)
    built.examine.receive(dropped(tmp_path), mine)
    built.examine.examine(mine)
    [*built.batch.run([dropped(tmp_path)], False, mine)]
    held, batch = built.memory.tabs["a"].current, built.memory.tabs["a"].key
    assert held is not None
    stranger = TestClient(app, base_url="http://127.0.0.1")
    monkeypatch.setenv("FORENSIC_CHAT_SIGNING_KEY", os.fspath(tmp_path / "key.pem"))
    settings.cache_clear()
    for address, kind in {
        f"/tab/{held.key}/examination.json": "application/json",
        f"/tab/{held.key}/report.html": "text/html; charset=utf-8",
        f"/tab/{held.key}/report.pdf": "application/pdf",
        f"/tab/{held.key}/native/R1.png": "image/png",
        f"/tab/{held.key}/mask/R1.png": "image/png",
        f"/batch/{batch}/results.json": "application/json",
        f"/batch/{batch}/results.csv": "text/csv; charset=utf-8",
        f"/batch/{batch}/results.html": "text/html; charset=utf-8",
    }.items():
        answer = here.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert stranger.get(address).status_code == 404
    assert check(here.get(f"/tab/{held.key}/report.pdf").content).examination.image.name == "forged.png"
    settings.cache_clear()
    assert here.get(f"/tab/{held.key}/native/R9.png").status_code == 404


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
