"""`forensic-chat batch`: a folder in, one JSON row per image out, resumable."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forensic_chat.cli.plain import plain
from forensic_chat.mllm.backends.choice import BackendName

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from forensic_chat.batch import Folder


def command(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder to examine, with its subfolders.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="JSONL", help="Rows are appended here.", show_default=False)
    ],
    no_rationale: Annotated[
        bool, typer.Option("--no-rationale", help="Verdict, mask and findings only; no language model runs.")
    ] = False,
    masks: Annotated[
        Path | None, typer.Option("--masks", metavar="DIR", help="Write masks here, as DIR/<file>.png.")
    ] = None,
    backend: Annotated[
        BackendName | None,
        typer.Option("--backend", help="Who writes the rationale; default: FORENSIC_CHAT_BACKEND."),
    ] = None,
) -> None:
    """Examine every image of a folder; run it again to go on after a stop."""
    from forensic_chat import batch
    from forensic_chat.cli import render
    from forensic_chat.examiner import Examiner

    on = render.console(sys.stderr)
    folder = batch.find(directory, leave_out=(out, masks) if masks else (out,))
    _announce(folder, on)
    counts = Counter[str]()
    with _bar(on) as bar:
        task = bar.add_task("", total=len(folder.images), rate="")

        def show(step: batch.Step) -> None:
            counts[step.outcome] += 1
            if step.outcome == "failed":
                on.print(f"{plain(step.file)}: {plain(step.message)}", style="yellow")
            rate = f"{bar.tasks[0].speed or 0:.2f}/s"
            bar.update(task, advance=1, description=plain(step.file)[-30:], rate=rate)

        def fetching(step: str, done: int, total: int) -> None:
            if done == 0:
                on.print(plain(step), style="dim")
            bar.update(task, description=f"{step} {done / total:.0%}" if total else step)

        try:
            examiner = Examiner(backend=backend, progress=fetching)
            batch.run(examiner, folder, out, rationale=not no_rationale, masks=masks, on_step=show)
        except KeyboardInterrupt:
            bar.stop()
            on.print(
                f"stopped at {counts.total()} of {len(folder.images)}; the same command goes on from here"
            )
            raise
    on.print(
        f"{len(folder.images)} images: {counts['examined']} examined, {counts['failed']} could not be, "
        f"{counts['kept']} already in {plain(str(out))}"
    )


def _announce(folder: "Folder", on: "Console") -> None:
    for path in folder.unreadable:
        on.print(f"{plain(str(path))}: this folder can't be read; its images are left out", style="yellow")
    if folder.passed_over:
        on.print(f"passed over, no images by name or content: {folder.passed_over} files", style="dim")


def _bar(on: "Console") -> "Progress":
    """Counts, rate and time left; only on a terminal, a log gets the lines alone."""
    from rich import progress

    return progress.Progress(
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}", markup=False),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.description}", markup=False),
        console=on,
        disable=not on.is_terminal,
    )
