"""The masking test: a region that the verdict rests on stands out from random boxes, another does not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat.encoder.occlusion import PASSES, RANDOM_BOXES, logit, occluded, percentile, random_boxes
from forensic_chat.errors import Cancelled
from forensic_chat.schema import Box
from tests.factories import SpotEncoder, tiny_encoder
from tests.images import grainy

WIDTH, HEIGHT = 320, 240


@st.composite
def boxes(draw: st.DrawFn) -> tuple[Box, int, int]:
    width, height = draw(st.integers(16, 500)), draw(st.integers(16, 500))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return (x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))), width, height


@given(boxes())
def test_random_boxes_have_the_shape_and_lie_inside(drawn: tuple[Box, int, int]) -> None:
    box, width, height = drawn
    others = random_boxes(box, width, height)
    assert others == random_boxes(box, width, height)
    assert len(others) == RANDOM_BOXES
    for x0, y0, x1, y1 in others:
        assert (x1 - x0, y1 - y0) == (box[2] - box[0], box[3] - box[1])
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height


def test_random_boxes_lie_elsewhere_where_there_is_room() -> None:
    box = (80, 60, 160, 120)
    for x0, y0, x1, y1 in random_boxes(box, 320, 240):
        shared = max(0, min(x1, 160) - max(x0, 80)) * max(0, min(y1, 120) - max(y0, 60))
        assert shared <= 80 * 60 / 4


def spotted() -> tuple[SpotEncoder, Box, np.ndarray]:
    encoder = SpotEncoder()
    box = encoder.box(WIDTH, HEIGHT)
    return encoder, box, np.array(grainy(box, width=WIDTH, height=HEIGHT))


def test_only_the_region_that_decides_stands_out() -> None:
    encoder, box, pixels = spotted()
    seen: Any = encoder.perceive(pixels)
    elsewhere = (200, 150, 200 + box[2] - box[0], 150 + box[3] - box[1])
    assert percentile(encoder, pixels, seen, box, "tampered") == 100  # type: ignore[arg-type]
    assert percentile(encoder, pixels, seen, elsewhere, "tampered") < 50  # type: ignore[arg-type]


def test_it_looks_no_further_once_the_region_has_failed() -> None:
    encoder, box, pixels = spotted()
    seen: Any = encoder.perceive(pixels)
    looks: list[int] = []

    def check() -> None:
        looks.append(1)

    elsewhere = (200, 150, 200 + box[2] - box[0], 150 + box[3] - box[1])
    assert percentile(encoder, pixels, seen, elsewhere, "tampered", check) < PASSES  # type: ignore[arg-type]
    assert len(looks) == 1 + 2
    looks.clear()
    percentile(encoder, pixels, seen, box, "tampered", check)  # type: ignore[arg-type]
    assert len(looks) == 1 + RANDOM_BOXES


def test_a_box_as_large_as_the_image_stands_out_from_nothing() -> None:
    encoder, _, pixels = spotted()
    seen: Any = encoder.perceive(pixels)
    assert percentile(encoder, pixels, seen, (0, 0, WIDTH, HEIGHT), "tampered") == 0  # type: ignore[arg-type]


def test_it_stops_between_two_looks() -> None:
    encoder, box, pixels = spotted()
    looks = []

    def check() -> None:
        looks.append(len(looks))
        if len(looks) == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        percentile(encoder, pixels, encoder.perceive(pixels), box, "tampered", check)  # type: ignore[arg-type]
    assert len(looks) == 3


@pytest.mark.parametrize("size", [(16, 16), (130, 47), (500, 300)])
def test_reading_what_a_box_touches_equals_seeing_the_filled_image(size: tuple[int, int]) -> None:
    encoder = tiny_encoder(max_crops=3)
    width, height = size
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    before = pixels.copy()
    seen = encoder.perceive(pixels)
    box = (width // 3, height // 3, width // 3 + 9, height // 3 + 7)
    filled = pixels.copy()
    x0, y0, x1, y1 = box
    filled[y0:y1, x0:x1] = pixels[y0:y1, x0:x1].mean((0, 1)).round().astype(np.uint8)
    changes = encoder.locate(filled)
    # the same views, whatever is now most suspicious
    views = [type(view)(view.name, view.box, fresh(view, filled)) for view in seen.views]
    whole = encoder.head.fuse(encoder.summary(encoder.features(views), changes))
    np.testing.assert_allclose(occluded(encoder, pixels, seen, box), whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(pixels, before)


def fresh(view: Any, pixels: np.ndarray) -> np.ndarray:
    from forensic_chat.imaging.views import crop, overview

    return overview(pixels).pixels if view.name == "overview" else crop(pixels, view.box, view.name).pixels


def test_the_logit_is_that_of_the_softmax() -> None:
    p = np.array([0.2, 0.5, 0.3], np.float32)
    assert logit(np.log(p), "synthetic") == pytest.approx(0, abs=1e-6)
    assert logit(np.log(p) + 7, "tampered") == pytest.approx(np.log(0.3 / 0.7), abs=1e-5)
