"""Checks the text that the language model is trained on: every claim true of its image, every number right.

    python -m train.lint [--examined DIR] [--count 300]

Conversations are generated as train.sft generates them, about examined images (train.examinations) or, without
--examined, about made-up examinations; with --examined, the alignment text of every view is checked too. Printed:
faults (exit code 1 if there is one), distinct-n, and the mean pairwise ROUGE-L between rationales of different images.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from forensic_chat.data.dialogues import Case, dialogue, random_examination
from forensic_chat.mllm.claims import ParsedClaim, parse_rationale, parse_reply
from forensic_chat.mllm.verify import passed, uncited_fault, verify
from forensic_chat.schema import Label
from forensic_chat.scoring.text import distinct, mean_pairwise
from train.examinations import load as load_examinations
from train.facts import facts, unproven

COMPARED = 40
"""Rationales of one label that are compared pair by pair."""


@dataclass(frozen=True)
class Linted:
    """A conversation's text and what is wrong with it."""

    label: Label
    rationale: str
    answers: list[str]
    faults: list[str]
    claims: int


def lint(case: Case, answers: list[str]) -> tuple[int, list[str]]:
    """The number of claims in answers about a case, the first of which answers the verdict question, and faults."""
    pieces: list[ParsedClaim | str] = [*parse_rationale(answers[0])]
    pieces += [piece for answer in answers[1:] for piece in parse_reply(answer)]
    faults, claims = [], 0
    for piece in pieces:
        if isinstance(piece, str):
            fault = uncited_fault(
                piece, case.findings, case.regions, case.label, case.probabilities, case.image_size
            )
            faults += [f"{piece!r} {fault}"] if fault else []
            continue
        claims += 1
        checked = verify(piece, case.findings, case.regions, case.label, image_size=case.image_size)
        if not passed(checked):
            faults.append(f"{piece.text!r} {checked.check}")
    return claims, faults


def linted(case: Case, rng: Random) -> Linted:
    exchanges = dialogue(
        case.findings, case.regions, case.label, case.probabilities, case.image_size, rng, case.truth
    )
    answers = [exchange.answer for exchange in exchanges]
    claims, faults = lint(case, answers)
    return Linted(case.label, answers[0].partition("\n")[2], answers, faults, claims)


def report(every: list[Linted]) -> Iterator[str]:
    """Lines about the variety of the text."""
    rationales = [one.rationale for one in every]
    answers = [answer for one in every for answer in one.answers]
    yield f"{len(every)} conversations, {len(answers)} answers, {sum(one.claims for one in every)} claims"
    for name, texts in (("rationales", rationales), ("all answers", answers)):
        figures = ", ".join(f"distinct-{n} {distinct(texts, n):.3f}" for n in (1, 2, 3))
        yield f"{name}: {figures}"
    yield f"different rationales: {len(set(rationales)) / len(rationales):.3f}"
    yield f"mean pairwise ROUGE-L of rationales: {mean_pairwise(rationales[:COMPARED]):.3f}"
    for label in sorted({one.label for one in every}):
        mine = [one.rationale for one in every if one.label == label][:COMPARED]
        yield f"  {label}: {mean_pairwise(mine):.3f} over {len(mine)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examined", type=Path)
    parser.add_argument("--count", type=int, default=300, help="conversations")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, faults = Random(args.seed), []
    if args.examined:
        known = load_examinations(args.examined, "train")
        cases = [record.case() for record, _ in known]
        chosen = [cases[k % len(cases)] for k in range(args.count)] if cases else []
        proven = [(fact, unproven(fact, r, v)) for r, views in known for v in views for fact in facts(r, v)]
        faults += [f"{fact.answer!r} {fault}" for fact, fault in proven if fault]
        print(f"{len(proven)} sentences of alignment text")
    else:
        chosen = [random_examination(rng) for _ in range(args.count)]
    if not chosen:
        parser.error("there is nothing to check; run train.examinations, or leave --examined out")
    every = [linted(case, rng) for case in chosen]
    faults += [fault for one in every for fault in one.faults]
    print(*report(every), f"{len(faults)} faults", *faults[:20], sep="\n")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
