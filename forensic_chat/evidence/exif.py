"""The EXIF values that say who made a picture, with what, and when; and the embedded thumbnail.

Only listed tags are read, each within the block and with a cap. General readers follow every count and
offset they are given: on random bytes one of them was still busy after ten minutes, and overlapping values
can demand gigabytes. Layout: EXIF 2.32 (CIPA DC-008), TIFF 6.0 section 2.
"""

from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from

from forensic_chat.evidence.packets import decoded

_MAX_VALUE = 262_144
_MAX_ENTRIES = 512
_MAX_THUMBNAIL = 200_000
_TEXT = {
    "image": {
        270: "ImageDescription",
        271: "Make",
        272: "Model",
        305: "Software",
        306: "DateTime",
        315: "Artist",
    },
    "exif": {36867: "DateTimeOriginal", 36868: "DateTimeDigitized", 42036: "LensModel", 37510: "UserComment"},
    "gps": {29: "GPSDateStamp"},
}
_EXIF_IFD, _GPS_IFD, _THUMBNAIL_AT, _THUMBNAIL_LENGTH = 34665, 34853, 513, 514


@dataclass(frozen=True)
class Exif:
    """`fields`: tag name -> text, stripped, empty ones left out. `thumbnail`: JPEG bytes, or b""."""

    fields: dict[str, str]
    thumbnail: bytes = b""


def read_exif(block: bytes) -> Exif:
    """Read a TIFF structure; never raises, what is damaged is left out."""
    fields: dict[str, str] = {}
    thumbnail = b""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return Exif(fields)
    try:
        first = unpack_from(order + "I", block, 4)[0]
        root, second = _directory(block, order, first)
        _texts(block, order, root, "image", fields)
        for pointer, name in ((_EXIF_IFD, "exif"), (_GPS_IFD, "gps")):
            if pointer in root:
                inner, _ = _directory(block, order, _number(block, order, root[pointer]))
                _texts(block, order, inner, name, fields)
        if second:
            preview, _ = _directory(block, order, second)
            if _THUMBNAIL_AT in preview and _THUMBNAIL_LENGTH in preview:
                at = _number(block, order, preview[_THUMBNAIL_AT])
                length = _number(block, order, preview[_THUMBNAIL_LENGTH])
                thumbnail = block[at : at + length] if length <= _MAX_THUMBNAIL else b""
    except StructError:
        pass
    return Exif(fields, thumbnail)


Entry = tuple[int, int, int]


def _directory(block: bytes, order: str, offset: int) -> tuple[dict[int, Entry], int]:
    """Tag -> (type, count, offset of its 4 value bytes), and the offset of the next directory (0: none)."""
    count = unpack_from(order + "H", block, offset)[0]
    entries: dict[int, Entry] = {}
    for index in range(min(count, _MAX_ENTRIES)):
        at = offset + 2 + 12 * index
        if at + 12 > len(block):
            return entries, 0
        tag, kind, number = unpack_from(order + "HHI", block, at)
        entries.setdefault(tag, (kind, number, at + 8))
    after = offset + 2 + 12 * count
    return entries, unpack_from(order + "I", block, after)[0] if after + 4 <= len(block) else 0


def _number(block: bytes, order: str, entry: Entry) -> int:
    return int(unpack_from(order + ("H" if entry[0] == 3 else "I"), block, entry[2])[0])


def _texts(block: bytes, order: str, entries: dict[int, Entry], name: str, fields: dict[str, str]) -> None:
    for tag, field in _TEXT[name].items():
        if tag not in entries or entries[tag][0] not in (1, 2, 7, 129):
            continue
        _, count, at = entries[tag]
        if count > 4:
            at = unpack_from(order + "I", block, at)[0]
        raw = block[at : at + min(count, _MAX_VALUE)]
        text = (_user_comment(raw) if field == "UserComment" else decoded(raw)).strip()
        if text:
            fields[field] = text


def _user_comment(raw: bytes) -> str:
    """EXIF UserComment: eight bytes name the encoding. "UNICODE" is UTF-16 in either byte order."""
    code, text = raw[:8], raw[8:]
    if code.startswith(b"UNICODE"):
        big = text[0:2000:2].count(0) >= text[1:2000:2].count(0)
        return text.decode("utf-16-be" if big else "utf-16-le", "ignore").rstrip("\0")
    return decoded(text if code.startswith((b"ASCII", b"\0\0\0\0", b"JIS")) else raw)
