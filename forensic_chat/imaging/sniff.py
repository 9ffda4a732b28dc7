"""What kind of file some bytes are, by their signature; names and extensions are never trusted."""

import re
from typing import Literal

Format = Literal["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"]

EXTENSIONS: dict[str, str] = {
    "jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "mpo": "JPEG", "png": "PNG", "apng": "PNG",
    "webp": "WEBP", "tif": "TIFF", "tiff": "TIFF", "bmp": "BMP", "dib": "BMP", "gif": "GIF", "avif": "AVIF",
    "heic": "HEIC", "heif": "HEIC", "svg": "SVG", "pdf": "PDF", "jp2": "JPEG 2000", "jxl": "JPEG XL",
    "ico": "ICO", "zip": "ZIP", "html": "HTML", "htm": "HTML", "mp4": "MP4", "eps": "EPS", "psd": "Photoshop",
}  # fmt: skip
"""The format a file name's extension promises; extensions that promise nothing are left out."""

_EXAMINED: tuple[tuple[re.Pattern[bytes], Format], ...] = (
    (re.compile(rb"\xff\xd8\xff", re.S), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n", re.S), "PNG"),
    (re.compile(rb"RIFF....WEBP", re.S), "WEBP"),
    (re.compile(rb"II\*\0(?!.{4}CR)|MM\0\*", re.S), "TIFF"),
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.S), "BMP"),
    (re.compile(rb"GIF8[79]a", re.S), "GIF"),
)

_REFUSED: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"II\*\0.{4}CR|FUJIFILMCCD-RAW|....ftypcrx |IIRO|IIU\0", re.S), "camera raw"),
    (re.compile(rb"II\+\0|MM\0\+", re.S), "BigTIFF"),
    (re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.S), "HEIC"),
    (re.compile(rb"....ftyp|....moov", re.S), "MP4 or QuickTime video"),
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "EPS"),
    (re.compile(rb"SIMPLE  ="), "FITS"),
    (re.compile(rb"8BPS"), "Photoshop"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\0\0\0\x0cJXL |\xff\x0a"), "JPEG XL"),
    (re.compile(rb"\0\0[\x01\x02]\0"), "ICO"),
    (re.compile(rb".{128}DICM", re.S), "DICOM"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "Matroska or WebM video"),
    (re.compile(rb"RIFF....(AVI |WAVE)", re.S), "AVI or WAV"),
    (re.compile(rb"PK\x03\x04"), "ZIP"),
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"P[1-7]\s"), "Netpbm"),
    (re.compile(rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", re.S), "Windows metafile"),
    (re.compile(rb"[\s\xef\xbb\xbf]*<(!doctype html|html|head|body)", re.I), "HTML"),
    (re.compile(rb"[\s\xef\xbb\xbf]*<(svg[\s>]|[?!][^\0]*<svg[\s>])", re.I), "SVG"),
    (re.compile(rb"[\s\xef\xbb\xbf]*<\?xml"), "XML"),
)

_EMBEDDED: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"PK\x03\x04"), "ZIP"),
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"<(!doctype html|html|script|\?php)", re.I), "HTML or script"),
)

_TRAILING: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\0*\xff\xd8\xff"), "a second JPEG"),
    (re.compile(rb"....ftyp|....(mpvd|mdat|moov)", re.S), "a video (MP4)"),
    (re.compile(rb"\s*PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\s*%PDF-"), "a PDF"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "a PNG image"),
    (re.compile(rb"Rar!|7z\xbc\xaf\x27\x1c"), "an archive"),
    (re.compile(rb"\s*<(!doctype|html|script|\?php|\?xml|svg)", re.I), "markup or script"),
    (re.compile(rb"\0*\Z"), "zero padding"),
    (re.compile(rb"\s*\Z"), "white space"),
    (re.compile(rb"[\t\r\n\x20-\x7e]*\Z"), "plain text"),
)


def examined_format(data: bytes) -> Format | None:
    """The format of an image that can be examined, or None."""
    if data[4:8] == b"ftyp":
        # The brands of an AVIF may follow a general one ("mif1"), which HEIC shares.
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 512)]
        return "AVIF" if b"avif" in brands or b"avis" in brands else None
    return next((name for pattern, name in _EXAMINED if pattern.match(data)), None)


def refused_format(data: bytes) -> str | None:
    """The name of a well-known format that is not examined, or None for bytes that look like nothing."""
    head = data[:4096]
    return next((name for pattern, name in _REFUSED if pattern.match(head)), None)


def embedded_format(data: bytes) -> str | None:
    """What else the first kilobyte of an image claims to be ("ZIP", "PDF", "HTML or script"), or None."""
    return next((name for pattern, name in _EMBEDDED if pattern.search(data, 0, 1024)), None)


def trailing_kind(tail: bytes) -> str:
    """What the bytes after the end of an image look like: "a second JPEG", "a video (MP4)", ..., "unknown
    data".
    """
    for pattern, name in _TRAILING:
        if pattern.match(tail):
            return name
    if b"SEFH" in tail[-65536:] and tail.endswith(b"SEFT"):
        return "a phone maker's trailer (Samsung)"
    # A ZIP is found from its end, so anything may stand before it.
    return "a ZIP archive" if b"PK\x05\x06" in tail[-65557:] else "unknown data"
