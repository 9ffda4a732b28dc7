"""What every request passes: an id, a key, a cap on its body, a line in the log without its content."""

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("forensic_chat.api")


class Watch:
    """Gives each request an id, refuses bodies of more than `most` bytes, and logs one JSON line."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, start, status, size = secrets.token_hex(8), time.perf_counter(), 0, 0
        scope.setdefault("state", {})["request_id"] = request_id

        async def capped() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.most:
                raise HTTPException(413, f"the request is larger than {self.most / 1e6:.0f} MB; send less")
            return message

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"cache-control", b"no-store"),
                ]
            await send(message)

        try:
            await self.app(scope, capped, marked)
        finally:
            line = {
                "request_id": request_id,
                "method": scope["method"],
                "route": getattr(scope.get("route"), "path", None),
                "status": status,
                "bytes": size,
                "seconds": round(time.perf_counter() - start, 4),
                "owner": scope["state"].get("owner"),
            }
            LOG.info(json.dumps(line))


def owner_of(keys: list[str]) -> Callable[[Request], str]:
    """A dependency: whose request it is, by its `Authorization: Bearer KEY`; "local" where no keys are set.

    Keys are compared by their hashes, in constant time.
    """
    hashes = [_hashed(key) for key in keys]

    def owner(request: Request) -> str:
        if not hashes:
            return "local"
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given_hash = _hashed(given.strip())
        held = [hmac.compare_digest(given_hash, known) for known in hashes]
        if scheme.lower() != "bearer" or not any(held):
            raise HTTPException(401, "give a key of this server: Authorization: Bearer KEY")
        request.state.owner = given_hash[:16]
        return given_hash[:16]

    return owner


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def state_of(request: Request) -> Any:
    """What the application's parts share."""
    return request.app.state
