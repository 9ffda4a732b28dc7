"""What the product said of each (image, chain), kept in an append-only JSONL file so that a run can go on.

A row holds while the image, its mask, the models and the code that decides are the same; else the pair is
examined again and the later row holds. Shards of a run keep files of their own beside it, from which the run
without shards takes what it lacks: that is the merge.
"""

import ast
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

import forensic_chat
from eval.delivery import Chain, deliver
from eval.examples import Example
from eval.files import write
from eval.maps import measure
from forensic_chat.encoder.masks import soft
from forensic_chat.errors import InputRejected, UsageError
from forensic_chat.judgement import Judgement

Line = TypeVar("Line")
Look = Callable[[bytes, str], Judgement]
"""A file's bytes and name -> what the product makes of it; raises InputRejected."""

DECIDES = (
    "examiner.py",
    "judgement.py",
    "findings.py",
    "imaging",
    "evidence",
    "encoder",
    "data/laundering.py",
)
"""The parts of the package, and of this folder, on which a row depends."""
_MEASURES = ("rows.py", "maps.py", "delivery.py")
MAPS = "maps"
"""Beside the rows: the soft mask of every tampered image as it is, small, for the report's gallery."""
MAP_SIDE = 320


@dataclass(frozen=True)
class Row:
    """One image through one chain."""

    id: str
    chain: str
    content: str
    """SHA-256 of the image's file and its mask's."""
    maker: str
    """SHA-256 of models and code."""
    format: str = ""
    width: int = 0
    height: int = 0
    bytes: int = 0
    verdict: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    fake: float = 0.0
    findings: list[list[str | float]] = field(default_factory=list)
    """kind, what it supports, strength, stated false-alarm rate."""
    masks: dict[str, dict[str, float]] = field(default_factory=dict)
    """See maps.measure; for real and tampered images."""
    seconds: float = 0.0
    error: str | None = None
    """Why the image was not examined; then nothing else is stated."""

    @property
    def accused(self) -> bool:
        """Labelled as a fake."""
        return self.verdict in ("synthetic", "tampered")

    @property
    def answered(self) -> bool:
        return self.verdict != "inconclusive"


def complete(
    examples: Sequence[Example],
    chains: Iterable[tuple[str, Chain]],
    path: Path,
    look: Look,
    threshold: float,
    maker: str,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """A row for every example and chain, in that order; those that `path` lacks are taken from shards beside
    it or made, and appended.

    threshold: of the mask, frozen with the weights. Raises UsageError for unusable files.
    """
    earlier, length = read(path)
    shards = [row for other in shards_beside(path) for row in read(other)[0].values()]
    given = {(row.id, row.chain, row.content, row.maker): row for row in shards}
    wanted = [(example, *chain) for chain in chains for example in examples]
    path.parent.mkdir(parents=True, exist_ok=True)
    found = []
    with path.open("ab") as rows:
        rows.truncate(length)
        for done, (example, name, steps) in enumerate(wanted, 1):
            content = _content(example)
            row = earlier.get((example.id, name))
            if row is None or (row.content, row.maker) != (content, maker):
                row = given.get((example.id, name, content, maker))
                if row is None:
                    row = examine(example, name, steps, look, threshold, content, maker, path.parent)
                rows.write(json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n")
                rows.flush()
                os.fsync(rows.fileno())
                on_step(done, len(wanted))
            found.append(row)
    return found


def shards_beside(path: Path) -> list[Path]:
    """rows.1-of-2.jsonl, rows.2-of-2.jsonl, … of rows.jsonl; none of a shard's own file."""
    return sorted(path.parent.glob(f"{path.stem}.*-of-*{path.suffix}"))


def read(path: Path) -> tuple[dict[tuple[str, str], Row], int]:
    """The last row of each pair of image and chain; see `complete_lines`."""
    rows, length = complete_lines(path, lambda stored: Row(**stored), "rows of an evaluation")
    return {(row.id, row.chain): row for row in rows}, length


def complete_lines(path: Path, make: Callable[[dict[str, Any]], Line], what: str) -> tuple[list[Line], int]:
    """What `make` makes of each line of a file, and how many bytes complete lines take: a torn last line is
    not counted, a missing file has none.

    Raises UsageError, naming `what` was expected, for a file with other content.
    """
    found: list[Line] = []
    length = 0
    if not path.exists():
        return found, length
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            try:
                found.append(make(json.loads(line)))
            except (ValueError, TypeError):
                raise UsageError(f"{path} has lines that are no {what}; choose another --out") from None
            length += len(line)
    return found, length


def examine(
    example: Example,
    chain: str,
    steps: Chain,
    look: Look,
    threshold: float,
    content: str,
    maker: str,
    out: Path,
) -> Row:
    """One new row; of a tampered image as it is, also its soft mask in `out`/maps."""
    try:
        data, name, truth = deliver(example, steps)
        judgement = look(data, name)
    except InputRejected as error:
        return Row(example.id, chain, content, maker, error=str(error))
    image, verdict = judgement.image, judgement.verdict
    masks = {} if example.label == "synthetic" else measure(judgement, threshold, truth, baselines=not steps)
    if example.mask is not None and not steps:
        cells = judgement.perception.changes.mask
        write(out / map_of(content), _small_png(cells, image.width, image.height))
    return Row(
        example.id, chain, content, maker, image.format, image.width, image.height, len(data),
        verdict.label, verdict.probabilities.model_dump(), verdict.fake_probability,
        [[f.kind, f.supports, f.strength, f.false_alarm_rate] for f in judgement.findings],
        masks, round(sum(judgement.timings.values()), 4),
    )  # fmt: skip


def map_of(content: str) -> str:
    """Where the soft mask of a row's image lies, from the folder of the rows."""
    return f"{MAPS}/{content[:24]}.png"


def _small_png(cells: NDArray[np.float32], width: int, height: int) -> bytes:
    scale = min(1.0, MAP_SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(soft(cells, width, height), size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".png", small)[1])


def _content(example: Example) -> str:
    try:
        parts = [path.read_bytes() for path in (example.path, example.mask) if path is not None]
    except OSError as error:
        raise UsageError(
            f"{error.filename} can't be read: {error.strerror}; the data must be complete"
        ) from None
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def made_by(models: dict[str, str], decides: Sequence[str] = DECIDES) -> str:
    """One hash of the models, the evidence's calibration and the code that decides; comments and docstrings
    don't count."""
    package, here = Path(forensic_chat.__file__).parent, Path(__file__).parent
    roots = [*(package / part for part in decides), *(here / part for part in _MEASURES)]
    kinds = (".py", ".txt")
    files = [
        path
        for root in roots
        for path in ([root] if root.is_file() else sorted(root.rglob("*")))
        if path.suffix in kinds
    ]
    digest = hashlib.sha256(json.dumps(models, sort_keys=True).encode())
    digest.update((package / "evidence" / "calibration.json").read_bytes())
    for path in files:
        text = path.read_text("utf-8")
        digest.update((_meaning(text) if path.suffix == ".py" else text).encode())
    return digest.hexdigest()


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(value, list):
                node.body = [s for s in value if not _is_text(s)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
