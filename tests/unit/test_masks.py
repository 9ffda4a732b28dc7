"""From cells to boxes and an image-sized mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat.encoder.masks import SMALLEST_AREA, full_size, regions, soft


@st.composite
def cells(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    width, height = draw(st.integers(16, 200)), draw(st.integers(16, 200))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    coarse = rng.random((-(-height // 32), -(-width // 32)))
    mask = np.kron(coarse, np.ones((4, 4)))[: -(-height // 8), : -(-width // 8)]
    return mask.astype(np.float32), width, height


@given(cells(), st.floats(0.1, 0.9))
def test_regions_are_the_largest_components_inside_the_image(
    drawn: tuple[np.ndarray, int, int], threshold: float
) -> None:
    mask, width, height = drawn
    found = regions(mask, width, height, threshold)
    assert len(found) <= 4
    assert [r.area for r in found] == sorted((r.area for r in found), reverse=True)
    for region in found:
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert SMALLEST_AREA <= region.area <= 1
        assert threshold < region.score <= 1


def test_a_region_has_its_box_area_and_mean_score() -> None:
    mask = np.zeros((10, 20), np.float32)
    mask[2:4, 3:7] = 0.8
    mask[8:10, 18:20] = 0.6
    first, second = regions(mask, 157, 78, 0.5)  # the last cells reach beyond the image
    assert first.box == (24, 16, 56, 32)
    assert first.area == pytest.approx(8 * 64 / (157 * 78))
    assert first.score == pytest.approx(0.8)
    assert second.box == (144, 64, 157, 78)


def test_touching_corners_are_one_region_and_specks_none() -> None:
    mask = np.zeros((100, 100), np.float32)
    mask[10:20, 10:20] = mask[20:30, 20:30] = 0.9
    mask[90, 90] = 0.9  # one cell of ten thousand
    (only,) = regions(mask, 800, 800, 0.5)
    assert only.box == (80, 80, 240, 240)


def test_nothing_marked_gives_no_region() -> None:
    assert regions(np.full((8, 8), 0.5, np.float32), 64, 64, 0.5) == []


@given(cells(), st.floats(0.1, 0.9))
def test_the_full_mask_has_the_images_size_and_two_values(
    drawn: tuple[np.ndarray, int, int], threshold: float
) -> None:
    mask, width, height = drawn
    whole = full_size(mask, width, height, threshold)
    assert whole.shape == (height, width)
    assert whole.dtype == np.uint8
    assert set(np.unique(whole)) <= {0, 255}
    np.testing.assert_array_equal(whole == 255, soft(mask, width, height) > round(threshold * 255))


def test_the_full_mask_lies_where_the_cells_are() -> None:
    mask = np.zeros((10, 12), np.float32)
    mask[3:6, 4:9] = 1
    whole = full_size(mask, 93, 75, 0.5)
    rows, columns = np.nonzero(whole)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (32, 24, 72, 48)
