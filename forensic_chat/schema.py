"""The JSON contract of one examination, as pydantic models.

Stable within a `SCHEMA_VERSION`: fields may be added, never renamed, removed or given another meaning.
Boxes are `[x0, y0, x1, y1]` in pixels of the EXIF-oriented image, x1 and y1 exclusive. `docs/contract.md`
explains every field to its reader; `docs/examination.schema.json` is `json_schema()` and a test holds the
two together.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "1"

Label = Literal["real", "synthetic", "tampered", "inconclusive"]
Supports = Literal["real", "synthetic", "tampered", "neutral"]
CLASSES: tuple[Literal["real"], Literal["synthetic"], Literal["tampered"]] = ("real", "synthetic", "tampered")
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Box = tuple[int, int, int, int]


class Model(BaseModel):
    """Base: unknown fields are an error, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ImageInfo(Model):
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the original file's bytes."""

    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    format: str
    """As found in the bytes: JPEG, PNG, WEBP, TIFF, BMP, GIF, AVIF, HEIF."""

    name: str
    """The file's name as given, without folders; "image" for bytes."""


class Probabilities(Model):
    """Calibrated for images of which six of nine are real, two synthetic and one tampered; summing to 1."""

    real: Unit
    synthetic: Unit
    tampered: Unit


class Verdict(Model):
    label: Label
    probabilities: Probabilities
    fake_probability: Unit
    """synthetic + tampered; 0.5 is the operating point."""
    confidence: str
    """The probability of the label in words: "very likely", "likely", "leaning", "undecided"."""

    reasons: list[str] = []
    """Why the verdict is inconclusive; empty for the other labels."""


class Region(Model):
    id: Annotated[str, Field(pattern=r"^R[1-9]\d*$")]
    box: Box
    area: Unit
    """The share of the image's pixels that the region covers."""

    score: Unit
    """Mean mask score inside the region, or the strength of the finding that drew it."""


class Mask(Model):
    png: str | None
    """A file's path, or the PNG itself in base64; one channel, 0 or 255, size of the image."""

    reliability: Unit
    """How far the mask can be trusted, 0 to 1: the mean of the reliability map over the image."""


class Finding(Model):
    id: Annotated[str, Field(pattern=r"^E[1-9]\d*$")]
    kind: str
    """What was looked at, as `family.test`: "jpeg.ghost", "encoder.synthetic"."""

    summary: str
    value: float | int | str | bool | None
    supports: Supports
    strength: Unit
    false_alarm_rate: Unit
    """On real photos: how often a finding of this kind supports "fake" (95 % upper bound)."""

    region: Annotated[str, Field(pattern=r"^R[1-9]\d*$")] | None = None


class Claim(Model):
    text: str
    findings: list[str]
    region: str | None = None
    verified: bool | None
    """True: every check passed. False: one failed. None: nothing in it can be checked by code."""

    check: str
    """How it was verified, or what failed."""


class Rationale(Model):
    text: str
    claims: list[Claim]


class Examination(Model):
    schema_version: Literal["1"] = "1"
    image: ImageInfo
    verdict: Verdict
    regions: list[Region]
    mask: Mask | None
    findings: Annotated[list[Finding], Field(min_length=1)]
    rationale: Rationale | None
    models: dict[str, str]
    """Names to versions and hashes of everything that took part."""
    timings: dict[str, float]
    """Seconds a stage took, and `total`."""

    warnings: list[str]


class BatchError(Model):
    code: str
    message: str


class BatchExamination(Examination):
    """A row of a batch: an examination and the file's path relative to the examined folder."""

    file: str


class BatchFailure(Model):
    """A row of a batch for a file that could not be examined."""

    file: str
    error: BatchError
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Of the file's bytes; null if they can't be read."""


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one examination."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **Examination.model_json_schema(mode="serialization")}
