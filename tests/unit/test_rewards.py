"""Rewards: their corner cases, and that gaming them does not pay."""

import base64
from random import Random
from typing import Any

import cv2
import numpy as np
import pytest

from forensic_chat.data.dialogues import verdict_answer
from forensic_chat.data.protocol import answer_prefix
from forensic_chat.schema import Finding, Label, Probabilities, Region
from tests import factories
from tests.factories import case as made_up
from train.examinations import Examined, Seen
from train.rewards import (
    REWARDS,
    Answer,
    evidence,
    form,
    grounding,
    iou,
    language,
    length,
    restraint,
    specificity,
    total,
    verdict,
)

WEIGHTS = (0.5, 1.0, 1.0, 1.0, 0.5, 1.0, 0.25, 0.5)


def finding(
    k: int, kind: str, value: Any, supports: Any = "neutral", strength: float = 0.0, **more: Any
) -> Finding:
    return factories.finding(kind, supports, strength, k, summary="", value=value, **more)


def mask_png(box: tuple[int, int, int, int]) -> str:
    mask = np.zeros((80, 100), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 255
    return base64.b64encode(cv2.imencode(".png", mask)[1].tobytes()).decode()


def examined(label: Label = "tampered", truth: Label = "tampered", **changes: Any) -> Examined:
    """A photo of 1000 x 800 px with one region, right where it was changed."""
    fake = label in ("synthetic", "tampered")
    fields: dict[str, Any] = {
        "sha256": "0" * 64,
        "split": "train",
        "truth": truth,
        "size": (1000, 800),
        "label": label,
        "probabilities": Probabilities(real=0.1, synthetic=0.1, tampered=0.8)
        if fake
        else Probabilities(real=0.9, synthetic=0.05, tampered=0.05),
        "reasons": [],
        "findings": [
            finding(1, "encoder.tampered", 0.8, "tampered", 0.8)
            if fake
            else finding(1, "encoder.tampered", 0.05, "neutral", 0.05),
            finding(2, "encoder.mask", 4.0, "tampered", 0.9, region="R1")
            if fake
            else finding(2, "jpeg.quality", 90),
            finding(3, "noise.inconsistency", 1.2),
        ],
        "regions": [Region(id="R1", box=(100, 100, 300, 300), area=0.05, score=0.9)] if fake else [],
        "masking": {"R1": 100.0},
        "views": [Seen(name="overview", box=(0, 0, 1000, 800))],
        "mask": mask_png((10, 10, 30, 30)) if truth == "tampered" else None,
    }
    return Examined(**fields | changes)


PREFIX = "tampered 0.80\n"
GOOD = (
    "- The learned score for a local change is 0.8 of 1, which points to an edit [E1]\n"
    "- The mask marks 4% of the image as edited in the upper left [E2][R1]\n"
    "- The noise level is even, 1.2 [E3]"
)


def answer(text: str = GOOD, prefix: str = PREFIX, **changes: Any) -> Answer:
    about = changes.pop("about", None) or examined()
    return Answer(text, about, prefix, **changes)


def test_what_a_rationale_should_be_gets_it_all() -> None:
    good = answer()
    assert [claim.verified for claim in good.claims] == [True] * 3
    assert form(good) == evidence(good) == length(good) == language(good) == 1.0
    assert grounding(good) == pytest.approx(1.0)
    assert verdict(good) is None
    assert restraint(good) is None
    assert specificity(good) is None


@pytest.mark.parametrize("seed", range(12))
def test_our_own_training_text_is_near_the_top(seed: int) -> None:
    case = made_up(seed)
    about = examined(
        case.label,
        "real",
        findings=list(case.findings),
        regions=list(case.regions),
        probabilities=case.probabilities,
        size=case.image_size,
        masking={region.id: 100.0 for region in case.regions},
        mask=None,
    )
    prefix = answer_prefix(case.label, case.probabilities)
    text = verdict_answer(case, Random(seed)).removeprefix(prefix)
    mine = Answer(text, about, prefix)
    assert form(mine) == 1.0
    assert evidence(mine) > 0.5
    assert restraint(mine) in (None, 1.0)
    assert length(mine) > 0.9
    assert language(mine) > 0.8


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("It looks fake to me.", 0, 0),
        (GOOD.splitlines()[0], 0.5, 0.5),  # a single claim
        ("\n".join([GOOD.splitlines()[0]] * 5), 0.2, 0.2),  # the same line again and again
        (GOOD + "\nI am sure of it.", 0.75, 0.75),
        ("\n".join(f"- A thing [E{k}]" for k in range(1, 30)), 0.5, 0.5),
    ],
)
def test_form(text: str, least: float, most: float) -> None:
    assert least <= form(answer(text)) <= most


def test_form_wants_an_end_and_a_verdict() -> None:
    assert form(answer(finished=False)) == 0.5
    assert form(answer(GOOD, prefix="")) == 0.0
    assert form(answer(PREFIX + GOOD, prefix="")) == 1.0


TRUTHS: tuple[Label, ...] = ("real", "synthetic", "tampered")


def stated(label: str, truth: Label) -> float:
    value = verdict(answer(f"{label} 0.80\n{GOOD}", prefix="", about=examined(truth=truth)))
    assert value is not None
    return value


def test_inconclusive_is_worth_more_than_a_wrong_accusation_and_less_than_a_right_answer() -> None:
    for truth in TRUTHS:
        wrong = [stated(label, truth) for label in TRUTHS if label not in (truth, "real")]
        assert max(wrong) < stated("inconclusive", truth) < stated(truth, truth) == 1.0
        assert (
            stated("perhaps", truth) == stated("REAL", truth) == -0.5
        )  # unparsable: an error, never a guess


def test_no_constant_verdict_pays_more_than_being_right_now_and_then() -> None:
    constant = {
        label: sum(stated(label, truth) for truth in TRUTHS) / 3 for label in (*TRUTHS, "inconclusive")
    }
    assert max(constant.values()) < 0.5
    assert constant["synthetic"] < constant["inconclusive"]
    assert constant["tampered"] < constant["inconclusive"]


def test_grounding_grows_over_the_training_and_wants_the_place_alone() -> None:
    assert grounding(answer(progress=0.0)) == pytest.approx(0.5)
    assert grounding(answer(progress=0.5)) == pytest.approx(0.75)
    assert grounding(answer(GOOD.replace("[R1]", ""))) == 0.0
    whole = Region(id="R2", box=(0, 0, 1000, 800), area=1.0, score=0.9)
    two = examined(regions=[*examined().regions, whole])
    everywhere = answer(GOOD + "\n- R2 is marked [R2]", about=two)
    assert grounding(everywhere) == pytest.approx(1.1 * 0.05)
    box = answer(GOOD + "\n- It also spans [0,0,1000,800] [R1]")
    assert grounding(box) == pytest.approx(1.1 * 0.05)


def test_grounding_applies_to_tampered_images_that_offer_a_place() -> None:
    assert grounding(answer(about=examined(truth="synthetic"))) is None
    assert grounding(answer(about=examined(regions=[]))) is None
    assert grounding(answer(prefix="real 0.90\n")) is None


def test_iou_of_boxes_and_a_mask() -> None:
    mask = examined().changed()
    assert mask is not None
    assert iou([(100, 100, 300, 300)], mask, (1000, 800)) == pytest.approx(1.0)
    assert iou([(100, 100, 300, 300)] * 2, mask, (1000, 800)) == pytest.approx(1.0)
    assert iou([(500, 500, 700, 700)], mask, (1000, 800)) == 0.0
    assert iou([], mask, (1000, 800)) == 0.0
    assert iou([(200, 100, 400, 300)], mask, (1000, 800)) == pytest.approx(1 / 3)


def test_invented_findings_and_numbers_cost_more_than_a_claim_brings() -> None:
    for lie in (
        "- The spectrum is flat, 0.2 [E9]",
        "- The noise level is even, 1.9 [E3]",
        '- The tool "Paint" [E3]',
    ):
        assert evidence(answer(GOOD + "\n" + lie)) < evidence(answer(GOOD)) - 0.5
    assert evidence(answer("\n".join(["- Strange, 77 [E9]"] * 5))) == -1.0


def test_an_unverified_claim_is_worth_nothing_and_a_general_one_half() -> None:
    assert evidence(answer("- The sky is blue [E3]\n" + GOOD.splitlines()[0])) == 0.5
    general = "- In a real photo, noise is usually even [E3]"
    assert evidence(answer(general)) == 0.5


def test_repeating_a_safe_claim_brings_nothing() -> None:
    first = GOOD.splitlines()[0]
    assert evidence(answer("\n".join([first] * 5))) == pytest.approx(0.2)
    # reworded, on the same finding
    assert evidence(
        answer(f"{first}\n- The local-change score of 0.8 points to an edit [E1]")
    ) == pytest.approx(0.5)


def test_nothing_readable_is_the_worst_evidence() -> None:
    assert evidence(answer("")) == evidence(answer("No idea.")) == evidence(answer(GOOD, prefix="")) == -1.0


def test_a_region_on_which_the_verdict_does_not_rest_is_no_evidence() -> None:
    assert evidence(answer(about=examined(masking={"R1": 40.0}))) == pytest.approx(2 / 3)
    assert evidence(answer(about=examined(masking={}))) == pytest.approx(2 / 3)


def test_text_that_would_fit_any_image_is_not_specific() -> None:
    assert specificity(answer(others=[GOOD])) == 0.0
    assert specificity(answer(others=["Quite another sentence about a file", "And one more"])) == 1.0
    one_copy = specificity(answer(others=[GOOD, *["Quite another sentence about a file"] * 7]))
    assert one_copy == 0.0  # a template among many others is still one
    assert specificity(answer("", others=[GOOD])) == 0.0


def test_gibberish_wins_nothing_over_the_bar() -> None:
    others = [GOOD.replace("0.8", "0.7").replace("even", "uneven in parts")]
    odd = answer("- Zork blip wug [E1]\n- Frob quux [E2]", others=others, reference=-9.0)
    plain = answer(others=["Quite another sentence about a file"], reference=-0.5)
    assert specificity(odd) <= 1.0
    assert total(odd, WEIGHTS)[0] < total(plain, WEIGHTS)[0] - 1


def test_no_artefact_on_a_real_image() -> None:
    real = examined("real", "real")
    calm = "- The local-change score is low, 0.05 [E1]\n- The noise is even, 1.2 [E3]"
    loud = "- The noise betrays an edit, 1.2 [E3]\n- The local-change score is low, 0.05 [E1]"
    forced = "real 0.90\n"
    assert restraint(answer(calm, forced, about=real)) == 1.0
    assert restraint(answer(loud, forced, about=real)) == 0.0
    assert restraint(answer("Nothing.", forced, about=real)) == 0.0  # silence does not pay
    assert restraint(answer(loud, "tampered 0.80\n", about=examined(truth="real"))) is None  # told so
    assert restraint(answer(f"tampered 0.80\n{loud}", "", about=real)) == 0.0
    assert restraint(answer(loud, "tampered 0.80\n")) is None


def test_length() -> None:
    assert length(answer("")) == 0.0
    assert length(answer("word " * 10)) == pytest.approx(0.4)
    assert length(answer("word " * 60)) == 1.0
    assert 0 < length(answer("word " * 120)) < 1
    assert length(answer("word " * 400)) == 0.0


def test_language_is_held_against_the_reference_and_repetition() -> None:
    assert language(answer(reference=-0.6)) == 1.0
    assert language(answer(reference=-2.5)) == pytest.approx(0.5)
    assert language(answer(reference=-6.0)) == 0.0
    assert language(answer("it is so and it is so and " * 10, reference=-0.1)) < 0.2
    assert language(answer("", reference=-0.1)) == 0.0


def test_the_total_leaves_out_what_does_not_apply() -> None:
    summed, each = total(answer(), WEIGHTS)
    assert list(each) == [reward.__name__ for reward in REWARDS]
    assert each["verdict"] is None
    assert summed == pytest.approx(0.5 + 1 + 1 + 0.25 + 0.5)


def test_no_degenerate_answer_comes_near_an_honest_one() -> None:
    honest = total(answer(others=["Quite another sentence about a file"], reference=-0.6), WEIGHTS)[0]
    first = GOOD.splitlines()[0]
    cheats = [
        "",
        "- [E1]",
        first,
        "\n".join([first] * 5),
        "- In general, noise is usually even [E3]\n" * 3,
        "[E1] " * 80,
    ]
    for text in cheats:
        cheat = answer(text, others=["Quite another sentence about a file"], reference=-0.3)
        assert total(cheat, WEIGHTS)[0] < honest - 0.5, text
