"""Files made to harm the door: refused in bounded time and memory, or read as an image."""

import contextlib
import random
import struct
import time
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from forensic_chat.errors import InputRejected
from forensic_chat.imaging.intake import take_in
from tests.unit.image_files import FORMATS, chunk, encode, refusal, scene


def bomb(side: int = 40_000) -> bytes:
    """A PNG of about 200 kB that decodes to side x side grey pixels."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side // 8) * 100) for _ in range(side // 100)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_from_its_header() -> None:
    data = bomb()
    assert len(data) < 300_000
    begun = time.perf_counter()
    assert "40000 x 40000" in refusal(data, name="bomb.png")
    assert time.perf_counter() - begun < 1


def test_compressed_metadata_is_never_unpacked() -> None:
    data = encode(scene(), "PNG")
    packed = zlib.compress(bytes(200_000_000), 9)
    text = chunk(b"zTXt", b"Comment\0\0" + packed)
    profile = chunk(b"iCCP", b"icc\0\0" + packed)
    begun = time.perf_counter()
    image = take_in(data[:33] + profile + text * 40 + data[33:])
    assert time.perf_counter() - begun < 2
    assert np.array_equal(image.pixels, np.asarray(scene()))


def test_a_jpeg_with_countless_scans_is_refused() -> None:
    data = encode(scene(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert "scans" in refusal(data[:-2] + data[last:-2] * 500 + data[-2:], name="slow.jpg")


def test_a_jpeg_of_countless_segments_is_refused_at_once() -> None:
    data = encode(scene(), "JPEG")
    begun = time.perf_counter()
    assert "segments" in refusal(data[:2] + b"\xff\xe0\0\2" * 1_000_000 + data[2:], name="slow.jpg")
    filled = take_in(data[:2] + b"\xff" * 10_000_000 + data[2:])
    assert np.array_equal(filled.pixels, take_in(data).pixels)
    assert time.perf_counter() - begun < 1


def test_a_damaged_tiff_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encode(scene(), "TIFF", compression="tiff_lzw"))
    data[20:400] = bytes(380)
    refusal(bytes(data))
    assert capfd.readouterr().err == ""


def test_overlapping_tiff_values_are_not_read() -> None:
    data = bytearray(encode(scene(), "TIFF"))
    padding = bytes(1_000_000)
    (offset,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, offset)
    entries = bytes(data[offset + 2 : offset + 2 + 12 * count])
    extra = b"".join(struct.pack("<HHII", 52_000 + i, 1, len(padding), len(data)) for i in range(10_000))
    directory = struct.pack("<H", count + 10_000) + entries + extra + bytes(4)
    struct.pack_into("<I", data, 4, len(data) + len(padding))
    begun = time.perf_counter()
    image = take_in(bytes(data) + padding + directory)
    assert time.perf_counter() - begun < 2
    assert np.array_equal(image.pixels, np.asarray(scene()))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\0", "not an image"),
        (bytes(4096), "not an image"),
        (random.Random(7).randbytes(5000), "not an image"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG"),
        (b"<svg width='9'></svg>", "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "MP4"),
        (b"8BPS\0\1", "Photoshop"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"<!DOCTYPE html><html><svg ></svg></html>", "HTML"),
        (b"P6 4 4 255 ", "Netpbm"),
        (b"II*\0\x10\0\0\0CR\x02\0", "camera raw"),
        (b"II+\0\x08\0\0\0", "BigTIFF"),
    ],
)
def test_other_content_is_refused_by_name(data: bytes, word: str) -> None:
    message = refusal(data, name="thing.jpg")
    assert message.startswith("thing.jpg ")
    assert word in message


def test_hostile_markup_is_recognised_in_bounded_time() -> None:
    begun = time.perf_counter()
    refusal(b"<!-- -->" * 2000)
    refusal(b" " * 100_000 + b"<")
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize(("size", "word"), [((1, 1), "at least 16"), ((15, 400), "at least 16")])
def test_too_small(size: tuple[int, int], word: str) -> None:
    assert word in refusal(encode(Image.new("RGB", size), "PNG"))


def valid_files() -> Iterator[bytes]:
    for kind in FORMATS:
        yield encode(scene(24, 20), kind)
    yield encode(scene(24, 20), "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    yield encode(scene(24, 20).quantize(8), "GIF", save_all=True, append_images=[scene(24, 20).quantize(4)])
    yield encode(scene(24, 20), "TIFF", compression="tiff_lzw")
    yield encode(scene(24, 20), "TIFF", compression="jpeg")
    yield encode(scene(24, 20).convert("RGBA"), "WEBP", lossless=True)


VALID = list(valid_files())


def becomes_image_or_refusal(data: bytes) -> None:
    begun = time.perf_counter()
    with contextlib.suppress(InputRejected):
        image = take_in(data, name="x")
        assert image.pixels.dtype == np.uint8
        assert image.pixels.shape == (image.height, image.width, 3)
    assert time.perf_counter() - begun < 5


@hypothesis_settings(deadline=None, max_examples=150)
@given(st.binary(max_size=400), st.sampled_from([b"", *(data[:16] for data in VALID)]))
def test_any_bytes_become_an_image_or_a_refusal(data: bytes, signature: bytes) -> None:
    becomes_image_or_refusal(signature + data)


@hypothesis_settings(deadline=None, max_examples=400)
@given(st.sampled_from(VALID), st.integers(0, 2**32), st.integers(1, 12), st.floats(0, 1))
def test_mutated_files_become_an_image_or_a_refusal(
    data: bytes, seed: int, changes: int, header: float
) -> None:
    chance = random.Random(seed)
    mutated = bytearray(data)
    for _ in range(changes):
        # Headers decide sizes and offsets: most changes go there.
        reach = 64 if chance.random() < header else len(mutated)
        at = chance.randrange(min(reach, len(mutated)))
        match chance.randrange(3):
            case 0:
                mutated[at] = chance.randrange(256)
            case 1:
                mutated[at : at + 1] = chance.randbytes(chance.randrange(4))
            case _:
                mutated[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff"])
    becomes_image_or_refusal(bytes(mutated))
