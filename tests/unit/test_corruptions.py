"""The verifier against claims that are spoiled on purpose."""

import json
from pathlib import Path
from random import Random

import pytest

from eval.corruptions import BAR, WAYS, holds, main, measured, true_claims
from forensic_chat.data.examinations import random_examination
from tests.fakes import examination

CASES = [random_examination(Random(f"corrupt {k}")) for k in range(80)]


def test_at_least_95_percent_of_600_spoiled_claims_are_rejected_whatever_the_way() -> None:
    found = measured(CASES, 600, seed=1)
    assert set(found) == set(WAYS)
    for name, row in found.items():
        assert row["tried"] == 120, name
        assert int(str(row["rejected"])) >= BAR * 120, (name, row["slipped"])


def test_what_is_spoiled_was_true_before() -> None:
    for case in CASES[:20]:
        claims = true_claims(case, Random(0))
        assert len(claims) >= len(case.findings) / 2
        assert all(holds(case, claim) for claim in claims)


def test_the_command_prints_figures_and_keeps_what_slipped_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--claims", "50", "--out", str(tmp_path)]) == 0
    assert "of 50 rejected" in capsys.readouterr().out
    kept = json.loads((tmp_path / "corruptions.json").read_text("utf-8"))
    assert kept["tried"] == 50
    assert set(kept["ways"]) == set(WAYS)


def test_examinations_in_json_are_read_and_others_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(examination().model_dump_json(), "utf-8")
    bad.write_text("{}", "utf-8")
    main(["--claims", "5", "--examinations", str(good)])
    assert "rejected" in capsys.readouterr().out
    assert main(["--examinations", str(bad)]) == 2
    assert "bad.json is no examination" in capsys.readouterr().err
