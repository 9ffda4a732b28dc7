from dataclasses import replace
from random import Random

import pytest

from tests.factories import case as made_up
from train import lint
from train.lint import linted


def test_the_training_text_holds() -> None:
    every = [linted(made_up(seed), Random(seed)) for seed in range(30)]
    assert not [fault for one in every for fault in one.faults]
    lines = list(lint.report(every))
    assert any(line.startswith("rationales: distinct-1") for line in lines)
    alike = next(line for line in lines if line.startswith("mean pairwise ROUGE-L"))
    assert float(alike.rpartition(" ")[2]) < 0.45


def test_a_wrong_number_a_made_up_finding_and_a_loose_accusation_are_found() -> None:
    case = made_up(0)
    prefix = linted(case, Random(0)).answers[0].partition("\n")[0]
    good = next(f for f in case.findings if f.kind == "encoder.synthetic")
    for line, fault in (
        (f"- The whole-image score is 0.123456 [{good.id}]", "writes"),
        ("- The noise is even [E99]", "does not exist"),
    ):
        claims, faults = lint.lint(case, [f"{prefix}\n{line}"])
        assert claims == 1
        assert fault in faults[0]
    _, faults = lint.lint(
        replace(case, label="real"), [linted(case, Random(0)).answers[0], "It is an obvious forgery."]
    )
    assert any("cites nothing" in fault for fault in faults)


def test_the_command_prints_and_fails_with_faults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lint", "--count", "6"])
    with pytest.raises(SystemExit) as ended:
        lint.main()
    assert not ended.value.code
    assert "0 faults" in capsys.readouterr().out
    monkeypatch.setattr(lint, "lint", lambda case, answers: (1, ["wrong"]))
    with pytest.raises(SystemExit) as ended:
        lint.main()
    assert ended.value.code
