"""Random but plausible examinations, for tests and for warming up the language model on text alone."""

from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.protocol import RARE
from forensic_chat.schema import CLASSES, Finding, Label, Probabilities, Region, Supports

_TELLING = 0.8
"""Strength of what lowers trust in the scores, as in use."""
_SOFTWARE = (
    "Adobe Photoshop 24.1",
    "GIMP 2.10",
    "Snapseed 2.0",
    "HDR+ 1.0.540104767",
    "Picasa",
    "16.5.1",
    "Lightroom",
)
_CAMERAS = ("Canon EOS 5D", "NIKON D90", "iPhone 13", "Pixel 7", "DSC-RX100M3", "FinePix X100")
_GENERATORS = (
    "Stable Diffusion",
    "Midjourney",
    "DALL-E 3",
    "ComfyUI",
    "Adobe Firefly",
    "NovelAI",
    "InvokeAI",
)
_DATES = (
    "changed 2008-11-16, before it was taken 2011-02-03",
    "dated 2038-01-19, in the future",
    "taken 2019-05-04, GPS date 2017-05-04",
)
_LOCAL = ("jpeg.ghost", "jpeg.grid", "noise.inconsistency", "copymove.matches", "spectrum.resampling")
_SYNTHETIC = ("spectrum.peaks", "metadata.generator", "provenance.c2pa")
_NEVER_FAKE = ("metadata.camera", "metadata.software", "metadata.dates", "jpeg.quality")
_CONTAINER = (
    ("container.type_mismatch", 0.08),
    ("container.trailing_bytes", 0.1),
    ("container.companion", 0.04),
    ("container.polyglot", 0.02),
    ("test.not_run", 0.03),
)
"""Kinds that few files have, and how often."""
_METADATA = (
    "provenance.c2pa",
    "metadata.generator",
    "metadata.software",
    "metadata.camera",
    "metadata.dates",
)
_PIXELS = (
    "jpeg.ghost",
    "jpeg.grid",
    "noise.inconsistency",
    "copymove.matches",
    "spectrum.peaks",
    "spectrum.resampling",
)
_ORDINARY: dict[str, tuple[float, float, int]] = {
    "metadata.thumbnail": (0.0, 0.4, 3),
    "jpeg.double": (1.5, 11.0, 2),
    "jpeg.ghost": (0.1, 3.2, 2),
    "jpeg.grid": (0.5, 38.0, 1),
    "noise.inconsistency": (0.3, 2.8, 2),
    "spectrum.peaks": (0.2, 2.4, 2),
    "spectrum.resampling": (1.0, 12.0, 1),
}
"""Values that say nothing: from, to, decimals."""
_REMARKABLE: dict[str, tuple[float, float, int]] = {
    "metadata.thumbnail": (0.9, 2.0, 3),
    "jpeg.double": (11.6, 30.0, 2),
    "jpeg.ghost": (3.3, 9.0, 2),
    "jpeg.grid": (38.5, 90.0, 1),
    "noise.inconsistency": (2.9, 7.0, 2),
    "spectrum.peaks": (2.5, 7.0, 2),
    "spectrum.resampling": (12.5, 30.0, 1),
}
_RARELY = 0.04
"""How often a test that says nothing reads what few photos reach."""
_UNDECIDED = (0.3, 0.8)
"""A fake probability between these is inconclusive here."""

Row = tuple[str, float | int | str | None, Supports, float, str | None]
"""Kind, value, what it supports, how strongly, the region."""


def random_examination(rng: Random) -> Case:
    """An examination whose findings fit a randomly chosen truth about as well as measurements do."""
    truth = rng.choice(CLASSES)
    size = (rng.randint(200, 5000), rng.randint(200, 4000))
    p = _probabilities(truth, rng)
    shown = p.synthetic < _UNDECIDED[1] and rng.random() < (0.7 if truth == "tampered" else 0.04)
    regions = [_region(k, size, rng) for k in range(1, rng.choice((1, 1, 2, 3)) + 1)] if shown else []
    kinds = [kind for kind, share in _CONTAINER if rng.random() < share] + list(_METADATA)
    kinds += ["metadata.thumbnail"] * (rng.random() < 0.3)
    kinds += ["jpeg.quality", "jpeg.double"] * (rng.random() < 0.6)
    kinds += [kind for kind in _PIXELS if rng.random() < 0.95]
    kinds += [rng.choice(("shadow.direction", "lens.vignetting"))] * (rng.random() < 0.1)
    rows = _encoder(p, regions, rng) + [_evidence(kind, truth, regions, rng) for kind in kinds]
    findings = [
        Finding(
            id=f"E{k}",
            kind=kind,
            summary=f"{kind} measures {value}",
            value=value,
            supports=supports,
            strength=round(strength, 3),
            false_alarm_rate=0.05,
            region=region,
        )
        for k, (kind, value, supports, strength, region) in enumerate(rows, 1)
    ]
    return Case(findings, regions, _label(p, findings), p, size, truth)


def _probabilities(truth: str, rng: Random) -> Probabilities:
    top = rng.choice((rng.uniform(0.3, 0.8), rng.uniform(0.75, 1), rng.uniform(0.9, 1)))
    share = rng.random() * (1 - top)
    others = [name for name in CLASSES if name != truth]
    values = {truth: top, others[0]: share, others[1]: 1 - top - share}
    return Probabilities.model_validate(values)


def _label(p: Probabilities, findings: list[Finding]) -> Label:
    unsure = any(f.kind in ("encoder.familiarity", "encoder.stability") and f.strength > 0 for f in findings)
    if _UNDECIDED[0] < 1 - p.real < _UNDECIDED[1] or unsure:
        return "inconclusive"
    marked = any(f.kind == "encoder.mask" and f.supports == "tampered" for f in findings)
    if p.real >= 0.5 and marked:
        return "inconclusive"
    return "real" if p.real > 0.5 else "synthetic" if p.synthetic >= p.tampered else "tampered"


def _region(index: int, size: tuple[int, int], rng: Random) -> Region:
    width, height = size
    w, h = int(width * rng.uniform(0.05, 0.6)) + 8, int(height * rng.uniform(0.05, 0.6)) + 8
    x, y = rng.randint(0, width - w), rng.randint(0, height - h)
    area = w * h / (width * height) * rng.uniform(0.6, 1.0)
    return Region(id=f"R{index}", box=(x, y, x + w, y + h), area=area, score=rng.uniform(0.4, 1.0))


def _encoder(p: Probabilities, regions: list[Region], rng: Random) -> list[Row]:
    """What the encoder's findings would be with such probabilities."""
    synthetic, tampered = round(p.synthetic, 2), round(p.tampered, 2)
    fake = 1 - p.real > 0.5
    says: Supports = "neutral" if not fake else "synthetic" if synthetic >= tampered else "tampered"
    marked = round(min(100.0, 100 * sum(region.area for region in regions)), 1)
    unfamiliar, unstable = rng.random() < 0.07, rng.random() < 0.07
    familiarity = rng.uniform(0, 0.009) if unfamiliar else rng.uniform(0.02, 1)
    moved = rng.uniform(0.21, 0.8) if unstable else rng.uniform(0, 0.2)
    place = regions[0].id if regions else None
    return [
        ("encoder.synthetic", synthetic, says if says == "synthetic" else "neutral", synthetic, None),
        ("encoder.tampered", tampered, says if says == "tampered" else "neutral", tampered, None),
        (
            "encoder.mask",
            marked,
            "tampered" if place else "neutral",
            regions[0].score if regions else 0.0,
            place,
        ),
        ("encoder.familiarity", round(familiarity, 2), "neutral", _TELLING * unfamiliar, None),
        ("encoder.stability", round(moved, 2), "neutral", _TELLING * unstable, None),
    ]


def _evidence(kind: str, truth: str, regions: list[Region], rng: Random) -> Row:
    """A finding of a test on the file or its pixels, mostly as the tests report it."""
    target: Supports = "synthetic" if kind in _SYNTHETIC else "tampered"
    quiet = kind in _NEVER_FAKE or kind.startswith(("container.", "test."))
    fires = not quiet and rng.random() < (0.3 if truth == target else 0.03)
    value = _value(kind, fires, rng)
    supports: Supports = target if fires else "neutral"
    strength = rng.uniform(0.5, 0.95) if fires else rng.uniform(0, 0.089)
    if not fires and kind in _REMARKABLE and rng.random() < _RARELY:
        value, strength = _value(kind, True, rng), RARE
    if kind.startswith("container."):
        strength = 0.1
    elif kind == "metadata.dates" and value not in (None, "consistent"):
        strength = 0.2
    elif kind == "provenance.c2pa":
        supports, strength = _signed(value, truth)
    place = rng.choice(regions).id if fires and regions and kind in _LOCAL and rng.random() < 0.8 else None
    return kind, value, supports, strength, place


def _signed(state: float | int | str | None, truth: str) -> tuple[Supports, float]:
    """What Content Credentials of that state support."""
    if state == "trusted" and truth == "real":
        return "real", 0.9
    if state in ("trusted", "untrusted") and truth == "synthetic":
        return "synthetic", 0.9
    return "neutral", 0.0 if state == "absent" else 0.1


def _value(kind: str, fires: bool, rng: Random) -> float | int | str | None:
    """A value of the type and range that the kind has."""
    match kind:
        case "provenance.c2pa":
            quiet = ("absent",) * 8 + ("untrusted", "invalid", "trusted", None)
            return rng.choice(("trusted", "untrusted") if fires else quiet)
        case "metadata.generator":
            return rng.choice(_GENERATORS) if fires else None
        case "metadata.software":
            return rng.choice(_SOFTWARE) if rng.random() < 0.4 else None
        case "metadata.camera":
            return rng.choice(_CAMERAS) if rng.random() < 0.4 else None
        case "metadata.dates":
            return rng.choice((None, None, "consistent", "consistent", rng.choice(_DATES)))
        case "container.type_mismatch":
            return rng.choice(("PNG", "WEBP", "JPEG"))
        case "container.polyglot":
            return rng.choice(("ZIP", "PDF"))
        case "test.not_run":
            return rng.choice(("noise", "spectrum", "copy-move"))
        case "container.trailing_bytes" | "container.companion":
            return rng.randint(20, 300_000)
        case "copymove.matches":
            return rng.randint(8, 400) if fires else rng.choice((0, 0, 0, rng.randint(4, 9), None))
        case "jpeg.quality":
            return rng.randint(60, 98)
    if not fires and kind == "noise.inconsistency" and rng.random() < 0.3:
        return 1.0
    if not fires and kind == "jpeg.grid" and rng.random() < 0.7:
        return 0.0
    low, high, decimals = (_REMARKABLE if fires else _ORDINARY).get(kind, (0.0, 6.0, 2))
    return round(rng.uniform(low, high), decimals)
