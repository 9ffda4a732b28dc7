"""What the routes of one application share."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fastapi import Request

from forensic_chat.api.desk import Desk
from forensic_chat.api.quota import Quota
from forensic_chat.api.service import Service
from forensic_chat.api.worker import Worker
from forensic_chat.sessions.store import Store
from forensic_chat.settings import Settings
from forensic_chat.stopping import Stopping

Result = TypeVar("Result")


@dataclass(frozen=True)
class Shared:
    limits: Settings
    store: Store
    desk: Desk
    service: Service
    worker: Worker
    quota: Quota
    drawing: threading.Lock = field(default_factory=threading.Lock)
    """One picture or report is made at a time: a large image takes hundreds of megabytes."""


def shared(request: Request) -> Shared:
    found: Shared = request.app.state.shared
    return found


async def at_the_desk(
    request: Request, work: Callable[[threading.Event], Result], *, drawing: bool = False
) -> Result:
    """What `work` gives, which takes a place in the queue and is stopped if the client goes. Raises Busy, and
    what `work` raises."""
    state = shared(request)

    def worked(_: object, cancel: threading.Event) -> Result:
        if not drawing:
            return work(cancel)
        with Stopping(cancel, state.limits.request_deadline, "the picture").holding(state.drawing):
            return work(cancel)

    return await state.desk.start(worked).result(request)
