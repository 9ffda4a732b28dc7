"""The application, and `forensic-chat serve`."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Response

from forensic_chat.api import batches, compatible, conversations, examinations, problems
from forensic_chat.api.desk import Desk
from forensic_chat.api.guards import LOG, Watch
from forensic_chat.api.keys import loopback, owner_of
from forensic_chat.api.metrics import CONTENT_TYPE, Metrics
from forensic_chat.api.quota import Quota
from forensic_chat.api.service import Service
from forensic_chat.api.shared import Shared
from forensic_chat.api.worker import Worker
from forensic_chat.errors import UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.listening import listen
from forensic_chat.sessions.database import Full, Unavailable
from forensic_chat.sessions.store import Store
from forensic_chat.settings import Settings, settings

if TYPE_CHECKING:
    from forensic_chat.mllm.backends.choice import BackendName

_TIDY = 3600
"""Seconds between two looks for what has been kept long enough."""
_DAY = 86_400
_PROMPT = 2.0
"""Seconds in which the store must answer to be ready."""
_IDLE = 30
"""Seconds that a connection may be idle: longer than clients keep theirs, or they would send into closed ones."""
_BESIDE = 1_000_000
"""Bytes of a body beside its files."""


def build(examiner: Examiner, store: Store, limits: Settings | None = None) -> FastAPI:
    """The API over one examiner and one store, as an ASGI application."""
    limits = limits or settings()
    state = Shared(
        limits=limits,
        store=store,
        desk=Desk(limits.queue_limit),
        service=Service(examiner, store, limits.request_deadline),
        worker=Worker(examiner, store.jobs, limits.request_deadline),
        quota=Quota(limits.quota_per_hour),
    )

    @contextlib.asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.create_task(_tidy(state))
        state.worker.start()
        yield
        tidying.cancel()
        state.worker.stop()
        state.desk.close()

    app = FastAPI(
        title="Forensic-Chat",
        summary="Is an image real, synthetic or tampered - where, why, and how sure.",
        lifespan=living,
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
    )
    app.state.shared = state
    owner = owner_of(limits.keys)
    for part in (examinations, batches, conversations, compatible):
        app.include_router(part.routes(owner))
    problems.install(app)
    metrics = Metrics()
    metrics.watch("free_places", "Requests that may still be taken", lambda: state.desk.free)
    metrics.watch("waiting_images", "Images that wait in jobs", store.jobs.waiting)
    _add_states(app, state, metrics)
    one = limits.max_file_bytes * 4 // 3 + _BESIDE  # base64 is a third larger than what it carries
    many = max(one, limits.max_batch_bytes + _BESIDE)
    app.add_middleware(
        Watch,
        most=lambda path: many if path == "/v1/batches" else one,
        held=2 * many,
        seconds=limits.upload_deadline,
        metrics=metrics,
    )
    return app


def _add_states(app: FastAPI, state: Shared, metrics: Metrics) -> None:
    @app.get("/health", tags=["state"])
    async def health() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/ready", tags=["state"], responses={503: {"description": "Not ready."}})
    async def ready(response: Response) -> dict[str, Any]:
        """The store answers, and there is a place in the queue; else 503."""
        try:
            answers = await asyncio.wait_for(asyncio.to_thread(state.store.ready), _PROMPT)
        except TimeoutError:
            answers = False
        found = {"store": answers, "free_places": state.desk.free}
        if not all(found.values()):
            response.status_code = 503
        return found

    @app.get("/metrics", tags=["state"], response_class=Response)
    async def figures() -> Response:
        """Figures for Prometheus."""
        return Response(await asyncio.to_thread(metrics.text), media_type=CONTENT_TYPE)


def serve(host: str, port: int, backend: "BackendName | None" = None) -> None:
    """Serve until interrupted; backend: who writes rationales, default: as the settings say.

    Raises UsageError for an address that can't be used, or one that others can reach while no keys are set.
    """
    import uvicorn

    limits = settings()
    if not limits.keys and not loopback(host):
        raise UsageError(
            f"--host {host} can be reached by others, and no keys are set: set FORENSIC_CHAT_API_KEYS, "
            "or serve on 127.0.0.1"
        )
    try:
        listening = listen(host, port)
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
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=_IDLE,
        )
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


async def _tidy(state: Shared) -> None:
    while True:
        try:
            if await asyncio.to_thread(state.store.delete_older, state.limits.retention_days * _DAY):
                state.service.forget()
        except (Unavailable, Full) as error:
            LOG.error(json.dumps({"tidying": "put off", "error": type(error).__name__}))
        await asyncio.sleep(_TIDY)
