"""Examinations and conversations under /v1."""

import json
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile

from forensic_chat.api.desk import Job
from forensic_chat.api.guards import state_of
from forensic_chat.api.problems import describe
from forensic_chat.imaging.intake import take_in
from forensic_chat.report import custody, pictures
from forensic_chat.schema import Examination
from forensic_chat.sessions.store import Exchange


class Given(BaseModel):
    """An image as JSON."""

    model_config = ConfigDict(extra="forbid")
    image: str
    """The file in base64."""
    name: str = "image"
    rationale: bool = True


class KeptExamination(Examination):
    """An examination and the id it is kept under."""

    id: str


class NewConversation(BaseModel):
    model_config = ConfigDict(extra="forbid")
    examination: str
    """The id of an examination."""


class ConversationId(BaseModel):
    id: str


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")
    content: Annotated[str, Field(min_length=1, max_length=4000)]
    stream: bool = False
    """Answer as server-sent events: `piece` with {"text"}, then `done` with the whole turn, or `error`."""


class History(BaseModel):
    id: str
    examination: str
    turns: list[Exchange]


_FORMS = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "rationale": {"type": "boolean", "default": True},
                    },
                }
            },
            "application/json": {"schema": Given.model_json_schema()},
        },
    }
}
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "A picture."}}
_HTML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {}}, "description": "A report."}}


def routes(owner_of: Callable[[Request], str]) -> APIRouter:
    """The routes; `owner_of` says whose a request is."""
    router = APIRouter(prefix="/v1")
    owned = Annotated[str, Depends(owner_of)]

    @router.post("/examinations", status_code=201, openapi_extra=_FORMS, tags=["examinations"])
    async def examine(request: Request, response: Response, owner: owned) -> KeptExamination:
        """Examine one image; keep it, its examination and what will be asked about it."""
        data, name, rationale = await _given(request)
        state = state_of(request)
        job = state.desk.start(lambda _, cancel: state.service.examine(owner, data, name, rationale, cancel))
        key, found = await job.result(request)
        response.headers["Location"] = f"/v1/examinations/{key}"
        return KeptExamination(**dict(found), id=key)

    @router.get("/examinations/{key}", tags=["examinations"])
    def examination(key: str, request: Request, owner: owned) -> KeptExamination:
        found = state_of(request).store.examination(owner, key)
        return KeptExamination(**dict(found), id=key)

    @router.get(
        "/examinations/{key}/mask.png", response_class=Response, responses=_PNG, tags=["examinations"]
    )
    def mask(key: str, request: Request, owner: owned) -> Response:
        """The mask, 0 or 255, the image's size; all 0 where nothing was marked."""
        found = state_of(request).store.examination(owner, key)
        return Response(pictures.mask_png(found), media_type="image/png")

    @router.get(
        "/examinations/{key}/overlay.png", response_class=Response, responses=_PNG, tags=["examinations"]
    )
    def overlay(key: str, request: Request, owner: owned) -> Response:
        """The image with mask and regions drawn into it."""
        store = state_of(request).store
        found = store.examination(owner, key)
        image = take_in(store.image(found), name=found.image.name)
        return Response(pictures.overlay(image, found), media_type="image/png")

    @router.get(
        "/examinations/{key}/report.html", response_class=Response, responses=_HTML, tags=["examinations"]
    )
    def report(key: str, request: Request, owner: owned) -> Response:
        """A signed report; `forensic-chat verify` checks it."""
        store = state_of(request).store
        found = store.examination(owner, key)
        html = custody.write(take_in(store.image(found), name=found.image.name), found)
        headers = {"Content-Disposition": 'attachment; filename="report.html"'}
        return Response(html, media_type="text/html", headers=headers)

    @router.delete("/examinations/{key}", status_code=204, tags=["examinations"])
    def delete_examination(key: str, request: Request, owner: owned) -> None:
        """Delete the examination, its conversations, and its image unless another examination is of it."""
        state_of(request).store.delete_examination(owner, key)
        state_of(request).service.forget(owner)

    @router.post("/conversations", status_code=201, tags=["conversations"])
    def converse(
        asked: NewConversation, request: Request, response: Response, owner: owned
    ) -> ConversationId:
        """Begin a conversation about an examination."""
        key = state_of(request).store.add_conversation(owner, asked.examination)
        response.headers["Location"] = f"/v1/conversations/{key}"
        return ConversationId(id=key)

    @router.get("/conversations/{key}", tags=["conversations"])
    def history(key: str, request: Request, owner: owned) -> History:
        """What was asked and answered so far."""
        examination, turns = state_of(request).store.conversation(owner, key)
        return History(id=key, examination=examination, turns=turns)

    @router.delete("/conversations/{key}", status_code=204, tags=["conversations"])
    def delete_conversation(key: str, request: Request, owner: owned) -> None:
        state_of(request).store.delete_conversation(owner, key)

    @router.post("/conversations/{key}/messages", tags=["conversations"], response_model=Exchange)
    async def say(key: str, message: Message, request: Request, owner: owned) -> Any:
        """Ask; the answer comes when its turn is kept, or in pieces (`stream`)."""
        state = state_of(request)
        state.store.conversation(owner, key)
        job = state.desk.start(
            lambda hand_over, cancel: state.service.say(owner, key, message.content, hand_over, cancel)
        )
        if not message.stream:
            return await job.result(request)
        return StreamingResponse(_events(job, request), media_type="text/event-stream")

    return router


async def _events(job: Job[Exchange], request: Request) -> AsyncGenerator[bytes]:
    try:
        async with aclosing(job.pieces()) as pieces:
            async for piece in pieces:
                yield format_sse_event(event="piece", data_str=json.dumps({"text": piece}))
        yield format_sse_event(event="done", data_str=json.dumps(vars(await job.ended())))
    except Exception as error:
        problem = describe(error, request.state.request_id)
        yield format_sse_event(event="error", data_str=json.dumps(problem))


async def _given(request: Request) -> tuple[bytes, str, bool]:
    """The image's bytes, its name, and whether a rationale is wanted."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            given = Given.model_validate_json(await request.body())
            return b64decode(given.image, validate=True), given.name, given.rationale
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            raise HTTPException(422, f"{where}: {first['msg']}") from None
        except ValueError:
            raise HTTPException(422, "image: not base64; encode the file's bytes") from None
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=4) as form:
            image, wanted = form.get("image"), str(form.get("rationale", "true")).lower()
            if not isinstance(image, UploadFile):
                raise HTTPException(422, "image: give the file as the form's field `image`")
            if wanted not in ("true", "false"):
                raise HTTPException(422, "rationale: give true or false")
            return await image.read(), image.filename or "image", wanted == "true"
    raise HTTPException(415, "send the image as multipart/form-data, or as JSON in base64")
