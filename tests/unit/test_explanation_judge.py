"""The judge's protocol, with a scripted judge; agreement; the sheet for humans."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.explanation import answers, figures, items, pictures, sheet
from eval.explanation.agreement import agreement, alpha
from eval.explanation.answers import ask
from eval.explanation.aspects import ASPECTS
from eval.explanation.judge import PADDING, Judge, JudgeConfig, grades_of, judged, require_other_family
from eval.explanation.rubrics import RUBRICS, request
from forensic_chat.errors import BackendUnavailable, UsageError
from tests import planted

CONFIG = JudgeConfig("http://127.0.0.1:9", "judge-1", "Judges", items=6, probes=5)


@pytest.fixture
def systems(tmp_path: Path) -> dict[str, list[figures.Line]]:
    """Two planted systems on six items of pictures made by code."""
    chosen = items.build(pictures.write(tmp_path / "pictures", 3, 0), 6, None)
    return {
        kind.name: figures.lines(chosen, [ask(item, kind(), "", "") for item in chosen])
        for kind in (planted.Sound, planted.IgnoresFormat)
    }


class Scripted:
    """Grades by length, by place and by layout, as told; keeps what it was asked."""

    def __init__(self, first: float = 0.0, padded: float = 0.0, bullets: float = 0.0) -> None:
        self.first, self.padded, self.bullets = first, padded, bullets
        self.asked: list[str] = []

    def __call__(self, messages: Sequence[dict[str, Any]]) -> str:
        text = messages[1]["content"][1]["text"]
        self.asked.append(text)
        shown = re.split(r"ANSWER \d\n", text.partition("GRADE ONE ASPECT")[0])[1:]
        grades = {}
        for k, answer in enumerate(shown, 1):
            grade = 50 + self.first * (k == 1) + self.padded * (PADDING in answer)
            last = answer.rpartition("A: ")[2].partition("MEASUREMENTS")[0]
            grades[f"answer_{k}"] = grade + self.bullets * last.startswith("- ")
        return json.dumps(grades)


def test_a_judge_is_blind_and_sees_both_orders(systems: dict[str, Any], tmp_path: Path) -> None:
    scripted = Scripted(first=10)
    found, grades = judged(Judge(scripted, "judge-1", tmp_path / "replies.jsonl"), CONFIG, systems)
    assert not [text for text in scripted.asked if any(name in text for name in systems)]
    assert found["first_place_favoured"] == 10
    assert found["bias"] == {"length": 0.0, "format": 0.0, "position": 10.0}
    # a preference for the first place cancels out
    assert all(by == dict.fromkeys(ASPECTS, 55.0) for by in grades.values())
    assert set(grades) == {(line.item.id, name) for name, lines in systems.items() for line in lines}
    assert found["unreadable_replies"] == 0
    assert found["agreement"]["code, judge"]["units"] == 12


def test_probes_find_a_taste_for_length_and_layout(systems: dict[str, Any], tmp_path: Path) -> None:
    judge = Judge(Scripted(padded=20), "judge-1", tmp_path / "a.jsonl")
    assert judged(judge, CONFIG, systems)[0]["bias"]["length"] == 20
    judge = Judge(Scripted(bullets=8), "judge-1", tmp_path / "b.jsonl")
    assert judged(judge, CONFIG, systems)[0]["bias"]["format"] > 0


def test_one_system_is_graded_alone(systems: dict[str, Any], tmp_path: Path) -> None:
    scripted = Scripted()
    alone = {"sound": systems["sound"]}
    found, _ = judged(Judge(scripted, "judge-1", tmp_path / "r.jsonl"), CONFIG, alone)
    assert found["systems"]["sound"] == dict.fromkeys(ASPECTS, 50.0)
    assert found["first_place_favoured"] is None


def test_a_stopped_judge_goes_on(systems: dict[str, Any], tmp_path: Path) -> None:
    path, scripted = tmp_path / "replies.jsonl", Scripted()
    first = judged(Judge(scripted, "judge-1", path), CONFIG, systems)
    count = len(scripted.asked)
    path.write_bytes(path.read_bytes() + b'{"key": "torn')
    assert judged(Judge(scripted, "judge-1", path), CONFIG, systems) == first
    assert len(scripted.asked) == count
    judged(Judge(scripted, "judge-2", path), CONFIG, systems)
    assert len(scripted.asked) == 2 * count  # another judge is another opinion


def test_nothing_takes_a_judges_place(systems: dict[str, Any], tmp_path: Path) -> None:
    def unreadable(messages: Any) -> str:
        return "Both are good."

    found, grades = judged(Judge(unreadable, "judge-1", tmp_path / "a.jsonl"), CONFIG, systems)
    assert found["systems"]["sound"] == dict.fromkeys(ASPECTS, None)
    assert found["unreadable_replies"] > 0
    assert all(by == {} for by in grades.values())

    def silent(messages: Any) -> str:
        raise BackendUnavailable("the endpoint did not answer")

    with pytest.raises(BackendUnavailable):
        judged(Judge(silent, "judge-1", tmp_path / "b.jsonl"), CONFIG, systems)


@pytest.mark.parametrize(
    "reply", ["", "70", '{"answer_1": 70}', '{"answer_1": 70, "answer_2": 101}',
              '{"answer_1": 70, "answer_2": "80"}', '{"answer_1": 70, "answer_2": true}'],
)  # fmt: skip
def test_a_grade_is_read_or_not(reply: str) -> None:
    assert grades_of(reply, 2) is None
    assert grades_of('```json\n{"answer_1": 70, "answer_2": 0}\n```', 2) == [70.0, 0.0]


def test_no_family_grades_its_own_kind() -> None:
    class Of(planted.Sound):
        def __init__(self, family: str) -> None:
            self.family = family

    require_other_family(CONFIG, [Of("SmolLM"), Of("Qwen")])
    for family, message in (("judges", "which wrote"), ("", "is not known")):
        with pytest.raises(UsageError, match=message):
            require_other_family(CONFIG, [Of("SmolLM"), Of(family)])


def test_rubrics_are_published_for_every_aspect() -> None:
    assert set(RUBRICS) == set(ASPECTS)
    text = request("specificity", "It is real.", ["Q1"], [["a"], ["b"]], ["E1: noise", ""])
    assert RUBRICS["specificity"] in text
    assert text.index("ANSWER 1") < text.index("E1: noise") < text.index("ANSWER 2")


NONE = np.nan
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]
"""The worked example of Krippendorff (2011): alpha for interval data is .849."""


def test_alpha_is_krippendorffs() -> None:
    assert alpha(KRIPPENDORFF) == pytest.approx(0.849, abs=5e-4)
    assert alpha([[1, 2, 3], [1, 2, 3]]) == 1.0
    assert alpha([[50, 50], [50, 50]]) is None
    assert alpha([[1, NONE], [NONE, 2]]) is None
    assert alpha([[0, 100], [100, 0]]) == pytest.approx(-0.5)


def test_agreement_uses_what_both_graded() -> None:
    def grades(*values: float) -> dict[tuple[str, str], dict[Any, float]]:
        return {(str(k), "s"): dict.fromkeys(ASPECTS, value) for k, value in enumerate(values)}

    found = agreement({"code": grades(10, 90, 50), "ann": grades(10, 90), "ben": grades(90, 10)})
    assert found["code, ann"] == {"units": 2, **dict.fromkeys(ASPECTS, 1.0)}
    assert found["ann, ben"]["correctness"] == -0.5
    assert set(found) == {"code, ann", "code, ben", "ann, ben", "all"}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run's folder with answers and scores of two systems."""
    from eval.explanation import write_scores

    chosen = items.build(pictures.write(tmp_path / "pictures", 3, 0), 6, None)
    items.write(chosen, tmp_path / sheet.ITEMS)
    found = {
        kind.name: figures.lines(
            chosen, answers.complete(chosen, [kind()], tmp_path / sheet.ANSWERS)[0][kind.name]
        )
        for kind in (planted.Sound, planted.BoilerPlate)
    }
    write_scores(found, tmp_path / sheet.SCORES)
    return tmp_path


def test_a_sheet_goes_out_blind_and_comes_back(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank, filled = finished / "sheet.csv", finished / "ann.csv"
    words = ["--run", str(finished), "--file"]
    assert sheet.main(["write", *words, str(blank), "--items", "4"]) == 0
    with blank.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 8
    assert not any(name in blank.read_text("utf-8") for name in ("sound", "boiler-plate"))
    scores = sheet.kept(finished / sheet.SCORES)
    units = {sheet.code(*unit): unit for unit in scores}
    with filled.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, sheet.COLUMNS)
        writer.writeheader()
        for row in rows[:6]:
            writer.writerow(row | {a: str(scores[units[row["code"]]][a]) for a in ASPECTS})
        writer.writerow(rows[6])  # left out by the grader
    assert sheet.compared(finished, [filled])["code, ann"]["specificity"] == 1.0
    assert sheet.compared(finished, [filled])["code, ann"]["units"] == 6
    assert sheet.main(["read", *words, str(filled)]) == 0
    assert "code, ann" in capsys.readouterr().out


def test_a_spreadsheet_runs_no_answer_as_a_formula(finished: Path) -> None:
    item = json.loads((finished / sheet.ITEMS).read_text("utf-8").splitlines()[0]) | {"image": "=1+1"}
    assert sheet._shown(item, ["-1"])[0] == "'=1+1"


@pytest.mark.parametrize(("grade", "code"), [("good", None), ("101", None), ("50", "0" * 12)])
def test_a_sheet_that_is_not_right_is_named(
    grade: str, code: str | None, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = next(iter(sheet.kept(finished / sheet.SCORES)))
    (finished / "ann.csv").write_text(f"code,correctness\n{code or sheet.code(*unit)},{grade}\n")
    assert sheet.main(["read", "--run", str(finished), "--file", str(finished / "ann.csv")]) == 2
    assert "ann.csv row 2" in capsys.readouterr().err
