"""Batches in the browser app."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ui_page import dropped, page, tab

pytest.importorskip("gradio", reason="needs the extra `ui`")

from forensic_chat.ui import dropped as given
from forensic_chat.ui import page as pages

__all__ = ["page"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_a_batch_becomes_a_table_and_its_files_go(page: pages.Page, tmp_path: Path) -> None:
    (bad := tmp_path / "notes.jpg").write_text("no picture")
    files = [dropped(tmp_path), os.fspath(bad)]
    steps = [*page.batch.run(files, False, tab())]
    assert "0 done" in steps[0][1]
    assert "Done: 2 examined" in steps[-1][1]
    table = steps[-1][3]
    for expected in ("forged.png", "tampered", "notes.jpg", "not examined", "results.csv", "data:image/jpeg"):
        assert expected in table
    assert list(tmp_path.iterdir()) == []
    mine = page.memory.tabs["a"]
    assert len(page.memory.batch(mine.key, "one")) == 2
    assert page.memory.batch(mine.key, "another") == []


def test_a_batch_can_be_stopped(page: pages.Page, tmp_path: Path) -> None:
    steps = page.batch.run([dropped(tmp_path, f"{k}.png") for k in range(3)], False, tab())
    next(steps)
    next(steps)
    page.batch.stop(tab())
    assert "Stopped: 1 examined" in [*steps][-1][1]
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_is_too_much_ends_and_keeps_its_rows(
    page: pages.Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given, "MOST_FILES", 2)
    *_, answer = page.batch.run([dropped(tmp_path, f"{k}.png") for k in range(3)], False, tab())
    assert 'role="alert"' in answer[1]
    assert "at most 2 images" in answer[1]
    assert "results.csv" in answer[3]
    assert list(tmp_path.iterdir()) == []


def test_archives_are_read_within_bounds(page: pages.Page, tmp_path: Path) -> None:
    def run(entries: dict[str, bytes]) -> list[Any]:
        with zipfile.ZipFile(path := tmp_path / "pile.zip", "w", zipfile.ZIP_DEFLATED) as made:
            for name, data in entries.items():
                made.writestr(name, data)
        answer = [*page.batch.run([os.fspath(path)], False, tab())][-1]
        assert list(tmp_path.iterdir()) == []
        return answer

    forged = Path(dropped(tmp_path)).read_bytes()
    (tmp_path / "forged.png").unlink()
    answer = run({"a/../../forged.png": forged, "notes.txt": b"text", "__MACOSX/._x": b"x"})
    assert "Done: 2 examined" in answer[1]
    assert "pile.zip/a/forged.png" in answer[3]
    bomb = run({f"{k}.png": bytes(19_000_000) for k in range(12)})
    assert 'role="alert"' in bomb[1]
    assert "pile.zip unpacks to more than 200 MB" in bomb[1]
    assert 'role="alert"' in run({f"{k}.png": b"" for k in range(given.MOST_FILES + 1)})[1]
    (torn := tmp_path / "torn.zip").write_bytes(b"PK no archive")
    assert "not an intact zip" in [*page.batch.run([os.fspath(torn)], False, tab())][-1][1]
