"""The linear heads: ranges, bounds, a round trip through the disk; and the whole encoder from its folder."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from forensic_chat.encoder import loading
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.loading import load
from forensic_chat.encoder.maskhead import MaskHeads
from forensic_chat.encoder.verdict import (
    COPY_FROM,
    COPY_SPAN,
    SUMMARY,
    VerdictHead,
    softmax,
    summarise_copy,
    summarise_mask,
)
from forensic_chat.errors import WeightsCorrupted
from tests.factories import ColourTower, calibration, verdict_head

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def test_fusion_gives_three_logits_however_many_summaries() -> None:
    head, summaries = verdict_head(), normal(5, len(SUMMARY))
    logits = head.fuse(summaries)
    assert logits.shape == (5, 3)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(head.fuse(summaries[2]), logits[2], rtol=1e-5)
    np.testing.assert_allclose(softmax(logits).sum(1), 1, rtol=1e-5)


def test_an_outlier_moves_the_fusion_no_further_than_four_deviations() -> None:
    head = verdict_head()
    far, farther = (head.fusion_mean + head.fusion_scale * k for k in (4, 4000))
    np.testing.assert_allclose(head.fuse(far), head.fuse(farther), rtol=1e-4, atol=1e-4)
    assert np.isfinite(head.fuse(np.full(len(SUMMARY), 1e30, np.float32))).all()


def test_the_tower_reads_the_overview_by_one_head_and_the_crops_by_another() -> None:
    head, features = verdict_head(), normal(4, 6)
    whole, crops = head.tower_logits(features)
    standard = (features - head.tower_mean[[0, 1, 1, 1]]) / head.tower_scale[[0, 1, 1, 1]]
    np.testing.assert_allclose(whole, head.tower_weight[0] @ standard[0] + head.tower_bias[0], rtol=1e-4)
    each = standard[1:] @ head.tower_weight[1] + head.tower_bias[1]
    np.testing.assert_allclose(crops, each.mean(), rtol=1e-4, atol=1e-5)


def test_familiarity_falls_from_one_to_zero_with_the_distance() -> None:
    head = verdict_head()
    direction = normal(6)
    steps = [head.tower_mean[0] + k * direction * head.tower_scale[0] for k in (0, 0.5, 1, 2, 4, 1000)]
    values = [head.familiarity(step) for step in steps]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1
    assert values[-1] == 0


@pytest.mark.parametrize("cells", [(1, 1), (2, 2), (3, 40), (90, 120)])
def test_the_masks_summary_is_finite_whatever_the_mask(cells: tuple[int, int]) -> None:
    for mask in (np.zeros(cells), np.ones(cells), RNG.random(cells)):
        summary = summarise_mask(mask.astype(np.float32), np.ones(cells, np.float32))
        assert summary.shape == (len([name for name in SUMMARY if name.startswith("mask")]),)
        assert np.isfinite(summary).all()


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    head = verdict_head()
    head.save(tmp_path / "verdict.safetensors")
    again = VerdictHead.load(tmp_path / "verdict.safetensors")
    for name, value in asdict(head).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_a_head_for_another_summary_is_refused() -> None:
    parts = asdict(verdict_head())
    with pytest.raises(ValueError, match="fusion"):
        VerdictHead(**parts | {"fusion_weight": normal(3, 4)})


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the shipped encoder's, with random weights."""
    config = EncoderConfig(mask_width=8)
    config.save(tmp_path)
    torch.manual_seed(0)
    save_file(MaskHeads(config).state_dict(), tmp_path / "maskheads.safetensors")
    verdict_head().save(tmp_path / "verdict.safetensors")
    (tmp_path / "calibration.json").write_text(json.dumps(asdict(calibration())), encoding="utf-8")
    monkeypatch.setattr(loading, "Tower", lambda graph, threads: ColourTower())
    return tmp_path


def test_the_encoder_is_read_from_its_folder(shipped: Path) -> None:
    encoder, points = load(shipped, shipped / "tower.onnx")
    assert points == calibration()
    assert encoder.config.mask_width == 8
    assert not encoder.mask_heads.training
    assert encoder.perceive(np.zeros((40, 60, 3), np.uint8)).logits.shape == (3,)


def test_the_thread_setting_holds_for_the_mask_heads(shipped: Path) -> None:
    before = torch.get_num_threads()
    try:
        load(shipped, shipped / "tower.onnx", threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "name", ["config.json", "maskheads.safetensors", "verdict.safetensors", "calibration.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "another"])
def test_a_damaged_folder_is_named_in_one_line(shipped: Path, name: str, damage: str) -> None:
    file = shipped / name
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "another":
        other = "verdict.safetensors" if name == "maskheads.safetensors" else "maskheads.safetensors"
        file.write_bytes((shipped / other).read_bytes())
    else:
        file.write_bytes(b"" if damage == "empty" else data[: len(data) // 2])
    with pytest.raises(WeightsCorrupted) as caught:
        load(shipped, shipped / "tower.onnx")
    assert "install the package again" in str(caught.value)
    assert str(shipped) not in str(caught.value)


def test_a_copy_counts_from_a_score_on_and_so_far() -> None:
    found = [summarise_copy(score) for score in (0.0, COPY_FROM, COPY_FROM + 0.5, COPY_FROM + 9)]
    assert found == [0, 0, 0.5, COPY_SPAN]
