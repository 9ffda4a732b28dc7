"""From folders and manifests to results.json: sampling, resuming, delivery; a made-up examiner decides."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval import forged, rows, run
from eval.delivery import deliver
from eval.examples import Example, read, sample
from forensic_chat.data.laundering import PLATFORMS
from forensic_chat.data.manifest import Item
from forensic_chat.errors import InputRejected, UsageError
from forensic_chat.imaging.intake import take_in
from forensic_chat.judgement import Judgement
from forensic_chat.schema import Finding, Probabilities, Verdict
from tests.images import photo


class Looker:
    """Says "tampered" of everything, marks the left half; counts what it was asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.stop_after = 10**9

    def __call__(self, data: bytes, name: str) -> Judgement:
        if len(self.seen) >= self.stop_after:
            raise KeyboardInterrupt
        image = take_in(data, name=name)
        self.seen.append(name)
        cells = np.zeros((-(-image.height // 8), -(-image.width // 8)), np.float32)
        cells[:, : cells.shape[1] // 2] = 1
        verdict = Verdict(
            label="tampered",
            probabilities=Probabilities(real=0.2, synthetic=0.1, tampered=0.7),
            fake_probability=0.8,
            confidence="likely",
        )
        finding = Finding(
            id="E1",
            kind="noise.level",
            summary="",
            value=1.0,
            supports="tampered",
            strength=0.6,
            false_alarm_rate=0.1,
        )
        perception: Any = SimpleNamespace(changes=SimpleNamespace(mask=cells))
        return Judgement(image, perception, verdict, [finding], [], None, [], {"encoder": 0.5})


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Looker:
    looker = Looker()
    monkeypatch.setattr(run, "looker", lambda examiner: looker)
    return looker


@pytest.fixture
def examiner() -> Any:
    return SimpleNamespace(calibration=SimpleNamespace(mask_threshold=0.5), models={"encoder": "0.0.0+abc"})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for k, name in enumerate(
        ["real/a.jpg", "real/b.jpg", "fake/sdxl/c.png", "fake/d.webp", "tampered/splice/e.png"]
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photo(k, 128, 96).save(root / name)
    mask = np.zeros((96, 128), np.uint8)
    mask[:, :64] = 255
    (root / "mask/splice").mkdir(parents=True)
    Image.fromarray(mask).save(root / "mask/splice/e.png")
    return root


def evaluate(data: Path, out: Path, examiner: Any, *suites: str, more: tuple[str, ...] = ()) -> list[str]:
    words = ["--suite", *suites, "--data", str(data), "--out", str(out), "--draws", "10", *more]
    return list(run.run(run.parser().parse_args(words), examiner))


def test_a_folder_is_read_by_its_layout(data: Path) -> None:
    found = {e.id: e for e in read(data, "val")}
    assert [(e.label, e.kind) for e in found.values()] == [
        ("real", "real"), ("real", "real"),
        ("synthetic", "fake"), ("synthetic", "sdxl"), ("tampered", "splice"),
    ]  # fmt: skip
    assert found["tampered/splice/e.png"].mask == data / "mask/splice/e.png"
    (data / "mask/splice/e.png").unlink()
    with pytest.raises(UsageError, match=r"tampered/splice/e\.png has no mask; add mask/splice/e\.png"):
        read(data, "val")


def item(path: str, **changes: Any) -> dict[str, Any]:
    none = dict.fromkeys(["generator", "manipulation", "mask", "authentic", "commit", "orig_path", "note"])
    fields = none | {
        "path": path, "sha256": "0" * 64, "label": "real", "source": "camera", "licence": "CC0", "width": 128,
        "height": 96, "format": "JPEG", "group": path, "split": "val", "modern": False,
    }  # fmt: skip
    return asdict(Item(**(fields | changes)))


def test_a_manifest_says_what_training_knows(tmp_path: Path) -> None:
    lines = [
        item("a.jpg"), item("b.jpg", split="train"),
        item("c.jpg", source="other", note="[screenshot] of a page"),
        item("d.jpg", label="synthetic", generator="sdxl", source="gallery"),
    ]  # fmt: skip
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    found = read(tmp_path, "val")
    assert [(e.id, e.kind, e.in_training, e.screenshot) for e in found] == [
        ("a.jpg", "camera", True, False), ("c.jpg", "other", False, True), ("d.jpg", "sdxl", False, False),
    ]  # fmt: skip
    assert len(read(tmp_path / "manifest.jsonl", None)) == 4
    with pytest.raises(UsageError, match="holds no images"):
        read(tmp_path, "holdout")
    with pytest.raises(UsageError, match="neither a folder nor a manifest"):
        read(tmp_path / "none", None)


def test_a_manifest_needs_no_more_than_paths_and_labels(tmp_path: Path) -> None:
    lines = [
        {"path": "a.jpg", "label": "real"},
        {"path": "b/c.png", "label": "tampered", "mask": "m.png", "width": "?"},
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    (tmp_path / "list.csv").write_text(
        "path,label,mask,group\na.jpg,real,,\nb/c.png,tampered,m.png,\n", "utf-8"
    )
    found = read(tmp_path / "list.jsonl", "val")
    assert found == read(tmp_path / "list.csv", "val") == read(tmp_path / "list.csv", None)
    assert [(e.kind, e.source, e.group, e.in_training) for e in found] == [
        ("not stated", "not stated", "a.jpg", False), ("not stated", "not stated", "b/c.png", False),
    ]  # fmt: skip
    assert found[1].mask == tmp_path / "m.png"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"path": "a.jpg", "label": "fake"}', "'real' or 'synthetic' or 'tampered'"),
        ('{"label": "real"}', "line 1: field 'path' is missing"),
        ('{"path": "a.jpg", "label": "tampered"}', "needs its mask"),
        ('{"path": "a.jpg", "label": "real", "group": 3}', "field 'group' is 3; write a string"),
        ("a.jpg real", "not a JSON object"),
    ],
)
def test_a_line_that_is_not_right_is_named(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text(line, "utf-8")
    with pytest.raises(UsageError, match=re.escape(message)):
        read(tmp_path, None)


def test_a_mask_may_have_another_image_ending(data: Path) -> None:
    (data / "mask/splice/e.png").rename(data / "mask/splice/e.png.bmp")
    found = {e.id: e for e in read(data, "val")}
    assert found["tampered/splice/e.png"].mask == data / "mask/splice/e.png.bmp"


def test_of_an_image_kept_whole_and_as_crops_one_is_measured(tmp_path: Path) -> None:
    lines = [item("a.webp") | {"view": "whole"}, item("a1.webp") | {"view": "crop1"}, item("b.jpg")]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n", "utf-8")
    assert [e.id for e in read(tmp_path, "val")] == ["a.webp", "b.jpg"]
    assert [e.id for e in read(tmp_path, "val", "crop1")] == ["a1.webp"]


def test_a_limit_takes_classes_and_sources_in_turn() -> None:
    many = [
        Example(f"r{k}", Path("r"), "real", "", "big" if k < 90 else f"small{k}", f"{k}") for k in range(94)
    ]
    many += [Example(f"s{k}", Path("s"), "synthetic", "", "one", f"s{k}") for k in range(50)]
    drawn = sample(many, 12, seed=1)
    assert drawn == sample(many, 12, seed=1) != sample(many, 12, seed=2)
    assert sum(e.label == "real" for e in drawn) == 6
    assert {e.source for e in drawn if e.label == "real"} == {
        "big",
        "small90",
        "small91",
        "small92",
        "small93",
    }
    assert drawn == sorted(drawn, key=many.index)
    assert sample(many, 500, 0) == sample(many, None, 0) == many


def test_results_say_what_made_them(data: Path, tmp_path: Path, look: Looker, examiner: Any) -> None:
    out = tmp_path / "out"
    text = evaluate(data, out, examiner, "detection", "localisation", "evidence")
    assert len(look.seen) == 5  # once each, whatever the suites
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert set(results) == {"detection", "localisation", "evidence"}
    about = results["detection"]["run"]
    assert about["models"] == examiner.models
    assert about["data"]["images"] == {"real": 2, "synthetic": 2, "tampered": 1}
    assert about["options"]["seed"] == 0
    assert about["mask_threshold"] == 0.5
    assert about["versions"]["scikit-learn"]
    shown = results["localisation"]["figures"]["data"]["methods"]
    assert shown["shipped"]["micro"]["f1"] == 0.0  # the examiner showed no mask, so a user got none
    assert shown["ungated"]["micro"]["iou"] > 0.85
    assert shown["shipped"]["false_positive_area"] == 0.0
    assert "what was told" in "".join(text)
    evaluate(data, out, examiner, "robustness", more=("--limit", "2"))
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert list(results) == ["detection", "localisation", "evidence", "robustness"]
    assert set(results["robustness"]["figures"]["chains"]) == set(PLATFORMS)
    assert len(look.seen) == 5 + 2 * (len(PLATFORMS) - 1)


def test_a_stopped_run_goes_on_and_drops_a_torn_line(
    data: Path, tmp_path: Path, look: Looker, examiner: Any
) -> None:
    out, kept = tmp_path / "out", tmp_path / "out/rows.jsonl"
    look.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        evaluate(data, out, examiner, "detection")
    complete = kept.read_bytes()
    assert complete.count(b"\n") == 3
    kept.write_bytes(complete + complete.splitlines()[0][:40])
    look.stop_after = 10**9
    evaluate(data, out, examiner, "detection")
    assert look.seen == ["a.jpg", "b.jpg", "d.webp", "c.png", "e.png"]
    assert kept.read_bytes().startswith(complete)
    assert [row["id"] for row in map(json.loads, kept.read_text("utf-8").splitlines())][3:] == [
        "fake/sdxl/c.png", "tampered/splice/e.png",
    ]  # fmt: skip


def test_what_changed_is_examined_again(data: Path, tmp_path: Path, look: Looker, examiner: Any) -> None:
    out = tmp_path / "out"
    evaluate(data, out, examiner, "detection")
    photo(9, 128, 96).save(data / "real/a.jpg")
    evaluate(data, out, examiner, "detection")
    assert look.seen[5:] == ["a.jpg"]
    examiner.models = {"encoder": "0.0.0+def"}
    evaluate(data, out, examiner, "detection")
    assert len(look.seen) == 11
    evaluate(data, out, examiner, "detection")
    assert len(look.seen) == 11


def test_a_file_of_something_else_is_left_alone(
    data: Path, tmp_path: Path, look: Looker, examiner: Any
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/rows.jsonl").write_text("my notes\n", "utf-8")
    with pytest.raises(UsageError, match="choose another --out"):
        evaluate(data, tmp_path / "out", examiner, "detection")
    assert (tmp_path / "out/rows.jsonl").read_text("utf-8") == "my notes\n"


def test_an_image_that_is_refused_is_counted(data: Path, tmp_path: Path, look: Looker, examiner: Any) -> None:
    (data / "real/a.jpg").write_bytes(b"no image")
    evaluate(data, tmp_path / "out", examiner, "detection")
    results = json.loads((tmp_path / "out/results.json").read_text("utf-8"))
    assert results["detection"]["figures"]["not_examined"]["real"] == 1
    assert results["detection"]["figures"]["told"]["real"]["tampered"] == 1


def test_only_code_that_does_something_makes_rows_stale(tmp_path: Path) -> None:
    first = rows._meaning('"""Text."""\ndef f():\n    """More."""\n    return 1  # why\n')
    assert first == rows._meaning("def f():\n    return 1\n")
    assert first != rows._meaning("def f():\n    return 2\n")


@pytest.mark.parametrize("chain", PLATFORMS)
def test_delivery_codes_what_the_chain_makes(chain: str, data: Path) -> None:
    from forensic_chat.data.laundering import launder

    example = next(e for e in read(data, None) if e.label == "tampered")
    file, name, truth = deliver(example, PLATFORMS[chain])
    arrived = take_in(file, name=name)
    pixels = take_in(example.path).pixels
    np.testing.assert_array_equal(arrived.pixels, launder(pixels, None, PLATFORMS[chain])[0])
    assert not arrived.anomalies  # the name says what the bytes are
    assert truth is not None
    assert truth.shape == arrived.pixels.shape[:2]
    assert 0.4 < truth.mean() <= 0.51


def test_a_truth_turns_with_its_image(tmp_path: Path) -> None:
    """Stored lying down and marked at the top; turned clockwise (orientation 6), marked at the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(0, 128, 96).save(tmp_path / "a.jpg", exif=exif)
    mask = np.zeros((96, 128), np.uint8)
    mask[:24] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    example = Example("a", tmp_path / "a.jpg", "tampered", "splice", "s", "g", tmp_path / "m.png")
    _, _, truth = deliver(example, ())
    assert truth is not None
    assert truth.shape == (128, 96)
    assert truth[:, 72:].all()
    assert not truth[:, :72].any()


def test_a_truth_that_does_not_fit_or_marks_nothing_is_named(data: Path) -> None:
    example = next(e for e in read(data, None) if e.label == "tampered")
    assert example.mask is not None
    Image.new("L", (64, 64)).save(example.mask)
    with pytest.raises(UsageError, match=r"e\.png is not of the size"):
        deliver(example, ())
    Image.new("L", (128, 96)).save(example.mask)
    with pytest.raises(UsageError, match="marks nothing"):
        deliver(example, ())


def test_forgeries_come_with_their_originals_and_the_same_every_time(tmp_path: Path) -> None:
    reals = []
    for k in range(3):
        photo(k, 320, 240).save(tmp_path / f"{k}.jpg", quality=95)
        reals.append(Example(f"{k}.jpg", tmp_path / f"{k}.jpg", "real", "camera", "camera", f"g{k}"))
    found = forged.write(reals, tmp_path / "a", 3, seed=4)
    again = forged.write(reals, tmp_path / "b", 3, seed=4)
    assert [e.label for e in found] == ["real", "tampered"] * 3
    assert len({e.kind for e in found if e.label == "tampered"}) == 3
    assert [e.path.read_bytes() for e in found] == [e.path.read_bytes() for e in again]
    for untouched, changed in zip(found[::2], found[1::2], strict=True):
        assert untouched.group == changed.group
        _, _, truth = deliver(changed, ())
        before, after = (take_in(e.path).pixels.astype(int) for e in (untouched, changed))
        difference = np.abs(before - after).mean(axis=2)
        assert truth is not None
        assert difference[truth].mean() > 4 * difference[~truth].mean()
    with pytest.raises(UsageError, match="at least two real photos"):
        forged.write(reals[:1], tmp_path / "c", 3, seed=4)


def test_bad_use_is_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, examiner: Any
) -> None:
    monkeypatch.setattr(run.Examiner, "load", lambda: examiner)
    words = ["--suite", "detection", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert run.main(words) == InputRejected.exit_code
    assert capsys.readouterr().err.count("\n") == 1
    assert run.main([*words, "--limit", "0"]) == 2
