"""Batches as JSON, CSV and HTML."""

import csv
import io
import json
import re

from forensic_chat.report import table
from forensic_chat.report.table import Line, Row
from forensic_chat.schema import BatchError, BatchExamination, BatchFailure
from tests.fakes import examination

FORMULA = '=HYPERLINK("x")<b>.png'


def rows() -> list[Row]:
    found = BatchExamination(**dict(examination()), file=FORMULA)
    error = BatchError(code="input_rejected", message="notes.txt is not an image, but text")
    return [found, BatchFailure(file="notes.txt", error=error, sha256="1" * 64)]


def test_json_is_rows_of_the_contract() -> None:
    first, second = json.loads(table.to_json(rows()))
    assert BatchExamination.model_validate(first) == rows()[0]
    assert BatchFailure.model_validate(second) == rows()[1]


def test_csv_has_every_column_and_no_formula() -> None:
    first, second = csv.DictReader(io.StringIO(table.to_csv(rows())))
    assert tuple(first) == table.COLUMNS
    assert first["file"] == "'" + FORMULA
    assert (first["verdict"], first["tampered"], first["regions"]) == ("tampered", "0.7000", "R1:4,8,36,40")
    assert first["strongest_finding"].startswith("E2 ")
    assert (second["error"], second["verdict"]) == ("input_rejected", "")


def test_html_says_it_all_and_needs_nothing_else() -> None:
    html = table.to_html([Line(row) for row in rows()])
    text = re.sub(r"<[^>]+>", " ", html)
    for expected in ("2 files", "1 tampered, 1 not examined", "80.0%", "notes.txt is not an image", "16.7%"):
        assert expected in text
    assert "<b>.png" not in html
    assert not re.findall(r"""(?:src|href)="(?!data:|#)[^"]*|url\(|https?://""", html)
