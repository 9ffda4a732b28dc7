"""Jobs under /v1: images that nobody waits for, one or many, and their results as tables."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from forensic_chat.api.bodies import MANY_IMAGES, many_images, only_forms, options
from forensic_chat.api.desk import Busy
from forensic_chat.api.keys import OwnerOf
from forensic_chat.api.problems import RESPONSES
from forensic_chat.api.shared import Shared, shared
from forensic_chat.report import tables
from forensic_chat.sessions.jobs import JobState

_POLL = "2"
"""Seconds between two looks at a job."""


def _table(kind: str, schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": schema}}, "description": "The rows so far."}}


_JSON = _table("application/json", {"type": "array", "items": {"type": "object"}})
_CSV, _HTML = (_table(kind, {"type": "string"}) for kind in ("text/csv", "text/html"))


def routes(owner_of: OwnerOf) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["jobs"], responses=RESPONSES)
    owned = Annotated[str, Depends(owner_of)]

    @router.post("/batches", status_code=202, openapi_extra=MANY_IMAGES, response_model=JobState)
    async def batch(request: Request, owner: owned) -> Any:
        """Examine many images, given as files or in zip archives; the answer names the job once all of them are
        kept."""
        state = shared(request)
        only_forms(request)
        await _room(state)
        most = state.limits.max_batch_files
        async with request.form(max_files=most, max_fields=4) as form:
            wanted = options(form, "files")
            images = many_images(form, state.limits, lambda: state.quota.spend(owner))
            add = partial(
                state.store.jobs.add, owner, images, rationale=wanted.rationale, deadline=wanted.deadline
            )
            return await accepted(state, owner, add)

    @router.get("/jobs/{key}")
    def job(key: str, request: Request, response: Response, owner: owned) -> JobState:
        """How far it is."""
        state = shared(request)
        found = state.store.jobs.state(owner, key, running=state.worker.running(key))
        if found.state in ("waiting", "running"):
            response.headers["Retry-After"] = _POLL
        return found

    @router.post("/jobs/{key}/cancel")
    def cancel(key: str, request: Request, owner: owned) -> JobState:
        """Give up what is not examined yet; what is stays."""
        state = shared(request)
        state.store.jobs.cancel(owner, key)
        state.worker.cancel(key)
        return state.store.jobs.state(owner, key)

    @router.delete("/jobs/{key}", status_code=204)
    def delete(key: str, request: Request, owner: owned) -> None:
        """Stop it and delete it, with its images, examinations, and what was asked about them."""
        state = shared(request)
        state.store.delete_job(owner, key)
        state.worker.cancel(key)
        state.service.forget(owner)

    @router.get("/jobs/{key}/results.json", response_class=Response, responses=_JSON)
    def as_json(key: str, request: Request, owner: owned) -> Response:
        """A row for every finished file, as `forensic-chat batch` writes them."""
        rows = shared(request).store.jobs.rows(owner, key)
        return StreamingResponse(
            _array(row.model_dump_json() for _, row in rows), media_type="application/json"
        )

    @router.get("/jobs/{key}/results.csv", response_class=Response, responses=_CSV)
    def as_csv(key: str, request: Request, owner: owned) -> Response:
        """The same as a table for spreadsheets; masks and claims are left out."""
        rows = shared(request).store.jobs.rows(owner, key)
        headers = {"Content-Disposition": 'attachment; filename="results.csv"'}
        return StreamingResponse(tables.as_csv(rows), media_type="text/csv", headers=headers)

    @router.get("/jobs/{key}/results.html", response_class=Response, responses=_HTML)
    def as_html(key: str, request: Request, owner: owned) -> Response:
        """The same as a page."""
        rows = shared(request).store.jobs.rows(owner, key)
        headers = {"Content-Disposition": 'attachment; filename="results.html"'}
        page = tables.as_html(rows, f"Results of job {key}")
        return Response(page, media_type="text/html", headers=headers)

    return router


async def accepted(state: Shared, owner: str, add: Callable[[], str]) -> JSONResponse:
    """202 with the job that `add` keeps. Raises Busy if too many images wait, and what `add` raises."""
    await _room(state)
    key = await run_in_threadpool(add)
    state.worker.wake()
    found = await run_in_threadpool(state.store.jobs.state, owner, key)
    headers = {"Location": f"/v1/jobs/{key}", "Retry-After": _POLL}
    return JSONResponse(found.model_dump(mode="json"), 202, headers=headers)


async def _room(state: Shared) -> None:
    if await run_in_threadpool(state.store.jobs.waiting) >= state.limits.job_limit:
        raise Busy


def _array(rows: Iterator[str]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows):
        yield f",\n{row}" if number else row
    yield "]"
