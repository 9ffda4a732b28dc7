"""When to give up a piece of work: its caller cancelled it, or the time it allowed is over."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from forensic_chat.errors import Cancelled, DeadlineExceeded

_POLL = 0.05
"""Seconds between two looks at `cancel` while another thread's work is waited for."""


class Stopping:
    """Called between two stages of a piece of work; raises Cancelled once `cancel` is set, DeadlineExceeded
    `deadline` seconds after it was made.

    work: what messages call it.
    """

    def __init__(
        self,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
        work: str = "the examination",
    ) -> None:
        self.cancel, self._deadline, self._work = cancel, deadline, work
        self._end = None if deadline is None else time.monotonic() + deadline

    def __call__(self) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled(f"{self._work} was cancelled; nothing of it was kept")
        if self._end is not None and time.monotonic() >= self._end:
            raise DeadlineExceeded(
                f"{self._work} was not finished within {self._deadline:g} s; allow more time, or ask for less"
            )

    @property
    def remaining(self) -> float | None:
        """Seconds left, never negative; None without a deadline."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    @contextmanager
    def holding(self, lock: threading.Lock) -> Iterator[None]:
        """Hold `lock`; while another thread has it, give up as between two stages."""
        self()
        while not lock.acquire(timeout=_POLL):
            self()
        try:
            yield
        finally:
            lock.release()
