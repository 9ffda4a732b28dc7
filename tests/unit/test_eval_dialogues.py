"""Scripted dialogues with checks: held with the scripted backend, and their checks against wrong answers."""

import json
from pathlib import Path
from random import Random

import pytest

from eval import dialogues
from eval.dialogues import checks, figures, held, run
from eval.dialogues.checks import Talk
from eval.dialogues.scripts import SCRIPTS, TURNS
from forensic_chat.errors import UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from tests.factories import SpotEncoder, calibration
from tests.fakes import examination
from tests.images import grainy, photo


@pytest.fixture
def examiner(monkeypatch: pytest.MonkeyPatch) -> Examiner:
    monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), calibration()))
    monkeypatch.setattr(Examiner, "models", {"encoder": "spot"})
    return Examiner(backend=ScriptedBackend())


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "forged.png", tmp_path / "photo.png"]
    grainy((24, 16, 48, 32)).save(paths[0])
    photo().save(paths[1])
    return paths


def test_there_are_enough_scripts_of_five_turns() -> None:
    assert all(len(turns) == TURNS for turns in SCRIPTS.values())
    assert len(SCRIPTS) * 5 >= 50


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_passes_where_code_answers(examiner: Examiner, images: list[Path], name: str) -> None:
    for image in images:
        talk, results = held(name, examiner.open(image), Random(1))
        failed = [check for check, ok in results if not ok]
        assert not failed, (name, failed, list(zip(talk.questions, talk.answers, strict=True)))


def test_a_run_goes_on_where_it_was(
    examiner: Examiner, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = run(examiner, images, out, 3, 0)
    assert first["dialogues"] == 3
    kept = (out / "dialogues.jsonl").read_text("utf-8")
    (out / "dialogues.jsonl").write_text(kept + '{"image": "torn', "utf-8")
    monkeypatch.setattr(dialogues, "held", lambda *args: pytest.fail("was held again"))
    assert run(examiner, images, out, 3, 0) == first
    monkeypatch.undo()
    assert set(first) >= {"checks", "passed", "share", "interval", "by_check", "by_script", "failed"}


def test_a_file_that_is_no_image_is_counted_and_passed_over(
    examiner: Examiner, images: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"none")
    found = run(examiner, [broken, images[0]], tmp_path / "out", 4, 0)
    assert found["dialogues"] == 2
    assert "broken.png" in str(found["refused"])


def test_a_folder_without_images_is_an_error(examiner: Examiner, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no images"):
        run(examiner, [], tmp_path / "out", 5, 0)


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ("exists", "It is so [E9]."),
        ("steady", "The verdict is real."),
        ("verdict", "It may be so."),
        ("figure", "With 0.99."),
        ("label_only", "tampered."),
        ("as_json", '{"verdict": "real"}'),
        ("three_lines", "- one\n- two"),
        ("cites", "Because."),
        ("regions", "Nowhere."),
        ("repeats", "Something else."),
        ("recalls", "Nothing was asked."),
        ("looked", "I looked."),
        ("no_such", "E97 is fine."),
        ("first_named", "It is noise [E2]."),
        ("yes", "No."),
        ("no", "Yes."),
        ("refuses", "It was Bob."),
        ("explains", "It is E1."),
        ("fresh", "The noise [E2]."),
    ],
)
def test_every_check_can_fail(check: str, wrong: str) -> None:
    said = examination()
    talk = Talk(said, ["Why?", "And?"], ["The noise [E2].", wrong], [[], []], [[], []])
    assert getattr(checks, check)(talk) is False


def test_an_unverified_claim_fails() -> None:
    said = examination()
    assert said.rationale is not None
    talk = Talk(said, ["Why?"], ["So."], [said.rationale.claims], [[]])
    assert not checks.verified(talk)


def test_figures_name_what_failed() -> None:
    rows: list[dict[str, object]] = [
        {"image": "a", "script": "reasons", "checks": [["cites", True], ["figure", False]]},
        {"image": "b", "script": "memory", "checks": [["cites", True], ["fresh", True]]},
    ]
    found = figures(rows)
    assert (found["passed"], found["checks"], found["share"]) == (3, 4, 0.75)
    assert found["failed"] == [{"image": "a", "script": "reasons", "check": "figure"}]
    assert json.dumps(found)
