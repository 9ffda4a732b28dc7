"""Marks that image generators and editors leave in metadata.

Sources: the formats these programs write (Automatic1111 and SD.Next `parameters`, ComfyUI `prompt` and
`workflow`, InvokeAI `invokeai_metadata`, NovelAI `Comment`, Midjourney `Description`, Grok's signed
description) and IPTC's digital source type vocabulary. Names count only in fields that say what made the
file; a title or description may speak about a generator in an honest photo.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from forensic_chat.schema import Supports

_MAX_SEARCHED = 100_000


@dataclass(frozen=True)
class Mark:
    """Who is named, where, the text that names it, what it supports and how strongly (0 to 1)."""

    name: str
    field: str
    quote: str
    supports: Supports = "synthetic"
    strength: float = 0.9


Fields = Mapping[str, str]
"""Field name with its source ("PNG parameters", "EXIF UserComment", "XMP Credit") -> text."""

_PARAMETERS = re.compile(r"\bSteps: ?\d{1,4}\b[^\n]{0,600}?\b(?:Sampler|Seed|CFG scale): ?\S")
_UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", re.IGNORECASE)
_JOB = re.compile(r"\bJob ID: ?[0-9a-f]{8}-[0-9a-f]{4}-", re.IGNORECASE)
_NAMES = (
    ("DALL·E", r"dall[·•\-\s]?e\b|openai|chatgpt"),
    ("Midjourney", r"midjourney"),
    ("Stable Diffusion", r"stable[ -]?diffusion"),
    ("NovelAI", r"novelai"),
    ("Adobe Firefly", r"adobe firefly"),
    ("Ideogram", r"ideogram(?:\.ai| ai)"),
    ("Leonardo.Ai", r"leonardo\.?ai"),
    ("Bing Image Creator", r"(?:bing|microsoft) (?:image creator|designer)"),
    ("InvokeAI", r"invokeai"),
    ("ComfyUI", r"comfyui"),
    ("Draw Things", r"^draw things"),
    ("Google AI", r"made with google ai|generated (?:with|by) google ai"),
    ("Grok", r"\bgrok\b.{0,20}\b(?:image|aurora|imagine|xai)|\bxai\b"),
)
_MAKER_FIELDS = (
    "PNG Software",
    "PNG Source",
    "EXIF Software",
    "EXIF Make",
    "EXIF Model",
    "XMP CreatorTool",
    "XMP Credit",
    "XMP Software",
    "XMP softwareAgent",
    "XMP AISystemUsed",
    "PNG Author",
)
_SOURCE_TYPES: dict[str, tuple[str, Supports, float]] = {
    "trainedalgorithmicmedia": ("an AI generator (IPTC label)", "synthetic", 0.85),
    "compositewithtrainedalgorithmicmedia": ("an AI editing tool (IPTC label)", "tampered", 0.7),
    "compositesynthetic": ("a composite with generated parts (IPTC label)", "tampered", 0.7),
}


def _has(text: str, *keys: str) -> bool:
    """Whether the text is a JSON object, or holds one, with all of `keys`."""
    if not text.lstrip().startswith("{") or len(text) > _MAX_SEARCHED * 10:
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # Workflows may be cut or hold NaN; the keys in quotes are telling enough.
        return all(f'"{key}"' in text[:_MAX_SEARCHED] for key in keys)
    return isinstance(value, dict) and all(key in value or f'"{key}"' in text for key in keys)


def _parameters(fields: Fields) -> Mark | None:
    for field in ("PNG parameters", "EXIF UserComment", "EXIF ImageDescription", "PNG Comment"):
        found = _PARAMETERS.search(fields.get(field, "")[:_MAX_SEARCHED])
        if found is not None:
            return Mark("Stable Diffusion (Automatic1111 parameters)", field, found.group())
    for field in ("PNG parameters", "EXIF UserComment"):
        text = fields.get(field, "")
        if _has(text, "sui_image_params"):
            return Mark("SwarmUI", field, text)
        if _has(text, "prompt", "negative_prompt") or (text and "PNG fooocus_scheme" in fields):
            return Mark("Fooocus", field, text)
    return None


def _workflow(fields: Fields) -> Mark | None:
    for field, text in fields.items():
        if field in ("EXIF Make", "EXIF Model", "EXIF ImageDescription"):  # ComfyUI's WebP files
            text = re.sub(r"^(?:workflow|prompt) ?: ?", "", text, flags=re.IGNORECASE)
        elif field not in ("PNG prompt", "PNG workflow", "EXIF UserComment"):
            continue
        if _has(text, "class_type", "inputs") or _has(text, "nodes", "links"):
            return Mark("ComfyUI", field, text)
    return None


def _invoke(fields: Fields) -> Mark | None:
    for key in ("invokeai_metadata", "invokeai_graph", "sd-metadata", "Dream"):
        text = fields.get(f"PNG {key}", "")
        if text and (key != "Dream" or re.search(r" -[sSWHCA] ?\d", text[:_MAX_SEARCHED])):
            return Mark("InvokeAI", f"PNG {key}", text)
    return None


def _novel(fields: Fields) -> Mark | None:
    text = fields.get("PNG Comment", "")
    if fields.get("PNG Software", "").strip() == "NovelAI" or _has(text, "sampler", "steps", "seed"):
        return Mark("NovelAI", "PNG Comment" if text else "PNG Software", text or "NovelAI")
    return None


def _midjourney(fields: Fields) -> Mark | None:
    for field in ("PNG Description", "XMP description", "EXIF ImageDescription"):
        found = _JOB.search(fields.get(field, "")[:_MAX_SEARCHED])
        if found is not None:
            return Mark("Midjourney", field, fields[field][max(0, found.start() - 40) :])
    return None


def _grok(fields: Fields) -> Mark | None:
    text = fields.get("EXIF ImageDescription", "")
    if text.startswith("Signature:") and _UUID.match(fields.get("EXIF Artist", "")):
        return Mark("Grok", "EXIF ImageDescription", text, strength=0.85)
    return None


def _named(fields: Fields) -> Mark | None:
    for field in _MAKER_FIELDS:
        text = fields.get(field, "")[:500]
        for name, pattern in _NAMES:
            if re.search(pattern, text, re.IGNORECASE):
                return Mark(name, field, text, strength=0.85)
        if re.search(r"edited with google ai", text, re.IGNORECASE):
            return Mark("Google AI editing", field, text, "tampered", 0.6)
    return None


def _source_type(fields: Fields) -> Mark | None:
    for field in ("XMP DigitalSourceType", "XMP digitalsourcetype", "XMP DigitalSourcefileType"):
        text = fields.get(field, "")
        known = _SOURCE_TYPES.get(re.split(r"[/:#]", text[:500])[-1].strip().lower())
        if known is not None:
            return Mark(known[0], field, text, known[1], known[2])
    return None


_TESTS: tuple[Callable[[Fields], Mark | None], ...] = (
    _parameters,
    _workflow,
    _invoke,
    _novel,
    _midjourney,
    _grok,
    _named,
    _source_type,
)


def find_mark(fields: Fields) -> Mark | None:
    """The first generator mark, the most specific kinds first."""
    return next((mark for test in _TESTS if (mark := test(fields)) is not None), None)
