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


SIZES = {"desktop": (1280, 900, "light"), "phone": (390, 844, "dark")}


@pytest.fixture(params=SIZES)
def browser(request: pytest.FixtureRequest, live: Live, chromium: Any) -> Iterator[Any]:
    """A fresh tab on the app; what it asks of other hosts, and errors of its scripts, fail the test."""
    width, height, scheme = SIZES[request.param]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    foreign: list[str] = []
    local = (live.address, "data:", "blob:", "file:")
    page.on("request", lambda asked: None if asked.url.startswith(local) else foreign.append(asked.url))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(live.address)
    page.wait_for_selector("input[type=file]", state="attached")
    yield page
    context.close()
    assert not foreign
    assert not errors
    assert eventually(lambda: not live.page.memory.tabs), "a closed tab is forgotten"


def fits(page: Any) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def shoot(page: Any, path: Path) -> None:
    """A screenshot of the whole page, kept in pytest's folder."""
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=path, full_page=True)


def eventually(true: Any, seconds: float = 60) -> bool:
    """Whether `true()` comes to hold."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(true())
