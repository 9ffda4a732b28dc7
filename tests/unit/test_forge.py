"""Forgeries: exact masks, true sentences, the same seed the same bytes."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from forensic_chat.data.forge import MANIPULATIONS, ForgeFailed, Forgery, forge
from forensic_chat.data.forge.__main__ import main
from forensic_chat.data.forge.inpaint import fill_by_patches, fill_by_shift
from forensic_chat.data.forge.mattes import draw_box, draw_matte
from forensic_chat.data.manifest import read

FEATHER_REACH = 26
"""The widest feather has a sigma of 6 pixels and ends after four of them, plus the rounding of its edge."""


def photo(seed: int, height: int = 256, width: int = 320) -> np.ndarray:
    """Coloured patches with edges, gradients and grain: enough for every manipulation to change something."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 236, (height // 32, width // 32, 3)).astype(np.uint8)
    blocks = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.float32)
    smooth = cv2.resize(coarse[::-1], (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grain = rng.normal(0, 8, (height, width, 3))
    return np.clip(0.5 * blocks + 0.5 * smooth + grain, 0, 255).astype(np.uint8)


PHOTO, DONORS = photo(1), [photo(2, 200, 200), photo(3, 300, 400)]


def make(name: str, seed: int) -> Forgery:
    return forge(PHOTO, DONORS, np.random.default_rng(seed), name)


@pytest.mark.parametrize("name", MANIPULATIONS)
@pytest.mark.parametrize("seed", range(12))
def test_the_mask_is_exact(name: str, seed: int) -> None:
    before = PHOTO.copy()
    forgery = make(name, seed)
    assert np.array_equal(PHOTO, before)
    assert forgery.manipulation == name
    assert forgery.pixels.shape == PHOTO.shape
    assert forgery.pixels.dtype == forgery.mask.dtype == np.uint8
    assert set(np.unique(forgery.mask)) == {0, 255}
    inside = forgery.mask > 0
    assert 0.01 <= inside.mean() <= 0.40
    change = np.abs(forgery.pixels.astype(int) - PHOTO)
    assert change[inside].mean() > 1
    near = cv2.dilate(forgery.mask, np.ones((2 * FEATHER_REACH + 1,) * 2, np.uint8)) > 0
    assert not change[~near].any()
    assert change[inside].mean() > 2 * change[~inside].mean()


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_the_same_seed_gives_the_same_forgery(name: str) -> None:
    first, second, other = make(name, 5), make(name, 5), make(name, 6)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.mask, second.mask)
    assert first.truth == second.truth
    assert not np.array_equal(first.mask, other.mask)


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_the_truth_is_one_sentence_with_a_place(name: str) -> None:
    for seed in range(8):
        truth = make(name, seed).truth
        assert truth.endswith(".")
        assert "{" not in truth
        assert any(word in truth for word in ("upper", "lower", "centre", "left half", "right half"))


def test_the_named_place_is_where_the_mask_is() -> None:
    for seed in range(20):
        forgery = make("retouch", seed)
        rows, columns = np.nonzero(forgery.mask)
        words = forgery.truth.split()
        y, x = rows.mean() / 256, columns.mean() / 320
        assert ("upper" in words) == (y < 0.4)
        assert ("lower" in words) == (y > 0.6)
        assert ("left" in words) == (x < 0.4)
        assert ("right" in words) == (x > 0.6)


def test_a_plain_copy_is_found_elsewhere_in_the_photo() -> None:
    forgery = next(f for f in (make("copy-move", seed) for seed in range(40)) if "scaled" not in f.truth)
    core = cv2.erode(forgery.mask, np.ones((9, 9), np.uint8)) > 0
    rows, columns = np.nonzero(core)
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    piece = forgery.pixels[top:bottom, left:right]
    weight = core[top:bottom, left:right].astype(np.uint8) * 255
    distance = cv2.matchTemplate(PHOTO, piece, cv2.TM_SQDIFF, mask=np.dstack([weight] * 3))
    # Retouching may add an offset and a small gain; without it the copy is exact.
    assert distance.min() / np.count_nonzero(core) < 3 * 30**2


def test_all_manipulations_are_drawn_and_splices_need_donors() -> None:
    rng = np.random.default_rng(0)
    assert {forge(PHOTO, DONORS, rng).manipulation for _ in range(60)} == set(MANIPULATIONS)
    assert "splice" not in {forge(PHOTO, [], rng).manipulation for _ in range(40)}
    with pytest.raises(ValueError, match="donor"):
        forge(PHOTO, [], rng, "splice")
    with pytest.raises(ValueError, match="morph"):
        forge(PHOTO, DONORS, rng, "morph")


def test_a_blank_photo_leaves_nothing_to_remove() -> None:
    with pytest.raises(ForgeFailed):
        forge(np.full((200, 200, 3), 128, np.uint8), [], np.random.default_rng(0), "inpaint")


def test_a_tiny_photo_cannot_be_forged() -> None:
    with pytest.raises(ForgeFailed, match="smaller"):
        forge(PHOTO[:64, :64], DONORS, np.random.default_rng(0))


@pytest.mark.parametrize("size", [(96, 96), (96, 500), (700, 120)])
def test_unusual_shapes(size: tuple[int, int]) -> None:
    picture = photo(4, 704, 512)[: size[0], : size[1]]
    made = 0
    for seed in range(20):
        try:
            forgery = forge(picture, DONORS, np.random.default_rng(seed))
        except ForgeFailed:
            continue
        made += 1
        assert forgery.pixels.shape == picture.shape
    assert made >= 15


@pytest.mark.parametrize("fill", [fill_by_patches, fill_by_shift])
def test_a_hole_in_stripes_is_filled_with_stripes(fill: object) -> None:
    stripes = np.zeros((120, 120, 3), np.uint8)
    stripes[:, (np.arange(120) // 6) % 2 == 0] = 200
    hole = np.zeros((120, 120), bool)
    hole[45:75, 45:75] = True
    damaged = stripes.copy()
    damaged[hole] = (255, 0, 255)
    filled = fill(damaged, hole, np.random.default_rng(0))  # type: ignore[operator]
    assert np.array_equal(filled[~hole], damaged[~hole])
    assert np.abs(filled[hole].astype(int) - stripes[hole]).mean() < 40
    assert (filled[hole].astype(int).max(axis=1) - filled[hole].astype(int).min(axis=1)).mean() < 20


def test_mattes_end_inside_their_box() -> None:
    rng = np.random.default_rng(0)
    for _ in range(80):
        x0, y0, x1, y1 = draw_box(rng, PHOTO)
        assert 0 <= x0 < x1 <= 320
        assert 0 <= y0 < y1 <= 256
        matte = draw_matte(rng, PHOTO[y0:y1, x0:x1])
        assert matte.shape == (y1 - y0, x1 - x0)
        assert matte.min() == 0
        assert matte.max() > 0.9
        rim = np.concatenate([matte[0], matte[-1], matte[:, 0], matte[:, -1]])
        assert rim.max() < 0.05


def test_the_command_writes_a_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    for index in range(3):
        Image.fromarray(photo(10 + index)).save(photos / "sub" / f"{index}.jpg", quality=90)
    (photos / "notes.txt").write_text("not a photo")
    for out in ("one", "two"):
        assert main([str(photos), "--out", str(tmp_path / out), "--n", "6", "--seed", "3"]) == 0
    items = read(tmp_path / "one" / "manifest.jsonl")
    assert len(items) == 6
    for item in items:
        assert item.mask is not None
        assert item.authentic is not None
        picture, mask, original = (
            np.asarray(Image.open(tmp_path / "one" / path)) for path in (item.path, item.mask, item.authentic)
        )
        assert picture.shape == original.shape == (item.height, item.width, 3)
        assert mask.shape == picture.shape[:2]
        assert (picture != original).any()
        assert item.group.startswith("photos/sub/")
    lines = [(tmp_path / out / "manifest.jsonl").read_text().splitlines() for out in ("one", "two")]
    assert lines[0] == lines[1]
    assert json.loads(lines[0][0])["label"] == "tampered"
    assert main([str(photos), "--out", str(tmp_path / "one"), "--n", "1"]) == 2
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "three"), "--n", "1"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors == ["one is not empty; give a new folder", "none holds no files; give a folder of photos"]
