"""The encoder over whole images: tiles laid together, read again where something changed, views chosen."""

import numpy as np
import pytest

from forensic_chat.encoder.perceive import Encoder, rim
from forensic_chat.schema import Box
from tests.factories import tiny_encoder


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return tiny_encoder()


@pytest.mark.parametrize(("width", "height"), [(16, 16), (12, 12), (17, 333), (333, 17), (700, 1100)])
def test_the_mask_has_a_cell_per_eight_pixels(encoder: Encoder, width: int, height: int) -> None:
    seen = encoder.perceive(noise(width, height))
    low = seen.lowlevel
    assert low.mask.shape == low.reliability.shape == (-(-height // 8), -(-width // 8))
    for values in (low.mask, low.reliability, low.traces):
        assert np.isfinite(values).all()
        assert values.min() >= 0
        assert values.max() <= 1
    assert low.verdicts.shape == (len(low.tiles), 3)
    assert sum(seen.probabilities.values()) == pytest.approx(1)
    assert seen.fake_probability == pytest.approx(1 - seen.probabilities["real"])
    assert 0 <= seen.familiarity <= 1


@pytest.mark.parametrize(("width", "height"), [(128, 128), (77, 128), (16, 100)])
def test_an_image_of_one_tile_is_read_as_it_is(encoder: Encoder, width: int, height: int) -> None:
    low = encoder.read_lowlevel(noise(width, height))
    (tile,) = low.tiles
    assert tile.box == (0, 0, width, height)
    np.testing.assert_allclose(low.mask, tile.maps[0], rtol=1e-6)
    np.testing.assert_allclose(low.reliability, tile.maps[1], rtol=1e-6)
    np.testing.assert_array_equal(low.verdicts, tile.verdict[None])
    np.testing.assert_array_equal(low.traces, tile.traces)


def test_overlapping_tiles_are_averaged_and_fade_at_their_rims(encoder: Encoder) -> None:
    low = encoder.read_lowlevel(noise(224, 128))
    left, right = low.tiles
    assert (left.box, right.box) == ((0, 0, 128, 128), (96, 0, 224, 128))
    np.testing.assert_allclose(low.mask[:, :12], left.maps[0][:, :12], rtol=1e-5)
    np.testing.assert_allclose(low.mask[:, 16:], right.maps[0][:, 4:], rtol=1e-5)
    weights = rim(16)
    for column, (a, b) in enumerate(zip(weights[12:], weights[:4], strict=True)):
        mean = (a * left.maps[0][8, 12 + column] + b * right.maps[0][8, column]) / (a + b)
        assert low.mask[8, 12 + column] == pytest.approx(mean, rel=1e-5)


def test_tiles_start_on_cells(encoder: Encoder) -> None:
    """The last tile is shifted inward by any number of pixels, cells by eight."""
    width, height = 203, 141
    low = encoder.read_lowlevel(noise(width, height))
    assert all(tile.box[0] % 8 == tile.box[1] % 8 == 0 for tile in low.tiles)
    assert {tile.box[2] for tile in low.tiles} == {128, width}
    assert {tile.box[3] for tile in low.tiles} == {128, height}


@pytest.mark.parametrize("box", [(0, 0, 8, 8), (60, 70, 150, 130), (255, 170, 300, 200), (127, 0, 129, 200)])
def test_reading_again_where_something_changed_is_reading_again(encoder: Encoder, box: Box) -> None:
    pixels = noise(300, 200)
    before = encoder.read_lowlevel(pixels)
    changed = pixels.copy()
    x0, y0, x1, y1 = box
    changed[y0:y1, x0:x1] = 128
    again = encoder.reread_lowlevel(changed, before, box)
    whole = encoder.read_lowlevel(changed)
    for name in ("mask", "reliability", "verdicts", "traces"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert not np.array_equal(again.mask, before.mask)


def test_only_tiles_that_a_change_touches_are_read_again(encoder: Encoder) -> None:
    pixels = noise(300, 200)
    before = encoder.read_lowlevel(pixels)
    again = encoder.reread_lowlevel(pixels, before, (0, 0, 8, 8))
    kept = [new is old for new, old in zip(again.tiles, before.tiles, strict=True)]
    assert kept == [False] + [True] * (len(kept) - 1)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (17, 333), (700, 1100), (225, 224)])
def test_views_are_the_overview_and_crops_inside_the_image(encoder: Encoder, width: int, height: int) -> None:
    pixels = noise(width, height)
    seen = encoder.perceive(pixels)
    overview, *crops = seen.views
    assert (overview.name, overview.box) == ("overview", (0, 0, width, height))
    assert [view.name for view in crops] == [f"crop {letter}" for letter in "ABCD"[: len(crops)]]
    assert 1 <= len(crops) <= encoder.config.max_crops
    for view in seen.views:
        x0, y0, x1, y1 = view.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert view.pixels.shape == (224, 224, 3)
    for view in crops:
        x0, y0, x1, y1 = view.box
        np.testing.assert_array_equal(view.pixels[: y1 - y0, : x1 - x0], pixels[y0:y1, x0:x1])
    assert seen.features.shape == (len(seen.views), 6)


def test_the_most_suspicious_place_is_shown_first() -> None:
    encoder = tiny_encoder(max_crops=2)
    pixels = noise(448, 672)
    low = encoder.read_lowlevel(pixels)
    low.mask[:] = 0.1
    low.mask[60:70, 30:50] = 0.9  # pixels 240..400 across, 480..560 down
    low.mask[2, 2] = 0.9
    _, first, second = encoder.views(pixels, low)
    assert first.box == (224, 448, 448, 672)
    assert second.box == (0, 0, 224, 224)


def test_the_same_pixels_are_seen_the_same(encoder: Encoder) -> None:
    pixels = noise(400, 300)
    one, two = encoder.perceive(pixels), encoder.perceive(pixels.copy())
    np.testing.assert_array_equal(one.logits, two.logits)
    np.testing.assert_array_equal(one.lowlevel.mask, two.lowlevel.mask)
    np.testing.assert_array_equal(one.features, two.features)
    assert (one.traces, one.familiarity) == (two.traces, two.familiarity)


def test_read_only_pixels_can_be_seen(encoder: Encoder) -> None:
    """As intake gives them."""
    pixels = noise(130, 40)
    pixels.flags.writeable = False
    assert np.isfinite(encoder.perceive(pixels).logits).all()
