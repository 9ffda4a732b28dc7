"""The browser app's page over an examiner that needs no weights, and what a tab does with it."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from tests.factories import SpotEncoder, calibration
from tests.images import grainy

pytest.importorskip("gradio", reason="needs the extra `ui`")

from forensic_chat.ui import memory
from forensic_chat.ui import page as pages


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> pages.Page:
    monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), calibration()))
    monkeypatch.setattr(Examiner, "models", {"encoder": "spot"})
    made = pages.Page(Examiner(backend=ScriptedBackend()))
    made.build()
    return made


def tab(session: str = "a", browser: str = "one") -> Any:
    return SimpleNamespace(session_hash=session, cookies={memory.COOKIE: browser})


def dropped(folder: Path, name: str = "forged.png", seed: int = 0) -> str:
    grainy((24, 16, 48, 32), seed).save(path := folder / name)
    return os.fspath(path)


def examined(
    page: pages.Page, folder: Path, session: str = "a", name: str = "forged.png", seed: int = 0
) -> list[Any]:
    page.examine.receive(dropped(folder, name, seed), tab(session))
    return page.examine.examine(tab(session))


def last(answers: Iterator[list[Any]]) -> str:
    return str([*answers][-1][0][-1]["content"])
