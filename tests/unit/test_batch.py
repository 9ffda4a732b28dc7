"""Batches: every image a row, whatever happens on the way; nothing examined twice; a stop loses nothing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from forensic_chat import batch
from forensic_chat.errors import BackendUnavailable, UsageError, WeightsUnavailable
from forensic_chat.schema import BatchExamination, BatchFailure
from tests.fakes import FakeExaminer
from tests.images import photo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, one of them broken, and one file of another kind."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    photo(1).save(root / "a.JPG", "JPEG")
    photo(2).save(root / "sub" / "b.png")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff rubbish")
    (root / "notes.txt").write_text("hello")
    return root


def go(root: Path, examiner: FakeExaminer | None = None, **options: Any) -> list[str]:
    """Runs a batch and returns the names of what was examined."""
    examiner = examiner or FakeExaminer()
    out = options.pop("out", root.parent / "rows.jsonl")
    masks = options.get("masks")
    batch.run(examiner, batch.find(root, leave_out=(out, masks) if masks else (out,)), out, **options)  # type: ignore[arg-type]
    return examiner.examined


def rows(root: Path) -> dict[str, dict[str, Any]]:
    """The last row of each file."""
    lines = (root.parent / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["file"]: row for row in map(json.loads, lines)}


def count(root: Path) -> int:
    return len((root.parent / "rows.jsonl").read_bytes().splitlines())


def test_every_image_has_a_row_of_the_contract(folder: Path) -> None:
    go(folder)
    found = rows(folder)
    assert list(found) == ["a.JPG", "broken.jpg", "sub/b.png"]
    failure = BatchFailure.model_validate(found.pop("broken.jpg"))
    assert failure.error.code == "input_rejected"
    assert failure.sha256
    for row in found.values():
        assert BatchExamination.model_validate(row).rationale is not None


def test_a_second_run_examines_nothing(folder: Path) -> None:
    steps: list[batch.Step] = []
    go(folder)
    assert go(folder, on_step=steps.append) == []
    assert {step.outcome for step in steps} == {"kept"}
    assert count(folder) == 3


def test_a_stop_in_the_middle_loses_nothing(folder: Path) -> None:
    stopping = FakeExaminer()

    def hook(path: Path) -> None:
        if path.name == "b.png":
            raise KeyboardInterrupt

    stopping.hook = hook
    with pytest.raises(KeyboardInterrupt):
        go(folder, stopping)
    assert count(folder) == 2
    assert go(folder) == ["b.png"]
    assert count(folder) == 3


@given(kept=st.floats(min_value=0, max_value=1))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_anywhere_is_completed(folder: Path, kept: float) -> None:
    out = folder.parent / "rows.jsonl"
    out.unlink(missing_ok=True)
    go(folder)
    whole = out.read_bytes()
    out.write_bytes(cut := whole[: int(len(whole) * kept)])
    assert len(go(folder)) == 3 - cut.count(b"\n")
    assert out.read_bytes() == whole


def test_a_changed_file_or_model_is_examined_again(folder: Path) -> None:
    go(folder)
    photo(9).save(folder / "sub" / "b.png")
    assert go(folder) == ["b.png"]
    other = FakeExaminer()
    other.models["encoder"] = "0.0.1"
    assert go(folder, other) == ["a.JPG", "b.png"]
    assert rows(folder)["a.JPG"]["models"]["encoder"] == "0.0.1"
    other.examined.clear()
    other.backend.models["language"] = "0.0.1"
    assert go(folder, other) == ["a.JPG", "b.png"]
    assert count(folder) == 8


def test_another_rationale_setting_is_another_row(folder: Path) -> None:
    go(folder, rationale=False)
    assert rows(folder)["a.JPG"]["rationale"] is None
    assert go(folder, rationale=False) == []
    assert go(folder, rationale=True) == ["a.JPG", "b.png"]


def test_masks_stand_beside_their_rows(folder: Path) -> None:
    masks = folder / "masks"
    go(folder, masks=masks)
    assert sorted(p.relative_to(masks).as_posix() for p in masks.rglob("*.png")) == [
        "a.JPG.png",
        "sub/b.png.png",
    ]
    with Image.open(masks / "a.JPG.png") as mask:
        assert (mask.mode, mask.size) == ("L", (96, 64))
        assert {value for _, value in mask.getcolors() or []} == {0, 255}
    assert rows(folder)["sub/b.png"]["mask"]["png"] == (masks / "sub" / "b.png.png").as_posix()
    assert go(folder, masks=masks) == []
    (masks / "a.JPG.png").unlink()
    assert go(folder, masks=masks) == ["a.JPG"]


def test_an_examination_without_mask_still_has_a_mask_file(folder: Path) -> None:
    class Maskless(FakeExaminer):
        def examine(self, source: Path, **options: Any) -> Any:
            return super().examine(source, **options).model_copy(update={"mask": None})

    masks = folder.parent / "masks"
    go(folder, Maskless(), masks=masks)
    with Image.open(masks / "a.JPG.png") as mask:
        assert mask.getcolors() == [(96 * 64, 0)]
    assert go(folder, Maskless(), masks=masks) == []


def test_output_inside_the_folder_is_not_examined(folder: Path) -> None:
    out = folder / "rows.png"
    for _ in range(2):
        go(folder, out=out, masks=folder / "sub" / "masks")
    assert len(out.read_bytes().splitlines()) == 3


def test_unexpected_exceptions_become_rows_and_are_tried_again(folder: Path) -> None:
    failing = FakeExaminer()

    def hook(path: Path) -> None:
        if path.name == "a.JPG":
            raise ZeroDivisionError("secret")

    failing.hook = hook
    go(folder, failing)
    error = rows(folder)["a.JPG"]["error"]
    assert error["code"] == "internal"
    assert "secret" not in error["message"]
    assert "sub/b.png" in rows(folder)
    assert go(folder) == ["a.JPG"]
    assert "error" not in rows(folder)["a.JPG"]


@pytest.mark.parametrize("kind", [BackendUnavailable, WeightsUnavailable])
def test_a_missing_backend_stops_the_run(folder: Path, kind: type[BackendUnavailable]) -> None:
    examiner = FakeExaminer()

    def hook(path: Path) -> None:
        raise kind("no weights")

    examiner.hook = hook
    with pytest.raises(kind):
        go(folder, examiner)
    assert count(folder) == 0


def test_linked_folders_are_not_entered(folder: Path) -> None:
    (folder / "sub" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")
    found = batch.find(folder)
    assert [batch.row_name(path) for path in found.images] == ["a.JPG", "broken.jpg", "sub/b.png"]
    assert found.passed_over == 1


def test_an_image_without_an_ending_is_found_by_its_bytes(folder: Path) -> None:
    photo(3).save(folder / "download", "WEBP")
    assert go(folder) == ["a.JPG", "broken.jpg", "download", "b.png"]


def test_names_that_are_no_text_are_spelled_out(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    photo().save(plain := root / "a.png")
    try:
        plain.rename(os.fsdecode(os.fsencode(root) + b"/\xff\xe9.png"))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    go(root, masks=tmp_path / "masks")
    assert list(rows(root)) == ["\\xff\\xe9.png"]
    assert go(root, masks=tmp_path / "masks") == []


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\x00\x01", b"hello\n", b'{"file": 3}\n', b'{"other": 1}\n']
)
def test_a_file_that_is_no_batch_is_left_alone(folder: Path, content: bytes) -> None:
    out = folder.parent / "rows.jsonl"
    out.write_bytes(content)
    with pytest.raises(UsageError, match="choose another --out"):
        go(folder)
    assert out.read_bytes() == content


def test_folders_that_can_not_be_used_are_usage_errors(folder: Path, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    for root, says in (
        (empty, "no image"),
        (tmp_path / "missing", "not a folder"),
        (folder / "a.JPG", "not a folder"),
    ):
        with pytest.raises(UsageError, match=says):
            batch.find(root)
    with pytest.raises(UsageError, match="is not a file"):
        go(folder, out=empty)
    with pytest.raises(UsageError, match="can't write"):
        go(folder, out=tmp_path / "no" / "rows.jsonl")
    with pytest.raises(UsageError, match="can't write"):
        go(folder, masks=folder / "notes.txt")
