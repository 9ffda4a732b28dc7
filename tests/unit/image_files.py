"""Small image files in every format, and how they are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from forensic_chat.errors import InputRejected
from forensic_chat.imaging.intake import take_in

FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"]


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """A smooth picture with noise, different in every corner."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 24, (height, width, 3))
    smooth = np.stack([x * 200 // width, y * 200 // height, (x + y) * 100 // (width + height)], axis=-1)
    return Image.fromarray((smooth + noise).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def refusal(source: object, **options: object) -> str:
    with pytest.raises(InputRejected) as caught:
        take_in(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message
