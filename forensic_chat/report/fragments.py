"""Parts of an examination as HTML: the same in the browser app and in a report.

Every text is escaped; names, metadata and claims are untrusted.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from forensic_chat.evidence import metadata
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.report import pictures
from forensic_chat.schema import CLASSES, Examination, Finding
from forensic_chat.wording import BASE_RATE, CHECKED, LIMITS, MARKS, MEANINGS, REAL_MEANS, UNDECIDED

if TYPE_CHECKING:
    from forensic_chat.encoder.perceive import ChangeMap

CREDENTIALS = {
    "trusted": "Content Credentials: valid, and the signer is on the trust list",
    "untrusted": "Content Credentials: valid, but the signer is not on the trust list",
    "invalid": "Content Credentials: invalid",
    "absent": "Content Credentials: none",
}
"""The value of a `provenance.c2pa` finding in words; another one could not be read."""

_ORDER = ("synthetic", "tampered", "real", "neutral")


def render(template: str, **values: Any) -> str:
    """A template of `templates/` filled in."""
    return _templates().get_template(template).render(values)


def style() -> str:
    """The style sheet of the parts; it takes its colours from variables that the page sets."""
    return render("parts.css")


def context(
    image: ExaminedImage, examination: Examination, changes: "ChangeMap | None" = None
) -> dict[str, Any]:
    """What the templates that show an examination need: the examination, its pictures as URLs that carry
    them, its metadata.

    changes: what the mask was cut from; its two maps become layers, too.
    """
    layer = pictures.layer(examination)
    maps = {}
    if changes is not None:
        maps["suspicion"] = pictures.heat(changes.mask, image, pictures.TINT)
        maps["reliability"] = pictures.heat(changes.reliability, image, pictures.TRUSTED)
    return {
        "examination": examination,
        "picture": pictures.data_url(pictures.shown(image), "image/jpeg"),
        "layer": layer and pictures.data_url(layer, "image/png"),
        "maps": {name: pictures.data_url(data, "image/png") for name, data in maps.items()},
        "native": {r.id: pictures.native_box(r.box, image) for r in examination.regions},
        "tags": metadata.tags(image),
    }


def by_weight(findings: list[Finding]) -> list[Finding]:
    """What speaks for a fake first, the strongest first; what points to neither last."""
    return sorted(findings, key=lambda finding: (_ORDER.index(finding.supports), -finding.strength))


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("forensic_chat.report"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words: Mapping[str, Any] = {
        "MEANINGS": MEANINGS,
        "CHECKED": CHECKED,
        "MARKS": MARKS,
        "LIMITS": (LIMITS, BASE_RATE, REAL_MEANS),
        "UNDECIDED": UNDECIDED,
        "CLASSES": CLASSES,
        "CREDENTIALS": CREDENTIALS,
    }
    made.globals.update(words)
    made.filters["by_weight"] = by_weight
    made.filters["percent"] = lambda share: f"{share:.1%}"
    return made
