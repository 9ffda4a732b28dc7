"""`forensic-chat weights`: fetch the base weights, list them, carry them to a machine without network."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Base weights: fetch, list, carry to a machine without network.")


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("pull")
def pull(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="Take them from what `export` wrote; opens no connection."
        ),
    ] = None,
) -> None:
    """Fetch and convert what is not cached yet; repair what is damaged."""
    from forensic_chat import weights

    weights.pull(from_dir=source)
    list_()


@app.command("list")
def list_() -> None:
    """Say what is needed, from where, under which licence, and whether it is cached."""
    import sys

    from rich.table import Table

    from forensic_chat import weights
    from forensic_chat.cli import render

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "state", "size", "licence", "from", "what"):
        table.add_column(column, no_wrap=column in ("name", "state", "size"), overflow="fold")
    entries = weights.status()
    for entry in entries:
        size = f"{entry.size / 1e6:.0f} MB" if entry.size else ""
        table.add_row(entry.name, entry.state, size, entry.licence, entry.origin, entry.what)
    on = render.console(sys.stdout)
    on.print(table)
    on.print(f"cache: {entries[0].folder.parent}", style="dim", soft_wrap=True)


@app.command("assemble")
def assemble(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet.", show_default=False)
    ],
) -> None:
    """Write the trained language model for a server such as vLLM: a LLaVA checkpoint, adapter merged."""
    from forensic_chat.mllm import export

    export.assemble(directory)
    print(directory)


@app.command("export")
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Made if need be.", show_default=False)],
) -> None:
    """Write what `pull --from DIR` needs on a machine without network."""
    from forensic_chat import weights

    for file in weights.export(directory):
        print(file)
