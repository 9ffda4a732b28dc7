"""Reports that can be checked: a page for people, its record for machines, and a signature over both.

A report is one HTML or PDF file. It holds a block of JSON: `record` (the examination, its custody, the SHA-256
of the file without the block), the Ed25519 signature of the canonical JSON of `record` (RFC 8032), and the
public key. In HTML it is a script element before `</body>`, in PDF a comment before the last `startxref`. A
signature shows that nothing changed since; whose key it is, only its fingerprint, had from its owner, can show.
"""

import contextlib
import hashlib
import json
import os
import platform
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from forensic_chat.errors import ReportAltered, UsageError
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.report import pdf
from forensic_chat.report.fragments import context, render, style
from forensic_chat.schema import Examination
from forensic_chat.settings import settings

REPORT_VERSION = "1"
_OPEN, _CLOSE = b'<script type="application/json" id="forensic-chat-record">', b"</script>"
_PDF_OPEN, _PDF_CLOSE = b"%forensic-chat-record ", b"\n"
_PDF_START = b"%PDF-"
_LIBRARIES = ("c2pa-python", "jpeglib", "numpy", "onnxruntime", "opencv-python-headless", "pillow", "torch")


@dataclass(frozen=True)
class Checked:
    """What a report that holds says."""

    examination: Examination
    custody: dict[str, str]
    key: str
    """The fingerprint of the key that signed it."""


def write(image: ExaminedImage, examination: Examination, key: Ed25519PrivateKey | None = None) -> str:
    """The signed report of an examination of `image`, as one HTML file that needs nothing else.

    key: default: the one that the settings name. Raises UsageError if it can't be read or made.
    """
    page, custody, key = _page(image, examination, key)
    at = page.rindex("</body>")
    return _signed(page[:at].encode(), page[at:].encode(), examination, custody, key).decode()


def write_pdf(image: ExaminedImage, examination: Examination, key: Ed25519PrivateKey | None = None) -> bytes:
    """The same as PDF. Raises UsageError also if what makes PDFs is not installed."""
    page, custody, key = _page(image, examination, key)
    made = pdf.printed(page)
    # the block comes after the file's end, and then the end once more: readers look for it in the last bytes
    end = made[made.rindex(b"startxref") :]
    return _signed(made, end, examination, custody, key)


def check(data: bytes) -> Checked:
    """Read a report. Raises ReportAltered, saying what does not hold."""
    opening, closing = (_PDF_OPEN, _PDF_CLOSE) if data.startswith(_PDF_START) else (_OPEN, _CLOSE)
    try:
        before, _, rest = data.rpartition(opening)
        written, _, after = rest.partition(closing)
        block: dict[str, Any] = json.loads(written)
        record = block["record"]
        public = Ed25519PublicKey.from_public_bytes(b64decode(block["public_key"], validate=True))
        signature = b64decode(block["signature"], validate=True)
        stated = record["page_sha256"]
        if set(block) != {"record", "public_key", "signature"} or canonical(block).encode() != written:
            raise ReportAltered("the report's record was rewritten after it was signed; don't rely on it")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ReportAltered(
            "this is no report, or its record is damaged; give the file as `forensic-chat report` wrote it"
        ) from None
    try:
        public.verify(signature, canonical(record).encode())
    except InvalidSignature:
        raise ReportAltered(
            "the report's record does not bear out its signature: the examination or its custody was changed"
        ) from None
    if _sha256(before + after) != stated:
        raise ReportAltered("the report's page was changed after it was signed: text, pictures or layout")
    try:
        examination = Examination.model_validate(record["examination"])
    except ValidationError:
        raise ReportAltered("the report holds no examination of this version's form") from None
    return Checked(examination, record["custody"], fingerprint_of(public))


def canonical(value: Any) -> str:
    """JSON in one form only: sorted keys, no spaces, nothing that would end a script block."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c")


def fingerprint_of(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, hexadecimal."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def signing_key() -> Ed25519PrivateKey:
    """The key that the settings name, made if it is not there yet and readable by its owner alone. Raises
    UsageError."""
    path = settings().signing_key
    try:
        if not path.exists():
            _make_key(path)
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise UsageError(
            f"the signing key {path.name} can't be read or made; set FORENSIC_CHAT_SIGNING_KEY to an Ed25519 "
            "key in PEM form without password"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(
            f"the signing key {path.name} is not an Ed25519 key; make one, or unset the variable"
        )
    return key


def own_key() -> str | None:
    """The fingerprint of this installation's key; None if it has none yet."""
    return fingerprint_of(signing_key().public_key()) if settings().signing_key.exists() else None


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with (
        contextlib.suppress(FileExistsError),  # another process was faster
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
    ):
        file.write(made)


def _custody(image: ExaminedImage, fingerprint: str) -> dict[str, str]:
    limits = settings().model_dump(include={"max_file_bytes", "max_pixels", "min_side", "max_side"})
    return {
        "file_sha256": image.sha256,
        "file_name": image.name,
        "file_bytes": str(len(image.data)),
        "reported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "forensic-chat": version("forensic-chat"),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        **{name: str(value) for name, value in limits.items()},
        "key_fingerprint": fingerprint,
    }


def _page(
    image: ExaminedImage, examination: Examination, key: Ed25519PrivateKey | None
) -> tuple[str, dict[str, str], Ed25519PrivateKey]:
    """The page, its custody, and the key that will sign it."""
    key = key or signing_key()
    custody = _custody(image, fingerprint_of(key.public_key()))
    page = render("report.html", **context(image, examination), custody=custody, style=style())
    return page, custody, key


def _signed(
    before: bytes, after: bytes, examination: Examination, custody: dict[str, str], key: Ed25519PrivateKey
) -> bytes:
    """The two parts of a file, with the signed record between them."""
    record = {
        "report_version": REPORT_VERSION,
        "examination": examination.model_dump(mode="json"),
        "custody": custody,
        "page_sha256": _sha256(before + after),
    }
    block = {
        "record": record,
        "signature": b64encode(key.sign(canonical(record).encode())).decode(),
        "public_key": b64encode(key.public_key().public_bytes_raw()).decode(),
    }
    opening, closing = (_PDF_OPEN, _PDF_CLOSE) if before.startswith(_PDF_START) else (_OPEN, _CLOSE)
    return before + opening + canonical(block).encode() + closing + after


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
