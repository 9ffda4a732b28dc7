"""Forgeries that need networks - autoencoders, a finder of faces - and text, on networks and pictures made here."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from forensic_chat.data.forge import MANIPULATIONS, ForgeFailed, forge
from forensic_chat.data.forge.__main__ import main
from forensic_chat.data.forge.autoencoders import DESIGNS, Autoencoder, save
from forensic_chat.data.forge.faces import Face, face_swap, faces_of, load_finder
from forensic_chat.data.forge.regeneration import manipulations, regenerate
from forensic_chat.data.forge.text import find_lines, text_edit
from forensic_chat.data.manifest import read
from forensic_chat.errors import UsageError
from tests.unit.test_forge import photo

PHOTO, DONOR = photo(1), photo(2, 256, 320)
NAMES = ("kl-nearest-4x", "vq-shuffle-4x", "kl-nearest-8x-fill")


@pytest.fixture(scope="module")
def autoencoders() -> dict[str, Autoencoder]:
    """Untrained: what comes out is far from the photo."""
    torch.manual_seed(0)
    return {name: Autoencoder(DESIGNS[name]).eval() for name in NAMES}


def test_a_remade_photo_is_synthetic_all_over(autoencoders: dict[str, Autoencoder]) -> None:
    makers = set()
    for seed in range(6):
        made = regenerate(PHOTO, autoencoders, np.random.default_rng(seed))
        assert made.generator in ("kl-nearest-4x", "vq-shuffle-4x")
        assert made.generator in made.truth
        assert (made.mask == 255).all()
        assert made.pixels.shape == PHOTO.shape
        makers.add(made.generator)
        coarse = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), 12) for p in (PHOTO, made.pixels))
        before, after = coarse
        # Grain is lost, colours are not.
        assert np.abs(before - after).mean() < 3
        assert np.abs(made.pixels.astype(int) - PHOTO).mean() > 3
    assert len(makers) == 2


@pytest.mark.parametrize("name", ["regenerate-region", "regenerate-hole"])
def test_a_remade_part_has_an_exact_mask(autoencoders: dict[str, Autoencoder], name: str) -> None:
    kinds = MANIPULATIONS | manipulations(autoencoders)
    for seed in range(4):
        first, second = (forge(PHOTO, [], np.random.default_rng(seed), name, kinds) for _ in range(2))
        assert np.array_equal(first.pixels, second.pixels)
        assert first.generator is None
        assert "autoencoder" in first.truth
        change = np.abs(first.pixels.astype(int) - PHOTO)
        near = cv2.dilate(first.mask, np.ones((45, 45), np.uint8)) > 0
        assert not change[~near].any()
        assert change[first.mask > 0].mean() > 1


def test_holes_are_left_to_those_that_fill_them(autoencoders: dict[str, Autoencoder]) -> None:
    assert set(manipulations({"a": autoencoders["kl-nearest-4x"]})) == {"regenerate-region"}


def printed(word: str = "TOTAL 1234") -> np.ndarray:
    """A light sheet with grain and one printed line."""
    sheet = np.full((240, 320, 3), 215, np.uint8)
    cv2.putText(sheet, word, (60, 130), cv2.FONT_HERSHEY_DUPLEX, 1.1, (30, 30, 60), 2, cv2.LINE_AA)
    noise = np.random.default_rng(0).normal(0, 3, sheet.shape)
    return np.clip(sheet + noise, 0, 255).astype(np.uint8)


def test_a_printed_line_is_found_and_painted_over() -> None:
    sheet = printed()
    (line,) = find_lines(sheet)
    x0, y0, x1, y1 = line.box
    assert (40 < x0 < 64, 95 < y0 < 112, 128 < y1 < 142, 230 < x1 < 300) == (True,) * 4
    made = text_edit(sheet, np.random.default_rng(0))
    assert made.truth.startswith("A line of text in the centre was painted over with the text")
    rows, columns = np.nonzero(made.mask)
    assert abs(rows.min() - y0) <= 2
    assert abs(columns.max() + 1 - x1) <= 2
    ground = made.mask > 0
    # The ground is the sheet's and the ink is the line's, in level and in grain.
    assert abs(np.percentile(made.pixels[ground], 70) - 215) < 5
    assert np.percentile(made.pixels[ground], 3) < 90
    paper = made.pixels[cv2.erode(made.mask, np.ones((7, 7), np.uint8)) > 0]
    grain = paper[(paper > 205).all(axis=1)].std(axis=0).mean()
    assert 1.5 < grain < 4.5


def test_without_a_line_one_is_written_on_a_smooth_place() -> None:
    assert not find_lines(PHOTO)
    calm = PHOTO.copy()
    calm[:, :160] = 120
    made = text_edit(calm, np.random.default_rng(1))
    assert "Onto the photo was painted" in made.truth
    assert np.nonzero(made.mask)[1].mean() < 160


CENTRES = {0: (160.0, 120.0), 1: (140.0, 130.0)}


def face(photo_index: int, size: float = 100) -> Face:
    x, y = CENTRES[photo_index]
    points = np.array([[-0.2, -0.1], [0.2, -0.1], [0, 0.1], [-0.15, 0.3], [0.15, 0.3]], np.float32) * size
    box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
    return Face(box, points + np.array([x, y], np.float32))


def find(pixels: np.ndarray) -> list[Face]:
    return [face(0) if np.array_equal(pixels, PHOTO) else face(1, 120)]


def test_a_face_is_fitted_onto_the_other() -> None:
    hows = set()
    for seed in range(6):
        made, again = (face_swap(PHOTO, DONOR, find, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(made.pixels, again.pixels)
        rows, columns = np.nonzero(made.mask)
        assert abs(columns.mean() - 160) < 3
        assert 110 < rows.mean() < 145
        change = np.abs(made.pixels.astype(int) - PHOTO)
        near = cv2.dilate(made.mask, np.ones((53, 53), np.uint8)) > 0
        assert not change[~near].any()
        assert made.truth.startswith("The face in the centre was replaced")
        hows.add(made.truth)
    assert len(hows) == 2


def test_without_a_face_there_is_no_swap() -> None:
    with pytest.raises(ForgeFailed, match="no face"):
        face_swap(PHOTO, DONOR, lambda _: [], np.random.default_rng(0))
    with pytest.raises(ForgeFailed, match="no face"):
        face_swap(PHOTO, DONOR, lambda _: [face(0, 30)], np.random.default_rng(0))
    kinds = {"face-swap": lambda p, d, rng: face_swap(p, d, find, rng)}
    with pytest.raises(ValueError, match="donor"):
        forge(PHOTO, [], np.random.default_rng(0), "face-swap", kinds)
    with pytest.raises(ForgeFailed, match="donor"):
        forge(PHOTO, [], np.random.default_rng(0), None, kinds)


def test_the_finders_maps_are_decoded() -> None:
    heat, sizes, offsets, points = (np.zeros((n, 20, 30), np.float32) for n in (1, 2, 2, 10))
    heat[0, 5, 10], heat[0, 5, 11], heat[0, 15, 20] = 0.9, 0.6, 0.7
    sizes[:, 5, 10] = np.log(8), np.log(6)
    sizes[:, 15, 20] = np.log(10), np.log(10)
    offsets[:, 5, 10] = 0.25, -0.25
    points[:2, 5, 10] = 0.5, 1.0
    large, small = faces_of(heat[0], sizes, offsets, points, (2.0, 1.0))
    assert large.box[3] - large.box[1] == pytest.approx(40)
    # 32 x 24 px about row 4 * 5.75, column 4 * 10.25 of the network's input, twice as wide in the photo.
    assert small.box == pytest.approx((58, 7, 106, 39), abs=1e-3)
    assert small.landmarks[0] == pytest.approx((106, 23), abs=1e-3)
    assert small.landmarks[1] == pytest.approx((58, 7), abs=1e-3)


def test_another_file_is_no_finder(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(UsageError, match=r"x\.onnx is not a CenterFace network"):
        load_finder(tmp_path / "x.onnx")


def test_the_command_writes_pairs_and_says_what_is_missing(
    tmp_path: Path, autoencoders: dict[str, Autoencoder], capsys: pytest.CaptureFixture[str]
) -> None:
    photos, weights = tmp_path / "photos", tmp_path / "weights"
    photos.mkdir()
    weights.mkdir()
    for index in range(2):
        Image.fromarray(photo(10 + index)).save(photos / f"{index}.png")
    command = [str(photos), "--n", "2", "--autoencoders", str(weights), "--out"]
    assert main([*command, str(tmp_path / "none")]) == 2
    save(autoencoders["kl-nearest-4x"], weights / "kl-nearest-4x.safetensors", {})
    assert main([*command, str(tmp_path / "pairs"), "--kind", "regenerate"]) == 0
    for item in read(tmp_path / "pairs" / "manifest.jsonl"):
        assert (item.label, item.generator, item.mask) == ("synthetic", "kl-nearest-4x", None)
        assert item.manipulation is None
        assert (tmp_path / "pairs" / str(item.authentic)).exists()
    assert main([*command, str(tmp_path / "holes"), "--kind", "regenerate-hole"]) == 2
    assert main([*command, str(tmp_path / "faces"), "--kind", "face-swap"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("weights holds no autoencoders; train them with python -m train.autoencoders")
    assert errors[1:] == [
        "regenerate-hole needs --autoencoders with one that fills holes",
        "face-swap needs --faces",
    ]
