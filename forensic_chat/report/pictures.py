"""Pictures of an examination: the image as it is shown, the mask as a layer over it, both in one."""

import base64
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from forensic_chat.encoder import masks
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.schema import Box, Examination

SHOWN_SIDE = 1280
"""Pixels of the longer side of a picture that is looked at, not measured on."""
TINT = (255, 0, 144)
"""A magenta that photos rarely hold and that colour-blind readers tell from green and grey."""
TRUSTED = (0, 180, 216)
"""The colour of the reliability map, for the same readers."""
_FILL, _EDGE = 110, 255
_HEAT_SIDE = 320
"""Pixels of the longer side of a map, which is smooth and stretched over the picture."""
NATIVE_SIDE = 1024
"""Most pixels a side of a part that is shown pixel by pixel."""
_MARGIN = 24
THUMB_SIDE = 160


def shown(image: ExaminedImage) -> bytes:
    """The image as JPEG, at most SHOWN_SIDE a side."""
    picture = Image.fromarray(image.pixels)
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return _encoded(picture, "JPEG", quality=88)


def mask_png(examination: Examination) -> bytes:
    """The mask as PNG, one channel, 0 or 255, the image's size; all 0 where nothing was marked."""
    return _encoded(_mask(examination), "PNG")


def layer(examination: Examination) -> bytes | None:
    """The mask as a tinted, outlined, elsewhere transparent PNG of the size of `shown`; None without a
    mask."""
    if examination.mask is None:
        return None
    mask = _mask(examination)
    mask.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.NEAREST)
    return _encoded(_tinted(mask), "PNG")


def heat(cells: NDArray[np.float32], image: ExaminedImage, colour: tuple[int, int, int]) -> bytes:
    """Cells (h, w) of 0..1, 8 px each, as a layer over `shown`: PNG, the more opaque the higher."""
    levels = Image.fromarray(masks.soft(np.clip(cells, 0, 1), image.width, image.height))
    levels.thumbnail((_HEAT_SIDE, _HEAT_SIDE), Image.Resampling.BILINEAR)
    picture = Image.new("RGBA", levels.size, colour)
    picture.putalpha(levels)
    return _encoded(picture, "PNG")


def native_box(box: Box, image: ExaminedImage) -> Box:
    """`box` with a margin, inside the image, cut to NATIVE_SIDE a side around its middle."""

    def span(start: int, end: int, length: int) -> tuple[int, int]:
        start, end = max(0, start - _MARGIN), min(length, end + _MARGIN)
        spare = max(0, end - start - NATIVE_SIDE)
        return start + spare // 2, end - (spare - spare // 2)

    (x0, x1), (y0, y1) = span(box[0], box[2], image.width), span(box[1], box[3], image.height)
    return x0, y0, x1, y1


def native(image: ExaminedImage, box: Box) -> bytes:
    """The pixels around a box as they are, as PNG."""
    x0, y0, x1, y1 = native_box(box, image)
    return _encoded(Image.fromarray(image.pixels[y0:y1, x0:x1]), "PNG", compress_level=3)


def native_layer(image: ExaminedImage, examination: Examination, box: Box) -> bytes:
    """The mask over `native`, as `layer` draws it."""
    return _encoded(_tinted(_mask(examination).crop(native_box(box, image))), "PNG", compress_level=3)


def thumbnail(image: ExaminedImage, examination: Examination) -> bytes:
    """`overlay`, as a JPEG of at most THUMB_SIDE a side."""
    picture = Image.fromarray(image.pixels)
    picture.thumbnail((THUMB_SIDE, THUMB_SIDE), Image.Resampling.LANCZOS)
    mask = _mask(examination).resize(picture.size, Image.Resampling.NEAREST)
    marked = picture.convert("RGBA")
    marked.alpha_composite(_tinted(mask))
    return _encoded(marked.convert("RGB"), "JPEG", quality=80)


def overlay(image: ExaminedImage, examination: Examination) -> bytes:
    """The image with mask and regions drawn into it, as PNG of the image's size."""
    picture = Image.fromarray(image.pixels).convert("RGBA")
    picture.alpha_composite(_tinted(_mask(examination)))
    draw, width = ImageDraw.Draw(picture), max(2, min(picture.size) // 300)
    for region in examination.regions:
        x0, y0, x1, y1 = region.box
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=(255, 255, 255, 255), width=width)
        draw.text(
            (x0 + 2 * width, y0 + 2 * width), region.id, fill="white", stroke_width=2, stroke_fill="black"
        )
    return _encoded(picture.convert("RGB"), "PNG", compress_level=3)


def heatmap(image: ExaminedImage, suspicion: NDArray[np.float32]) -> bytes:
    """The image in grey under the map of suspicion (`Examiner.suspicion`), as PNG, at most SHOWN_SIDE a side:
    dark violet is 0, yellow is 1."""
    picture = Image.fromarray(image.pixels).convert("L")
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    scores = cv2.resize(suspicion, picture.size, interpolation=cv2.INTER_LINEAR)
    levels = (255 * np.clip(scores, 0, 1)).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return _encoded(Image.blend(picture.convert("RGB"), Image.fromarray(colours), 0.65), "PNG")


def data_url(data: bytes, kind: str) -> str:
    """`data` as a URL that carries it; `kind` is the MIME type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _mask(examination: Examination) -> Image.Image:
    image, mask = examination.image, examination.mask
    if mask is None or mask.png is None:
        return Image.new("L", (image.width, image.height))
    with Image.open(io.BytesIO(base64.b64decode(mask.png, validate=True)), formats=["PNG"]) as opened:
        return opened.convert("L")


def _tinted(mask: Image.Image) -> Image.Image:
    inside = np.asarray(mask) > 127
    edge = inside & (np.asarray(mask.filter(ImageFilter.MinFilter(3))) < 128)
    pixels = np.zeros((*inside.shape, 4), np.uint8)
    pixels[inside] = (*TINT, _FILL)
    pixels[edge] = (*TINT, _EDGE)
    return Image.fromarray(pixels)


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()
