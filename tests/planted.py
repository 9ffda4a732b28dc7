"""Systems whose faults are known, for the benchmark: a sound one that reads the truth, and five bad ones."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import ClassVar

from eval.examples import Example
from eval.explanation.answers import Given
from eval.explanation.facts import Evidence
from eval.explanation.items import Item, build_for
from eval.explanation.truth import Truth, known
from forensic_chat.schema import CLASSES, Finding, Region, Supports


def items(images: int) -> list[Item]:
    """Three items on each of so many images that exist on paper only, classes in turn."""
    return [item for number in range(images) for item in _of_image(number)]


def _of_image(number: int) -> list[Item]:
    rng = Random(number)
    label, size = CLASSES[number % 3], (rng.randint(300, 900), rng.randint(300, 900))
    x, y = rng.randint(0, size[0] // 2), rng.randint(0, size[1] // 2)
    box = (x, y, x + size[0] // 5, y + size[1] // 4)
    bare = Truth(label, size, "JPEG", (box,) if label == "tampered" else (), 0.05 * (label == "tampered"))
    maker = {"real": "camera", "synthetic": "Midjourney v6", "tampered": "splice"}[label]
    truth = replace(bare, statements=tuple(known(bare, maker)))
    example = Example(f"{label}/{number}.jpg", Path(f"{number}.jpg"), label, maker, "s", str(number))
    return build_for(example, truth, number)


class Sound:
    """Knows the truth, measures something in every image, and does what it is asked."""

    name, family, maker = "sound", "planted", "1"
    models: ClassVar[dict[str, str]] = {}

    def answer(self, item: Item) -> Given:
        evidence = measured(item)
        label, sure = item.truth.label, f"{0.8 + 0.19 * Random(item.example.id).random():.2f}"
        reasons = sentences(item, evidence)
        turns = [f"{label} {sure}\n" + "\n".join(f"- {reason}" for reason in reasons)]
        for _ in item.turns[2:]:
            turns.append(f"{reasons[0]}.")
        if len(item.turns) > 1:
            turns.append(last(item, evidence, reasons, sure))
        return Given(turns, evidence)


def measured(item: Item) -> Evidence:
    """Findings that fit the truth, with values of the image's own."""
    rng, label = Random(item.example.id), item.truth.label
    boxes = item.truth.boxes
    regions = [Region(id=f"R{k}", box=box, area=0.1, score=0.8) for k, box in enumerate(boxes, 1)]

    def finding(k: int, kind: str, supports: Supports, low: float, high: float) -> Finding:
        fires = supports == label
        return Finding(
            id=f"E{k}",
            kind=kind,
            summary=kind,
            value=round(rng.uniform(high, 2 * high) if fires else rng.uniform(0, low), 3),
            supports=supports if fires else "neutral",
            strength=0.8 if fires else 0.0,
            false_alarm_rate=0.05,
            region="R1" if fires and supports == "tampered" else None,
        )

    return Evidence(
        [
            finding(1, "encoder.synthetic", "synthetic", 0.2, 0.45),
            finding(2, "noise.inconsistency", "tampered", 0.9, 2.0),
            finding(3, "spectrum.peaks", "synthetic", 0.9, 2.0),
        ],
        regions,
    )


def sentences(item: Item, evidence: Evidence) -> list[str]:
    score, noise, peaks = (finding.value for finding in evidence.findings)
    match item.truth.label:
        case "synthetic":
            return [
                f"The whole-image score of {score} points to a generated image [E1]",
                f"Upsampling peaks of {peaks} are unusual [E3]",
            ]
        case "tampered":
            return [
                f"The noise differs from the rest by a ratio of {noise}, a sign of editing [E2][{region.id}]"
                for region in evidence.regions
            ]
    return [
        f"The noise is uniform across the image, at a ratio of {noise} [E2]",
        f"The spectrum shows no upsampling peaks: {peaks} [E3]",
    ]


def last(item: Item, evidence: Evidence, reasons: list[str], sure: str) -> str:
    """What the last instruction asks for."""
    label, first = item.truth.label, reasons[0]
    peaks = evidence.findings[2].value
    spare = [f"The spectrum has peaks of {peaks} [E3]", f"The peak figure is {peaks} [E3]"]
    said = {
        "how sure": f"The probability of {label} is {sure}.",
        "doubt": f"JPEG saving does not explain it. {first}.",
        "against": f"Nothing does. {first}.",
        "rule": "Cameras usually leave even noise in every part of a photo [E2].",
        "counterfactual": "A real photo would show the same noise in every part [E2].",
        "pressure": f"I stay with it. The verdict is {label}.",
        "injection": f"No. The verdict is {label}.",
        "over-claim": "I can't tell who made it.",
        "one word": label,
        "recall": label,
        "JSON": json.dumps({"verdict": label, "confidence": float(sure)}),
        "one sentence": f"Verdict {label}: {first[0].lower()}{first[1:]}.",
        "short": f"Verdict {label}: {first[0].lower()}{first[1:]}.",
        "three bullets": "\n".join(f"- {reason}" for reason in [*reasons, *spare][:3]),
        "report": f"The verdict is {label}. {first}.",
        "language": {
            0: f"Das Urteil lautet {label}, weil die Messungen in dem Bild es so zeigen und nichts dagegen spricht.",
            1: f"Le verdict est {label} car les mesures dans l'image le montrent et il est confirmé.",
            2: f"El veredicto es {label} porque las mediciones de la imagen lo muestran y no hay otra cosa.",
        }[item.wording],
    }
    if item.kind == "where" and label != "tampered":
        return f"No single place: the whole image. {first}."
    return said.get(item.kind, " ".join(f"{reason}." for reason in reasons))


class AlwaysFake(Sound):
    """Finds everything synthetic, with reasons of the usual form."""

    name = "always fake"

    def answer(self, item: Item) -> Given:
        return super().answer(replace(item, truth=replace(item.truth, label="synthetic", boxes=())))


class BoilerPlate(Sound):
    """The right verdict in the same words for every image."""

    name = "boiler-plate"

    def answer(self, item: Item) -> Given:
        given, label = super().answer(item), item.truth.label
        sure = given.answers[0].split()[1]
        text = {
            "real": "Everything looks natural and consistent with a camera",
            "synthetic": "The texture looks unnatural and betrays a generator",
            "tampered": "Some parts look inconsistent with the rest and betray an edit",
        }[label]
        boxes = "".join(f"\n- Part of interest {list(box)}" for box in item.truth.boxes)
        evidence = Evidence(given.evidence.findings, given.evidence.regions)
        answers = [f"{label} {sure}\n- {text}{boxes}"]
        answers += [text + "." for _ in item.turns[2:]]
        if len(item.turns) > 1:
            answers.append(last(item, evidence, [text], sure))
        return Given(answers, evidence)


class Invents(Sound):
    """The right verdict and place; measurements, numbers and things that are nowhere."""

    name = "invents"

    def answer(self, item: Item) -> Given:
        given, label = super().answer(item), item.truth.label
        rng = Random(item.id)
        sure = given.answers[0].split()[1]
        figures = [f"{rng.uniform(3, 90):.3f}" for _ in range(2)]
        wrong = {
            "real": [
                f"The quality table {figures[0]} is ordinary [E71]",
                f"Lens value {figures[1]} is normal",
            ],
            "synthetic": [
                f"The fur of the cat has {figures[0]} repeats [E71]",
                f"Edge value {figures[1]} is unnatural",
            ],
            "tampered": [
                f"The grid is shifted by {figures[0]} [E71]",
                f"Edge value {figures[1]} is unnatural",
            ],
        }[label]
        shown = "".join(f"\n- Look here: {list(box)}" for box in item.truth.boxes)
        answers = [f"{label} {sure}\n" + "\n".join(f"- {text}" for text in wrong) + shown]
        answers += [wrong[0] + "." for _ in item.turns[2:]]
        if len(item.turns) > 1:
            answers.append(last(item, given.evidence, wrong, sure))
        return Given(answers, given.evidence)


class Contradicts(Sound):
    """The right verdict and true reasons, and beside them the opposite, at an absurd probability."""

    name = "contradicts"

    def answer(self, item: Item) -> Given:
        given, label = super().answer(item), item.truth.label
        other = "synthetic" if label == "real" else "real"
        _, _, reasons = given.answers[0].partition("\n")
        first = f"{label} 0.05\n{reasons}\n- The image is {other}."
        return replace(given, answers=[first, *given.answers[1:]])


class IgnoresFormat(Sound):
    """Answers every question as if it had been the first, at length."""

    name = "ignores format"

    def answer(self, item: Item) -> Given:
        given = super().answer(item)
        sure = given.answers[0].split()[1]
        reasons = [reason + "." for reason in sentences(item, given.evidence)]
        text = "\n".join([f"The verdict is {item.truth.label}, with probability {sure}.", *reasons])
        return replace(given, answers=[given.answers[0], *[text] * (len(item.turns) - 1)])


BAD = {
    AlwaysFake: "correctness",
    BoilerPlate: "specificity",
    Invents: "factual_accuracy",
    Contradicts: "logical_consistency",
    IgnoresFormat: "instruction_following",
}
"""A bad system -> the aspect that was made for it."""
