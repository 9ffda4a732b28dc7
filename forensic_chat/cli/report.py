"""`forensic-chat report` and `forensic-chat verify`: a signed report of one image, and its check."""

from pathlib import Path
from typing import Annotated

import typer

MOST_BYTES = 100_000_000


def command(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="The image file to examine.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Write the report here: .html, or .pdf.", show_default=False
        ),
    ],
    no_rationale: Annotated[
        bool, typer.Option("--no-rationale", help="Verdict, mask and findings only; no language model runs.")
    ] = False,
) -> None:
    """Examine one image into a signed report: one HTML or PDF file with pictures, claims, method and custody."""
    from forensic_chat.cli.outputs import check_output
    from forensic_chat.errors import UsageError
    from forensic_chat.examiner import Examiner
    from forensic_chat.imaging.intake import take_in
    from forensic_chat.report import custody, pdf

    printed = out.suffix.lower() == ".pdf"
    if printed:
        pdf.ready()
    check_output("--out", out, image)
    key = custody.signing_key()
    taken = take_in(image)
    examination = Examiner().examine(taken.data, rationale=not no_rationale, name=taken.name)
    try:
        if printed:
            out.write_bytes(custody.write_pdf(taken, examination, key))
        else:
            out.write_text(custody.write(taken, examination, key), "utf-8")
    except OSError as error:
        raise UsageError(f"can't write {out}: {error.strerror}; choose another place") from None
    print(f"{out}: {examination.verdict.label}, signed by key {custody.fingerprint_of(key.public_key())}")


def verify(
    report: Annotated[
        Path, typer.Argument(metavar="REPORT", help="The file that `report` wrote.", show_default=False)
    ],
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="Check that it speaks of this file.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FINGERPRINT", help="Check that this key signed it.")
    ] = None,
) -> None:
    """Say whether a report is as it was signed, by which key, and of which file it speaks."""
    import hashlib

    from forensic_chat.cli.plain import plain
    from forensic_chat.errors import ReportAltered
    from forensic_chat.report import custody

    found = custody.check(_read(report))
    said = found.examination
    if key is not None and key.strip().lower() != found.key:
        raise ReportAltered(f"the report is intact, but was signed by another key: {found.key}")
    if image is not None and hashlib.sha256(_read(image)).hexdigest() != said.image.sha256:
        raise ReportAltered(f"the report is intact, but speaks of another file than {image.name}")
    known = (
        "this installation's key" if found.key == custody.own_key() else "the key you gave" if key else None
    )
    print("intact: nothing in it was changed since it was signed")
    print(f"signed by {known or 'a key unknown here'}: {found.key}")
    if known is None:
        print(
            "compare this fingerprint with the one its author gives you: anyone can sign with a key of their own"
        )
    print(f"reported {plain(found.custody['reported_at'])}")
    print(f"verdict {said.verdict.label} on {plain(said.image.name)}, sha256 {said.image.sha256}")


def _read(path: Path) -> bytes:
    from forensic_chat.errors import UsageError

    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}; check the path") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES // 10**6} MB; that is no report")
    return data
