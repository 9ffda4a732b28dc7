"""Work for requests: a bounded number at a time, each in a thread, stopped when its client has gone."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from fastapi import Request

Result = TypeVar("Result")
Piece = str
Work = Callable[[Callable[[Piece], None], threading.Event], Result]
"""Gets a function that hands pieces to the client, and the event that stops it."""

_LOOK = 0.2
"""Seconds between two looks whether a waiting client is still there."""


class Busy(Exception):
    """Every place is taken."""


class Desk:
    """`places` requests may wait or be worked on; the examiner itself takes one after another."""

    def __init__(self, places: int) -> None:
        self.free = places
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="request")

    def start(self, work: Work[Result]) -> "Running[Result]":
        """Begin `work`. Raises Busy. Its place is free again when it has ended, whoever waits for it."""
        if self.free == 0:
            raise Busy
        self.free -= 1
        return Running(self, work)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


class Running(Generic[Result]):
    """Work that has begun."""

    def __init__(self, desk: Desk, work: Work[Result]) -> None:
        loop = asyncio.get_running_loop()
        self.cancel = threading.Event()
        self._pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        self._first: asyncio.Future[None] = loop.create_future()

        def put(piece: Piece | None) -> None:
            self._pieces.put_nowait(piece)
            if not self._first.done():
                self._first.set_result(None)

        def hand_over(piece: Piece) -> None:
            loop.call_soon_threadsafe(put, piece)

        def leave(_: object) -> None:
            desk.free += 1
            put(None)

        self._future = loop.run_in_executor(desk._threads, work, hand_over, self.cancel)
        self._future.add_done_callback(leave)

    async def result(self, request: Request) -> Result:
        """What the work gives; if the client goes, the work is stopped. Raises what the work raises."""
        try:
            await self._wait(self._future, request)
            return await self._future
        finally:
            self.cancel.set()

    async def begun(self, request: Request) -> None:
        """Return when there is a piece, or the work has ended. Raises what the work has raised by then: nothing
        is sent yet, so the client can get it as a status. If the client goes, the work is stopped."""
        try:
            await self._wait(self._first, request)
            if self._future.done():
                await self._future
        except BaseException:
            self.cancel.set()
            raise

    async def pieces(self) -> AsyncGenerator[Piece]:
        """The pieces as they come, to the work's end; leaving the loop stops the work."""
        try:
            while (piece := await self._pieces.get()) is not None:
                yield piece
        finally:
            self.cancel.set()

    async def ended(self) -> Result:
        """What the work gives, after its pieces."""
        return await self._future

    async def _wait(self, wanted: "asyncio.Future[Any]", request: Request) -> None:
        while not wanted.done():
            done, _ = await asyncio.wait({wanted}, timeout=_LOOK)
            if not done and await request.is_disconnected():
                self.cancel.set()
