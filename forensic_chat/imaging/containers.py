"""A walk over the container of each format, before any decoder sees it.

It answers how large the image says it is, where it ends, how it is oriented and how many frames it has, and
it builds the bytes that the decoder gets: only what decides the pixels of the first frame. Metadata never
reaches the decoder, which keeps compressed text, colour-profile bombs, overlapping TIFF values, endless
comments and animations out of it. Every walk is one pass over the bytes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from

from forensic_chat.imaging.sniff import Format
from forensic_chat.imaging.tiff import exif_orientation, pixel_tiff

_MAX_JPEG_SEGMENTS = 5000
_MAX_JPEG_SCANS = 128
"""Progressive JPEGs have about ten; tens of thousands of empty scans would keep the decoder busy for hours.
"""


class MalformedError(ValueError):
    """The container can't be read; the text completes the sentence "<file> ..."."""


CUT_SHORT = "is cut short: its end is missing; get the complete file"
DAMAGED = "is damaged and can't be decoded; get an intact copy"


@dataclass(frozen=True)
class Container:
    """What the walk found. `payload` is what the decoder gets, `end` the offset just after the image in the
    file.
    """

    payload: bytes
    end: int
    size: tuple[int, int] | None
    """Width and height in stored orientation; None where only the decoder can tell (AVIF)."""
    orientation: int = 1
    frames: int = 1
    companion: bool = False
    """The file says that more follows the image: a multi-picture index, a gain map, a motion photo."""
    notes: tuple[str, ...] = ()


def walk(data: bytes, kind: Format) -> Container:
    """Read the container of `data`, whose signature is that of `kind`. Raises MalformedError."""
    try:
        return _WALKS[kind](data)
    except (StructError, IndexError):
        raise MalformedError(CUT_SHORT) from None


_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_FRAME_HEADERS = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB})


def _jpeg(data: bytes) -> Container:
    kept = [data[:2]]
    position, segments, scans, orientation, companion = 2, 0, 0, 1, False
    size: tuple[int, int] | None = None
    while (found := _MARKER.search(data, position)) is not None:
        # Between segments only a scan has data; fill bytes before a marker are left out, as is junk.
        kept.append(data[position : found.start()].rstrip(b"\xff") if scans else b"")
        position, code = found.end(), data[found.end() - 1]
        if code == 0xD9:
            return Container(b"".join([*kept, b"\xff\xd9"]), position, size, orientation, companion=companion)
        if code in (0x01, 0xD8):
            continue
        segments, scans = segments + 1, scans + (code == 0xDA)
        if segments > _MAX_JPEG_SEGMENTS or scans > _MAX_JPEG_SCANS:
            raise MalformedError(
                "has far more JPEG segments or scans than a picture needs; save it again as PNG"
            )
        segment_end = position + unpack_from(">H", data, position)[0]
        body = data[position + 2 : segment_end]
        if segment_end < position + 2 or segment_end > len(data):
            raise MalformedError(CUT_SHORT)
        if code in _FRAME_HEADERS and len(body) >= 5:
            size = (int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big"))
        if (0xE1 <= code <= 0xEF and code != 0xEE) or code == 0xFE:
            # APP0 and APP14 say how colours are stored; the other application segments don't touch pixels.
            if code == 0xE1 and body.startswith(b"Exif\0") and orientation == 1:
                orientation = exif_orientation(body)
            companion = companion or body.startswith(b"MPF\0") or _PROMISES_MORE.search(body) is not None
        else:
            kept.append(data[found.start() : segment_end])
        position = segment_end
    raise MalformedError(CUT_SHORT)


_PROMISES_MORE = re.compile(rb"hdrgm:Version|MotionPhoto=|MicroVideo=")
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def _png(data: bytes) -> Container:
    if data[12:16] != b"IHDR":
        raise MalformedError(DAMAGED)
    kept = [data[:8]]
    position, orientation, frames = 8, 1, 1
    while position + 12 <= len(data):
        length = unpack_from(">I", data, position)[0]
        name, end = data[position + 4 : position + 8], position + 12 + length
        if end > len(data):
            break
        if name in _PNG_PIXELS:
            kept.append(data[position:end])
        elif name == b"eXIf":
            orientation = exif_orientation(data[position + 8 : end - 4])
        elif name == b"acTL" and length >= 4:
            frames = max(1, unpack_from(">I", data, position + 8)[0])
        position = end
        if name == b"IEND":
            notes = ("16 bits a channel reduced to 8",) if data[24] == 16 else ()
            return Container(
                b"".join(kept), end, unpack_from(">II", data, 16), orientation, frames, notes=notes
            )
    raise MalformedError(CUT_SHORT)


def _after_sub_blocks(data: bytes, position: int) -> int:
    """The offset after a chain of GIF sub-blocks and its terminator."""
    while (length := data[position]) != 0:
        position += 1 + length
    return position + 1


def _gif(data: bytes) -> Container:
    width, height, flags = unpack_from("<HHB", data, 6)
    position = 13 + (3 * (2 << (flags & 7)) if flags & 0x80 else 0)
    header, control, first, frames = data[:position], b"", b"", 0
    try:
        while data[position] in (0x21, 0x2C):
            start = position
            if data[position] == 0x21:
                position = _after_sub_blocks(data, position + 2)
                control = data[start:position] if data[start + 1] == 0xF9 else control
                continue
            local = data[position + 9]
            position = _after_sub_blocks(
                data, position + 11 + (3 * (2 << (local & 7)) if local & 0x80 else 0)
            )
            first = first or control + data[start:position]
            frames += 1
        end = position + (data[position] == 0x3B)
    except IndexError:
        # A missing tail is harmless once the first frame is whole.
        end = len(data)
    if not first:
        raise MalformedError(CUT_SHORT)
    return Container(header + first + b";", end, (width, height), frames=frames)


_WEBP_PIXELS = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM"})
_VP8X_PIXEL_FLAGS = 0x12  # alpha and animation; colour profile, EXIF and XMP are left out of the payload


def _webp_size(name: bytes, body: bytes) -> tuple[int, int]:
    if name == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if name == b"VP8L":
        bits = unpack_from("<I", body, 1)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def _webp(data: bytes) -> Container:
    end = 8 + unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise MalformedError(CUT_SHORT)
    kept: list[bytes] = []
    size: tuple[int, int] | None = None
    position, orientation, frames = 12, 1, 0
    while position + 8 <= end:
        name, length = data[position : position + 4], unpack_from("<I", data, position + 4)[0]
        body, after = data[position + 8 : position + 8 + length], position + 8 + length + (length & 1)
        chunk = data[position:after]
        if size is None and name in (b"VP8X", b"VP8 ", b"VP8L"):
            size = _webp_size(name, body)
        if name == b"VP8X":
            kept.append(chunk[:8] + bytes([body[0] & _VP8X_PIXEL_FLAGS]) + chunk[9:])
        elif name in _WEBP_PIXELS:
            kept.append(chunk)
        elif name == b"ANMF":
            frames += 1
            if frames == 1:
                kept.append(chunk)
        elif name == b"EXIF":
            orientation = exif_orientation(body)
        position = after
    payload = b"WEBP" + b"".join(kept)
    return Container(
        b"RIFF" + len(payload).to_bytes(4, "little") + payload, end, size, orientation, max(frames, 1)
    )


def _bmp(data: bytes) -> Container:
    stated_end, pixel_offset, header = unpack_from("<I4xII", data, 2)
    width, height = unpack_from("<HH" if header == 12 else "<ii", data, 18)
    if header >= 40 and unpack_from("<I", data, 30)[0] in (1, 2):
        raise MalformedError("is a run-length encoded BMP, which is not examined; save it as PNG")
    # Many writers leave the file size 0 or wrong; a size inside the file is the only one to believe.
    end = stated_end if pixel_offset < stated_end < len(data) else len(data)
    return Container(data, end, (abs(width), abs(height)))


def _tiff(data: bytes) -> Container:
    try:
        page = pixel_tiff(data)
    except ValueError as problem:
        raise MalformedError(str(problem)) from None
    notes = ("16 bits a channel reduced to 8",) if page.bits == 16 else ()
    return Container(
        page.payload, len(data), (page.width, page.height), page.orientation, page.pages, notes=notes
    )


def _avif(data: bytes) -> Container:
    position = 0
    while position + 8 <= len(data):
        length = unpack_from(">I", data, position)[0]
        name = data[position + 4 : position + 8]
        # A box has an ASCII name, and a second file type starts another file.
        if not name.isalnum() or (name == b"ftyp" and position):
            break
        if length == 1:
            length = unpack_from(">Q", data, position + 8)[0]
        elif length == 0:
            length = len(data) - position
        if length < 8:
            break
        if position + length > len(data):
            raise MalformedError(CUT_SHORT)
        position += length
    return Container(data[:position], position, None)


_WALKS: dict[Format, Callable[[bytes], Container]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "TIFF": _tiff,
    "AVIF": _avif,
}
