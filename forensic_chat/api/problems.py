"""Every failure as `application/problem+json` (RFC 9457): what was wrong, with what, and what to do."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from forensic_chat.api.desk import Busy
from forensic_chat.errors import (
    BackendUnavailable,
    Cancelled,
    DeadlineExceeded,
    ForensicChatError,
    InputRejected,
    UsageError,
)
from forensic_chat.sessions.store import Conflict, Missing

RETRY_AFTER = 5
"""Seconds."""

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
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    422: "Can't be processed",
    429: "Too many requests",
    499: "Cancelled",
    500: "Internal error",
    503: "Unavailable",
    504: "Deadline exceeded",
}


def describe(error: Exception, request_id: str) -> dict[str, Any]:
    """The problem that an error is."""
    status, code, detail = _told(error)
    return {
        "type": f"urn:forensic-chat:problem:{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        problem = describe(error, getattr(request.state, "request_id", ""))
        if request.url.path.startswith(("/v1/chat", "/v1/models")):  # where OpenAI's clients look
            problem["error"] = {
                "message": problem["detail"],
                "type": problem["code"],
                "code": problem["code"],
            }
        headers = {"Retry-After": str(RETRY_AFTER)} if problem["status"] in (429, 503) else {}
        if problem["status"] == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(
            problem, problem["status"], headers=headers, media_type="application/problem+json"
        )

    for kind in (
        ForensicChatError,
        RequestValidationError,
        HTTPException,
        Busy,
        Missing,
        Conflict,
        Exception,
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
        code = _TITLES.get(error.status_code, "error").lower().replace(" ", "_")
        return error.status_code, code, str(error.detail)
    if isinstance(error, Busy):
        return 429, "busy", f"all places in the queue are taken; try again in {RETRY_AFTER} s"
    if isinstance(error, Missing):
        return 404, "not_found", "there is no such thing, or it isn't yours; check the id"
    if isinstance(error, Conflict):
        return 409, "conflict", "another message was answered meanwhile; read the history and ask again"
    return 500, "internal", "a mistake of ours; the server's log has it under this request id"
