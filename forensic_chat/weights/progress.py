"""Progress of fetching and converting, as a plain callback, and the bar on stderr that is its default."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """`progress(step, done, total)` in bytes; total 0: the length is unknown; done == total: finished."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


def silent(step: str, done: int, total: int) -> None:
    """Shows nothing."""


@contextmanager
def bars() -> Iterator[Progress]:
    """A bar for each step on stderr; one line a step where stderr is not a terminal."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description} {task.fields[size]}"), BarColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as shown:
        tasks = {}

        def update(step: str, done: int, total: int) -> None:
            size = f"{done / 1e6:.0f}/{total / 1e6:.0f} MB" if total > 1 else ""
            if step not in tasks:
                tasks[step] = shown.add_task(step, total=None, size=size)
                if not console.is_terminal:
                    console.print(step, highlight=False)
            shown.update(tasks[step], completed=done, total=total or None, size=size)

        yield update
