"""Serves the browser app on this machine, and to nobody else."""

import os
import socket
import tempfile
import webbrowser
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from forensic_chat.errors import UsageError
from forensic_chat.listening import listen

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

    from forensic_chat.examiner import Examiner
    from forensic_chat.ui.page import Page

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
    from forensic_chat.ui.downloads import routes
    from forensic_chat.ui.page import Page

    page, app = Page(examiner), FastAPI(openapi_url=None)
    app.include_router(routes(page.memory))
    app.middleware("http")(_guarded)
    # a foreign name that resolves to this machine must not reach it
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    fonts = ("system-ui", "sans-serif")
    gr.mount_gradio_app(
        app,
        page.build(),
        path="",
        theme=gr.themes.Base(font=fonts, font_mono=("ui-monospace", "monospace")),
        css=style() + _file("style.css"),
        head=f"<script>{_file('page.js')}</script>",
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


def _file(name: str) -> str:
    return files("forensic_chat.ui").joinpath(name).read_text("utf-8")


async def _guarded(request: "Request", call: "Callable[[Request], Awaitable[Response]]") -> "Response":
    from forensic_chat.ui.memory import COOKIE, new_key

    response = await call(request)
    if COOKIE not in request.cookies:  # only this browser may see what it gives
        response.set_cookie(COOKIE, new_key(), httponly=True, samesite="strict")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _listen(port: int) -> socket.socket:
    try:
        return listen(HOST, port)
    except (OSError, OverflowError):
        raise UsageError(f"port {port} can't be used on this machine; choose another with --port") from None
