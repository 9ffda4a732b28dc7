"""`forensic-chat analyze`: one image in, a report or its JSON out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forensic_chat.mllm.backends.choice import BackendName

if TYPE_CHECKING:
    from forensic_chat.schema import Examination


def command(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="The image file to examine.", show_default=False)
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the examination as JSON and nothing else.")
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", metavar="PNG", help="Write the mask here: 0 or 255, the image's size."),
    ] = None,
    no_rationale: Annotated[
        bool, typer.Option("--no-rationale", help="Verdict, mask and findings only; no language model runs.")
    ] = False,
    backend: Annotated[
        BackendName | None,
        typer.Option("--backend", help="Who writes the rationale; default: FORENSIC_CHAT_BACKEND."),
    ] = None,
) -> None:
    """Examine one image: verdict, where, why, findings."""
    from forensic_chat.cli import render
    from forensic_chat.cli.outputs import check_output
    from forensic_chat.examiner import Examiner

    if mask is not None:
        check_output("--mask", mask, image)
    examination = Examiner(backend=backend).examine(image, rationale=not no_rationale)
    if mask is not None:
        examination = _write_mask(examination, mask)
    if as_json:
        # bytes: JSON is UTF-8 whatever the terminal's encoding
        sys.stdout.buffer.write(examination.model_dump_json(indent=2).encode() + b"\n")
    else:
        render.report(examination, render.console(sys.stdout))


def _write_mask(examination: "Examination", path: Path) -> "Examination":
    from forensic_chat import maskfile
    from forensic_chat.errors import UsageError

    try:
        return maskfile.write(examination, path)
    except OSError as error:
        raise UsageError(f"can't write the mask to {path}: {error.strerror}; choose another place") from None
