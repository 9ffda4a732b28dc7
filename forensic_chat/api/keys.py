"""Whose request it is."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from forensic_chat.errors import UsageError

_BEARER = HTTPBearer(auto_error=False, description="A key of this server.")
_HASH = "sha256:"

OwnerOf = Callable[..., Awaitable[str]]


def owner_of(keys: list[str]) -> OwnerOf:
    """A dependency: the owner by `Authorization: Bearer KEY`; "local" where no keys are set, to pages and
    programs of this machine only.

    keys: each as it is, or `sha256:` and its hash in hexadecimal. They are compared by their hashes, in
    constant time. It is a coroutine: what waits for nothing needs no thread. Raises UsageError for a hash that is none.
    """
    hashes = [_known(key) for key in keys]

    async def owner(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> str:
        if not hashes:
            _refuse_foreign_pages(request)
            return "local"
        given_hash = _hashed(given.credentials.strip() if given else "")
        held = [hmac.compare_digest(given_hash, known) for known in hashes]
        if given is None or not any(held):
            raise HTTPException(401, "give a key of this server: Authorization: Bearer KEY")
        request.state.owner = given_hash[:16]
        return given_hash[:16]

    return owner


def loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_foreign_pages(request: Request) -> None:
    """Without keys, a page of another host in a browser here would be as good as its user."""
    origin = request.headers.get("origin")
    for host in (request.url.hostname, urlsplit(origin).hostname if origin else None):
        if host is not None and not loopback(host):
            raise HTTPException(403, "without keys this server answers to this machine's own pages only")
    if origin == "null" or request.headers.get("sec-fetch-site") == "cross-site":
        raise HTTPException(403, "without keys this server answers to this machine's own pages only")


def _known(key: str) -> str:
    if not key.startswith(_HASH):
        return _hashed(key)
    found = key.removeprefix(_HASH).strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise UsageError(
            "FORENSIC_CHAT_API_KEYS holds a hash that is none: after sha256: come 64 digits, as `sha256sum` "
            "prints them"
        )
    return found


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
