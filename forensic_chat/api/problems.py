"""Every failure as `application/problem+json` (RFC 9457): what was wrong, with what, and what to do."""

import errno
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from forensic_chat.api.desk import Busy
from forensic_chat.api.quota import OverQuota
from forensic_chat.errors import (
    BackendUnavailable,
    Cancelled,
    DeadlineExceeded,
    ForensicChatError,
    InputRejected,
    UsageError,
)
from forensic_chat.sessions.database import Conflict, Full, Missing, Unavailable

RETRY_AFTER = 5
"""Seconds."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (InputRejected, 422),
    (UsageError, 422),
    (BackendUnavailable, 503),
    (DeadlineExceeded, 504),
    (Cancelled, 499),
    (ForensicChatError, 500),
)
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Can't be processed",
    429: "Too many requests",
    499: "Cancelled",
    500: "Internal error",
    501: "Not installed",
    503: "Unavailable",
    504: "Deadline exceeded",
    507: "Disk full",
}


class Problem(BaseModel):
    """What every failure is answered with."""

    type: str
    title: str
    status: int
    detail: str
    """What was wrong, with what, and what to do."""
    code: str
    """A stable word for machines."""
    request_id: str


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A failure (RFC 9457).",
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
}
"""For the routes' documentation."""


def describe(error: Exception, request_id: str) -> dict[str, Any]:
    """The problem that an error is."""
    status, code, detail = _told(error)
    return Problem(
        type=f"urn:forensic-chat:problem:{code}",
        title=_TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
    ).model_dump()


def response_to(error: Exception, path: str, request_id: str) -> JSONResponse:
    """The answer that an error is."""
    problem = describe(error, request_id)
    if path.startswith(("/v1/chat", "/v1/models")):  # where OpenAI's clients look
        problem["error"] = {
            "message": problem["detail"],
            "type": problem["code"],
            "code": problem["code"],
        }
    headers = {}
    if isinstance(error, OverQuota):
        headers["Retry-After"] = str(error.seconds)
    elif problem["status"] in (429, 503):
        headers["Retry-After"] = str(RETRY_AFTER)
    if problem["status"] == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem["status"] in (405, 408) and isinstance(error, HTTPException):
        headers |= error.headers or {}
    return JSONResponse(problem, problem["status"], headers=headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make the errors that are raised on purpose problems; `Watch` does it with the others."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return response_to(error, request.url.path, getattr(request.state, "request_id", ""))

    for kind in (
        ForensicChatError,
        RequestValidationError,
        HTTPException,
        Busy,
        OverQuota,
        Missing,
        Conflict,
        Full,
        Unavailable,
    ):
        app.add_exception_handler(kind, answer)


def _told(error: Exception) -> tuple[int, str, str]:
    """Status, code and detail; a library's text never gets out."""
    if isinstance(error, ForensicChatError):
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        return status, error.code, str(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]  # its input is left out: it may be an image
        return 422, "invalid_request", f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, HTTPException):
        code = _TITLES.get(error.status_code, "error").lower().replace(" ", "_").replace("'", "")
        return error.status_code, code, str(error.detail)
    if isinstance(error, Busy):
        return 429, "busy", f"all places in the queue are taken; try again in {RETRY_AFTER} s"
    if isinstance(error, Missing):
        return 404, "not_found", "there is no such thing, or it isn't yours; check the id"
    if isinstance(error, Conflict):
        return 409, "conflict", "another message was answered meanwhile; read the history and ask again"
    if isinstance(error, OverQuota):
        return 429, "over_quota", f"this key may ask {error.most} times an hour; again in {error.seconds} s"
    if isinstance(error, Full) or (isinstance(error, OSError) and error.errno in _FULL):
        return 507, "disk_full", "the server's disk is full; nothing of this was kept, all else is as it was"
    if isinstance(error, Unavailable):
        return 503, "store_unavailable", f"the session store can't be reached; again in {RETRY_AFTER} s"
    if isinstance(error, ClientDisconnect):
        return 499, "cancelled", "the client has gone"
    return 500, "internal", "a mistake of ours; the server's log has it under this request id"
