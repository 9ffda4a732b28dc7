"""`forensic-chat weights`: fetch the base weights, list them, carry them to a machine without network."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Base weights: fetch, list, carry to a machine without network.", no_args_is_help=True)


@app.command("pull")
def pull(
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take them from what `export` wrote.")
    ] = None,
) -> None:
    """Fetch and convert everything that is not cached yet."""
    from forensic_chat import weights

    weights.pull(from_dir=source)


@app.command("list")
def list_() -> None:
    """Say what is needed, from where, and whether it is cached."""
    from forensic_chat import weights

    print(weights.status())


@app.command("export")
def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An empty or new folder.", show_default=False)
    ],
) -> None:
    """Write what another machine's `pull --from DIR` needs."""
    from forensic_chat import weights

    weights.export(directory)
