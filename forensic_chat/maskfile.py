"""Writes an examination's mask to a file, in place of the base64 that the examination carries."""

import base64
import io
import os
from pathlib import Path
from typing import TypeVar

from forensic_chat.schema import Examination, Mask

Kind = TypeVar("Kind", bound=Examination)


def write(examination: Kind, path: Path) -> Kind:
    """Write the mask as a one-channel PNG of the image's size, 0 or 255, and name the file in the result.

    An examination without a mask gives an all-zero file and stays as it is. The file is complete or absent,
    never half written. Raises OSError.
    """
    mask = examination.mask
    if mask is None or mask.png is None:
        _replace(path, _empty(examination.image.width, examination.image.height))
    else:
        _replace(path, base64.b64decode(mask.png, validate=True))
    if mask is None:
        return examination
    return examination.model_copy(update={"mask": Mask(png=path.as_posix(), reliability=mask.reliability)})


def _empty(width: int, height: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (width, height)).save(out, "PNG")
    return out.getvalue()


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
