"""The encoder over whole images: tokens laid together, read again where something changed, views chosen."""

from itertools import pairwise

import numpy as np
import pytest

from forensic_chat.encoder.perceive import Encoder
from forensic_chat.encoder.tokens import LONGEST, SIDE, mean, starts
from forensic_chat.imaging.views import View
from forensic_chat.schema import Box
from tests.factories import tiny_encoder
from tests.unit.evidence_images import scene


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return tiny_encoder()


@pytest.mark.parametrize(("width", "height"), [(16, 16), (12, 12), (17, 333), (333, 17), (700, 1100)])
def test_the_mask_has_a_cell_per_eight_pixels(encoder: Encoder, width: int, height: int) -> None:
    seen = encoder.perceive(noise(width, height))
    changes = seen.changes
    assert changes.mask.shape == changes.reliability.shape == (-(-height // 8), -(-width // 8))
    for values in (changes.mask, changes.reliability, changes.traces):
        assert np.isfinite(values).all()
        assert values.min() >= 0
        assert values.max() <= 1
    assert sum(seen.probabilities.values()) == pytest.approx(1)
    assert seen.fake_probability == pytest.approx(1 - seen.probabilities["real"])
    assert 0 <= seen.familiarity <= 1


@pytest.mark.parametrize(("width", "height"), [(16, 16), (300, 200), (900, 700)])
def test_a_second_look_at_the_same_pixels_changes_nothing(encoder: Encoder, width: int, height: int) -> None:
    pixels = noise(width, height)
    seen = encoder.perceive(pixels)
    assert encoder.look_again(pixels, seen) == pytest.approx(seen.fake_probability, abs=1e-6)


def test_a_second_look_reads_the_overview_and_the_crops_where_they_were(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = encoder.perceive(noise(900, 700))
    read, views = encoder.features, []

    def reading(chosen: list[View]) -> np.ndarray:
        views.extend(chosen)
        return read(chosen)

    monkeypatch.setattr(encoder, "features", reading)
    smaller = noise(450, 350, seed=1)
    assert encoder.look_again(smaller, seen) != pytest.approx(seen.fake_probability, abs=1e-6)
    assert [view.name for view in views] == ["overview", "crop A", "crop B"]
    for view, old in zip(views[1:], seen.views[1:3], strict=True):
        x, y = ((a + b) / 4 for a, b in zip(old.box[:2], old.box[2:], strict=True))
        x0, y0, x1, y1 = view.box
        assert x0 <= x <= x1
        assert y0 <= y <= y1


@pytest.mark.parametrize("cells", [14, 15, 28, 29, 48])
def test_tiles_cover_every_token_and_stay_inside(cells: int) -> None:
    first = starts(cells)
    assert (first[0], first[-1]) == (0, cells - SIDE)
    assert all(0 < b - a <= SIDE for a, b in pairwise(first))


def test_overlapping_tiles_are_averaged() -> None:
    left, right = np.full((14, 14, 1), 1, np.float32), np.full((14, 14, 1), 3, np.float32)
    grid = mean({(0, 0): left, (0, 4): right}, 14, 18)[0, :, 0]
    assert grid.tolist() == [1] * 4 + [2] * 10 + [3] * 4


@pytest.mark.parametrize(("width", "height"), [(100, 60), (768, 512), (1536, 800), (4000, 300)])
def test_a_large_image_is_read_scaled_down_and_a_small_one_as_it_is(
    encoder: Encoder, width: int, height: int
) -> None:
    tokens = encoder.locate(noise(width, height)).tokens
    assert tokens.scale == min(1, LONGEST / max(width, height))
    expected = [-(-round(side * tokens.scale) // 16) for side in (height, width)]
    assert list(tokens.grid.shape[:2]) == expected


def test_a_marked_token_is_marked_at_its_place_whatever_the_scale(encoder: Encoder) -> None:
    """The mask of a scaled-down image lies on the image's own cells."""
    small = noise(320, 320)
    large = np.ascontiguousarray(np.kron(small, np.ones((4, 4, 1), np.uint8)))
    one, two = encoder.locate(small), encoder.locate(large)
    assert two.mask.shape == (160, 160)
    assert two.tokens.scale == pytest.approx(LONGEST / 1280)
    assert one.mask.shape == (40, 40)


@pytest.mark.parametrize(
    "box", [(0, 0, 8, 8), (60, 70, 150, 130), (255, 170, 300, 200), (127, 0, 129, 200), (888, 590, 900, 600)]
)
def test_reading_again_where_something_changed_is_reading_again(encoder: Encoder, box: Box) -> None:
    for pixels in (noise(900, 600), noise(300, 200)):
        before = encoder.locate(pixels)
        changed = pixels.copy()
        x0, y0, x1, y1 = box
        changed[y0:y1, x0:x1] = 128
        again = encoder.locate(changed, before, box)
        whole = encoder.locate(changed)
        for name in ("summary", "reliability", "traces"):
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


def test_residuals_move_the_mask_and_nothing_that_the_verdict_reads(encoder: Encoder) -> None:
    pixels = noise(300, 200)
    plain = tiny_encoder(mask_mix=(1.0, 0.0, 0.0)).locate(pixels)
    seen = encoder.locate(pixels)
    np.testing.assert_array_equal(seen.summary, plain.summary)
    assert np.abs(seen.mask - plain.mask).max() > 0.01


def test_only_tiles_that_a_change_touches_are_read_again(encoder: Encoder) -> None:
    pixels = noise(700, 500)
    before = encoder.locate(pixels)
    again = encoder.locate(pixels, before, (0, 0, 8, 8))
    kept = [again.tokens.tiles[key] is tile for key, tile in before.tokens.tiles.items()]
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
    changes = encoder.locate(pixels)
    changes.mask[:] = 0.1
    changes.mask[60:70, 30:50] = 0.9  # pixels 240..400 across, 480..560 down
    changes.mask[2, 2] = 0.9
    _, first, second = encoder.views(pixels, changes)
    assert first.box == (224, 448, 448, 672)
    assert second.box == (0, 0, 224, 224)


def test_a_copy_that_counts_is_marked_in_one_place_and_summarised() -> None:
    encoder = tiny_encoder(mask_mix=(1.0, 0.0, 0.0))
    pixels = scene(480, 400, seed=1)
    pixels[200:280, 240:340] = pixels[40:120, 40:140]
    changes, plain = encoder.locate(pixels), encoder.locate(scene(480, 400, seed=1))
    assert changes.copy is not None
    assert plain.copy is None
    assert changes.summary[-1] > 0 == plain.summary[-1]
    source, target = changes.mask[6:14, 6:16], changes.mask[26:34, 31:41]
    marked = sorted([source.mean(), target.mean()])
    assert marked[0] < 0.8 < marked[1]
    gone = encoder.locate(pixels, changes, (240, 200, 340, 280))
    assert gone.summary[-1] == 0


def test_the_same_pixels_are_seen_the_same(encoder: Encoder) -> None:
    pixels = noise(400, 300)
    one, two = encoder.perceive(pixels), encoder.perceive(pixels.copy())
    np.testing.assert_array_equal(one.logits, two.logits)
    np.testing.assert_array_equal(one.changes.mask, two.changes.mask)
    np.testing.assert_array_equal(one.features, two.features)
    assert (one.traces, one.familiarity) == (two.traces, two.familiarity)


def test_read_only_pixels_can_be_seen(encoder: Encoder) -> None:
    """As intake gives them."""
    pixels = noise(130, 40)
    pixels.flags.writeable = False
    assert np.isfinite(encoder.perceive(pixels).logits).all()
