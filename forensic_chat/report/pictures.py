"""Pictures of an examination: the image as it is shown, the mask as a layer over it, both in one."""

import base64
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.schema import Examination

SHOWN_SIDE = 1280
"""Pixels of the longer side of a picture that is looked at, not measured on."""
TINT = (255, 0, 144)
"""A magenta that photos rarely hold and that colour-blind readers tell from green and grey."""
_FILL, _EDGE = 110, 255


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
