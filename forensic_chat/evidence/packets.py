"""The metadata packets of a file: EXIF block, XMP packet, PNG texts. Bounded, and never raises.

Containers are walked here, not by a general reader, for the reason `imaging.containers` has: values may be
huge, compressed or overlapping, and metadata never reaches the decoder. Every walk is one pass with caps.
"""

import zlib
from dataclasses import dataclass, field
from struct import error as StructError
from struct import unpack_from

MAX_PACKET = 1_000_000
"""Bytes of one packet or text, after decompression."""
_MAX_ITEMS = 500
_XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_PNG = "XML:com.adobe.xmp"


@dataclass
class Packets:
    """What was found; empty where there was nothing."""

    exif: bytes = b""
    """A TIFF structure, without the "Exif" prefix."""
    xmp: bytes = b""
    texts: dict[str, str] = field(default_factory=dict)
    """PNG text chunks by keyword (the first of each), and the JPEG comment as "Comment"."""


def read_packets(data: bytes, kind: str) -> Packets:
    """The packets of `data`, a file of format `kind` ("JPEG", "PNG", ...). What is damaged is left out."""
    found = Packets()
    try:
        match kind:
            case "JPEG":
                _jpeg(data, found)
            case "PNG":
                _png(data, found)
            case "WEBP":
                _webp(data, found)
            case "TIFF":
                found.exif = data
            case "AVIF":
                at = data.find(b"Exif\0\0")
                found.exif = data[at + 6 : at + 6 + MAX_PACKET] if at >= 0 else b""
    except (StructError, IndexError):
        pass  # cut short: what came before counts
    if not found.xmp and kind in ("TIFF", "GIF", "AVIF"):
        start = data.find(b"<x:xmpmeta")
        end = data.find(b"</x:xmpmeta>", start)
        if 0 <= start < end:
            found.xmp = data[start : min(end + 12, start + MAX_PACKET)]
    return found


def _jpeg(data: bytes, found: Packets) -> None:
    at = 2
    for _ in range(_MAX_ITEMS):
        marker, length = unpack_from(">HH", data, at)
        if marker >> 8 != 0xFF or marker == 0xFFDA or length < 2:
            return
        body = data[at + 4 : at + 2 + length]
        if marker == 0xFFE1 and body.startswith(b"Exif\0") and not found.exif:
            found.exif = body[6:]
        elif marker == 0xFFE1 and body.startswith(_XMP_JPEG) and not found.xmp:
            found.xmp = body[len(_XMP_JPEG) :]
        elif marker == 0xFFFE:
            found.texts.setdefault("Comment", decoded(body))
        at += 2 + length


def _png(data: bytes, found: Packets) -> None:
    at = 8
    for _ in range(_MAX_ITEMS):
        while True:
            length, name = unpack_from(">I4s", data, at)
            body_at, at = at + 8, at + 12 + length
            if name != b"IDAT":  # an image may be cut into thousands of these
                break
        body = data[body_at : body_at + length]
        if name == b"eXIf":
            found.exif = found.exif or body[:MAX_PACKET]
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, text = _png_text(name, body)
            if keyword == _XMP_PNG:
                found.xmp = found.xmp or text.encode("utf-8", "replace")
            elif sum(map(len, found.texts.values())) < MAX_PACKET:
                found.texts.setdefault(keyword, text)
        elif name == b"IEND":
            return


def _png_text(name: bytes, body: bytes) -> tuple[str, str]:
    """Keyword and text of a PNG text chunk (PNG specification, section 11.3.3)."""
    keyword, _, rest = body.partition(b"\0")
    compressed = name == b"zTXt"
    if compressed:
        rest = rest[1:]
    elif name == b"iTXt":
        compressed, rest = rest[:1] == b"\1", rest[2:]
        rest = rest.partition(b"\0")[2].partition(b"\0")[2]
    if compressed:
        try:
            rest = zlib.decompressobj().decompress(rest, MAX_PACKET)
        except zlib.error:
            rest = b""
    return keyword.decode("latin-1"), decoded(rest[:MAX_PACKET])


def _webp(data: bytes, found: Packets) -> None:
    at = 12
    for _ in range(_MAX_ITEMS):
        name, length = unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + min(length, MAX_PACKET)] if name in (b"EXIF", b"XMP ") else b""
        if name == b"EXIF":
            found.exif = found.exif or body.removeprefix(b"Exif\0\0")
        elif name == b"XMP ":
            found.xmp = found.xmp or body
        at += 8 + length + (length & 1)


def decoded(raw: bytes) -> str:
    """Text of unstated encoding: UTF-8 where it is valid, Latin-1 otherwise; cut at the first zero byte."""
    raw = raw.split(b"\0", 1)[0]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
