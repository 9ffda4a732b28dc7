"""The benchmark's items: an image, a conversation's questions, and the truth. A third of the images each are
real, synthetic and tampered.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from eval.examples import Example, sample
from eval.explanation import truth
from eval.explanation.kinds import KINDS, OPENING
from eval.explanation.truth import Statement, Truth
from eval.files import write as write_file
from forensic_chat.errors import UsageError
from forensic_chat.schema import CLASSES

PER_IMAGE = 3
ITEMS = 720
"""By default: three instructions on each of 240 images."""


@dataclass(frozen=True)
class Item:
    """One instruction on one image."""

    id: str
    """The image's id, "#", the kind."""
    example: Example
    kind: str
    wording: int
    truth: Truth

    @property
    def turns(self) -> tuple[str, ...]:
        """The questions, the opening first."""
        return (OPENING, *KINDS[self.kind].wordings[self.wording])

    @cached_property
    def content(self) -> str:
        """SHA-256 of the image's file and the questions: what an answer depends on."""
        digest = hashlib.sha256(self.example.path.read_bytes())
        digest.update("\0".join(self.turns).encode())
        return digest.hexdigest()


def countable(examples: Sequence[Example]) -> Counter[str]:
    """Images of each class that can be asked about: no screenshots."""
    return Counter(e.label for e in examples if not e.screenshot)


def choose(examples: Sequence[Example], limit: int | None, seed: int) -> list[Example]:
    """The images for at most `limit` items (default 720): as many of each class, their sources in turn;
    classes take turns. Screenshots are left out. Raises UsageError if a class has too few."""
    images = -(-(limit or ITEMS) // PER_IMAGE)
    queues = []
    for k, label in enumerate(CLASSES):
        mine = [e for e in examples if e.label == label and not e.screenshot]
        wanted = (images - k + len(CLASSES) - 1) // len(CLASSES)
        queues.append(sample(mine, wanted, seed))
    fewest = min(map(len, queues))
    if limit is None:
        queues = [sample(queue, fewest, seed) for queue in queues]
    elif fewest < images // len(CLASSES):
        raise UsageError(
            f"--limit {limit} needs {images} images, a third each real, synthetic and tampered; the data has "
            f"{', '.join(str(len(queue)) for queue in queues)}"
        )
    if not fewest:
        raise UsageError("the data must hold real, synthetic and tampered images")
    longest = max(map(len, queues))
    return [queue[k] for k in range(longest) for queue in queues if k < len(queue)]


def build(examples: Sequence[Example], limit: int | None, folder: Path | None) -> list[Item]:
    """Three items of each image, kinds in turn, so that every kind meets every class equally often.

    folder: of the data, for its statements. Raises InputRejected or UsageError for unusable images.
    """
    given = truth.stated(folder) if folder else {}
    found = [
        item
        for number, example in enumerate(examples)
        for item in build_for(example, truth.of(example, given), number)
    ]
    return found[: limit or ITEMS]


def build_for(example: Example, known: Truth, number: int) -> list[Item]:
    """The items of the `number`-th image."""
    names, found = list(KINDS), []
    for k in range(number * PER_IMAGE, (number + 1) * PER_IMAGE):
        kind = names[k % len(names)]
        wording = k // len(names) % len(KINDS[kind].wordings)
        found.append(Item(f"{example.id}#{kind}", example, kind, wording, known))
    return found


def write(items: Iterable[Item], path: Path) -> None:
    """One object a line: what a system needs to answer, and the truth that it must not be shown."""
    lines = []
    for item in items:
        known = asdict(item.truth)
        known["statements"] = [{"text": s["text"], "true": s["true"]} for s in known["statements"]]
        record = {
            "id": item.id,
            "image": Path(os.path.relpath(item.example.path, path.parent)).as_posix(),
            "kind": item.kind,
            "wording": item.wording,
            "turns": item.turns,
            "truth": known,
            "made_by": item.example.kind,
        }
        lines.append(json.dumps(record, ensure_ascii=False))
    write_file(path, ("\n".join(lines) + "\n").encode())


def truth_of(record: Mapping[str, Any]) -> Truth:
    """The truth in a line of what `write` wrote."""
    stated = dict(record["truth"])
    boxes = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in stated["boxes"])
    width, height = stated["size"]
    bare = Truth(stated["label"], (width, height), stated["format"], boxes, stated["area"])
    known = truth.known(bare, record["made_by"])
    texts = {statement.text for statement in known}
    own = [Statement(s["text"], s["true"], "") for s in stated["statements"] if s["text"] not in texts]
    return replace(bare, statements=(*known, *own))


def digest(items: Iterable[Item]) -> str:
    """SHA-256 of the items: images, questions and truths."""
    total = hashlib.sha256()
    for item in items:
        total.update("\0".join([item.id, item.content, repr(item.truth)]).encode())
    return total.hexdigest()
