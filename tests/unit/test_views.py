"""The pictures a language model looks at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat.imaging.views import crop, native_boxes, overview, trace_map


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (224, 224), (300, 900), (3000, 2000)])
def test_overview_shows_everything_at_the_towers_size(size: tuple[int, int]) -> None:
    height, width = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[height // 2 :, :, 0] = 200
    view = overview(pixels)
    assert (view.name, view.box) == ("overview", (0, 0, width, height))
    assert view.pixels.shape == (224, 224, 3)
    assert view.pixels.dtype == np.uint8
    assert abs(float(view.pixels[..., 0].mean()) - 100) < 2


def test_crop_is_native_pixels() -> None:
    pixels = photo(500, 600)
    view = crop(pixels, (100, 50, 324, 274), "crop A")
    assert (view.name, view.box) == ("crop A", (100, 50, 324, 274))
    assert np.array_equal(view.pixels, pixels[50:274, 100:324])


def test_crop_of_another_box_keeps_the_centre_and_stays_inside() -> None:
    pixels = photo(500, 600)
    assert crop(pixels, (300, 200, 340, 240), "crop B").box == (208, 108, 432, 332)
    assert crop(pixels, (590, 490, 600, 500), "crop C").box == (376, 276, 600, 500)
    assert crop(pixels, (0, 0, 10, 10), "crop D").box == (0, 0, 224, 224)


@pytest.mark.parametrize("size", [(16, 16), (100, 600), (223, 40)])
def test_crop_reflects_where_the_image_is_too_small(size: tuple[int, int]) -> None:
    height, width = size
    pixels = photo(height, width)
    view = crop(pixels, (0, 0, width, height), "crop A")
    assert view.pixels.shape == (224, 224, 3)
    shown = pixels[:224, view.box[0] : view.box[2]]
    assert np.array_equal(view.pixels[: shown.shape[0], : shown.shape[1]], shown)
    if height < 224:
        assert np.array_equal(view.pixels[height, : shown.shape[1]], shown[height - 2])


@given(st.integers(1, 700), st.integers(1, 700), st.integers(32, 224), st.data())
def test_native_boxes_cover_the_image(width: int, height: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile // 2))
    covered = np.zeros((height, width), bool)
    boxes = native_boxes(width, height, tile, overlap)
    for x0, y0, x1, y1 in boxes:
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert (x1 - x0, y1 - y0) == (min(tile, width), min(tile, height))
        covered[y0:y1, x0:x1] = True
    assert covered.all()
    assert len(set(boxes)) == len(boxes)


def test_native_boxes_refuse_an_overlap_of_a_whole_tile() -> None:
    with pytest.raises(ValueError, match="overlap"):
        native_boxes(500, 500, 224, 224)


def test_trace_map_is_ordered_by_lightness() -> None:
    heat = np.tile(np.linspace(0, 1, 224, dtype=np.float32), (224, 1))
    view = trace_map(heat)
    assert view.pixels.shape == (224, 224, 3)
    lightness = view.pixels[0].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) >= 0).all()
    assert lightness[-1] - lightness[0] > 180


def test_trace_map_of_any_size_and_bad_values() -> None:
    heat = np.zeros((7, 9), np.float32)
    heat[3, 4], heat[0, 0], heat[0, 1] = 1, np.nan, 5
    view = trace_map(heat)
    assert view.box == (0, 0, 9, 7)
    assert view.pixels[112, 112].mean() > view.pixels[200, 200].mean() + 100
