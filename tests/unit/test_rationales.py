"""What code says of an examination: every sentence true, the right ones said, no two images alike."""

import re
from collections import Counter
from itertools import combinations
from random import Random
from typing import get_args

import pytest

from forensic_chat.data.case import Case
from forensic_chat.data.dialogues import dialogue, random_examination, verdict_answer
from forensic_chat.data.protocol import SCORES, suspicious
from forensic_chat.data.rationales import rationale
from forensic_chat.data.sentences import C2PA_STATES, PHRASES
from forensic_chat.data.statements import (
    cited,
    fill,
    limit,
    located,
    real_version,
    rule,
    state,
    wordings,
)
from forensic_chat.mllm.claims import parse_rationale
from forensic_chat.schema import Label, Probabilities, Region, Supports
from tests import factories
from tests.unit.composed import accepted, checked, claims_of

SEEDS = range(200)
VALUES: dict[str, tuple[str | float | int | None, ...]] = {
    "provenance.c2pa": (*C2PA_STATES, "something new", None),
    "metadata.generator": ("Midjourney", "AI editor 2.0", None),
    "metadata.software": ("Adobe Photoshop 24.1", None),
    "metadata.dates": ("consistent", "dated 2038-01-19, in the future", None),
    "copymove.matches": (0, 37, None),
    "noise.inconsistency": (1.0, 2.3, None),
    "test.not_run": ("noise",),
}


STATES = [
    factories.finding(
        kind,
        supports,
        strength,
        summary="",
        value=value,
        false_alarm_rate=0.1,
        region=region if supports in ("synthetic", "tampered") else None,
    )
    for kind in [*PHRASES, "shadow.direction"]
    for value in VALUES.get(kind, (0.42, 0.0, None))
    for supports in get_args(Supports)
    for strength in (0.0, 0.3, 0.9)
    for region in (None, "R1")
]
"""Every kind of finding in every state that it may have."""


@pytest.mark.parametrize("label", get_args(Label))
def test_every_wording_passes_in_every_state(label: Label) -> None:
    even = Probabilities(real=0.4, synthetic=0.3, tampered=0.3)
    place = Region(id="R1", box=(5, 5, 30, 30), area=0.05, score=0.8)
    for finding in STATES:
        case, rng = Case([finding], [place], label, even, (100, 100)), Random(0)
        if suspicious(finding) and label == "real":
            texts = [state(finding, case, Random(seed)) for seed in range(6)]
        else:
            texts = [
                cited(fill(words, finding, case, rng), finding, region=suspicious(finding))
                for words in wordings(finding)
            ]
        for text in texts:
            [claim] = checked(case, claims_of(text + "."))
            assert claim.verified is True, claim


@pytest.mark.parametrize("label", get_args(Label))
def test_rules_comparisons_and_limits_pass_where_they_are_used(label: Label) -> None:
    even = Probabilities(real=0.4, synthetic=0.3, tampered=0.3)
    for finding in STATES:
        case = Case([finding], [], label, even, (100, 100))
        for seed in range(3):
            texts = [limit(finding, case, Random(seed))]
            if label != "real" and suspicious(finding):
                texts += [rule(finding, Random(seed)), real_version(finding, Random(seed))]
            for text in filter(None, texts):
                [claim] = checked(case, claims_of(text + "."))
                assert accepted(claim), claim


@pytest.mark.parametrize("seed", range(20))
def test_a_region_is_where_its_sentence_says(seed: int) -> None:
    rng = Random(seed)
    x, y = rng.randint(0, 800), rng.randint(0, 600)
    place = Region(
        id="R1", box=(x, y, x + rng.randint(9, 200), y + rng.randint(9, 200)), area=0.02, score=0.5
    )
    case = Case([], [place], "tampered", Probabilities(real=0, synthetic=0, tampered=1), (1000, 800))
    for _ in range(10):
        [claim] = checked(case, claims_of(located(place, case, rng) + "."))
        assert claim.verified is True, claim


def test_a_rationale_has_two_to_five_claims_behind_the_verdict() -> None:
    sizes: Counter[int] = Counter()
    for seed in SEEDS:
        case = random_examination(Random(seed))
        first, *lines = verdict_answer(case, Random(seed)).splitlines()
        assert first.split()[0] == case.label
        assert all(line.startswith("- ") and line.endswith("]") for line in lines)
        sizes[len(lines)] += 1
    assert set(sizes) == {2, 3, 4, 5}


def test_a_rationale_says_what_was_measured_twice_at_least() -> None:
    for seed in SEEDS:
        case = random_examination(Random(seed))
        claims = checked(case, parse_rationale(verdict_answer(case, Random(seed))))
        assert sum(claim.verified is True for claim in claims) >= 2, claims


def test_a_fake_verdict_names_its_strongest_findings() -> None:
    for seed in SEEDS:
        case = random_examination(Random(seed))
        own = [f.id for f in case.against_image() if f.supports == case.label]
        if case.label in ("synthetic", "tampered"):
            cites = [name for c in parse_rationale(verdict_answer(case, Random(seed))) for name in c.findings]
            assert set(own[:2]) <= set(cites), seed


def test_a_real_verdict_speaks_of_both_kinds_of_fake_and_often_of_what_stays_open() -> None:
    open_ends = topics_met = spoken = reals = 0
    for seed in SEEDS:
        case = random_examination(Random(seed))
        if case.label != "real":
            continue
        text = verdict_answer(case, Random(seed))
        cites = {name for claim in parse_rationale(text) for name in claim.findings}
        scores = {f.id for f in case.findings if f.kind in SCORES}
        spoken += bool(cites & scores)
        reals += 1
        topics_met += scores <= cites
        open_ends += bool(
            re.search(r"exclude|rule out|no proof|cannot see|removed|not recorded|proves", text)
        )
    assert spoken >= 0.95 * reals
    assert topics_met > reals / 2
    assert open_ends > reals / 2


def test_rationales_of_different_images_differ() -> None:
    """Mean pairwise ROUGE-L (F) between images of one label stays below 0.45, the bar of the design."""
    texts: dict[str, list[list[str]]] = {}
    for seed in SEEDS:
        case = random_examination(Random(seed))
        text = " ".join(rationale(case, Random(seed)))
        texts.setdefault(case.label, []).append(re.findall(r"[a-z0-9.]+", text.lower()))
    for label, words in texts.items():
        pairs = list(combinations(words[:25], 2))
        assert sum(rouge_l(a, b) for a, b in pairs) / len(pairs) < 0.45, label


def rouge_l(a: list[str], b: list[str]) -> float:
    """F measure of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = row[:]
        for k, other in enumerate(b):
            row[k + 1] = before[k] + 1 if word == other else max(row[k], before[k + 1])
    return 2 * row[-1] / (len(a) + len(b))


def test_a_region_that_is_no_reason_places_nothing() -> None:
    for seed in SEEDS:
        case = random_examination(Random(seed))
        bare = case.without_reasons({region.id for region in case.regions})
        claims = parse_rationale(verdict_answer(bare, Random(seed)))
        assert not any(claim.region for claim in claims)


def test_a_real_verdict_never_asserts_an_artefact() -> None:
    for seed in SEEDS:
        case = random_examination(Random(seed))
        if case.label != "real":
            continue
        exchanges = dialogue(
            case.findings, case.regions, "real", case.probabilities, case.image_size, Random(seed)
        )
        claims = [claim for exchange in exchanges for claim in claims_of(exchange.answer)]
        assert not any("artefact" in claim.check for claim in checked(case, claims))
