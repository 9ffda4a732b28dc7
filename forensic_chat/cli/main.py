"""The `forensic-chat` command: the commands' table, and how anything that goes wrong becomes one line."""

import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated, NoReturn

import typer

from forensic_chat.cli import analyze, batch, chat, report, serve, ui, weights
from forensic_chat.cli.plain import plain
from forensic_chat.errors import ForensicChatError

INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143
"""As the shell reports a process that SIGINT, SIGPIPE or SIGTERM has ended."""

app = typer.Typer(
    name="forensic-chat",
    help="Is an image real, synthetic or tampered - where, why, and how sure.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 internal error, 2 bad usage or input, 3 model or weights unavailable.",
)
app.command("analyze")(analyze.command)
app.command("chat")(chat.command)
app.command("batch")(batch.command)
app.command("report")(report.command)
app.command("verify")(report.verify)
app.command("serve")(serve.command)
app.command("ui")(ui.command)
app.add_typer(weights.app, name="weights")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of one examination."""
    import json

    from forensic_chat.schema import json_schema

    print(json.dumps(json_schema(), indent=2))


def _print_version(wanted: bool) -> None:
    if wanted:
        import forensic_chat

        print(f"forensic-chat {forensic_chat.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: see the epilog for the codes; 130 after Ctrl-C, 141 after a closed pipe, 143 after
    SIGTERM, when what was begun is tidied up all the same: temporary files, a vLLM server.

    FORENSIC_CHAT_DEBUG=1 shows traces and library warnings.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal can't show must not end the program
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: Sequence[str]) -> int:
    debug = os.environ.get("FORENSIC_CHAT_DEBUG", "") not in ("", "0")
    if not debug:
        warnings.simplefilter("ignore")  # libraries' warnings are for developers
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        with _terminable():
            code = app(arguments, standalone_mode=False)
            sys.stdout.flush()
    except (ForensicChatError, typer.TyperException) as error:
        return _complain(error, debug)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except _Terminated:
        return TERMINATED
    except (BrokenPipeError, SystemExit):  # typer and rich turn a closed pipe into SystemExit
        _discard_output()
        return BROKEN_PIPE
    except Exception as error:
        if debug:
            raise
        _say(f"internal error: {type(error).__name__}; run with FORENSIC_CHAT_DEBUG=1 for the trace")
        return 1
    return code if isinstance(code, int) else 0


class _Terminated(BaseException):
    """SIGTERM came; no `except Exception` may take it for a failure."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises _Terminated, as Ctrl-C raises KeyboardInterrupt; by itself it ends the process on the spot."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _complain(error: ForensicChatError | typer.TyperException, debug: bool) -> int:
    if debug and isinstance(error, ForensicChatError):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ForensicChatError):
        _say(str(error))
        return error.exit_code
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "forensic-chat"
    _say(f"{message[:1].lower()}{message[1:]}; see `{command} --help`")
    return 2


def _say(message: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(f"forensic-chat: {plain(message)}", file=sys.stderr)


def _discard_output() -> None:
    """Point stdout at nothing, so that the interpreter's last flush has no pipe to complain about."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
