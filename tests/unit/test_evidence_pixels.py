"""Planted forgeries are found where they were planted, and clean pictures are left alone."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from forensic_chat.evidence import copymove, ghosts, jpeg, noise, spectrum
from forensic_chat.evidence.blocks import luma
from forensic_chat.evidence.observation import Observation
from forensic_chat.imaging.intake import ExaminedImage, take_in
from tests.images import TURNS
from tests.unit.evidence_images import Pixels, encoded, overlap, saved, scene, taken

BOX = (96, 80, 224, 192)


def pasted(target: Pixels, source: Pixels, shift: tuple[int, int] = (0, 0)) -> Pixels:
    """`target` with BOX taken from `source`, read `shift` pixels further right and down."""
    x0, y0, x1, y1 = BOX
    result = target.copy()
    result[y0:y1, x0:x1] = source[y0 + shift[1] : y1 + shift[1], x0 + shift[0] : x1 + shift[0]]
    return result


def one(observations: list[Observation], kind: str) -> Observation:
    return next(o for o in observations if o.kind == kind)


def score(observations: list[Observation], kind: str) -> float:
    found = one(observations, kind).score
    assert found is not None
    return found


def copies(image: ExaminedImage) -> list[Observation]:
    return copymove.observe(image, copymove.find(image.pixels))


class TestCopyMove:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_finds_both_places_of_a_copy(self, seed: int) -> None:
        pixels = scene(seed=seed)
        source, target = (40, 40, 140, 120), (240, 200, 340, 280)
        pixels[200:280, 240:340] = pixels[40:120, 40:140]
        seen = one(copies(taken(pixels, "JPEG", quality=90)), "copymove.matches")
        assert max(overlap(seen.box, source), overlap(seen.box, target)) > 0.8
        assert isinstance(seen.value, int)
        assert seen.value >= 4
        assert "at [" in seen.suspect

    def test_finds_a_turned_and_enlarged_copy(self) -> None:
        pixels = scene(seed=3, width=480, height=400)
        part = Image.fromarray(pixels[40:140, 40:140]).resize((120, 120), Image.Resampling.BICUBIC)
        pixels[240:360, 320:440] = np.rot90(np.asarray(part))
        seen = one(copies(taken(pixels)), "copymove.matches")
        places = ((40, 40, 140, 140), (320, 240, 440, 360))
        assert max(overlap(seen.box, place) for place in places) > 0.6

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_finds_nothing_in_a_clean_picture(self, seed: int) -> None:
        assert score(copies(taken(scene(seed=seed))), "copymove.matches") == 0

    def test_repeated_pattern_is_no_copy(self) -> None:
        tile = scene(64, 64, seed=4)
        wall = np.clip(
            np.tile(tile, (5, 6, 1)) + np.random.default_rng(0).normal(0, 2, (320, 384, 3)), 0, 255
        )
        assert score(copies(taken(wall.astype(np.uint8))), "copymove.matches") == 0

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_print_is_no_copy(self, seed: int) -> None:
        """Letters look alike; that they do all over the page is what tells."""
        rng = np.random.default_rng(seed)
        page = Image.new("L", (460, 640), 225)
        items = ["COFFEE BEANS", "ORANGE JUICE", "WHOLE MILK", "BREAD ROLLS", "BUTTER 250G", "TOTAL AMOUNT"]
        for line in range(24):
            price = f"{rng.integers(1, 9)} x {rng.integers(100, 999) / 100:.2f} EUR"
            text = f"{items[int(rng.integers(len(items)))]:14s} {price}"
            ImageDraw.Draw(page).text((22, 16 + 25 * line), text, 45, ImageFont.load_default(17))
        grain = cv2.GaussianBlur(np.asarray(page) + rng.normal(0, 4, (640, 460)), (0, 0), 0.7)
        pixels = np.repeat(np.clip(grain, 0, 255).astype(np.uint8)[..., None], 3, 2)
        assert not copymove.is_graphic(luma(pixels))
        assert score(copies(taken(pixels)), "copymove.matches") == 0

    def test_graphic_with_repeated_icons_is_not_judged(self) -> None:
        page = np.full((320, 480, 3), 245, np.uint8)
        icon = scene(40, 40, seed=5)
        for x in (20, 200, 380):
            page[60:100, x : x + 40] = icon
        (seen,) = copies(taken(page))
        assert seen.score is None
        assert "graphic" in seen.clean

    def test_same_image_gives_the_same_finding(self) -> None:
        pixels = scene(seed=1)
        pixels[200:280, 240:340] = pixels[40:120, 40:140]
        assert copies(taken(pixels)) == copies(taken(pixels))

    def test_a_copy_is_gone_where_either_place_is_painted_over(self) -> None:
        pixels = scene(1000, 800, seed=1)
        pixels[400:560, 480:680] = pixels[80:240, 80:280]
        copy = copymove.find(pixels)
        assert copy is not None
        assert copy.scale < 1
        for place in ((80, 80, 280, 240), (480, 400, 680, 560)):
            assert copy.without(place).weight < 0.05 * copy.weight
        assert copy.without((700, 0, 1000, 300)).score == copy.score
        half = copy.without((80, 80, 180, 240)).weight
        assert 0.3 * copy.weight < half < 0.7 * copy.weight


class TestNoise:
    @pytest.mark.parametrize("seed", [0, 1, 3])
    def test_finds_a_part_with_more_grain(self, seed: int) -> None:
        spliced = pasted(scene(seed=seed), scene(seed=seed + 10, noise=7.0))
        seen = one(noise.observe(taken(spliced)), "noise.inconsistency")
        assert overlap(seen.box, BOX) > 0.7
        assert isinstance(seen.value, float)
        assert seen.value > 1.5

    def test_even_grain_is_even(self) -> None:
        assert score(noise.observe(taken(scene())), "noise.inconsistency") == 0

    def test_tiny_image_is_not_judged(self) -> None:
        (seen,) = noise.observe(taken(scene(32, 32)))
        assert seen.score is None


class TestCompression:
    @pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 95, "subsampling": 0})])
    def test_ghost_of_a_part_saved_at_lower_quality(self, kind: str, options: dict[str, object]) -> None:
        spliced = pasted(saved(scene(), 92), saved(scene(seed=10), 60))
        seen = one(ghosts.observe(taken(spliced, kind, **options)), "jpeg.ghost")
        assert overlap(seen.box, BOX) > 0.5
        assert seen.score is not None
        assert seen.score > 5

    def test_foreign_grid(self) -> None:
        spliced = pasted(saved(scene(), 80), saved(scene(seed=10), 80), shift=(3, 5))
        seen = one(ghosts.observe(taken(spliced)), "jpeg.grid")
        assert overlap(seen.box, BOX) > 0.5
        assert seen.score is not None
        assert seen.score > 20

    def test_one_save_leaves_neither(self) -> None:
        seen = ghosts.observe(taken(scene(), "JPEG", quality=85))
        assert score(seen, "jpeg.ghost") < 1
        assert score(seen, "jpeg.grid") == 0

    @pytest.mark.parametrize("quality", [60, 75, 92])
    def test_quality_and_tables(self, quality: int) -> None:
        seen = one(jpeg.observe(taken(scene(), "JPEG", quality=quality)), "jpeg.quality")
        assert seen.value == quality
        assert "the standard tables" in seen.clean
        assert "4:2:0" in seen.clean

    def test_own_tables_are_named_as_such(self) -> None:
        seen = one(jpeg.observe(taken(scene(), "JPEG", qtables=[[3] * 64, [5] * 64])), "jpeg.quality")
        assert "tables of its maker's own" in seen.clean

    @pytest.mark.parametrize("first", [65, 80])
    def test_second_save_shows(self, first: int) -> None:
        once = score(jpeg.observe(taken(scene(), "JPEG", quality=90, subsampling=0)), "jpeg.double")
        twice = taken(saved(scene(), first), "JPEG", quality=90, subsampling=0)
        assert score(jpeg.observe(twice), "jpeg.double") > 5 * once

    def test_grey_jpeg(self) -> None:
        buffer = io.BytesIO()
        Image.fromarray(scene()[..., 0]).save(buffer, "JPEG", quality=80)
        seen = one(jpeg.observe(take_in(buffer.getvalue())), "jpeg.quality")
        assert seen.value == 80
        assert "grey" in seen.clean

    def test_jpeg_with_many_comments_is_still_read(self) -> None:
        data = encoded(scene(), "JPEG", quality=80)
        data = data[:2] + b"\xff\xfe\x00\x06text" * 300 + data[2:]
        assert one(jpeg.observe(take_in(data)), "jpeg.quality").value == 80

    def test_other_formats_have_no_jpeg_facts(self) -> None:
        assert jpeg.observe(taken(scene())) == []


class TestSpectrum:
    def test_periodic_upsampling_pattern_raises_the_peak(self) -> None:
        clean = scene(512, 512)
        y, x = np.mgrid[0:512, 0:512]
        pattern = 3 * np.cos(2 * np.pi * x / 4) * np.cos(np.pi * y)
        marked = np.clip(clean + pattern[..., None], 0, 255).astype(np.uint8)
        seen = one(spectrum.observe(taken(marked)), "spectrum.peaks")
        assert seen.score is not None
        assert seen.score > 2 + score(spectrum.observe(taken(clean)), "spectrum.peaks")
        assert "1/4, 1/2" in seen.suspect or "1/2, 1/4" in seen.suspect

    def test_jpeg_grid_alone_is_no_peak(self) -> None:
        once = score(spectrum.observe(taken(scene(512, 512), "JPEG", quality=60)), "spectrum.peaks")
        assert once < 2.5

    def test_scaled_picture_is_periodic(self) -> None:
        clean = scene()
        scaled = np.asarray(cv2.resize(clean, None, fx=1.37, fy=1.37, interpolation=cv2.INTER_CUBIC))
        before = score(spectrum.observe(taken(clean)), "spectrum.resampling")
        assert score(spectrum.observe(taken(scaled)), "spectrum.resampling") > 5 * before

    def test_small_image_is_not_judged(self) -> None:
        assert spectrum.observe(taken(scene(100, 90))) == []


def turned(pixels: Pixels, orientation: int) -> tuple[ExaminedImage, Pixels]:
    """An image that is stored turned and shown as `pixels`, and its stored pixels."""
    picture = Image.fromarray(pixels)
    if orientation > 1:
        picture = picture.transpose(TURNS[orientation])
    exif = Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", exif=exif)
    return take_in(buffer.getvalue()), np.asarray(picture)


@pytest.mark.parametrize("orientation", range(1, 9))
class TestOrientation:
    def test_file_pixels_are_recovered(self, orientation: int) -> None:
        image, file_pixels = turned(scene(96, 64), orientation)
        assert np.array_equal(ghosts.stored(image.pixels, image.orientation), file_pixels)

    def test_boxes_are_in_shown_coordinates(self, orientation: int) -> None:
        # Sides divisible by 16, so that the JPEG grid is the same in every orientation.
        spliced = pasted(saved(scene(), 92), saved(scene(seed=10, noise=7.0), 60))
        image, _ = turned(spliced, orientation)
        assert overlap(one(ghosts.observe(image), "jpeg.ghost").box, BOX) > 0.5
        image, _ = turned(pasted(scene(), scene(seed=10, noise=7.0)), orientation)
        assert overlap(one(noise.observe(image), "noise.inconsistency").box, BOX) > 0.7
