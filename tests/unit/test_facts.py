"""Alignment text: true of pixels that we painted, and nothing beyond them."""

from random import Random

import numpy as np
import pytest

from forensic_chat.imaging.views import View, trace_map
from tests.unit.test_rewards import examined
from train.facts import FORBIDDEN, Fact, about_pixels, about_traces, colour, drawn, facts, unproven


def view(pixels: np.ndarray, name: str = "overview") -> View:
    return View(name, (0, 0, 224, 224), pixels.astype(np.uint8))


def answers(made: View) -> dict[str, str]:
    return {fact.question: fact.answer for fact in facts(examined(), made)}


@pytest.mark.parametrize(
    ("mean", "name"),
    [
        ((0, 0, 0), "black"),
        ((70, 70, 72), "dark grey"),
        ((128, 130, 127), "grey"),
        ((250, 250, 250), "white"),
        ((220, 20, 20), "red"),
        ((220, 20, 60), "red"),
        ((230, 120, 20), "orange"),
        ((230, 220, 20), "yellow"),
        ((30, 160, 40), "green"),
        ((20, 200, 210), "cyan"),
        ((30, 40, 200), "blue"),
        ((200, 30, 200), "magenta"),
    ],
)
def test_colours(mean: tuple[int, int, int], name: str) -> None:
    assert colour(mean) == name


def test_places_and_brightness_are_those_that_were_painted() -> None:
    pixels = np.full((224, 224, 3), 40)
    pixels[:, :112] += 30
    pixels[:112] += 30
    pixels[:75, 150:] = (220, 20, 20)
    told = answers(view(pixels))
    assert (
        told["What colour is the overview in the upper right, on average?"]
        == "On average it is red in the upper right."
    )
    assert told["What colour is the overview in the lower left, on average?"].startswith(
        "On average it is dark grey"
    )
    assert told["Is the overview brighter above or below?"] == "The upper half is brighter."
    flat = answers(view(np.full((224, 224, 3), 220)))
    assert flat["Which side of the overview is brighter?"] == "Both halves are about equally bright."
    assert flat["How bright is the overview?"] == "On the whole it is bright."


def test_the_trace_map_is_lightest_where_the_heat_is() -> None:
    heat = np.zeros((30, 30), np.float32)
    heat[20:, 20:] = 1.0
    told = {fact.question: fact.answer for fact in about_traces(trace_map(heat))}
    assert told["Where is the trace map lightest?"] == "It is lightest in the lower right."
    assert told["How much of the trace map is light?"] in ("11% of it is light.", "12% of it is light.")
    none = {fact.question: fact.answer for fact in about_traces(trace_map(np.zeros((30, 30), np.float32)))}
    assert none["Where is the trace map lightest?"] == "It is equally light everywhere."


def test_figures_come_from_the_examination() -> None:
    told = answers(view(np.zeros((224, 224, 3))))
    assert told["How large is the image?"] == "It is 1000 pixels wide and 800 high."
    assert told["Where is R1?"] == "R1 lies in the upper left and covers 5%."
    assert told["What does E3 read?"] == "E3 reads 1.2."


def test_what_does_not_follow_is_not_taught() -> None:
    made = view(np.zeros((224, 224, 3)))
    every = facts(examined(), made)
    assert not [fact for fact in every if unproven(fact, examined(), made)]
    assert not any(FORBIDDEN.search(fact.answer) for fact in every)
    for wrong in ("On the whole it is bright.", "It is 999 pixels wide and 800 high.", "E3 reads 1.3."):
        fact = next(Fact(f.question, wrong) for f in every if f.answer.split()[0] == wrong.split()[0])
        assert unproven(fact, examined(), made) == "does not follow from the view"
    for beyond in ("It shows a dog.", "It looks like a beach.", "It is dark because of the night."):
        assert "speaks of" in (unproven(Fact("What?", beyond), examined(), made) or "")


def test_most_questions_need_the_picture() -> None:
    made = view(np.zeros((224, 224, 3)))
    seen = set(about_pixels(made))
    asked = drawn(examined(), made, 400, Random(0))
    assert 0.65 < sum(fact in seen for fact in asked) / 400 < 0.85
