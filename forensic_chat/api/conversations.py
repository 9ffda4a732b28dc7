"""Conversations under /v1."""

import json
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field

from forensic_chat.api.desk import Running, Work
from forensic_chat.api.keys import OwnerOf
from forensic_chat.api.problems import RESPONSES, describe
from forensic_chat.api.service import HandOver
from forensic_chat.api.shared import shared
from forensic_chat.errors import UsageError
from forensic_chat.sessions.store import Exchange


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


class Comparison(BaseModel):
    model_config = ConfigDict(extra="forbid")
    examination: str
    """The id of the examination to compare with."""
    stream: bool = False
    """As of a message."""


class History(BaseModel):
    id: str
    examination: str
    turns: list[Exchange]


_ANSWERED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The turn."}
}


def routes(owner_of: OwnerOf) -> APIRouter:
    router = APIRouter(prefix="/v1/conversations", tags=["conversations"], responses=RESPONSES)
    owned = Annotated[str, Depends(owner_of)]

    @router.post("", status_code=201)
    def converse(
        asked: NewConversation, request: Request, response: Response, owner: owned
    ) -> ConversationId:
        """Begin a conversation about an examination."""
        key = shared(request).store.add_conversation(owner, asked.examination)
        response.headers["Location"] = f"/v1/conversations/{key}"
        return ConversationId(id=key)

    @router.get("/{key}")
    def history(key: str, request: Request, owner: owned) -> History:
        """What was asked and answered so far."""
        examination, turns = shared(request).store.conversation(owner, key)
        return History(id=key, examination=examination, turns=turns)

    @router.delete("/{key}", status_code=204)
    def delete(key: str, request: Request, owner: owned) -> None:
        """Delete what was said; the examination stays."""
        shared(request).store.delete_conversation(owner, key)

    @router.post("/{key}/messages", response_model=Exchange, responses=_ANSWERED)
    async def say(key: str, message: Message, request: Request, owner: owned) -> Any:
        """Ask; the answer comes when its turn is kept, or in pieces (`stream`)."""
        service, question = shared(request).service, message.content.replace("\0", " ")
        if not question.strip():
            raise UsageError("the question is empty; ask something about the image")
        return await _answered(
            request,
            owner,
            lambda hand_over, cancel: service.say(owner, key, question, hand_over, cancel),
            stream=message.stream,
        )

    @router.post("/{key}/comparisons", response_model=Exchange, responses=_ANSWERED)
    async def compare(key: str, comparison: Comparison, request: Request, owner: owned) -> Any:
        """Set what was measured in another examination beside this one's; a turn like any other."""
        service = shared(request).service

        def work(hand_over: HandOver, cancel: threading.Event) -> Exchange:
            other = service.store.examination(owner, comparison.examination)
            return service.say(owner, key, other, hand_over, cancel)

        return await _answered(request, owner, work, stream=comparison.stream)

    return router


async def _answered(request: Request, owner: str, work: Work[Exchange], *, stream: bool) -> Any:
    """The turn that `work` gives, whole or as events. Raises OverQuota, Busy, and what `work` raises before the
    first piece."""
    state = shared(request)
    state.quota.spend(owner)
    running = state.desk.start(work)
    if not stream:
        return await running.result(request)
    await running.begun(request)
    return StreamingResponse(_events(running, request), media_type="text/event-stream")


async def _events(running: Running[Exchange], request: Request) -> AsyncGenerator[bytes]:
    try:
        async with aclosing(running.pieces()) as pieces:
            async for piece in pieces:
                yield format_sse_event(event="piece", data_str=json.dumps({"text": piece}))
        yield format_sse_event(event="done", data_str=json.dumps(vars(await running.ended())))
    except Exception as error:
        problem = describe(error, request.state.request_id)
        yield format_sse_event(event="error", data_str=json.dumps(problem))
