"""Stands for a vLLM server: its interface, answers by rule, and the faults that a question asks for.

`python -m tests.fake_vllm --host HOST --port PORT` runs it as a process of its own.
"""

import argparse
import asyncio
import hashlib
import json
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from forensic_chat.mllm.backends.vllm_server import AttachedServer

MODEL = "forensic-chat"
WORDS = ["noise", "edge", "light", "grain", "blur", "seam", "tone", "shade", "mark", "line"]
FAULTS = ("cut", "die", "hang", "garbage", "no choices", "stream error")
"""Questions that an answer breaks off at; `unwell` and `refuse` get none."""


class Fake:
    """The application; `requests` holds what was asked, `left` the number of clients that hung up."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.left, self.unwell = 0, 0

    def app(self) -> Any:
        from fastapi import FastAPI, Request
        from fastapi.responses import JSONResponse, Response, StreamingResponse

        app = FastAPI()

        @app.get("/health")
        def health() -> Response:
            return Response()

        @app.get("/version")
        def version() -> dict[str, str]:
            return {"version": "0.32.0"}

        @app.post("/tokenize")
        async def tokenize(request: Request) -> dict[str, Any]:
            text = (await request.json())["prompt"]
            return {"tokens": [sum(map(ord, text)), 7]}

        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> Response:
            asked = await request.json()
            self.requests.append(asked)
            question = last_text(asked)
            if asked["model"] != MODEL:
                return JSONResponse({"error": {"message": "no such model"}}, 404)
            if question == "refuse":
                return JSONResponse({"error": {"message": "internal path /x/y"}}, 400)
            if question.startswith("unwell"):
                self.unwell += 1
                if self.unwell <= len(question.split()):
                    return JSONResponse({"error": {"message": "engine at 0x0"}}, 503)
            if not asked.get("stream"):
                return JSONResponse(opinion(asked))
            return StreamingResponse(self.stream(asked, question), media_type="text/event-stream")

        return app

    async def stream(self, asked: dict[str, Any], question: str) -> AsyncIterator[str]:
        try:
            for k, word in enumerate(answer(asked)):
                if k == 2 and question in FAULTS:
                    if question == "die":
                        os._exit(9)
                    if question == "hang":
                        await asyncio.sleep(60)
                    if question == "garbage":
                        yield "data: {not json\n\n"
                    if question == "no choices":
                        yield 'data: {"id": 3}\n\n'
                    if question == "stream error":
                        yield 'data: {"error": {"message": "engine died at 0x0", "code": 500}}\n\n'
                    return
                yield event({"content": word})
                await asyncio.sleep(0.001)
            yield event({}, "length")
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.left += 1
            raise


def event(delta: dict[str, str], end: str | None = None) -> str:
    body = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": end}],
    }
    return f"data: {json.dumps(body)}\n\n"


def answer(asked: dict[str, Any]) -> list[str]:
    """Words that the messages decide, none of the sentences twice."""
    seed = hashlib.sha256(json.dumps(asked["messages"]).encode()).digest()
    return [
        f"{WORDS[seed[k % 32] % len(WORDS)]}{k} {'.' if k % 9 == 8 else ''}"
        for k in range(asked["max_completion_tokens"])
    ]


def opinion(asked: dict[str, Any]) -> dict[str, Any]:
    seed = hashlib.sha256(json.dumps(asked["messages"]).encode()).digest()
    tops = [
        {"token": f"token_id:{token}", "logprob": -1 - seed[k] / 64, "bytes": None}
        for k, token in enumerate(asked["logprob_token_ids"])
    ]
    first = {**tops[0], "top_logprobs": tops}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "real"},
        "finish_reason": "length",
        "logprobs": {"content": [first]},
    }
    return {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice]}


def last_text(asked: dict[str, Any]) -> str:
    content = asked["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1].get("text", "")


@contextmanager
def running(fake: Fake | None = None) -> Iterator[AttachedServer]:
    """A fake in a thread of this process."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config((fake or Fake()).app(), log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield AttachedServer(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", MODEL, "none")
        server.should_exit = True
        thread.join(20)


if __name__ == "__main__":
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    uvicorn.run(Fake().app(), host=given.host, port=given.port, log_level="error")
