"""`forensic-chat serve`: the HTTP API."""

from typing import Annotated

import typer

from forensic_chat.mllm.backends.choice import BackendName


def command(
    host: Annotated[
        str, typer.Option("--host", help="Others can reach any but 127.0.0.1: needs API keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0: any free port.")] = 8000,
    backend: Annotated[
        BackendName | None,
        typer.Option("--backend", help="Who writes rationales; default: FORENSIC_CHAT_BACKEND."),
    ] = None,
) -> None:
    """Answer over HTTP: examinations, conversations, and OpenAI's chat completions."""
    from forensic_chat.errors import UsageError

    try:
        from forensic_chat.api.server import serve
    except ModuleNotFoundError as error:
        raise UsageError(f"`serve` needs {error.name}: pip install 'forensic-chat[serve]'") from None
    serve(host, port, backend)
