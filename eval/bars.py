"""How far a run is: a bar on stderr, or, where that is no terminal, a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Step = Callable[[int, int], None]
"""How many are done, of how many."""
EVERY = 25
"""Steps from line to line."""


@contextmanager
def bar(what: str) -> Iterator[Step]:
    """Shows the steps of `what` while the context is open."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def _lines(what: str) -> Step:
    start, made = time.monotonic(), 0

    def on_step(done: int, total: int) -> None:
        nonlocal made
        made += 1
        if made % EVERY == 0:
            left = (total - done) * (time.monotonic() - start) / made
            text = f"{what}: {done} of {total}, {left / 60:.0f} min left at most"
            print(text, file=sys.stderr, flush=True)

    return on_step
