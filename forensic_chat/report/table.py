"""The rows of a batch as JSON, as CSV for spreadsheets, and as one HTML page."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from forensic_chat.report.fragments import by_weight, render, style
from forensic_chat.schema import BatchExamination, BatchFailure, Finding

Row = BatchExamination | BatchFailure

COLUMNS = (
    *("file", "sha256", "verdict", "confidence", "real", "synthetic", "tampered", "fake_probability"),
    *("regions", "marked_share", "strongest_finding", "reasons", "error", "message"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Line:
    """A row of a table that people read."""

    row: Row
    picture: str | None = None
    """The image with its mask, small, as a URL that carries it."""

    @property
    def failed(self) -> bool:
        return isinstance(self.row, BatchFailure)

    @property
    def strongest(self) -> Finding | None:
        """What weighs most for a fake, or for a real image if nothing does."""
        return None if isinstance(self.row, BatchFailure) else strongest(self.row)


def strongest(row: BatchExamination) -> Finding | None:
    """The finding that weighs most; None if none points to anything."""
    first = by_weight(row.findings)[0]
    return None if first.supports == "neutral" else first


def to_json(rows: Sequence[Row]) -> str:
    """A JSON array of rows as `docs/contract.md` explains them."""
    return json.dumps([row.model_dump(mode="json") for row in rows], indent=1)


def to_csv(rows: Sequence[Row]) -> str:
    """One line a row under COLUMNS (RFC 4180). Text that a spreadsheet would run as a formula is quoted by an
    apostrophe."""
    out = io.StringIO()
    lines = csv.DictWriter(out, COLUMNS, restval="")
    lines.writeheader()
    for row in rows:
        lines.writerow({name: _cell(value) for name, value in _cells(row).items()})
    return out.getvalue()


def to_html(lines: Sequence[Line]) -> str:
    """One page that needs nothing else."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return render("batch.html", lines=lines, counts=counts(lines), style=style(), at=at)


def counts(lines: Sequence[Line]) -> Counter[str]:
    """How many lines have each label; failures count as "not examined"."""
    return Counter(
        "not examined" if isinstance(line.row, BatchFailure) else line.row.verdict.label for line in lines
    )


def _cells(row: Row) -> dict[str, Any]:
    if isinstance(row, BatchFailure):
        error = row.error
        return {"file": row.file, "sha256": row.sha256, "error": error.code, "message": error.message}
    said, first = row.verdict, strongest(row)
    return {
        "file": row.file,
        "sha256": row.image.sha256,
        "verdict": said.label,
        "confidence": said.confidence,
        **{name: f"{share:.4f}" for name, share in said.probabilities},
        "fake_probability": f"{said.fake_probability:.4f}",
        "regions": " ".join(f"{region.id}:{','.join(map(str, region.box))}" for region in row.regions),
        "marked_share": f"{sum(region.area for region in row.regions):.4f}",
        "strongest_finding": f"{first.id} {first.summary}" if first else "",
        "reasons": "; ".join(said.reasons),
    }


def _cell(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text
