"""OpenAI's chat completions over an examination: any client of that interface can ask about an image.

The image is the last `data:` URL among the messages; where the last message holds two, it is compared with the
one before. No address is ever fetched. The messages are the whole state: nothing is kept.
"""

import json
import secrets
import threading
import time
from base64 import b64decode
from collections.abc import AsyncGenerator
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
from forensic_chat.api.service import HandOver, found_in
from forensic_chat.api.shared import shared
from forensic_chat.schema import Examination
from forensic_chat.wording import CHECKED, MARKS, MEANINGS

MODEL = "forensic-chat"
FIRST = "first image"
"""What an image that another is compared with is called."""
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
class Answer:
    text: str
    found: dict[str, Any]
    """The examination, and what came with the answer."""


@dataclass(frozen=True)
class Asked:
    """What a request's messages say."""

    image: bytes
    other: bytes | None
    """What the question compares the image with."""
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
        """Answer the last message about the last image, or compare the two that it holds."""
        read, state = understood(asked.messages), shared(request)
        state.quota.spend(owner)

        def work(hand_over: HandOver, cancel: threading.Event) -> Answer:
            service = state.service
            dialogue = service.dialogue(owner, read.image, "image", cancel)
            examination, text, found = dialogue.examination, "", dict[str, Any]()
            wanted = read.question if read.other is None else service.seen(read.other, FIRST, cancel)
            if read.first:
                text = told(examination) + ("\n\n" if wanted else "")
                hand_over(text)
            if wanted:
                reply = service.answer(dialogue, read.before, wanted, hand_over, cancel)
                text, found = text + reply.text, {"answer": found_in(reply)}
            return Answer(text, examination.model_dump(mode="json", exclude={"mask"}) | found)

        running = state.desk.start(work)
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": MODEL}
        if asked.stream:
            await running.begun(request)
            return StreamingResponse(_chunks(running, head, request), media_type="text/event-stream")
        answer = await running.result(request)
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return head | {
            "object": "chat.completion",
            "choices": [choice],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            "forensic_chat": answer.found,
        }

    return router


def understood(messages: list[ChatMessage]) -> Asked:
    """Read the messages. Raises HTTPException where they hold no image, or don't end with a question."""
    image, other, before, question, first = None, None, list[tuple[str, str]](), "", False
    for message in messages:
        if message.role in ("system", "developer"):
            continue  # nobody's words change how an image is examined
        text, images = _split(message)
        if message.role == "assistant":
            if question:
                before.append((question[:_LONGEST], text[:_LONGEST]))
            question, first = "", False
        else:
            if images:
                image, before, first = images[-1], [], True
            question, other = text, images[0] if len(images) == 2 else None
    if messages[-1].role != "user" or image is None or not (question or first):
        raise HTTPException(
            400, "messages: give an image as a data: URL and end with a user's message that asks about it"
        )
    return Asked(image, other, before, question, first)


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


def _split(message: ChatMessage) -> tuple[str, list[bytes]]:
    """The text of a message, and its images. Raises HTTPException where they are more than two."""
    if isinstance(message.content, str):
        return message.content.strip(), []
    texts, images = [], []
    for part in message.content:
        if part.type == "text":
            texts.append(part.text)
        elif part.image_url is not None:
            images.append(_decoded(part.image_url.url))
    if len(images) > 2:
        raise HTTPException(400, "messages: a message may hold two images to compare; ask about others alone")
    return "\n".join(texts).strip(), images


def _decoded(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise HTTPException(400, "image_url: only data:image/...;base64 is read; addresses are not fetched")
    try:
        return b64decode(body, validate=True)
    except ValueError:
        raise HTTPException(400, "image_url: not base64; encode the file's bytes") from None


async def _chunks(running: Running[Answer], head: dict[str, Any], request: Request) -> AsyncGenerator[bytes]:
    def chunk(delta: dict[str, str], end: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        body = head | {"object": "chat.completion.chunk", "choices": [choice]} | more
        return format_sse_event(data_str=json.dumps(body))

    try:
        yield chunk({"role": "assistant", "content": ""})
        async with aclosing(running.pieces()) as pieces:
            async for piece in pieces:
                yield chunk({"content": piece})
        yield chunk({}, "stop", forensic_chat=(await running.ended()).found)
    except Exception as error:
        problem = describe(error, request.state.request_id)
        told_so = {"message": problem["detail"], "type": problem["code"], "code": problem["code"]}
        yield format_sse_event(data_str=json.dumps({"error": told_so}))
    yield format_sse_event(data_str="[DONE]")
