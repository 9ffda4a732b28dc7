"""Each aspect on sentences and boxes whose score is known; the caps; the guard rails."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import guards
from eval.explanation.aspects import ABSTAINED, ASPECTS, UNDECIDED, WRONG, heard, score
from eval.explanation.consistency import KEEPS, consistency, contradictions
from eval.explanation.facts import Evidence, accuracy, facts
from eval.explanation.grounding import box_iou, masked_out, parts
from eval.explanation.reading import read
from eval.explanation.specificity import specificity
from eval.explanation.truth import Statement, Truth, known
from forensic_chat.encoder.calibration import Calibration
from forensic_chat.errors import UsageError
from forensic_chat.schema import Finding, Region
from forensic_chat.weights import shipped
from tests import planted

SIZE = (400, 300)
BOX = (20, 30, 120, 110)
"""In the upper left."""


def truth(label: Any, maker: str = "", *own: Statement) -> Truth:
    bare = Truth(label, SIZE, "JPEG", (BOX,) if label == "tampered" else (), 0.07 * (label == "tampered"))
    return replace(bare, statements=(*known(bare, maker), *own))


def finding(k: int, kind: str, value: float, supports: Any = "neutral", region: str | None = None) -> Finding:
    strength = 0.8 if supports != "neutral" else 0.0
    return Finding(
        id=f"E{k}", kind=kind, summary=kind, value=value, supports=supports, strength=strength,
        false_alarm_rate=0.05, region=region,
    )  # fmt: skip


MEASURED = Evidence(
    [finding(1, "noise.inconsistency", 2.31, "tampered", "R1"), finding(2, "encoder.synthetic", 0.04)],
    [Region(id="R1", box=BOX, area=0.07, score=0.8), Region(id="R2", box=(250, 200, 350, 280), area=0.07, score=0.8)],
)  # fmt: skip


def outcome(text: str, about: Truth, evidence: Evidence = MEASURED, label: Any = "tampered") -> str | None:
    found = facts(read(text), about, evidence, label, False)
    assert len(found) <= 1
    return found[0].outcome if found else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The noise differs by a ratio of 2.31 [E1][R1].", "true"),
        ("The noise differs by a ratio of 2.99 [E1][R1].", "false"),  # another number
        ("The noise differs by a ratio of 2.31 [E9].", "false"),  # no such finding
        ("The noise differs by a ratio of 2.31 [E1][R2].", "false"),  # masking R2 removes nothing
        ("The whole-image score of 0.04 is ordinary [E2].", "true"),
        ("Something was pasted in the upper left.", "true"),
        ("Something was pasted in the lower right.", "false"),
        ("An edited part lies at [22,28,118,112].", "true"),
        ("An edited part lies at [250,200,350,280].", "false"),
        ("An edited part lies at [250,200,900,280].", "false"),  # outside the image
        ("An edited part covers 8 % of the image.", "unproven"),
        ("An edited part covers 60 % of the image.", "false"),
        ("The edge contrast is 7.77 there.", "false"),  # nobody measured it
        ("An object was spliced into it.", "unproven"),
        ("A part was cloned here.", "false"),  # it was a splice
        ("It was edited: the dog has odd fur.", "unproven"),
        ("Some edges look unnatural.", "unproven"),
        ("The verdict is tampered, with probability 0.93.", None),
        ("Cameras usually leave even noise.", None),
        ("Thank you for asking.", None),
    ],
)
def test_sentences_on_a_tampered_image(text: str, expected: str | None) -> None:
    assert outcome(text, truth("tampered", "splice")) == expected


def test_sentences_on_real_and_synthetic_images() -> None:
    assert outcome("Some edges look unnatural.", truth("real"), label="real") == "false"
    assert (
        outcome("Stable Diffusion generated it, in an unnatural way.", truth("real"), label="synthetic")
        == "false"
    )
    assert (
        outcome("Midjourney gives it an unnatural look.", truth("synthetic", "Midjourney v6")) == "unproven"
    )
    assert outcome("DALL-E 3 gives it an unnatural look.", truth("synthetic", "Midjourney v6")) == "false"
    assert outcome("DALL-E 3 gives it an unnatural look.", truth("synthetic", "not stated")) == "unproven"
    assert outcome("No part was edited.", truth("tampered", "splice")) == "false"


def test_the_owners_statements_decide_what_is_there() -> None:
    said = (Statement("A dog sits on the grass.", True, ""), Statement("It has two shadows.", False, ""))
    about = truth("real", "", *said)
    assert outcome("The dog is there.", about, label="real") == "true"
    assert outcome("The shadow is there.", about, label="real") == "false"
    assert outcome("The cat is there.", about, label="real") == "unproven"


def test_a_rule_counts_where_one_was_asked_for() -> None:
    rule = read("Cameras usually leave even noise in every part [E1].")
    about = truth("tampered", "splice")
    assert [f.outcome for f in facts(rule, about, MEASURED, "tampered", True)] == ["true"]
    assert facts(rule, about, MEASURED, "tampered", False) == []
    assert accuracy([]) == 0.5


def test_boxes_against_boxes() -> None:
    assert box_iou([BOX], [BOX], SIZE) == 1.0
    assert box_iou([(0, 0, 10, 10)], [(5, 0, 15, 10)], SIZE) == pytest.approx(50 / 150)
    assert box_iou([(0, 0, 10, 10), (5, 0, 15, 10)], [(0, 0, 15, 10)], SIZE) == 1.0  # overlaps count once
    assert box_iou([(390, 290, 500, 400)], [(390, 290, 400, 300)], SIZE) == 1.0  # cut to the image
    assert box_iou([], [BOX], SIZE) == 0.0


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=1, max_size=4))
def test_iou_is_what_pixels_say(raw: list[tuple[int, int, int, int]]) -> None:
    import numpy as np

    claimed = [(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1) for a, b, c, d in raw]
    grids = np.zeros((2, 50, 50), bool)
    for grid, boxes in zip(grids, (claimed, [(10, 10, 30, 25)]), strict=True):
        for x0, y0, x1, y1 in boxes:
            grid[y0:y1, x0:x1] = True
    expected = (grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum()
    assert box_iou(claimed, [(10, 10, 30, 25)], (50, 50)) == pytest.approx(expected)


def test_the_mask_out_test() -> None:
    assert masked_out(BOX, [BOX], SIZE).passed
    assert masked_out((40, 50, 80, 90), [BOX], SIZE).passed  # inside the change
    assert not masked_out((250, 200, 350, 280), [BOX], SIZE).passed
    assert not masked_out((0, 0, *SIZE), [BOX], SIZE).passed  # all of the image says nothing
    assert not masked_out(BOX, [], SIZE).passed


def test_parts_of_a_mask_without_its_specks() -> None:
    import numpy as np

    mask = np.zeros((60, 80), bool)
    mask[5:15, 10:30] = True
    mask[40:50, 60:70] = True
    mask[55, 2] = True
    assert parts(mask) == ((10, 5, 30, 15), (60, 40, 70, 50))


ODD, EVEN = "The noise is inconsistent [E1]", "The noise is unremarkable [E1]"


@pytest.mark.parametrize(
    ("expected", "answers"),
    [
        (None, [f"tampered 0.9\n- {ODD}"]),
        (None, [f"tampered 0.9\n- {ODD}", "Real photos usually have even noise [E1]."]),
        (None, [f"inconclusive 0.55\n- {ODD}\n- The spectrum is ordinary [E3]"]),
        (None, [f"real 0.9\n- {EVEN}", "The verdict is real; the probability of a fake is 0.1."]),
        ("the verdict changes between turns", [f"tampered 0.9\n- {ODD}", "The verdict is real."]),
        ("another label is asserted beside the verdict", [f"tampered 0.9\n- {ODD}\n- The image is real."]),
        ("the probability contradicts the verdict", [f"real 0.1\n- {EVEN}"]),
        (
            "the probability contradicts the verdict",
            [f"real\n- {EVEN}", "The probability of a fake is 0.8. The verdict is real."],
        ),
        (
            "the probability changes between turns",
            [f"real 0.9\n- {EVEN}", "The verdict is real, probability 0.6."],
        ),
        ("an artefact is asserted on a verdict of real", [f"real 0.9\n- {ODD}"]),
        ("nothing that is asserted supports a fake verdict", [f"synthetic 0.9\n- {EVEN}"]),
        ("two sentences contradict each other", [f"tampered 0.9\n- {ODD}\n- {EVEN}"]),
        (
            "two sentences contradict each other",
            ["tampered 0.9\n- The noise is inconsistent.\n- The noise is unremarkable."],
        ),
    ],
)
def test_contradictions(expected: str | None, answers: list[str]) -> None:
    read_answers = list(map(read, answers))
    assert contradictions(read_answers) == ([expected] if expected else [])
    assert consistency(contradictions(read_answers)) == (KEEPS[expected] if expected else 1.0)


def test_specificity_wants_this_image() -> None:
    bound = "The noise is 2.31 in R1 [E1].\nThe score is 0.04 [E2]."
    elsewhere = [read("The noise is 1.05 in R1 [E1].\nThe score is 0.77 [E2].")]
    assert specificity(read(bound), elsewhere) == 1.0
    assert specificity(read(bound), [*elsewhere, read(bound)]) == 0.0
    assert specificity(read("Everything looks natural."), []) == 0.0
    assert 0 < specificity(read(bound + "\nIt looks odd." * 6), []) < 1
    assert specificity(read("The probability is 0.9."), []) == 0.0


def scores(answer: str, about: Truth, kind: str = "verdict", *more: str) -> dict[str, float]:
    return {**score(heard(kind, 0, [answer, *more], MEASURED), about, []).aspects}


def test_a_wrong_verdict_caps_everything() -> None:
    sound = "tampered 0.93\n- The noise differs by a ratio of 2.31 [E1][R1]"
    assert scores(sound, truth("tampered", "splice")) == dict.fromkeys(ASPECTS, 100.0)
    wrong = scores(sound, truth("synthetic"))
    assert wrong["correctness"] == 0.0
    assert max(wrong.values()) == WRONG
    undecided = scores(sound.replace("tampered 0.93", "inconclusive 0.5"), truth("tampered", "splice"))
    assert undecided["correctness"] == ABSTAINED
    assert max(undecided.values()) == UNDECIDED
    assert max(scores("It looks fake.", truth("tampered", "splice")).values()) <= WRONG  # unparsable is wrong


def test_the_place_is_half_of_correctness_on_a_tampered_image() -> None:
    about = truth("tampered", "splice")
    assert scores("tampered 0.93\n- The noise differs by 2.31 [E1]", about)["correctness"] == 50.0
    assert scores(f"tampered 0.93\n- An edited part: {list(BOX)}", about)["correctness"] == 100.0
    half = scores("tampered 0.93\n- An edited part: [20,30,70,110]", about)["correctness"]
    assert half == 75.0


def test_where_a_verdict_was_asked_for_the_last_answer_must_hold_it() -> None:
    sound, about = "real 0.93\n- The whole-image score of 0.04 is ordinary [E2]", truth("real")
    assert score(heard("one word", 0, [sound, "real"], MEASURED), about, []).verdict == "real"
    assert score(heard("one word", 0, [sound, "hard to say"], MEASURED), about, []).verdict is None
    assert score(heard("why", 0, [sound, "The score is 0.04 [E2]."], MEASURED), about, []).verdict == "real"
    assert score(heard("why", 0, [], MEASURED), about, []).verdict is None  # no answer at all


def test_f1_stays_within_what_iou_allows() -> None:
    guards.f1_within_iou(2 / 3, 0.5)
    with pytest.raises(AssertionError, match="contradict"):
        guards.f1_within_iou(0.7, 0.5)


def test_thresholds_are_those_frozen_with_the_weights() -> None:
    folder = shipped() / "encoder"
    frozen = Calibration.load(folder / guards.CALIBRATION)
    assert guards.frozen_thresholds(frozen, folder)["mask_threshold"] == frozen.mask_threshold
    with pytest.raises(AssertionError, match="not those frozen"):
        guards.frozen_thresholds(replace(frozen, mask_threshold=0.123), folder)
    with pytest.raises(UsageError, match="holds training images"):
        guards.not_trained_on("train")


def test_figures_of_other_rules_have_another_hash(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("CAP = 20")
    before = guards.rules([tmp_path / "a.py"])
    (tmp_path / "a.py").write_text("CAP = 30")
    assert guards.rules([tmp_path / "a.py"]) != before


@pytest.fixture(scope="module")
def table() -> dict[type, dict[str, float]]:
    """The mean aspects of the sound system and the bad ones."""
    from eval.explanation import figures
    from eval.explanation.answers import ask

    items = planted.items(57)
    found = {}
    for kind in (planted.Sound, *planted.BAD):
        lines = figures.lines(items, [ask(item, kind(), "", "") for item in items])
        aspects = figures.figures(lines, seed=0, draws=2)["aspects"]
        found[kind] = {name: aspects[name]["score"] for name in ASPECTS}
    return found


def test_the_sound_system_is_sound(table: dict[type, dict[str, float]]) -> None:
    assert min(table[planted.Sound].values()) > 90


@pytest.mark.parametrize(("bad", "aspect"), planted.BAD.items())
def test_a_planted_fault_costs_most_in_the_aspect_made_for_it(
    bad: type, aspect: str, table: dict[type, dict[str, float]]
) -> None:
    lost = {name: table[planted.Sound][name] - table[bad][name] for name in ASPECTS}
    assert max(lost, key=lost.__getitem__) == aspect
    assert lost[aspect] > 20
    runner_up = max(loss for name, loss in lost.items() if name != aspect)
    assert lost[aspect] > runner_up + 10
