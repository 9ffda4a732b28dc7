"""Serves the browser app on this machine, and to nobody else."""

import os
import socket
import tempfile
import webbrowser
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from forensic_chat.errors import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

    from forensic_chat.examiner import Examiner
    from forensic_chat.schema import Examination
    from forensic_chat.ui.page import Page, Tab

HOST = "127.0.0.1"
PORT = 7860

# The page's own scripts are built as text; nothing may come from, or go to, another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


def serve(examiner: "Examiner | None" = None, *, port: int = PORT, show: bool = True) -> None:
    """Serve until interrupted. Uploads pass through a folder that is deleted at the end.

    show: open the page in the user's browser. Raises UsageError if the port is taken or Gradio is missing.
    """
    import asyncio

    from forensic_chat.examiner import Examiner

    listening = _listen(port)
    address = f"http://{HOST}:{listening.getsockname()[1]}"
    with listening, tempfile.TemporaryDirectory(prefix="forensic-chat-") as folder:
        _, app = build(examiner or Examiner(), folder)
        import uvicorn

        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
        print(f"Forensic-Chat is at {address} - Ctrl-C ends it", flush=True)
        if show:
            webbrowser.open(address)
        asyncio.run(server.serve([listening]))


def build(examiner: "Examiner", folder: str) -> "tuple[Page, FastAPI]":
    """The page and the application that serves it; `folder` takes uploads until they are read."""
    os.environ["GRADIO_TEMP_DIR"] = folder  # read when Gradio's components are made
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio as gr
    except ImportError:
        raise UsageError("the browser app needs Gradio: pip install 'forensic-chat[ui]'") from None
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from forensic_chat.report.fragments import style
    from forensic_chat.settings import settings
    from forensic_chat.ui.page import Page

    page, app = Page(examiner), FastAPI(openapi_url=None)
    _add_downloads(app, page)
    app.middleware("http")(_guarded)
    # a foreign name that resolves to this machine must not reach it
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    fonts = ("system-ui", "sans-serif")
    gr.mount_gradio_app(
        app,
        page.build(),
        path="",
        theme=gr.themes.Base(font=fonts, font_mono=("ui-monospace", "monospace")),
        css=style() + files("forensic_chat.ui").joinpath("style.css").read_text("utf-8"),
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        max_file_size=2 * settings().max_file_bytes,  # up to here the refusal is in our own words
    )
    return page, app


def _add_downloads(app: "FastAPI", page: "Page") -> None:
    from fastapi import HTTPException, Response

    from forensic_chat.imaging.intake import take_in
    from forensic_chat.report.custody import write

    def examined(key: str) -> "tuple[Tab, Examination]":
        tab = page.tab(key)
        if tab is None or tab.dialogue is None:
            raise HTTPException(404, "This image is no longer in memory; drop it again.")
        return tab, tab.dialogue.examination

    def download(content: str, name: str, kind: str) -> Response:
        return Response(
            content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )

    @app.get("/tab/{key}/examination.json")
    def examination(key: str) -> Response:
        _, found = examined(key)
        return download(found.model_dump_json(indent=2), "examination.json", "application/json")

    @app.get("/tab/{key}/report.html")
    def report(key: str) -> Response:
        tab, found = examined(key)
        return download(write(take_in(tab.data, name=tab.name), found), "report.html", "text/html")


async def _guarded(request: "Request", call: "Callable[[Request], Awaitable[Response]]") -> "Response":
    response = await call(request)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError):
        raise UsageError(f"port {port} can't be used on this machine; choose another with --port") from None
