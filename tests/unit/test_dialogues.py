import json
from collections import Counter
from random import Random

import pytest

from forensic_chat.data.dialogues import dialogue, random_examination, verdict_answer
from forensic_chat.data.followups import FOLLOW_UPS, explain, explain_questions
from forensic_chat.data.protocol import VERDICT_QUESTION, suspicious
from forensic_chat.data.rationales import Case, state
from forensic_chat.data.sentences import C2PA_STATES, PHRASES, phrases
from forensic_chat.mllm.claims import ParsedClaim, parse_rationale, parse_reply
from forensic_chat.mllm.verify import verify
from forensic_chat.schema import Claim, Finding, Probabilities

SEEDS = range(300)


def checked(case: Case, claims: list[ParsedClaim]) -> list[Claim]:
    return [
        verify(claim, case.findings, case.regions, case.label, image_size=case.image_size) for claim in claims
    ]


def claims_of(answer: str) -> list[ParsedClaim]:
    return [piece for piece in parse_reply(answer) if isinstance(piece, ParsedClaim)]


def accepted(claim: Claim) -> bool:
    return claim.verified is True or (
        claim.verified is None and claim.check.startswith("a general statement")
    )


def test_every_claim_of_every_answer_passes_our_own_checks() -> None:
    for seed in SEEDS:
        case, rng = random_examination(Random(seed)), Random(seed)
        claims = parse_rationale(verdict_answer(case, rng))
        for follow_up in FOLLOW_UPS:
            claims += claims_of(follow_up.answer(case, rng))
        for claim in checked(case, claims):
            assert accepted(claim), (seed, case.label, claim)


@pytest.mark.parametrize("kind", [*PHRASES, "shadow.direction"])
@pytest.mark.parametrize("supports", ["real", "neutral", "synthetic", "tampered"])
@pytest.mark.parametrize("strength", [0.0, 0.5])
@pytest.mark.parametrize("label", ["real", "synthetic", "tampered", "inconclusive"])
def test_every_wording_passes_in_every_state(kind: str, supports: str, strength: float, label: str) -> None:
    values: dict[str, list[object]] = {
        "provenance.c2pa": [*C2PA_STATES, "something new"],
        "metadata.generator": ["Midjourney", "AI editor 2.0", None],
        "metadata.software": ["Adobe Photoshop 24.1", None],
        "copymove.matches": [0, 37],
    }
    for value in values.get(kind, [0.42, None]):
        finding = Finding.model_validate(
            {
                "id": "E1",
                "kind": kind,
                "summary": "",
                "value": value,
                "supports": supports,
                "strength": strength,
                "false_alarm_rate": 0.1,
            }
        )
        even = Probabilities(real=0.4, synthetic=0.3, tampered=0.3)
        case = Case([finding], [], label, even, (100, 100))  # type: ignore[arg-type]
        for seed in range(12):
            [claim] = checked(case, claims_of(state(finding, case, Random(seed)) + "."))
            assert accepted(claim), claim


def test_a_rationale_has_two_to_five_claims_behind_the_verdict() -> None:
    for seed in SEEDS:
        case = random_examination(Random(seed))
        first, *lines = verdict_answer(case, Random(seed)).splitlines()
        assert first.split()[0] == case.label
        assert 2 <= len(lines) <= 5
        assert all(line.startswith("- ") and line.endswith("]") for line in lines)


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


def test_a_fake_verdict_leads_with_what_supports_it() -> None:
    for seed in SEEDS:
        case = random_examination(Random(seed))
        own = {f.id for f in case.findings if suspicious(f) and f.supports == case.label}
        if case.label in ("synthetic", "tampered") and own:
            first = parse_rationale(verdict_answer(case, Random(seed)))[0]
            assert set(first.findings) <= own


def test_a_dialogue_is_the_verdict_question_and_some_follow_ups() -> None:
    questions: Counter[str] = Counter()
    for seed in SEEDS:
        case = random_examination(Random(seed))
        exchanges = dialogue(
            case.findings,
            case.regions,
            case.label,
            case.probabilities,
            case.image_size,
            Random(seed),
            case.truth,
        )
        assert exchanges[0].question == VERDICT_QUESTION
        assert 3 <= len(exchanges) <= 6
        assert all(exchange.answer.strip() and exchange.question.strip() for exchange in exchanges)
        questions.update(exchange.question for exchange in exchanges[1:])
    assert len(questions) > 150


def test_the_same_seed_makes_the_same_dialogue() -> None:
    case = random_examination(Random(1))
    make = [
        dialogue(case.findings, case.regions, case.label, case.probabilities, case.image_size, Random(2))
        for _ in range(2)
    ]
    assert make[0] == make[1]


def test_questions_and_sentences_are_varied() -> None:
    assert len(FOLLOW_UPS) >= 16
    assert all(len(set(kind.questions)) >= 6 for kind in FOLLOW_UPS)
    for kind, words in PHRASES.items():
        if kind == "provenance.c2pa":
            assert all(len(set(wordings)) >= 4 for wordings in C2PA_STATES.values())
            continue
        assert len(set(words.clean)) >= 4
        assert all(len(set(wordings)) in (0, 4, 5) for wordings in (words.suspect, words.empty, words.odd))


def by_kind(name: str, case: Case, seed: int = 0) -> str:
    return next(kind for kind in FOLLOW_UPS if kind.kind == name).answer(case, Random(seed))


@pytest.mark.parametrize("seed", range(30))
def test_short_formats_are_kept(seed: int) -> None:
    case = random_examination(Random(seed))
    assert by_kind("one word", case) == case.label
    assert json.loads(by_kind("json", case))["verdict"] == case.label
    assert all(line.startswith("- ") for line in by_kind("bullets", case).splitlines())


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", ["pushback", "injection"])
def test_pressure_does_not_change_the_verdict(kind: str, seed: int) -> None:
    case = random_examination(Random(seed))
    answer = by_kind(kind, case, seed)
    assert case.label in answer or (case.label == "inconclusive" and "undecided" in answer)


def test_an_unknown_kind_is_written_about_by_its_name() -> None:
    assert "shadow direction" in phrases("shadow.direction").suspect[0]
    assert len(phrases("shadow.direction").clean) >= 4


def test_every_finding_can_be_explained() -> None:
    case = random_examination(Random(3))
    for finding in case.findings:
        assert len(set(explain_questions(finding))) >= 6
        text = explain(case, Random(0), finding)
        assert f"[{finding.id}]" in text
        assert phrases(finding.kind).explain in text
