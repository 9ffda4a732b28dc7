"""What is known to be so of an image: label, changed parts, maker, and statements that are true or false of
it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.delivery import deliver
from eval.examples import Example
from eval.explanation.grounding import parts
from forensic_chat.data.protocol import place
from forensic_chat.errors import UsageError
from forensic_chat.imaging.intake import take_in
from forensic_chat.schema import Box, Label

FILE = "statements.jsonl"
"""Beside the data: {"path": ..., "true": [...], "false": [...]} of an image, for what only its owner knows."""

MANIPULATIONS = {
    "splice": r"splic\w+|pasted in|inserted from|composite\w*|taken from another",
    "copy-move": r"copy-?mov\w+|cloned?|cloning|duplicat\w+|copied within",
    "inpaint": r"inpaint\w*|removed|removal|erased|filled in",
    "retouch": r"retouch\w*|beautif\w+|recolou?r\w*",
    "resynthesis": r"resynthesi\w+|regenerated",
}
"""What was done -> the words that say so."""
GENERATORS = {
    "Stable Diffusion": r"stable diffusion|sdxl|sd ?[123](?:\.\d)?|dreamstudio|invokeai",
    "Midjourney": r"midjourney",
    "DALL-E": r"dall-?e(?: ?[23])?",
    "GPT image generation": r"gpt-?(?:4o|image\S*)",
    "Imagen": r"imagen",
    "Flux": r"flux(?:\.1\S*)?",
    "Firefly": r"firefly",
    "Grok": r"grok",
    "StyleGAN": r"stylegan\d?",
}
WHOLE = r"(?:wholly|fully|entirely|completely) (?:generated|synthetic)|generated as a whole|ai[- ]generated"
LOCAL = r"tampered|edited|altered|manipulated|retouched|spliced|pasted|cloned|locally changed|local (?:change|edit)"


@dataclass(frozen=True)
class Statement:
    """One sentence about the image."""

    text: str
    true: bool
    words: str
    """Pattern of the words by which an answer says the same."""


@dataclass(frozen=True)
class Truth:
    """What answers about one image are held against."""

    label: Label
    size: tuple[int, int]
    """(width, height), oriented."""
    format: str
    boxes: tuple[Box, ...] = ()
    """Of the changed parts, the largest first; none unless the image is tampered."""
    area: float = 0.0
    """The changed share of its pixels."""
    statements: tuple[Statement, ...] = ()


def of(example: Example, given: Mapping[str, Mapping[str, list[str]]] | None = None) -> Truth:
    """The truth about an example; `given`: what `stated` has read. Raises InputRejected, and UsageError for a
    mask that does not fit or marks nothing."""
    image = take_in(example.path)
    truth = Truth(example.label, (image.width, image.height), image.format)
    if example.mask is not None:
        _, _, mask = deliver(example, ())
        assert mask is not None
        truth = replace(truth, boxes=parts(mask), area=float(mask.mean()))
    mine = (given or {}).get(example.id, {})
    own = [Statement(text, true, "") for true in (True, False) for text in mine.get(str(true).lower(), [])]
    return replace(truth, statements=(*known(truth, example.kind), *own))


def known(truth: Truth, kind: str) -> list[Statement]:
    """Statements that follow from the label, the mask and what made the image. `kind`: its generator or
    manipulation."""
    said = [
        Statement("The image was generated as a whole.", truth.label == "synthetic", WHOLE),
        Statement("A part of the image was changed.", truth.label == "tampered", LOCAL),
    ]
    if truth.boxes:
        where = place(truth.boxes[0], truth.size)
        said.append(Statement(f"What was changed lies {where}.", True, ""))
    if truth.label == "real":
        return said + [
            Statement(f"{name} was used.", False, words)
            for name, words in (GENERATORS | MANIPULATIONS).items()
        ]
    makers = GENERATORS if truth.label == "synthetic" else MANIPULATIONS
    mine = family(kind, makers)
    if mine is not None:
        said += [Statement(f"{name} was used.", name == mine, words) for name, words in makers.items()]
    return said


def family(kind: str, makers: Mapping[str, str]) -> str | None:
    """The name among `makers` that a generator or manipulation goes by."""
    lowered = kind.lower()
    return next(
        (name for name, words in makers.items() if name in lowered or re.search(words, lowered)), None
    )


def stated(folder: Path) -> dict[str, dict[str, list[str]]]:
    """The owner's own statements of images by path; {} if there are none.

    Raises UsageError naming the first line that is not right.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip():
            record = _record(line)
            if record is None:
                raise UsageError(
                    f'{FILE} line {number} is not {{"path": "...", "true": [...], "false": [...]}}; correct it'
                )
            found[record.pop("path")] = record
    return found


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or set(record) - {"true", "false"} != {"path"}:
        return None
    lists = [record.get("true", []), record.get("false", [])]
    fits = all(isinstance(texts, list) and all(isinstance(t, str) for t in texts) for texts in lists)
    return record if fits and isinstance(record["path"], str) else None
