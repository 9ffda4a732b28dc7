"""Random but plausible examinations, for tests and for warming up the language model on text alone."""

from random import Random

from forensic_chat.data.rationales import Case
from forensic_chat.schema import CLASSES, Finding, Label, Probabilities, Region, Supports

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
_DATES = ("taken after changed", "in the future", "1970-01-01", "digitised before taken")
_LOCAL = ("jpeg.ghost", "jpeg.grid", "noise.inconsistency", "copymove.matches", "spectrum.resampling")
_NEVER_FAKE = ("encoder.familiarity", "encoder.stability", "metadata.camera", "jpeg.quality")
_KINDS = (
    "provenance.c2pa",
    "metadata.generator",
    "metadata.software",
    "metadata.camera",
    "metadata.thumbnail",
    "metadata.dates",
    "jpeg.quality",
    "jpeg.double",
    "jpeg.ghost",
    "jpeg.grid",
    "noise.inconsistency",
    "copymove.matches",
    "spectrum.peaks",
    "spectrum.resampling",
    "container.trailing_bytes",
    "container.type_mismatch",
)
_ENCODER = (
    "encoder.synthetic",
    "encoder.tampered",
    "encoder.mask",
    "encoder.familiarity",
    "encoder.stability",
)
_SYNTHETIC = ("spectrum.peaks", "metadata.generator", "encoder.synthetic", "provenance.c2pa")


def random_examination(rng: Random) -> Case:
    """An examination whose findings fit a randomly chosen truth about as well as measurements do."""
    truth = rng.choice(CLASSES)
    size = (rng.randint(200, 5000), rng.randint(200, 4000))
    regions = (
        [_region(index, size, rng) for index in range(1, rng.choice((1, 1, 2, 3)) + 1)]
        if truth == "tampered"
        else []
    )
    kinds = [kind for kind in _KINDS if rng.random() < 0.85]
    if rng.random() < 0.4:
        kinds = [kind for kind in kinds if not kind.startswith("jpeg.")]
    if rng.random() < 0.1:
        kinds.append(rng.choice(("shadow.direction", "lens.vignetting")))
    kinds = [*_ENCODER, *kinds] if rng.random() < 0.5 else [*kinds, *_ENCODER]
    findings = [_finding(f"E{index}", kind, truth, regions, rng) for index, kind in enumerate(kinds, 1)]
    label, probabilities = _verdict(truth, rng)
    return Case(findings, regions, label, probabilities, size, truth)


def _verdict(truth: str, rng: Random) -> tuple[Label, Probabilities]:
    top = rng.uniform(0.4, 0.99)
    share = rng.random() * (1 - top)
    others = [name for name in CLASSES if name != truth]
    values = {truth: top, others[0]: share, others[1]: 1 - top - share}
    probabilities = Probabilities.model_validate(values)
    if top < 0.6:
        return "inconclusive", probabilities
    return next(name for name in CLASSES if name == truth), probabilities


def _region(index: int, size: tuple[int, int], rng: Random) -> Region:
    width, height = size
    w, h = int(width * rng.uniform(0.05, 0.6)) + 8, int(height * rng.uniform(0.05, 0.6)) + 8
    x, y = rng.randint(0, width - w), rng.randint(0, height - h)
    area = w * h / (width * height) * rng.uniform(0.6, 1.0)
    return Region(id=f"R{index}", box=(x, y, x + w, y + h), area=area, score=rng.uniform(0.3, 1.0))


def _finding(name: str, kind: str, truth: str, regions: list[Region], rng: Random) -> Finding:
    target: Supports = "synthetic" if kind in _SYNTHETIC else "tampered"
    fires = rng.random() < (0.6 if truth == target else 0.04)
    if kind.startswith("encoder.") and kind not in _NEVER_FAKE:
        fires = rng.random() < (0.9 if truth == target else 0.05)
    strength = round(rng.uniform(0.1, 1.0), 2) if fires else round(rng.uniform(0.0, 0.09), 2)
    supports: Supports = target if fires or rng.random() < 0.3 else "neutral"
    if kind in _NEVER_FAKE:
        odd = rng.random() < 0.2
        supports, fires = ("neutral", odd)
        strength = round(rng.uniform(0.1, 0.9), 2) if odd else 0.0
    elif not fires and rng.random() < 0.1:
        supports, strength = "real", round(rng.uniform(0.1, 0.8), 2)
    local = fires and bool(regions) and (kind in _LOCAL or kind in ("encoder.tampered", "encoder.mask"))
    region = rng.choice(regions).id if local and rng.random() < 0.8 else None
    value = _value(kind, fires, supports, rng)
    return Finding(
        id=name,
        kind=kind,
        summary=f"{kind} measures {value}",
        value=value,
        supports=supports,
        strength=strength,
        false_alarm_rate=0.05,
        region=region,
    )


def _value(kind: str, fires: bool, supports: Supports, rng: Random) -> float | int | str | None:
    """A value of the type and range that the kind has."""
    match kind:
        case "provenance.c2pa":
            if fires:
                return rng.choice(("trusted", "untrusted")) if supports == "synthetic" else "invalid"
            return (
                "trusted" if supports == "real" else rng.choice(("absent", "absent", "absent", "untrusted"))
            )
        case "metadata.generator":
            return rng.choice(_GENERATORS) if fires else None
        case "metadata.software":
            return rng.choice(_SOFTWARE) if fires or rng.random() < 0.4 else None
        case "metadata.camera":
            return rng.choice(_CAMERAS) if rng.random() < 0.6 else None
        case "metadata.dates":
            return rng.choice(_DATES) if fires else rng.choice((None, "consistent"))
        case "container.type_mismatch":
            return (
                rng.choice(("PNG named .jpg", "WEBP named .png"))
                if fires
                else rng.choice((None, "JPEG named .jpeg"))
            )
        case "container.trailing_bytes":
            return rng.randint(20, 300_000) if fires else 0
        case "copymove.matches":
            return rng.randint(12, 400) if fires else rng.randint(0, 4)
        case "jpeg.quality":
            return rng.randint(30, 75) if fires else rng.randint(75, 98)
        case "encoder.mask":
            return round(rng.uniform(1, 40) if fires else rng.uniform(0, 1), 1)
        case "encoder.synthetic" | "encoder.tampered":
            return round(rng.uniform(0.5, 1.0) if fires else rng.uniform(0.0, 0.5), 2)
        case "encoder.familiarity":
            return round(rng.uniform(0.0, 0.2) if fires else rng.uniform(0.2, 1.0), 2)
        case "encoder.stability":
            return round(rng.uniform(0.25, 0.8) if fires else rng.uniform(0.0, 0.25), 2)
    return round(rng.uniform(0.5, 6.0) if fires else rng.uniform(0.0, 0.9), 2)
