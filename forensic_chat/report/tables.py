"""The results of many images as one table, for spreadsheets and for people."""

import csv
import io
from collections.abc import Iterable, Iterator

from forensic_chat.report.fragments import render
from forensic_chat.schema import CLASSES, BatchExamination, BatchFailure

Row = BatchExamination | BatchFailure
COLUMNS = (
    *("file", "verdict", "confidence", "fake_probability", *CLASSES, "regions", "reasons"),
    *("error", "message", "sha256", "examination"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(rows: Iterable[tuple[str | None, Row]]) -> Iterator[str]:
    """Comma-separated, a header first (RFC 4180); each row comes with the id of its examination, or None.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    yield _line(COLUMNS)
    for key, row in rows:
        cells = _cells(key, row)
        yield _line([cells.get(name, "") for name in COLUMNS])


def as_html(rows: Iterable[tuple[str | None, Row]], title: str) -> str:
    """One page that needs nothing else."""
    return render("table.html", title=title, rows=[_cells(key, row) for key, row in rows])


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
