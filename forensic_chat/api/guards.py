"""What every request passes: an id, a cap on its body and on the time it takes to come, a line in the log
without its content."""

import asyncio
import json
import logging
import re
import secrets
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from fastapi import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forensic_chat.api.metrics import Metrics
from forensic_chat.api.problems import response_to

LOG = logging.getLogger("forensic_chat.api")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Watch:
    """Around the application.

    most: bytes that the body of a request to a path may have. held: bytes that all bodies may have that are
    being read or worked on. seconds: in which a body must have come.
    """

    def __init__(
        self, app: ASGIApp, most: Callable[[str], int], held: int, seconds: float, metrics: Metrics
    ) -> None:
        self.app, self.most, self.seconds, self.metrics = app, most, seconds, metrics
        self.room = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, start, status = _request_id(scope), time.perf_counter(), 0
        scope.setdefault("state", {})["request_id"] = request_id
        body = _Body(self, receive, self.most(scope["path"]))

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                await body.drain()
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"cache-control", b"no-store"),
                ]
            await send(message)

        try:
            await self.app(scope, body.receive, marked)
        except Exception as error:
            if not isinstance(error, ClientDisconnect):
                _log_trace(request_id, error)
            if status == 0:
                await response_to(error, scope["path"], request_id)(scope, receive, marked)
        finally:
            self.room += body.size
            seconds, route = time.perf_counter() - start, getattr(scope.get("route"), "path", None)
            self.metrics.answered(scope["method"], route, status, seconds)
            line = {
                "request_id": request_id,
                "method": scope["method"],
                "route": route,
                "status": status,
                "bytes": body.size,
                "seconds": round(seconds, 4),
                "owner": scope["state"].get("owner"),
            }
            LOG.info(json.dumps(line))


class _Body:
    """A request's body on its way in."""

    def __init__(self, watch: Watch, receive: Receive, most: int) -> None:
        self._watch, self._receive, self._most = watch, receive, most
        self._end = asyncio.get_running_loop().time() + watch.seconds
        self.size, self._whole, self._refused = 0, False, False

    async def receive(self) -> Message:
        """As ASGI says. Raises HTTPException for a body that is too large, too slow, or one too many."""
        if self._whole:
            return await self._receive()  # nothing comes any more but that the client has gone
        message = await self._next()
        if self.size > self._most:
            self._refuse(413, f"the request is larger than {self._most / 1e6:.0f} MB; send less")
        if self._watch.room < 0:
            self._refuse(429, "too much is being sent at the same time; try again in a moment")
        return message

    async def drain(self) -> None:
        """Read what is still to come, and forget it: a client that is still sending would not hear us."""
        while not (self._whole or self._refused):
            try:
                await self._next()
            except HTTPException:
                return
            self._refused = self.size > self._most

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout_at(self._end):
                message = await self._receive()
        except TimeoutError:
            self._refuse(
                408, f"the request's body did not come within {self._watch.seconds:g} s; send it faster"
            )
        came = len(message.get("body", b""))
        self.size += came
        self._watch.room -= came
        self._whole = not message.get("more_body", False)
        return message

    def _refuse(self, status: int, why: str) -> NoReturn:
        self._refused = True
        # who is too slow is not waited for any longer
        raise HTTPException(status, why, {"Connection": "close"} if status == 408 else None)


def _request_id(scope: Scope) -> str:
    """The client's own, if it can stand in a log; else a new one."""
    given = dict(scope["headers"]).get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _log_trace(request_id: str, error: Exception) -> None:
    """Where it went wrong; what the error says is left out, it may quote a request."""
    frames = traceback.extract_tb(error.__traceback__)
    line = {
        "request_id": request_id,
        "error": type(error).__name__,
        "trace": [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
    }
    LOG.error(json.dumps(line))
