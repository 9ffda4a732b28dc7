"""Metadata: generator marks, software, camera, dates, thumbnail - from EXIF, XMP and PNG text chunks.

All of it can be written, copied and removed by anyone. Its absence means nothing, and an editor's name is
normal on honest photos; only a generator's own mark supports something. Texts are quoted as evidence, cut
and cleaned.
"""

import re
from datetime import UTC, datetime, timedelta

from forensic_chat.evidence.exif import Exif, read_exif
from forensic_chat.evidence.generators import find_mark
from forensic_chat.evidence.observation import Observation, fact
from forensic_chat.evidence.packets import read_packets
from forensic_chat.evidence.quoting import quotable
from forensic_chat.evidence.thumbnail import decode, difference
from forensic_chat.evidence.xmp import read_xmp
from forensic_chat.imaging.intake import ExaminedImage

_DATE = re.compile(r"^(\d{4})[:\-](\d\d)[:\-](\d\d)(?:[ T](\d\d):(\d\d):(\d\d))?")


def observe(image: ExaminedImage, now: datetime | None = None) -> list[Observation]:
    """Kinds `metadata.generator`, `.software`, `.camera`, `.dates` (facts) and, where there is one,
    `.thumbnail`.

    `now` is what "in the future" is measured against; default: the clock.
    """
    fields, exif = _read(image)
    observations = [_generator(fields), _software(fields), _camera(exif), _dates(exif, now)]
    return observations + _thumbnail(image, exif)


def tags(image: ExaminedImage) -> dict[str, str]:
    """The metadata as it can be shown: source and tag ("EXIF Make") -> its text, cut and cleaned."""
    fields, _ = _read(image)
    return {quotable(name): text for name, value in fields.items() if (text := quotable(value))}


def _read(image: ExaminedImage) -> tuple[dict[str, str], Exif]:
    packets = read_packets(image.data, image.format)
    exif = read_exif(packets.exif)
    source = "PNG" if image.format == "PNG" else "file"
    fields = {f"{source} {name}": text for name, text in packets.texts.items()}
    fields |= {f"EXIF {name}": text for name, text in exif.fields.items()}
    fields |= {f"XMP {name}": text for name, text in read_xmp(packets.xmp).items()}
    return fields, exif


def _generator(fields: dict[str, str]) -> Observation:
    mark = find_mark(fields)
    if mark is None:
        return fact(
            "metadata.generator", "The metadata holds no mark of an image generator.", None, strength=0.0
        )
    return fact(
        "metadata.generator",
        f'The metadata names {mark.name} as maker ({mark.field}: "{quotable(mark.quote)}").',
        mark.name,
        mark.supports,
        mark.strength,
    )


def _software(fields: dict[str, str]) -> Observation:
    for field in ("EXIF Software", "XMP CreatorTool", "PNG Software"):
        name = quotable(fields.get(field, ""))
        if name:
            sentence = f'The software tag reads "{name}"; honest photos are saved with editors too.'
            return fact("metadata.software", sentence, name, strength=0.05)
    return fact("metadata.software", "The metadata names no software.", None, strength=0.0)


def _camera(exif: Exif) -> Observation:
    make, model = (quotable(exif.fields.get(tag, ""), 40) for tag in ("Make", "Model"))
    name = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    lens = quotable(exif.fields.get("LensModel", ""), 60)
    if not name.strip():
        return fact(
            "metadata.camera",
            "The metadata names no camera, which is usual for web images.",
            None,
            strength=0.0,
        )
    detail = f' with the lens "{lens}"' if lens else ""
    sentence = f'The metadata names the camera "{name.strip()}"{detail}; such tags can be copied.'
    return fact("metadata.camera", sentence, name.strip(), strength=0.05)


def _moment(text: str) -> datetime | None:
    found = _DATE.match(text)
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _dates(exif: Exif, now: datetime | None) -> Observation:
    names = ("DateTimeOriginal", "DateTimeDigitized", "DateTime", "GPSDateStamp")
    taken, digitised, changed, gps = (_moment(exif.fields.get(name, "")) for name in names)
    known = [moment for moment in (taken, digitised, changed, gps) if moment is not None]
    if not known:
        return fact("metadata.dates", "The metadata records no dates.", None, strength=0.0)
    # Clocks run in unknown time zones, so two days are the least that means something.
    slack = timedelta(days=2)
    odd = None
    if max(known) > (now or datetime.now(UTC)) + slack:
        odd = f"dated {max(known):%Y-%m-%d}, in the future"
    elif taken and digitised and taken - digitised > timedelta(days=730):
        odd = f"digitised {digitised:%Y-%m-%d}, before it was taken {taken:%Y-%m-%d}"
    elif taken and changed and taken - changed > slack:
        odd = f"changed {changed:%Y-%m-%d}, before it was taken {taken:%Y-%m-%d}"
    elif taken and gps and abs(taken - gps) > slack:
        odd = f"taken {taken:%Y-%m-%d}, GPS date {gps:%Y-%m-%d}"
    if odd is None:
        sentence = f"The recorded dates are consistent (latest {max(known):%Y-%m-%d})."
        return fact("metadata.dates", sentence, "consistent", strength=0.05)
    sentence = f"The recorded dates do not fit ({odd}); a wrongly set camera clock does that too."
    return fact("metadata.dates", sentence, odd, strength=0.2)


def _thumbnail(image: ExaminedImage, exif: Exif) -> list[Observation]:
    picture = decode(exif.thumbnail) if exif.thumbnail else None
    if picture is None:
        return []
    score = difference(image, picture)
    value = round(score, 3)
    return [
        Observation(
            "metadata.thumbnail",
            f"The embedded thumbnail shows the same picture as the image (difference {value} of 2).",
            f"The embedded thumbnail shows another picture than the image (difference {value} of 2), "
            "as when the image was changed or cropped after the thumbnail was made.",
            value,
            score=round(score, 4),
            suspects="tampered",
        )
    ]
