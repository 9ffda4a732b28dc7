"""The door for untrusted images: everything becomes a right image or one clear line."""

import hashlib
import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forensic_chat.imaging.intake import ExaminedImage, take_in
from forensic_chat.settings import Settings
from tests.unit.image_files import FORMATS, chunk, encode, refusal, scene


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_decodes_to_the_right_pixels(kind: str) -> None:
    data = encode(scene(), kind)
    image = take_in(data, name=f"photo.{kind.lower()}")
    with Image.open(io.BytesIO(data)) as reference:
        assert np.array_equal(image.pixels, np.asarray(reference.convert("RGB")))
    assert image.format == kind
    assert (image.width, image.height) == (64, 48)
    assert image.pixels.flags.c_contiguous
    assert not image.pixels.flags.writeable
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert image.anomalies == ()
    assert image.info().format == kind


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_files_are_refused(kind: str) -> None:
    data = encode(scene(), kind)
    for share in (0.02, 0.3, 0.6, 0.95):
        assert "photo" in refusal(data[: int(len(data) * share)], name="photo")


CORNERS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, ["red", "green", "blue", "white"]),
        (2, ["green", "red", "white", "blue"]),
        (3, ["white", "blue", "green", "red"]),
        (4, ["blue", "white", "red", "green"]),
        (5, ["red", "blue", "green", "white"]),
        (6, ["blue", "red", "white", "green"]),
        (7, ["white", "green", "blue", "red"]),
        (8, ["green", "white", "red", "blue"]),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_once(kind: str, orientation: int, corners: list[str]) -> None:
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :32], stored[:16, 32:] = CORNERS["red"], CORNERS["green"]
    stored[16:, :32], stored[16:, 32:] = CORNERS["blue"], CORNERS["white"]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, object] = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    if kind == "WEBP":
        options = {"lossless": True}
    image = take_in(encode(Image.fromarray(stored), kind, exif=exif, **options))
    shape = (64, 32, 3) if orientation >= 5 else (32, 64, 3)
    assert image.pixels.shape == shape
    assert image.orientation == orientation
    seen = [image.pixels[y, x].astype(int) for y in (0, -1) for x in (0, -1)]
    for pixel, colour in zip(seen, corners, strict=True):
        assert np.abs(pixel - np.array(CORNERS[colour])).max() <= 3
    # The stored red quarter, as a box, is red in the oriented pixels as well.
    x0, y0, x1, y1 = image.to_oriented((0, 0, 32, 16))
    assert np.abs(image.pixels[y0:y1, x0:x1].astype(int) - CORNERS["red"]).max() <= 3
    assert (x1 - x0) * (y1 - y0) == 32 * 16


def test_avif_orientation_comes_from_its_boxes() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = take_in(encode(scene(), "AVIF", exif=exif))
    assert (image.width, image.height, image.orientation) == (48, 64, 6)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours(kind: str) -> None:
    image = take_in(encode(Image.new("RGB", (32, 32), (200, 30, 30)).convert("CMYK"), kind))
    assert np.abs(image.pixels.astype(int) - (200, 30, 30)).max() <= 4
    assert any("CMYK" in warning for warning in image.warnings)


def test_sixteen_bit_grey_is_scaled_by_257() -> None:
    values = (np.arange(32 * 32).reshape(32, 32) * 64).astype(np.uint16)
    image = take_in(encode(Image.fromarray(values), "PNG"))
    assert np.array_equal(image.pixels[..., 0], np.rint(values / 257).astype(np.uint8))
    assert image.warnings == ("16 bits a channel reduced to 8",)


def test_sixteen_bit_rgb_png_is_reduced_with_a_warning() -> None:
    row = b"\0" + struct.pack(">3H", 0xFFFF, 0x8000, 0) * 32
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(row * 32)) + chunk(b"IEND", b"")
    image = take_in(data)
    assert image.pixels[5, 5].tolist() == [255, 128, 0]
    assert image.warnings == ("16 bits a channel reduced to 8",)


def test_float_tiff_is_stretched_and_survives_nan() -> None:
    values = np.linspace(-3, 5, 32 * 32, dtype=np.float32).reshape(32, 32)
    values[3, 3] = np.nan
    image = take_in(encode(Image.fromarray(values), "TIFF"))
    assert image.pixels[0, 0, 0] == 0
    assert image.pixels[-1, -1, 0] == 255
    assert image.pixels[3, 3, 0] == 0
    assert any("stretched" in warning for warning in image.warnings)


def test_one_bit_and_palette() -> None:
    bilevel = take_in(encode(scene().convert("1"), "PNG"))
    assert set(np.unique(bilevel.pixels)) == {0, 255}
    palette = scene().quantize(16)
    assert np.array_equal(take_in(encode(palette, "PNG")).pixels, np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(mode: str) -> None:
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    image.paste((0, 0, 0, 128), (16, 0, 20, 32))
    taken = take_in(encode(image.convert(mode), "PNG"))
    assert taken.pixels[0, 0].tolist() == [255, 255, 255]
    assert taken.pixels[0, 17].tolist() == [127, 127, 127]
    assert taken.pixels[0, 31].tolist() == [0, 0, 0]
    assert taken.warnings == ("transparent pixels laid over white",)


def test_an_opaque_alpha_channel_is_no_loss() -> None:
    image = take_in(encode(scene().convert("RGBA"), "PNG"))
    assert image.warnings == ()
    assert np.array_equal(image.pixels, np.asarray(scene()))


def test_transparent_palette_entry() -> None:
    image = scene().quantize(16)
    taken = take_in(encode(image, "PNG", transparency=int(np.asarray(image)[0, 0])))
    assert taken.pixels[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_only_the_first_of_many_frames_is_examined(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), (8 * i, 250 - 8 * i, 0)) for i in range(12)]
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    image = take_in(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert np.abs(image.pixels.astype(int) - (0, 250, 0)).max() <= 2
    assert "only the first of 12 frames or pages examined" in image.warnings


def test_thousands_of_frames_cost_no_more_than_one() -> None:
    single = encode(scene(), "GIF")
    start = single.index(b",", 13 + 3 * 256)
    many = single[:-1] + single[start:-1] * 3000 + b";"
    begun = time.perf_counter()
    image = take_in(many)
    assert time.perf_counter() - begun < 2
    assert image.warnings == ("only the first of 3001 frames or pages examined",)


def test_caps_come_from_the_settings() -> None:
    data = encode(scene(), "PNG")
    assert "larger than" in refusal(data, limits=Settings(max_file_bytes=len(data) - 1))
    assert "64 x 48" in refusal(data, limits=Settings(max_pixels=64 * 48 - 1))
    assert "64 x 48" in refusal(data, limits=Settings(max_side=63))
    assert "64 x 48" in refusal(scene(), limits=Settings(max_side=63))
    limits = Settings(max_file_bytes=len(data), max_pixels=64 * 48, max_side=64)
    assert take_in(data, limits=limits).width == 64


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(scene(), "JPEG"))
    return path


def test_a_path_gives_its_name(photo: Path) -> None:
    assert take_in(photo).name == "photo.jpg"
    assert take_in(str(photo)).name == "photo.jpg"
    assert take_in(photo, name="upload/../evil\x1b[31m.jpg").name == "evil?[31m.jpg"


def test_missing_folder_and_address(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.jpg") == "no.jpg does not exist; check the path"
    assert "is a folder" in refusal(tmp_path)
    assert "web address" in refusal("https://example.org/a.jpg")
    assert "can't be read" in refusal("a\0b.jpg")
    assert "can't be read" in refusal("x" * 5000)


def test_permission(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied", str(photo))

    monkeypatch.setattr(os, "open", denied)
    message = refusal(photo)
    assert "permission" in message
    assert str(photo.parent) not in message


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    begun = time.perf_counter()
    assert "not a regular file" in refusal(pipe)
    assert "not a regular file" in refusal("/dev/zero")
    assert time.perf_counter() - begun < 1


def test_a_source_of_another_type_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="not int"):
        take_in(7)  # type: ignore[arg-type]


def kinds(image: ExaminedImage) -> dict[str, object]:
    return {anomaly.kind: anomaly.value for anomaly in image.anomalies}


def test_name_and_content_disagree() -> None:
    data = encode(scene(), "PNG")
    assert kinds(take_in(data, name="a.jpg")) == {"container.type_mismatch": "PNG"}
    assert kinds(take_in(data, name="a.PNG")) == {}
    assert kinds(take_in(data, name="a.bin")) == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF"])
@pytest.mark.parametrize(
    ("tail", "looks"),
    [
        (b"\1\2\3\4\5\6\7\x80", "unknown data"),
        (b"PK\x03\x04 archive", "ZIP"),
        (b"hidden words", "plain text"),
        (b"\0\0\0\x20ftypmp42", "MP4"),
        (bytes(40), "zero padding"),
    ],
)
def test_bytes_after_the_end_are_reported(kind: str, tail: bytes, looks: str) -> None:
    data = encode(scene(), kind)
    plain, longer = take_in(data), take_in(data + tail)
    assert np.array_equal(plain.pixels, longer.pixels)
    trailing = next(a for a in longer.anomalies if a.kind == "container.trailing_bytes")
    assert trailing.value == len(tail)
    assert looks in trailing.summary
    assert f"{len(tail)} bytes" in trailing.summary
    assert longer.sha256 == hashlib.sha256(data + tail).hexdigest()


def test_an_announced_second_picture_is_a_companion() -> None:
    """As phones and 3D cameras write them: one file, two JPEGs and an index of both."""
    data = encode(scene(), "MPO", save_all=True, append_images=[scene(32, 32)])
    image = take_in(data, name="both.jpg")
    assert image.format == "JPEG"
    assert np.array_equal(image.pixels, take_in(data[: -kinds(image)["container.companion"]]).pixels)  # type: ignore[operator]
    assert "a second JPEG" in image.anomalies[0].summary
    unannounced = encode(scene(), "JPEG")
    assert "container.trailing_bytes" in kinds(take_in(unannounced + unannounced))


def test_polyglots() -> None:
    data = encode(scene(), "GIF")
    page = encode(scene(), "JPEG", comment=b"<script>alert(1)</script>")
    assert kinds(take_in(page))["container.polyglot"] == "HTML or script"
    assert kinds(take_in(data + b"PK\x03\x04"))["container.polyglot"] == "ZIP"
    assert kinds(take_in(data + b"\x80junk PK\x05\x06" + bytes(18)))["container.polyglot"] == "ZIP"


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I", "F", "I;16", "YCbCr", "HSV"]
)
def test_decoded_images_of_every_mode(mode: str) -> None:
    source = (
        Image.fromarray(np.full((32, 40), 777, np.uint16)) if mode == "I;16" else scene(40, 32).convert(mode)
    )
    image = take_in(source)
    assert image.pixels.shape == (32, 40, 3)
    assert (image.name, image.format) == ("image", "PNG")
    assert image.sha256 == hashlib.sha256(image.data).hexdigest()
    assert np.array_equal(take_in(image.data).pixels, image.pixels)
    assert "given as decoded pixels" in image.warnings[0]


def test_a_decoded_image_keeps_its_orientation(photo: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(scene(), "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        image = take_in(opened)
    assert np.array_equal(image.pixels, take_in(data).pixels)
    assert image.orientation == 1


def test_a_lazy_image_that_cannot_be_loaded(tmp_path: Path) -> None:
    data = encode(scene(), "PNG")
    with Image.open(io.BytesIO(data[: len(data) // 2])) as opened:
        assert "can't be decoded" in refusal(opened)
