"""The contract: the exported schema and its documentation say what the code says."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from forensic_chat import schema
from tests.fakes import examination

DOCS = Path(__file__).parents[2] / "docs"


def test_the_exported_schema_is_the_code() -> None:
    exported = json.loads((DOCS / "examination.schema.json").read_text(encoding="utf-8"))
    assert exported == schema.json_schema(), "run: forensic-chat schema > docs/examination.schema.json"


def test_the_documentation_names_every_field() -> None:
    text = (DOCS / "contract.md").read_text(encoding="utf-8")
    definitions: dict[str, dict[str, Any]] = {"": schema.json_schema(), **schema.json_schema()["$defs"]}
    fields = {name for definition in definitions.values() for name in definition["properties"]}
    # probabilities' fields are explained as labels, schema_version and total in the text
    missing = {name for name in fields if f"`{name}" not in text and f".{name}`" not in text}
    assert not missing


def test_an_examination_survives_json() -> None:
    whole = examination()
    assert schema.Examination.model_validate_json(whole.model_dump_json()) == whole


def test_a_row_is_an_examination_with_a_file() -> None:
    row = schema.BatchExamination(**dict(examination()), file="a/b.jpg")
    dumped = row.model_dump()
    assert dumped.pop("file") == "a/b.jpg"
    assert schema.Examination.model_validate(dumped) == examination()


@pytest.mark.parametrize(
    "change", [{"findings": []}, {"schema_version": "2"}, {"extra": 1}, {"verdict": {"label": "fake"}}]
)
def test_what_breaks_the_contract_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema.Examination.model_validate({**examination().model_dump(), **change})
