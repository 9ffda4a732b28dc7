"""Examinations under /v1: an image in, a verdict out, and what can be drawn and printed of it."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from forensic_chat.api.batches import accepted
from forensic_chat.api.bodies import ONE_IMAGE, Given, one_image
from forensic_chat.api.desk import Busy
from forensic_chat.api.keys import OwnerOf
from forensic_chat.api.problems import RESPONSES
from forensic_chat.api.shared import Shared, at_the_desk, shared
from forensic_chat.errors import UsageError
from forensic_chat.imaging.archive import safe_path
from forensic_chat.imaging.intake import ExaminedImage, take_in
from forensic_chat.report import custody, pdf, pictures
from forensic_chat.schema import Examination
from forensic_chat.sessions.jobs import JobState

Draw = Callable[[ExaminedImage, Examination, threading.Event], bytes]


class KeptExamination(Examination):
    """An examination and the id it is kept under."""

    id: str


def _content(kind: str, what: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}, "description": what}}


_PNG, _HTML, _PDF = (
    _content("image/png", "A picture."),
    _content("text/html", "A signed report."),
    _content("application/pdf", "A signed report."),
)
_LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": JobState, "description": "Accepted: `Location` names the job."}
}


def routes(owner_of: OwnerOf) -> APIRouter:
    """The routes; `owner_of` says whose a request is."""
    router = APIRouter(prefix="/v1/examinations", tags=["examinations"], responses=RESPONSES)
    owned = Annotated[str, Depends(owner_of)]

    @router.post(
        "", status_code=201, openapi_extra=ONE_IMAGE, response_model=KeptExamination, responses=_LATER
    )
    async def examine(request: Request, response: Response, owner: owned) -> Any:
        """Examine one image; keep it, its examination and what will be asked about it. With the header
        `Prefer: respond-async` the answer comes at once and names a job."""
        state, later = shared(request), _wants_later(request)
        if not later and state.desk.free == 0:
            raise Busy  # before its body is read
        given = await one_image(request)
        state.quota.spend(owner)
        if later:
            return await _kept_for_later(state, owner, given)
        key, found = await at_the_desk(
            request,
            lambda cancel: state.service.examine(owner, given.data, given.name, given.options, cancel),
        )
        response.headers["Location"] = f"/v1/examinations/{key}"
        return KeptExamination(**dict(found), id=key)

    @router.get("/{key}")
    def examination(key: str, request: Request, owner: owned) -> KeptExamination:
        """An examination again."""
        found = shared(request).store.examination(owner, key)
        return KeptExamination(**dict(found), id=key)

    @router.get("/{key}/mask.png", response_class=Response, responses=_PNG)
    async def mask(key: str, request: Request, owner: owned) -> Response:
        """The mask, 0 or 255, the image's size; all 0 where nothing was marked."""
        return await _drawn(request, owner, key, "image/png", lambda _, found, __: pictures.mask_png(found))

    @router.get("/{key}/overlay.png", response_class=Response, responses=_PNG)
    async def overlay(key: str, request: Request, owner: owned) -> Response:
        """The image with mask and regions drawn into it."""
        return await _drawn(
            request, owner, key, "image/png", lambda image, found, _: pictures.overlay(image, found)
        )

    @router.get("/{key}/heatmap.png", response_class=Response, responses=_PNG)
    async def heatmap(key: str, request: Request, owner: owned) -> Response:
        """The image in grey under the encoder's scores before any threshold: dark violet 0, yellow 1."""
        service = shared(request).service

        def draw(image: ExaminedImage, _: Examination, cancel: threading.Event) -> bytes:
            return pictures.heatmap(image, service.suspicion(image, cancel))

        return await _drawn(request, owner, key, "image/png", draw)

    @router.get("/{key}/report.html", response_class=Response, responses=_HTML)
    async def report(key: str, request: Request, owner: owned) -> Response:
        """A signed report; `forensic-chat verify` checks it."""
        return await _drawn(
            request, owner, key, "text/html", lambda image, found, _: custody.write(image, found).encode()
        )

    @router.get("/{key}/report.pdf", response_class=Response, responses=_PDF)
    async def printed(key: str, request: Request, owner: owned) -> Response:
        """The same as PDF, where the server has the extra `pdf`; else 501."""
        try:
            await run_in_threadpool(pdf.ready)
        except UsageError as error:
            raise HTTPException(501, str(error)) from None
        return await _drawn(
            request, owner, key, "application/pdf", lambda image, found, _: custody.write_pdf(image, found)
        )

    @router.delete("/{key}", status_code=204)
    def delete(key: str, request: Request, owner: owned) -> None:
        """Delete the examination, its conversations, and its image unless another examination is of it."""
        shared(request).store.delete_examination(owner, key)
        shared(request).service.forget(owner)

    return router


async def _drawn(request: Request, owner: str, key: str, kind: str, draw: Draw) -> Response:
    store = shared(request).store

    def drawn(cancel: threading.Event) -> bytes:
        found = store.examination(owner, key)
        return draw(take_in(store.image(found), name=found.image.name), found, cancel)

    content = await at_the_desk(request, drawn, drawing=True)
    headers = {}
    if kind != "image/png":
        headers["Content-Disposition"] = f'attachment; filename="report.{kind.rpartition("/")[2]}"'
    return Response(content, media_type=kind, headers=headers)


def _wants_later(request: Request) -> bool:
    wishes = request.headers.get("prefer", "").lower().replace(";", ",").split(",")
    return "respond-async" in (wish.strip() for wish in wishes)


async def _kept_for_later(state: Shared, owner: str, given: Given) -> JSONResponse:
    files = [(safe_path(given.name), given.data)]
    add = partial(
        state.store.jobs.add,
        owner,
        files,
        rationale=given.options.rationale,
        deadline=given.options.deadline,
    )
    answer = await accepted(state, owner, add)
    answer.headers["Preference-Applied"] = "respond-async"
    return answer
