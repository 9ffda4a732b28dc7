"""The application, and `forensic-chat serve`."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Response

from forensic_chat.api import compatible, native, problems
from forensic_chat.api.desk import Desk
from forensic_chat.api.guards import LOG, Watch, owner_of
from forensic_chat.api.service import Service
from forensic_chat.errors import UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.sessions.store import Store
from forensic_chat.settings import Settings, settings

if TYPE_CHECKING:
    from forensic_chat.mllm.backends.choice import BackendName

_TIDY = 3600
"""Seconds between two looks for what has been kept long enough."""
_DAY = 86_400


def build(examiner: Examiner, store: Store, limits: Settings | None = None) -> FastAPI:
    """The API over one examiner and one store, as an ASGI application."""
    limits = limits or settings()
    owner = owner_of(limits.keys)

    @contextlib.asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.create_task(_tidy(store, limits.retention_days * _DAY))
        yield
        tidying.cancel()
        app.state.desk.close()

    app = FastAPI(
        title="Forensic-Chat",
        summary="Is an image real, synthetic or tampered - where, why, and how sure.",
        lifespan=living,
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
    )
    app.state.store, app.state.desk = store, Desk(limits.queue_limit)
    app.state.service = Service(examiner, store, limits.request_deadline)
    app.include_router(native.routes(owner))
    app.include_router(compatible.routes(owner))
    problems.install(app)
    # base64 is a third larger than what it carries
    app.add_middleware(Watch, most=limits.max_file_bytes * 4 // 3 + 1_000_000)

    @app.get("/health", tags=["state"])
    def health() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/ready", tags=["state"])
    def ready(response: Response) -> dict[str, Any]:
        """The store answers, and there is a place in the queue."""
        state = {"store": store.ready(), "free_places": app.state.desk.free}
        if not all(state.values()):
            response.status_code = 503
        return state

    return app


def serve(host: str, port: int, backend: "BackendName | None" = None) -> None:
    """Serve until interrupted; backend: who writes rationales, default: as the settings say.

    Raises UsageError for an address that can't be used, or one that others can
    reach while no keys are set."""
    import uvicorn

    limits = settings()
    if not limits.keys and not _loopback(host):
        raise UsageError(
            f"--host {host} can be reached by others, and no keys are set: set FORENSIC_CHAT_API_KEYS, "
            "or serve on 127.0.0.1"
        )
    try:
        listening = socket.create_server((host, port))
    except (OSError, OverflowError):
        raise UsageError(f"{host} port {port} can't be used; choose another --host or --port") from None
    with listening:
        store = open_store(limits)
        examiner = Examiner.load(backend=backend)
        if examiner.concurrent:
            examiner.backend  # noqa: B018  (starts its server before anybody asks)
        app = build(examiner, store, limits)
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        print(f"Forensic-Chat answers at http://{host}:{listening.getsockname()[1]}", flush=True)
        asyncio.run(uvicorn.Server(config).serve([listening]))
        store.close()


def open_store(limits: Settings) -> Store:
    """The store that the settings name. Raises UsageError."""
    folder: Path = limits.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        raise UsageError("FORENSIC_CHAT_DATA_DIR can't be made; choose another folder") from None
    return Store(limits.database_url or f"sqlite:///{folder / 'sessions.db'}", folder / "images")


async def _tidy(store: Store, seconds: float) -> None:
    while True:
        await asyncio.to_thread(store.delete_older, seconds)
        await asyncio.sleep(_TIDY)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
