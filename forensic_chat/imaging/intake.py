"""The only door for untrusted images: bytes become an `ExaminedImage`, or `InputRejected` says why not.

Nothing here trusts a name, an extension or a header: the format is sniffed, the container is walked and
reduced to what decides pixels (`containers`), sizes are checked before anything is decoded, and orientation
and colour are normalised once (`normalise`). All boxes and masks elsewhere are in the coordinates of
`ExaminedImage.pixels`.
"""

import contextlib
import ctypes
import hashlib
import io
import os
import stat
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, _imaging

from forensic_chat.errors import InputRejected
from forensic_chat.imaging.containers import CUT_SHORT, DAMAGED, Container, MalformedError, walk
from forensic_chat.imaging.normalise import orient_box, to_rgb
from forensic_chat.imaging.sniff import (
    EXTENSIONS,
    Format,
    embedded_format,
    examined_format,
    refused_format,
    trailing_kind,
)
from forensic_chat.imaging.tiff import exif_orientation
from forensic_chat.schema import Box, ImageInfo
from forensic_chat.settings import Settings, settings

Source = str | os.PathLike[str] | bytes | Image.Image
"""A file's path, a file's bytes, or an image that is already decoded."""

_DECODER = threading.Lock()
"""One image is decoded at a time: that bounds memory, and Python's warning filter is not thread-safe."""

_MAX_NAME = 200


@dataclass(frozen=True)
class Anomaly:
    """A fact about the container that a plain image would not show.

    `kind` is "container.trailing_bytes" (value: bytes after the image that nothing announces),
    "container.companion" (value: bytes after the image that the file itself announces: multi-picture, gain
    map, motion photo), "container.type_mismatch" (value: the real format) or "container.polyglot" (value:
    the other format).
    """

    kind: str
    summary: str
    value: float | int | str | bool | None


@dataclass(frozen=True, eq=False)
class ExaminedImage:
    """One image, decoded and normalised."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB, EXIF-oriented, C-contiguous, read-only."""
    data: bytes
    """The original file; for an image that came decoded, a PNG of `pixels`."""
    sha256: str
    """Of `data`, hexadecimal."""
    format: Format
    name: str
    """The file's name without folders, safe to print; "image" when none was given."""
    orientation: int
    """EXIF orientation of the file, 1 to 8; 1 = stored as shown."""
    anomalies: tuple[Anomaly, ...]
    warnings: tuple[str, ...]
    """What was lost on the way to 8-bit RGB, one sentence fragment each."""

    @property
    def width(self) -> int:
        """Pixels, as shown."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels, as shown."""
        return int(self.pixels.shape[0])

    def info(self) -> ImageInfo:
        """The image's part of the contract."""
        return ImageInfo(
            sha256=self.sha256, width=self.width, height=self.height, format=self.format, name=self.name
        )

    def to_oriented(self, box_in_stored_orientation: Box) -> Box:
        """A box in the file's stored pixels (x0, y0, x1, y1; exclusive ends) -> the same box in `pixels`."""
        swapped = self.orientation >= 5
        stored_size = (self.height, self.width) if swapped else (self.width, self.height)
        return orient_box(box_in_stored_orientation, self.orientation, *stored_size)


def take_in(source: Source, *, name: str | None = None, limits: Settings | None = None) -> ExaminedImage:
    """Examine the container of `source` and decode it.

    `name` replaces the path's own name in messages and results; for bytes it also carries the extension
    that is compared with the content. `limits` gives the caps on bytes, pixels and sides; default: the
    process's settings. Raises InputRejected for anything that is not an intact image of an examined format
    within the caps, TypeError for a source of another type.
    """
    limits = limits or settings()
    if isinstance(source, Image.Image):
        return _take_decoded(source, _printable(name or "image"), limits)
    if isinstance(source, bytes):
        return _take_file(source, _printable(name or "image"), limits)
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"an image is a path, bytes or a PIL image, not {type(source).__name__}")
    path = os.fspath(source)
    name = _printable(name or Path(path).name or path)
    return _take_file(_read(path, name, limits.max_file_bytes), name, limits)


def _printable(name: str) -> str:
    """The last part of a name, control characters and undecodable bytes replaced."""
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or name
    return "".join(c if c.isprintable() else "?" for c in last)[:_MAX_NAME] or "image"


def _read(path: str, name: str, max_bytes: int) -> bytes:
    """At most `max_bytes` + 1 bytes of a regular file; never waits for a pipe or a device."""
    if path.startswith(("http://", "https://")):
        raise InputRejected(
            f"{name} is a web address, which is not fetched; download the image and give the file"
        )
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputRejected(f"{name} is a folder; give an image file, or use `batch` for a folder")
        if not stat.S_ISREG(mode):
            raise InputRejected(f"{name} is not a regular file; give an image file")
        # The path may have become a pipe since: opening one without a writer would block.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputRejected(f"{name} is not a regular file; give an image file")
            return file.read(max_bytes + 1)
    except FileNotFoundError:
        raise InputRejected(f"{name} does not exist; check the path") from None
    except PermissionError:
        raise InputRejected(f"{name} can't be read: permission denied; change its permissions") from None
    except (OSError, ValueError):
        raise InputRejected(f"{name} can't be read; check the path and the disk") from None


def _take_file(data: bytes, name: str, limits: Settings) -> ExaminedImage:
    if not data:
        raise InputRejected(f"{name} is empty; give an image file")
    if len(data) > limits.max_file_bytes:
        megabytes = limits.max_file_bytes / 1e6
        raise InputRejected(f"{name} is larger than {megabytes:g} MB; save a smaller copy or raise the limit")
    kind = _format(data, name)
    try:
        container = walk(data, kind)
        if container.size is not None:
            _check_size(container.size, name, limits)
        pixels, orientation, notes = _decode(container, kind, name, limits)
    except MalformedError as problem:
        raise InputRejected(f"{name} {problem}") from None
    return ExaminedImage(
        pixels=pixels,
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        format=kind,
        name=name,
        orientation=orientation,
        anomalies=tuple(_anomalies(data, kind, name, container)),
        warnings=tuple(dict.fromkeys(notes)),
    )


def _format(data: bytes, name: str) -> Format:
    kind = examined_format(data)
    if kind is not None:
        return kind
    other = refused_format(data)
    if other == "HEIC":
        raise InputRejected(
            f"{name} is a HEIC image, which is not examined; export it as JPEG or PNG (on a phone: share it "
            "as JPEG, or set the camera to the most compatible format)"
        )
    if other is not None:
        raise InputRejected(f"{name} is {other}, which is not examined; export the picture as JPEG or PNG")
    raise InputRejected(
        f"{name} is not an image of a format examined here; give JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF"
    )


def _check_size(size: tuple[int, int], name: str, limits: Settings) -> None:
    width, height = size
    if min(size) < limits.min_side:
        raise InputRejected(
            f"{name} is {width} x {height} pixels; the shorter side must have at least {limits.min_side}"
        )
    if max(size) > limits.max_side or width * height > limits.max_pixels:
        raise InputRejected(
            f"{name} is {width} x {height} pixels; at most {limits.max_pixels / 1e6:g} megapixels and "
            f"{limits.max_side} pixels a side are examined: save a smaller copy or a crop"
        )


def _decode(
    container: Container, kind: Format, name: str, limits: Settings
) -> tuple[NDArray[np.uint8], int, list[str]]:
    """The first frame's pixels, its orientation and what was lost. Raises MalformedError, or InputRejected
    for its size.
    """
    _silence_libtiff()
    try:
        with _DECODER, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(container.payload), formats=[kind]) as image:
                # The decoder's own reading of the header is the one that allocates.
                _check_size(image.size, name, limits)
                frames, orientation = container.frames, container.orientation
                if kind == "AVIF":
                    # AVIF states both in boxes that the decoder turns into a count and an EXIF block.
                    frames = int(getattr(image, "n_frames", 1))
                    orientation = exif_orientation(image.info.get("exif", b""))
                image.load()
                _check_size(image.size, name, limits)
                pixels, lost = to_rgb(image, orientation)
    except InputRejected:
        raise
    except Image.DecompressionBombError:
        raise MalformedError("has too many pixels to be examined; save a smaller copy") from None
    except MemoryError:
        raise MalformedError("needs more memory than there is; save a smaller copy") from None
    except Exception as problem:
        # On hostile bytes a decoder may raise anything; its text is not for the user.
        raise MalformedError(CUT_SHORT if "truncated" in str(problem).lower() else DAMAGED) from None
    pixels.flags.writeable = False
    more = [f"only the first of {frames} frames or pages examined"] if frames > 1 else []
    return pixels, orientation, [*more, *container.notes, *lost]


@cache
def _silence_libtiff() -> None:
    """Stop Pillow's libtiff from writing its own lines to stderr about damaged files.

    Its symbol is looked up through the extension module that is linked to it; where it is linked in without
    a name (Windows) the lines stay.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


def _take_decoded(image: Image.Image, name: str, limits: Settings) -> ExaminedImage:
    _check_size(image.size, name, limits)
    try:
        orientation = int(image.getexif().get(0x0112, 1))
        pixels, lost = to_rgb(image, orientation if 1 <= orientation <= 8 else 1)
    except (OSError, ValueError, SyntaxError):
        raise InputRejected(f"{name} can't be decoded or converted; give an intact RGB image") from None
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=1)
    pixels.flags.writeable = False
    data = encoded.getvalue()
    unseen = "given as decoded pixels: its file's container and metadata were not examined"
    return ExaminedImage(
        pixels, data, hashlib.sha256(data).hexdigest(), "PNG", name, 1, (), (unseen, *dict.fromkeys(lost))
    )


def _anomalies(data: bytes, kind: Format, name: str, container: Container) -> list[Anomaly]:
    found: list[Anomaly] = []
    promised = EXTENSIONS.get(name.rsplit(".", 1)[-1].lower()) if "." in name else None
    if promised is not None and promised != kind:
        found.append(
            Anomaly("container.type_mismatch", f"The name says {promised}, the content is {kind}.", kind)
        )
    hidden = embedded_format(data[: min(container.end, 1024)])
    tail = data[container.end :]
    if tail:
        found.append(_trailing(tail, container.companion))
        looks = trailing_kind(tail)
        hidden = hidden or next((word for word in ("ZIP", "PDF", "markup or script") if word in looks), None)
    if hidden is not None:
        found.append(
            Anomaly("container.polyglot", f"The file can also be read as another type: {hidden}.", hidden)
        )
    return found


def _trailing(tail: bytes, announced: bool) -> Anomaly:
    kind, looks, size = "container.trailing_bytes", trailing_kind(tail), len(tail)
    if announced and looks in ("a second JPEG", "a video (MP4)", "zero padding"):
        kind, looks = "container.companion", f"{looks}, as the file announces"
    return Anomaly(kind, f"{size} bytes follow the end of the image: they look like {looks}.", size)
