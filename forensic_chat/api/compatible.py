"""OpenAI's chat completions over an examination: any client of that interface can ask about an image.

The image is the last `data:` URL among the messages. No address is ever fetched. The messages are the whole
state: nothing is kept.
"""

import json
import secrets
import time
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field

from forensic_chat.api.desk import Running
from forensic_chat.api.keys import OwnerOf
from forensic_chat.api.problems import RESPONSES, describe
from forensic_chat.api.shared import shared
from forensic_chat.schema import Examination
from forensic_chat.wording import CHECKED, MARKS, MEANINGS

MODEL = "forensic-chat"
_LONGEST = 4000
"""Characters of an earlier turn that are read."""


class ImageUrl(BaseModel):
    url: str


class Part(BaseModel):
    type: Literal["text", "image_url"]
    text: str = ""
    image_url: ImageUrl | None = None


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]


class Completion(BaseModel):
    """A request; settings of sampling are accepted and change nothing: answers are always the same."""

    model_config = ConfigDict(extra="ignore")
    model: Literal["forensic-chat"]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=200)]
    stream: bool = False


@dataclass(frozen=True)
class Asked:
    """What a request's messages say."""

    image: bytes
    before: list[tuple[str, str]]
    """Questions and answers since the image was given."""
    question: str
    first: bool
    """The image comes with this question: the verdict has not been told yet."""


def routes(owner_of: OwnerOf) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"], responses=RESPONSES)
    owned = Annotated[str, Depends(owner_of)]

    @router.get("/models")
    def models(owner: owned) -> dict[str, Any]:
        """The one model there is."""
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}
        return {"object": "list", "data": [model]}

    @router.post("/chat/completions", response_model=None)
    async def complete(asked: Completion, request: Request, owner: owned) -> Any:
        """Answer the last message about the last image."""
        read, state = understood(asked.messages), shared(request)
        state.quota.spend(owner)

        def work(hand_over: Callable[[str], None], cancel: Any) -> tuple[str, Examination]:
            dialogue = state.service.dialogue(owner, read.image, "image", cancel)
            text = ""
            if read.first:
                text = told(dialogue.examination) + ("\n\n" if read.question else "")
                hand_over(text)
            if read.question:
                reply = state.service.answer(dialogue, read.before, read.question, hand_over, cancel)
                text += reply.text
            return text, dialogue.examination

        running = state.desk.start(work)
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": MODEL}
        if asked.stream:
            await running.begun(request)
            return StreamingResponse(_chunks(running, head, request), media_type="text/event-stream")
        text, examination = await running.result(request)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return head | {
            "object": "chat.completion",
            "choices": [choice],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            "forensic_chat": examination.model_dump(mode="json", exclude={"mask"}),
        }

    return router


def understood(messages: list[ChatMessage]) -> Asked:
    """Read the messages. Raises HTTPException where they hold no image, or don't end with a question."""
    image, before, question, first = None, list[tuple[str, str]](), "", False
    for message in messages:
        if message.role in ("system", "developer"):
            continue  # nobody's words change how an image is examined
        text, given = _split(message)
        if message.role == "assistant":
            if question:
                before.append((question[:_LONGEST], text[:_LONGEST]))
            question, first = "", False
        else:
            if given is not None:
                image, before, first = given, [], True
            question = text
    if messages[-1].role != "user" or image is None or not (question or first):
        raise HTTPException(
            400, "messages: give an image as a data: URL and end with a user's message that asks about it"
        )
    return Asked(image, before, question, first)


def told(examination: Examination) -> str:
    """The verdict and the claims, in plain text."""
    said = examination.verdict
    lines = [
        f"{said.label} ({said.confidence}; probability of a fake {said.fake_probability:.2f}): "
        f"{MEANINGS[said.label]}.",
        *said.reasons,
    ]
    for claim in examination.rationale.claims if examination.rationale else []:
        cited = ", ".join([*claim.findings, *([claim.region] if claim.region else [])])
        lines.append(f"{MARKS[claim.verified]} {claim.text} [{cited}] ({CHECKED[claim.verified]})")
    return "\n".join(lines)


def _split(message: ChatMessage) -> tuple[str, bytes | None]:
    """The text of a message, and its last image."""
    if isinstance(message.content, str):
        return message.content.strip(), None
    texts, image = [], None
    for part in message.content:
        if part.type == "text":
            texts.append(part.text)
        elif part.image_url is not None:
            image = _decoded(part.image_url.url)
    return "\n".join(texts).strip(), image


def _decoded(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise HTTPException(400, "image_url: only data:image/...;base64 is read; addresses are not fetched")
    try:
        return b64decode(body, validate=True)
    except ValueError:
        raise HTTPException(400, "image_url: not base64; encode the file's bytes") from None


async def _chunks(
    running: Running[tuple[str, Examination]], head: dict[str, Any], request: Request
) -> AsyncGenerator[bytes]:
    def chunk(delta: dict[str, str], end: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        body = head | {"object": "chat.completion.chunk", "choices": [choice]}
        return format_sse_event(data_str=json.dumps(body))

    try:
        yield chunk({"role": "assistant", "content": ""})
        async with aclosing(running.pieces()) as pieces:
            async for piece in pieces:
                yield chunk({"content": piece})
        await running.ended()
        yield chunk({}, "stop")
    except Exception as error:
        problem = describe(error, request.state.request_id)
        told_so = {"message": problem["detail"], "type": problem["code"], "code": problem["code"]}
        yield format_sse_event(data_str=json.dumps({"error": told_so}))
    yield format_sse_event(data_str="[DONE]")
