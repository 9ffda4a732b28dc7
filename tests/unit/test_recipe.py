"""The recipe runs its stages in order, once each, and goes on where it stopped."""

import sys
from pathlib import Path

import pytest

from train.chunks import UNFINISHED
from train.recipe import Stage, main, run, stages


def stage(name: str, out: Path, code: str = "0", stops: bool = False) -> Stage:
    program = (
        f"import pathlib, sys; f = pathlib.Path({str(out)!r}) / 'ran'; f.open('a').write({name!r} + ' '); "
        f"sys.exit({code})"
    )
    return Stage(name, ["-c", program], stops)


def ran(out: Path) -> list[str]:
    return (out / "ran").read_text().split()


def test_a_stage_is_run_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every = [stage("a", tmp_path), stage("b", tmp_path, stops=True)]
    assert run(every, tmp_path, 1) == run(every, tmp_path, 1) == 0
    assert ran(tmp_path) == ["a", "b"]
    assert "total: 0.0 min" in capsys.readouterr().out


def test_a_stage_that_stopped_is_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = "75 if f.read_text().count('b') < 2 else 0"
    every = [stage("a", tmp_path), stage("b", tmp_path, again), stage("c", tmp_path)]
    assert run(every, tmp_path, 1) == UNFINISHED
    assert "b: 0.0 min, not finished" in capsys.readouterr().out
    assert run(every, tmp_path, 1) == 0
    assert ran(tmp_path) == ["a", "b", "b", "c"]


def test_a_failure_ends_it_and_no_time_begins_nothing(tmp_path: Path) -> None:
    assert run([stage("a", tmp_path, "3"), stage("b", tmp_path)], tmp_path, 1) == 3
    assert ran(tmp_path) == ["a"]
    assert run([stage("b", tmp_path)], tmp_path, 0) == UNFINISHED
    assert ran(tmp_path) == ["a"]


def test_every_stage_is_a_script_with_its_config_and_takes_what_another_writes() -> None:
    every = stages(Path("corpus"), Path("out"))
    assert [s.name for s in every] == ["examinations", "lint", "replay", "align", "sft", "seeing", "grpo"]
    root = Path(__file__).parents[2]
    for one in every:
        assert (root / "train" / f"{one.command[1].removeprefix('train.')}.py").is_file()
        if "--config" in one.command:
            assert Path(one.command[one.command.index("--config") + 1]).is_file()
    sft, seeing, grpo = (one.command for one in every[-3:])
    assert seeing[seeing.index("--start") + 1] == sft[sft.index("--shipped") + 1]
    assert grpo[grpo.index("--adapter") + 1] == seeing[seeing.index("--out") + 1]


def test_an_unknown_stage_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--corpus", "c", "--out", str(tmp_path), "--stop-after", "dpo"]
    monkeypatch.setattr(sys, "argv", ["recipe", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "there is no stage dpo" in capsys.readouterr().err
