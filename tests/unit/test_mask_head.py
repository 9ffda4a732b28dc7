"""Training of the mask head: learns what its tokens tell, goes on where it was stopped, keeps sources apart."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.maskhead import MaskHead, MaskHeads
from forensic_chat.encoder.residuals import CHANNELS
from train import mask_head
from train.canvases import keep
from train.mask_batches import Canvas, batch_of, canvases, window
from train.mask_figures import logits_of, measure, sharpened, untrained
from train.mask_head import train

DIMS = {"tokens": 768 * len(EncoderConfig().mask_blocks), "residuals": CHANNELS}
KINDS = (("real", ""), ("tampered", "splice"), ("synthetic", ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("canvases"), DIMS["tokens"])


def made(out: Path, dim: int) -> Path:
    """24 canvases whose changed tokens stand out in one direction."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=dim)
    for k in range(24):
        label, manipulation = KINDS[k % 3]
        rows, columns = 4 + k % 2, 6
        tokens = 0.3 * rng.normal(size=(rows, columns, dim))
        mask = np.zeros((2 * rows, 2 * columns), np.uint8)
        if label == "tampered":
            mask[2:6, 2:8] = 255
            tokens[1:3, 1:4] += direction
        pixels = np.zeros((rows * 16, columns * 16, 3), np.uint8)
        told = {"label": label, "manipulation": manipulation, "source": f"s{k % 4}"}
        keep(out / f"{k:06d}.npz", pixels, mask / 255, tokens.astype(np.float32), told)
    return out


def options(out: Path, **changes: Any) -> argparse.Namespace:
    plain = {
        "out": out, "seed": 0, "bf16": False, "accumulate": 1, "log": False, "learning_rate": 5e-3,
        "weight_decay": 0.0, "batch_size": 6, "epochs": 3, "residuals": False,
    }  # fmt: skip
    return argparse.Namespace(**plain | changes)


def test_a_batch_pads_smaller_windows_and_says_so(folder: Path) -> None:
    torch.manual_seed(0)
    batch = batch_of(canvases([folder])[:6])
    assert batch.tokens.shape[0] == 6
    sizes = batch.inside.flatten(1).sum(1)
    assert len(set(sizes.tolist())) > 2
    assert not batch.tokens.masked_select(batch.inside == 0).any()
    assert batch.mirrored().mask.flip(-1).equal(batch.mask)


def test_a_window_of_a_changed_canvas_holds_a_change() -> None:
    cells = np.zeros((40, 20), np.uint8)
    cells[38, 0] = 255
    for seed in range(50):
        torch.manual_seed(seed)
        rows, columns = window(cells)
        assert rows.stop == 20
        assert columns.start == 0
        assert 11 <= rows.stop - rows.start <= 20
        assert 5 <= columns.stop - columns.start <= 10


@pytest.mark.slow
@pytest.mark.parametrize("read", DIMS)
def test_it_learns_where_something_was_changed(
    read: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every, residuals = canvases([made(tmp_path, DIMS[read])]), read == "residuals"
    before = measure(logits_of(untrained(residuals).eval()), every)
    after = measure(logits_of(train(every, options(tmp_path / "run", epochs=8, residuals=residuals))), every)
    assert after["pixel_auc"] > max(0.9, before["pixel_auc"])
    assert "canvases/s" in capsys.readouterr().out


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = canvases([folder])
    whole = train(every, options(tmp_path / "whole"))
    losses = mask_head.loss_of
    calls = iter(range(100))

    def stops(output: Any, batch: Any) -> torch.Tensor:
        if next(calls) == 5:  # in the second epoch of four batches
            raise KeyboardInterrupt
        return losses(output, batch)

    monkeypatch.setattr(mask_head, "loss_of", stops)
    with pytest.raises(KeyboardInterrupt):
        train(every, options(tmp_path / "cut"))
    monkeypatch.setattr(mask_head, "loss_of", losses)
    resumed = train(every, options(tmp_path / "cut"))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_another_runs_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    every = canvases([folder])
    train(every, options(tmp_path, epochs=1))
    with pytest.raises(SystemExit, match="of another run"):
        train(every[:18], options(tmp_path, epochs=1))


def test_too_few_canvases_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(SystemExit, match="less than a batch"):
        train(canvases([folder])[:3], options(tmp_path))


@pytest.mark.parametrize(
    ("fold", "deal", "seen"),
    [("0/2", [], {"s1", "s3"}), ("1/2", [], {"s0", "s2"}), ("0/2", ["s3", "s1"], {"s1", "s2"})],
)
def test_folds_leave_out_whole_sources_the_dealt_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fold: str, deal: list[str], seen: set[str]
) -> None:
    monkeypatch.setattr(mask_head, "refuse_shortcuts", lambda *_: None)
    trained: list[Canvas] = []

    def noting(chosen: list[Canvas], args: argparse.Namespace) -> MaskHead:
        trained.extend(chosen)
        return untrained(args.residuals).eval()

    monkeypatch.setattr(mask_head, "train", noting)
    arguments = ["mask_head", "--canvases", str(folder), "--out", str(tmp_path), "--fold", fold]
    monkeypatch.setattr("sys.argv", [*arguments, *(["--deal", *deal] if deal else [])])
    mask_head.main()
    assert {canvas.source for canvas in trained} == seen
    assert set(json.loads((tmp_path / "run.json").read_text())["seen"]) == seen


def test_what_is_kept_of_a_canvas_is_what_was_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tokens = rng.normal(5, 2, (4, 6, DIMS["tokens"])).astype(np.float32)
    pixels = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    cells = (rng.random((8, 12)) > 0.5).astype(float)
    keep(tmp_path / "000000.npz", pixels, cells, tokens, {"label": "real", "manipulation": "", "source": "s"})
    (canvas,) = canvases([tmp_path])
    kept, mask = canvas.read()
    assert np.abs(kept - tokens).max() <= np.ptp(tokens, axis=(0, 1)).max() / 255
    assert ((mask > 127) == (cells > 0.5)).all()
    fed = canvas.fed().pixels
    assert any(
        (pixels[y : y + fed.shape[0], x : x + fed.shape[1]] == fed).all()
        for y in range(0, 64, 16)
        for x in range(0, 96, 16)
        if y + fed.shape[0] <= 64 and x + fed.shape[1] <= 96
    )


def test_the_mask_that_is_shown_joins_what_the_pixels_of_a_canvas_tell(folder: Path) -> None:
    (canvas, *_) = canvases([folder])
    torch.manual_seed(0)
    plain, joined = (
        MaskHeads(EncoderConfig(mask_heads=1, mask_mix=mix)).eval()
        for mix in ((1.0, 0.0, 0.5), (1.0, 1.0, 0.5))
    )
    joined.load_state_dict(plain.state_dict())
    with torch.inference_mode():
        tokens = logits_of(plain.heads[0])(canvas)
        assert torch.allclose(sharpened(plain)(canvas), tokens + 0.5)
        moved = sharpened(joined)(canvas) - tokens - 0.5
    assert moved.shape == tuple(2 * side for side in canvas.read()[0].shape[:2])
    assert moved.abs().max() > 1e-3
