"""What is kept of an examined image."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from forensic_chat.errors import UsageError
from tests.unit.test_rewards import examined
from train import examinations
from train.chunks import UNFINISHED
from train.examinations import delivered, drawn, forged, kept_mask
from train.features import Example, examples
from train.sft import examined_rows


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six images, two of each class, all but one of them in train; the first tampered one has a mask that fits."""
    (tmp_path / "images").mkdir()
    lines = []
    for k, label in enumerate(("real", "real", "synthetic", "synthetic", "tampered", "tampered")):
        Image.new("RGB", (300, 200), (k, k, k)).save(tmp_path / "images" / f"{k}.png")
        mask = np.zeros((200, 300) if k == 4 else (300, 200), np.uint8)
        mask[50:100, 30:90] = 255
        Image.fromarray(mask).save(tmp_path / f"mask{k}.png")
        item: dict[str, Any] = dict.fromkeys(
            ("generator", "manipulation", "authentic", "commit", "orig_path", "note")
        )
        item |= {"path": f"images/{k}.png", "sha256": f"{k}" * 64, "label": label, "source": "s"}
        item |= {"licence": "CC0", "width": 300, "height": 200, "format": "PNG", "group": str(k)}
        item |= {"mask": f"mask{k}.png" if label == "tampered" else None, "modern": False}
        lines.append(json.dumps(item | {"split": "val" if k == 0 else "train"}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_a_mask_is_kept_small_and_only_if_it_fits(corpus: Path) -> None:
    every = examples(corpus)
    masks = [kept_mask(delivered(example)[1], (300, 200)) for example in every]
    assert [mask is not None for mask in masks] == [False] * 4 + [True, False]
    changed = examined(mask=masks[4]).changed()
    assert changed is not None
    assert changed.shape == (85, 128)
    assert changed.mean() == pytest.approx(50 * 60 / (200 * 300), abs=0.01)
    assert changed[30, 25]
    assert not changed[10, 100]
    assert examined(truth="real").changed() is None


def test_a_forged_photo_comes_with_its_mask(corpus: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    for k in (0, 1):
        Image.fromarray(pixels).save(corpus / "images" / f"{k}.png")
    (example,) = forged(corpus, "train", 5)
    data, mask = delivered(example)
    assert example.item.label == "tampered"
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (300, 200))
        changed = np.abs(np.asarray(image, int) - pixels).mean(-1)
    assert mask is not None
    assert 0 < (mask > 127).mean() < 0.9
    assert changed[mask > 127].mean() > changed[mask < 1].mean()


def test_images_are_drawn_evenly_and_once(corpus: Path) -> None:
    chosen = drawn(corpus, "train", 6, seed=0)
    assert sorted(example.item.sha256[0] for example in chosen) == ["1", "2", "3", "4", "5"]
    assert len(drawn(corpus, "train", 3, seed=0)) == 3
    assert {example.item.label for example in drawn(corpus, "train", 3, seed=0)} == {
        "real",
        "synthetic",
        "tampered",
    }
    assert len(drawn(corpus, "val", 9, seed=0)) == 1


def test_the_masking_test_is_the_products_from_what_was_measured() -> None:
    about = examined(masking={"R1": 94.0})
    assert not about.region_test(about.regions[0]).passed
    assert examined(masking={"R1": 95.0}).region_test(about.regions[0]).passed
    assert not examined(masking={}).region_test(about.regions[0]).passed


def test_the_command_stops_in_time_and_goes_on(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def examine(chosen: list[Example], out: Path, late: Any) -> bool:
        for example in chosen:
            if late():
                return False
            done.append(example.item.sha256[0])
        return True

    monkeypatch.setattr(examinations, "examine_all", examine)
    given = [
        "examinations",
        "--corpus",
        str(corpus),
        "--out",
        str(tmp_path / "out"),
        "--train",
        "6",
        "--val",
        "3",
        "--forged",
        "2",
    ]
    monkeypatch.setattr("sys.argv", [*given, "--minutes", "1e-9"])
    with pytest.raises(SystemExit) as stopped:
        examinations.main()
    assert stopped.value.code == UNFINISHED
    assert not done
    monkeypatch.setattr("sys.argv", given)
    examinations.main()
    assert done == ["0", "0", "1", "1", "2", "3", "4", "5"]  # photos of train and val forged as well


def test_a_region_on_which_the_verdict_does_not_rest_is_no_reason_in_training_text() -> None:
    from random import Random

    from forensic_chat.imaging.views import View

    views = [View("overview", (0, 0, 1000, 800), np.zeros((224, 224, 3), np.uint8))]
    rests, not_rests = examined(), examined(masking={"R1": 10.0})
    for record, cites in ((rests, True), (not_rests, False)):
        rows = examined_rows([(record, views)], 8, Random(0))
        first = [row["messages"][2]["content"][0]["text"] for row in rows]
        assert any("][R1]" in text for text in first) == cites
    with pytest.raises(UsageError, match=r"run train\.examinations"):
        examined_rows([], 3, Random(0))
