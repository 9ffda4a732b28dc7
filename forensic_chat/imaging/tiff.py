"""Bounded reading of TIFF directories: the EXIF orientation, and a TIFF reduced to what decides its pixels.

General EXIF readers read every value of a directory, and values may overlap: a small file can demand
gigabytes. Here only listed tags are read, each within the file.
"""

from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes per value of each TIFF type (TIFF 6.0, section 2)."""

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION = 254, 256, 257, 258, 259, 274
_SAMPLES, _TILE_WIDTH, _TILE_HEIGHT, _DNG_VERSION = 277, 322, 323, 50706
_PIXEL_TAGS = frozenset(
    {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332}
    | {338, 339, 347, 529, 530, 531, 532}
)
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
_MAX_PIXEL_TAG_BYTES = 4_000_000
"""Offsets and counts of a quarter of a million tiles."""
_MAX_PAGES = 1000
_MAX_SAMPLES = 6
"""Red, green, blue and three that Pillow drops."""


@dataclass(frozen=True)
class Page:
    """The first page of a TIFF; `payload` is a TIFF with its pixel tags only and no other page."""

    payload: bytes
    width: int
    height: int
    bits: int
    orientation: int
    pages: int


def _order(data: bytes) -> str:
    return ">" if data[:2] == b"MM" else "<"


def _entries(data: bytes, offset: int) -> dict[int, tuple[int, int, int]]:
    """Tag -> (type, count, offset of its 12-byte entry) of the directory at `offset`; the first of a tag
    counts.
    """
    order = _order(data)
    entries: dict[int, tuple[int, int, int]] = {}
    for index in range(unpack_from(order + "H", data, offset)[0]):
        at = offset + 2 + 12 * index
        tag, kind, count = unpack_from(order + "HHI", data, at)
        entries.setdefault(tag, (kind, count, at))
    return entries


def _first_value(data: bytes, entry: tuple[int, int, int] | None, default: int) -> int:
    """The first value of an integer entry."""
    if entry is None or entry[0] not in (1, 3, 4) or entry[1] < 1:
        return default
    kind, count, at = entry
    order = _order(data)
    where = at + 8 if count * _SIZES[kind] <= 4 else unpack_from(order + "I", data, at + 8)[0]
    return int(unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], data, where)[0])


def exif_orientation(exif: bytes) -> int:
    """EXIF orientation, 1 to 8, of an EXIF block with or without its "Exif" prefix; 1 when absent or
    unreadable.
    """
    tiff = exif[6:] if exif.startswith(b"Exif\0") else exif
    try:
        offset = unpack_from(_order(tiff) + "I", tiff, 4)[0]
        value = _first_value(tiff, _entries(tiff, offset).get(_ORIENTATION), 1)
    except StructError:
        return 1
    return value if 1 <= value <= 8 else 1


def _count_pages(data: bytes, offset: int) -> int:
    seen: set[int] = set()
    order = _order(data)
    while offset and offset not in seen and len(seen) < _MAX_PAGES:
        seen.add(offset)
        try:
            after = offset + 2 + 12 * unpack_from(order + "H", data, offset)[0]
            offset = unpack_from(order + "I", data, after)[0]
        except StructError:
            break
    return len(seen)


def _check(data: bytes, entries: dict[int, tuple[int, int, int]]) -> None:
    """Raise ValueError for what a decoder should not be given."""
    if _DNG_VERSION in entries or _first_value(data, entries.get(_SUBFILE), 0) & 1:
        raise ValueError("is a camera raw file (its first page is only a preview); export it as JPEG or TIFF")
    if _first_value(data, entries.get(_COMPRESSION), 1) not in _COMPRESSIONS:
        raise ValueError("is a TIFF with a compression that is not examined; save it as PNG")
    if _first_value(data, entries.get(_SAMPLES), 1) > _MAX_SAMPLES:
        raise ValueError(f"is a TIFF with more than {_MAX_SAMPLES} channels; save it as RGB")
    total = 0
    for tag in _PIXEL_TAGS & entries.keys():
        kind, count, at = entries[tag]
        size = count * _SIZES.get(kind, 0)
        offset = unpack_from(_order(data) + "I", data, at + 8)[0]
        total += size
        if total > _MAX_PIXEL_TAG_BYTES or (size > 4 and offset + size > len(data)):
            raise ValueError("is a damaged TIFF: its directory points outside the file; get an intact copy")
    tile = _first_value(data, entries.get(_TILE_WIDTH), 0) * _first_value(data, entries.get(_TILE_HEIGHT), 0)
    width, height = (_first_value(data, entries.get(tag), 0) for tag in (_WIDTH, _HEIGHT))
    if tile > max(4 * width * height, 1 << 22):
        raise ValueError("is a damaged TIFF: its tiles are larger than its image; get an intact copy")


def pixel_tiff(data: bytes) -> Page:
    """Read the first page of a classic TIFF (signature already checked) and reduce it to its pixels.

    Raises ValueError, its text completing "<file> ...", for a camera raw file, an unusual compression, or a
    directory that leads outside the file; struct.error when the file ends too early.
    """
    order = _order(data)
    offset = unpack_from(order + "I", data, 4)[0]
    entries = _entries(data, offset)
    _check(data, entries)
    # Strips and tiles keep their offsets: the file stays, a new directory is added and pointed to.
    padding = b"\0" * (len(data) % 2)
    kept = [data[at : at + 12] for tag, (_, _, at) in sorted(entries.items()) if tag in _PIXEL_TAGS]
    directory = len(kept).to_bytes(2, "big" if order == ">" else "little") + b"".join(kept) + b"\0" * 4
    pointer = (len(data) + len(padding)).to_bytes(4, "big" if order == ">" else "little")
    orientation = _first_value(data, entries.get(_ORIENTATION), 1)
    return Page(
        payload=data[:4] + pointer + data[8:] + padding + directory,
        width=_first_value(data, entries.get(_WIDTH), 0),
        height=_first_value(data, entries.get(_HEIGHT), 0),
        bits=_first_value(data, entries.get(_BITS), 1),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        pages=_count_pages(data, offset),
    )
