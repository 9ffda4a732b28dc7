"""The results of many images as one table, for programs, for spreadsheets and for people."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest

from forensic_chat.report.fragments import by_weight, render
from forensic_chat.schema import CLASSES, BatchExamination, BatchFailure, Finding

Row = BatchExamination | BatchFailure
COLUMNS = (
    *("file", "verdict", "confidence", "fake_probability", *CLASSES, "regions", "reasons"),
    *("error", "message", "sha256", "examination"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Line:
    """A row as people read it."""

    row: Row
    picture: str | None = None
    """The image with its mask, small, as a URL that carries it."""

    @property
    def failed(self) -> bool:
        return isinstance(self.row, BatchFailure)

    @property
    def strongest(self) -> Finding | None:
        """What weighs most for a fake, or for a real image if nothing does; None if nothing points anywhere."""
        if isinstance(self.row, BatchFailure):
            return None
        first = by_weight(self.row.findings)[0]
        return None if first.supports == "neutral" else first


def as_json(rows: Iterable[Row]) -> str:
    """A JSON array of rows as `docs/contract.md` explains them."""
    return json.dumps([row.model_dump(mode="json") for row in rows], indent=1)


def as_csv(rows: Iterable[tuple[str | None, Row]]) -> Iterator[str]:
    """Comma-separated, a header first (RFC 4180); each row comes with the id of its examination, or None.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    yield _line(COLUMNS)
    for key, row in rows:
        cells = _cells(key, row)
        yield _line([cells.get(name, "") for name in COLUMNS])


def as_html(rows: Iterable[tuple[str | None, Row]], title: str, pictures: Sequence[str | None] = ()) -> str:
    """One page that needs nothing else; `pictures` are those of the first rows, as `Line` has them."""
    lines = [Line(row, picture) for (_, row), picture in zip_longest(rows, pictures)]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return render("batch.html", title=title, lines=lines, counts=counts(lines), at=at)


def counts(lines: Iterable[Line]) -> Counter[str]:
    """How many lines have each label; failures count as "not examined"."""
    return Counter(
        "not examined" if isinstance(line.row, BatchFailure) else line.row.verdict.label for line in lines
    )


def _cells(key: str | None, row: Row) -> dict[str, str]:
    """By column; those that don't apply are left out."""
    if isinstance(row, BatchFailure):
        told = {"error": row.error.code, "message": row.error.message, "sha256": row.sha256 or ""}
        return {"file": row.file, **told}
    said = row.verdict
    return {
        "file": row.file,
        "verdict": said.label,
        "confidence": said.confidence,
        "fake_probability": f"{said.fake_probability:.4f}",
        **{name: f"{getattr(said.probabilities, name):.4f}" for name in CLASSES},
        "regions": " ".join(f"{region.id}{list(region.box)}" for region in row.regions),
        "reasons": "; ".join(said.reasons),
        "sha256": row.image.sha256,
        "examination": key or "",
    }


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells)
    return out.getvalue()
