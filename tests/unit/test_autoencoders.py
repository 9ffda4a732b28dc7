"""Autoencoders: shapes, what a place may depend on, holes that hide; training that resumes and repeats."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from forensic_chat.data.forge.autoencoders import DESIGNS, Autoencoder, Codes, Design, load, remade, save
from forensic_chat.errors import UsageError
from tests.images import photo
from train.autoencoders import Run, hidden, loss_of, main


def model(name: str, seed: int = 0) -> Autoencoder:
    """Untrained, but with residual branches that do something."""
    torch.manual_seed(seed)
    made = Autoencoder(DESIGNS[name]).eval()
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return made


def test_the_designs_cover_the_kinds_of_decoder() -> None:
    designs = [design for design in DESIGNS.values() if not design.fills_holes]
    assert len(designs) >= 6
    assert {design.upsampling for design in designs} == {"nearest", "bilinear", "transposed", "shuffle"}
    assert {design.bottleneck for design in designs} == {"kl", "vq"}
    assert {design.factor for design in designs} == {4, 8}
    assert len({design.seed for design in DESIGNS.values()}) == len(DESIGNS)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_photo_comes_back_at_its_own_size(name: str) -> None:
    pixels = np.asarray(photo(0, 53, 37))
    made = remade(pixels, model(name), np.random.default_rng(0))
    assert made.shape == pixels.shape
    assert made.dtype == np.uint8
    again = remade(pixels, model(name), np.random.default_rng(0))
    assert np.array_equal(made, again)


@pytest.mark.parametrize("name", ["kl-nearest-4x", "vq-shuffle-4x"])
def test_what_happens_far_away_changes_nothing_here(name: str) -> None:
    pixels = np.array(photo(0, 256, 64))
    other = pixels.copy()
    other[:, 200:] = 255 - other[:, 200:]
    made, changed = (remade(p, model(name), np.random.default_rng(0)) for p in (pixels, other))
    assert np.array_equal(made[:, :100], changed[:, :100])
    assert not np.array_equal(made[:, 200:], changed[:, 200:])


def test_pixels_in_a_hole_are_never_looked_at() -> None:
    pixels = np.array(photo(0, 64, 64))
    hole = np.zeros((64, 64), bool)
    hole[20:40, 16:30] = True
    other = pixels.copy()
    other[hole] = 0
    fill = model("kl-nearest-8x-fill")
    made, changed = (remade(p, fill, np.random.default_rng(0), hole) for p in (pixels, other))
    assert np.array_equal(made, changed)
    assert not np.array_equal(made, remade(pixels, fill, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="holes"):
        remade(pixels, model("kl-nearest-4x"), np.random.default_rng(0), hole)


def test_codes_are_the_nearest_and_let_gradients_through() -> None:
    torch.manual_seed(0)
    codes = Codes(8)
    z = torch.randn(2, 8, 3, 3, requires_grad=True)
    latent, loss = codes(z)
    scaled = torch.nn.functional.layer_norm(z.permute(0, 2, 3, 1), (8,)).reshape(-1, 2, 4)
    for group in range(2):
        nearest = torch.cdist(scaled[:, group], codes.book[group]).argmin(1)
        wanted = codes.book[group][nearest]
        assert torch.allclose(latent.permute(0, 2, 3, 1).reshape(-1, 2, 4)[:, group], wanted, atol=1e-5)
    latent.pow(2).sum().backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0
    assert loss > 0


def test_an_autoencoder_is_saved_with_its_design(tmp_path: Path) -> None:
    design = Design("kl", "bilinear", 4, 4, 9)
    torch.manual_seed(0)
    save(Autoencoder(design), tmp_path / "mine.safetensors", {"psnr": 30.5})
    read = load(tmp_path)
    assert list(read) == ["mine"]
    assert read["mine"].design == design
    assert not read["mine"].training


@pytest.mark.parametrize("fault", ["empty", "bytes", "no design", "other shapes"])
def test_a_folder_without_autoencoders_is_refused(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "x.safetensors"
    if fault == "bytes":
        path.write_bytes(b"nothing of the kind")
    elif fault == "no design":
        save_file({"a": torch.zeros(1)}, path)
    elif fault == "other shapes":
        save_file({"a": torch.zeros(1)}, path, {"design": json.dumps(asdict(DESIGNS["kl-nearest-4x"]))})
    with pytest.raises(
        UsageError, match=r"python -m train.autoencoders" if fault == "empty" else "x.safetensors"
    ):
        load(tmp_path)


def test_the_loss_sees_level_and_edges() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 16, 16)
    assert loss_of(x, x) == 0
    assert loss_of(x + 0.1, x).item() == pytest.approx(0.1, abs=1e-6)
    assert loss_of(x.roll(1, 3), x) > torch.nn.functional.l1_loss(x.roll(1, 3), x)


def test_training_holes_hide_part_of_every_photo() -> None:
    x = torch.ones(4, 3, 96, 96)
    seen = hidden(x, np.random.default_rng(0))
    mask = seen[:, 3:]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(seen[:, :3], (1 - mask).expand(-1, 3, -1, -1))
    share = mask.flatten(1).mean(1)
    assert ((share > 0.005) & (share < 0.45)).all()


def corpus(folder: Path) -> Path:
    lines = []
    for index in range(3):
        label = "synthetic" if index == 2 else "real"
        file = f"{index}.png"
        photo(index, 150, 140).save(folder / file)
        lines.append(
            {"path": file, "sha256": "", "label": label, "generator": None, "manipulation": None, "mask": None,
             "authentic": None, "source": "here", "commit": None, "orig_path": None, "licence": "CC0",
             "width": 150, "height": 140, "format": "PNG", "group": file, "split": "train", "modern": False,
             "note": None}
        )  # fmt: skip
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_training_goes_on_where_it_was_and_repeats_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = corpus(tmp_path)
    name = "kl-nearest-4x"
    command = ["--data", str(data), "--family", name]
    main([*command, "--out", str(tmp_path / "once"), "--steps", "4"])
    main([*command, "--out", str(tmp_path / "twice"), "--steps", "2"])
    main([*command, "--out", str(tmp_path / "twice"), "--steps", "4"])
    printed = capsys.readouterr().out
    assert "1 photos to train on, 1 to measure on" in printed
    assert "dB after 4 steps" in printed
    assert "samples/s" in printed
    once, twice = (load_file(tmp_path / out / f"{name}.safetensors") for out in ("once", "twice"))
    assert all(torch.equal(once[key], twice[key]) for key in once)
    assert list(load(tmp_path / "once")) == [name]


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    pixels = np.array(photo(0, 128, 128))
    run = Run(DESIGNS["vq-transposed-4x"], tmp_path / "state")
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        before = loss_of(run.model(x)[0], x)
    for _ in range(20):
        run.advance([pixels])
    with torch.no_grad():
        assert loss_of(run.model(x)[0], x) < 0.99 * before


def test_without_photos_training_says_so(tmp_path: Path) -> None:
    data = corpus(tmp_path)
    Image.new("RGB", (40, 40)).save(tmp_path / "0.png")
    with pytest.raises(UsageError, match="1 real training photos of 128 px"):
        main(["--data", str(data), "--out", str(tmp_path / "out"), "--steps", "1"])
