"""An answer for a reader who may be slow, or gone: it is written whether or not anybody reads on."""

import queue
import threading
from collections.abc import Generator, Iterable


def written_aside(pieces: Iterable[str], cancel: threading.Event) -> Generator[str]:
    """Yields `pieces`, which a thread of their own asks for: they are written at their own pace, and what
    is locked meanwhile is let go when they end.

    Leaving the loop sets `cancel`, which must be the event that stops `pieces`. Raises what `pieces` raises.
    """
    written: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()

    def write() -> None:
        try:
            for piece in pieces:
                written.put(piece)
            written.put(None)
        except BaseException as error:
            written.put(error)

    threading.Thread(target=write, name="answer", daemon=True).start()
    try:
        while (piece := written.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        cancel.set()
