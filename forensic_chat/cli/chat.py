"""`forensic-chat chat`: one examination, then questions about it are answered until the input ends."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from forensic_chat.mllm.backends.choice import BackendName

if TYPE_CHECKING:
    from rich.console import Console

    from forensic_chat.dialogue import Dialogue, Reply
    from forensic_chat.examiner import Examiner

PROMPT = "you> "
HELP = """Ask about the image in your own words. Ctrl-C stops an answer.
/findings  what was looked at, and what was found
/report    the whole report
/compare FILE  examine another image too, and set the two side by side
/help      this text
/quit      leave (or Ctrl-D)"""


def command(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="The image file to talk about.", show_default=False)
    ],
    backend: Annotated[
        BackendName | None,
        typer.Option("--backend", help="Who writes the rationale; default: FORENSIC_CHAT_BACKEND."),
    ] = None,
) -> None:
    """Examine one image and answer questions about it."""
    from forensic_chat.cli import render
    from forensic_chat.examiner import Examiner

    on = render.console(sys.stdout)
    examiner = Examiner(backend=backend)
    dialogue = examiner.open(image)
    render.verdict(dialogue.examination, on)
    if sys.stdin.isatty():
        on.print(HELP, style="dim")
    for line in _lines():
        if line == "/quit":
            break
        if line.startswith("/compare "):
            _compare(examiner, line.partition(" ")[2].strip(), dialogue, on)
        elif line.startswith("/"):
            _obey(line, dialogue, on)
        elif line:
            _answer(line, dialogue, on)


def _lines() -> Iterator[str]:
    """What is typed, or piped in, line by line; a prompt and line editing only for a person."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin)
        return
    import contextlib

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (input() edits lines and recalls them once it is imported)
    while True:
        try:
            yield input(PROMPT).strip()
        except EOFError:
            print()
            return


def _obey(line: str, dialogue: "Dialogue", on: "Console") -> None:
    from forensic_chat.cli import render

    if line == "/findings":
        render.findings(dialogue.examination.findings, on)
    elif line == "/report":
        render.report(dialogue.examination, on)
    else:
        on.print(HELP)


def _compare(examiner: "Examiner", path: str, dialogue: "Dialogue", on: "Console") -> None:
    from forensic_chat.cli.plain import plain
    from forensic_chat.errors import Cancelled, InputRejected

    try:
        with _interruptible() as cancel:
            other = examiner.examine(Path(path).expanduser(), rationale=False, cancel=cancel)
    except Cancelled:
        on.print("(stopped)", style="dim")
    except InputRejected as error:
        on.print(plain(str(error)), style="yellow")
    else:
        _show(lambda cancel: dialogue.compare(other, cancel=cancel), on)


def _answer(question: str, dialogue: "Dialogue", on: "Console") -> None:
    _show(lambda cancel: dialogue.ask(question, cancel=cancel), on)


def _show(begin: "Callable[[threading.Event], Reply]", on: "Console") -> None:
    """Print an answer as it is written, then its claims, findings and warnings."""
    from forensic_chat.cli import render
    from forensic_chat.cli.plain import plain
    from forensic_chat.errors import Cancelled, UsageError

    try:
        with _interruptible() as cancel:
            reply = begin(cancel)
            for piece in reply:
                on.print(plain(piece, keep="\n"), end="", soft_wrap=True)
                on.file.flush()
        on.print()
        if reply.claims:
            on.print(render.claims(reply.claims, on))
        for finding in reply.findings:
            on.print(plain(f"{finding.id}: {finding.summary}"), style="dim")
        for warning in reply.warnings:
            if not any(claim.text in warning for claim in reply.claims):  # the claim's mark has said it
                on.print(plain(warning), style="yellow")
    except Cancelled:
        on.print("\n(stopped)", style="dim")
    except UsageError as error:
        on.print(f"\n{plain(str(error))}", style="yellow")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; a second one interrupts the program."""
    cancel = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)
