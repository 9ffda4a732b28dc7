"""The browser app, live, over an examiner that needs no weights; and a real Chromium to look at it."""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.settings import settings
from tests.factories import SpotEncoder, calibration

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass
class Live:
    """A server of this test session."""

    address: str
    page: Any
    uploads: Path
    examiner: Examiner


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    pytest.importorskip("gradio", reason="needs the extra `ui`")
    import uvicorn

    from forensic_chat.ui.server import build

    uploads = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", os.fspath(uploads))  # `build` sets it: put back at the end
        patch.setenv("FORENSIC_CHAT_SIGNING_KEY", os.fspath(tmp_path_factory.mktemp("key") / "key.pem"))
        settings.cache_clear()
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        examiner = Examiner(backend=ScriptedBackend())
        vars(examiner).update(_seeing=(SpotEncoder(), calibration()), models={"encoder": "spot"})
        page, app = build(examiner, os.fspath(uploads))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            yield Live(f"http://127.0.0.1:{listening.getsockname()[1]}", page, uploads, examiner)
            server.should_exit = True
            thread.join(20)
    settings.cache_clear()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with contextlib.closing(browser):
            yield browser


def eventually(true: Any, seconds: float = 60) -> bool:
    """Whether `true()` comes to hold."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(true())
