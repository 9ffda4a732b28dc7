"""`forensic-chat ui`: the browser app, on this machine."""

from typing import Annotated

import typer


def command(
    port: Annotated[
        int, typer.Option("--port", help="Where it listens, on 127.0.0.1; 0: any free port.")
    ] = 7860,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Examine images and ask about them in the browser, without a terminal."""
    from forensic_chat.ui.server import serve

    serve(port=port, show=show)
