"""Sentences about one finding, one region or the two learned scores, with their citations."""

from random import Random

from forensic_chat.data.case import Case, lowers_trust, odd
from forensic_chat.data.protocol import (
    FLOOR,
    SCORES,
    low,
    percent,
    place,
    rare,
    says_something,
    seldom,
    strength_word,
    suspicious,
    written,
)
from forensic_chat.data.sentences import C2PA_GENERATED, C2PA_STATES, FAKE, HOW, NOTHING, phrases
from forensic_chat.schema import Finding, Region

UNDECIDED = 0.8
"""Below this, a learned score does not speak for a fake while the verdict is inconclusive."""

_OUTWEIGHED = (
    "{name} reads {v}, outweighed by the other findings",
    "{name} measures {v}, too little to change the verdict",
    "{name} reads {v}, which was weighed and does not decide",
    "{name} reads {v}, which alone does not turn the verdict",
)
_BOTH_LOW = (
    "Both learned scores are low: {s} for generation and {t} for a local change",
    "The encoder's scores are low, with {s} for generation and {t} for a local edit",
    "No score is remarkable: {s} of 1 for generation, {t} of 1 for a local change",
    "Low scores on both counts: {s} for being generated, {t} for being edited in places",
)
_BOTH_OPEN = (
    "The learned scores do not settle it: {s} for generation, {t} for a local change",
    "With a score of {s} for generation and {t} for a local edit, neither side is clear",
    "The encoder gives a score of {s} for generation and {t} for a local change, which decides nothing",
    "The learned scores leave it open: {s} of 1 for generation, {t} of 1 for a local edit",
)
REGION = (
    "{r} lies {where} and covers {area} of the image",
    "{r} takes {area} of the image, {where}",
    "The region {r} is {where}, at {box}",
    "{r} is a box of {size} pixels {where}",
    "{where}, {r} spans {box}, {area} of the image",
)
_RARE = (
    "{name} reads {v}, which few photos reach; it does not count, because it was found to tell little",
    "{name} measures {v}, a high figure that few photos reach; since it tells little, it decides nothing",
    "{name} gives {v}; few photos reach that, but it was found to tell little and does not count",
)
_LOW_BESIDE_A_MASK = (
    "The learned score for a locally changed photo is low: {v} of 1",
    "The encoder's score for a local change is only {v} of 1, which is low",
    "By itself, the local-change score of {v} is low",
)
"""What a low score says of the whole photo, and not that nothing was found, where a place is marked."""


def state(finding: Finding, case: Case, rng: Random) -> str:
    """One cited sentence that says what the finding shows, without a full stop; never an artefact on
    `real`."""
    outweighed = suspicious(finding) and case.label == "real"
    sentence = fill(rng.choice(stated(finding, case)), finding, case, rng)
    return cited(sentence, finding, region=suspicious(finding) and not outweighed)


def stated(finding: Finding, case: Case) -> tuple[str, ...]:
    """The wordings that say what the finding shows under this verdict, with their fields."""
    if suspicious(finding) and case.label == "real":
        return tuple(named(text, finding) for text in _OUTWEIGHED[: 1 if finding.value is None else None])
    if finding.kind == "encoder.tampered" and low(finding) and case.marked():
        return _LOW_BESIDE_A_MASK
    undecided = case.label == "inconclusive" and finding.strength < UNDECIDED
    if undecided and finding.kind in SCORES and says_something(finding):
        return phrases(finding.kind).odd
    return wordings(finding)


def cited(sentence: str, *findings: Finding, region: bool = False) -> str:
    """The sentence with its citations behind it."""
    ids = ", ".join(finding.id for finding in findings)
    place = findings[0].region if region else None
    return f"{sentence} [{ids}]" + (f"[{place}]" if place else "")


def located(region: Region, case: Case, rng: Random) -> str:
    """Where a region lies, cited."""
    return f"{rng.choice(places(region, case))} [{region.id}]"


def places(region: Region, case: Case) -> list[str]:
    """Where a region lies, in every wording."""
    x0, y0, x1, y1 = region.box
    known = {
        "r": region.id,
        "where": place(region.box, case.image_size),
        "area": percent(region.area),
        "box": f"[{x0},{y0},{x1},{y1}]",
        "size": f"{x1 - x0} x {y1 - y0}",
    }
    texts = (text.format(**known) for text in REGION)
    return [text[0].upper() + text[1:] for text in texts]


def limit(finding: Finding, case: Case, rng: Random) -> str | None:
    """What the finding does not exclude, cited; None where there is nothing to say, or where it matters itself."""
    fitting = limits(finding)
    return cited(fill(rng.choice(fitting), finding, case, rng), finding) if fitting else None


def limits(finding: Finding) -> list[str]:
    """The wordings of what the finding does not exclude, with their fields."""
    told = suspicious(finding) or lowers_trust(finding) or rare(finding)
    texts = () if told else phrases(finding.kind).limit
    bare = finding.value is None or (is_nothing(finding) and any("{v}" not in text for text in texts))
    return [text for text in texts if ("{v}" not in text) == bare]


def rule(finding: Finding, rng: Random) -> str | None:
    """The general rule behind the finding, cited; None where there is none."""
    rules = phrases(finding.kind).rule
    return cited(rng.choice(rules), finding) if rules else None


def real_version(finding: Finding, rng: Random) -> str | None:
    """What a real photo would show in the finding's place, cited; None where there is nothing to say."""
    versions = phrases(finding.kind).real
    return cited(rng.choice(versions), finding) if versions else None


def wordings(finding: Finding) -> tuple[str, ...]:
    """The sentences that fit what the finding shows, with their fields."""
    words = phrases(finding.kind)
    if finding.kind == "provenance.c2pa" and finding.value is not None:
        return _c2pa(finding)
    if suspicious(finding):
        return _suspect(finding)
    if finding.value is None:
        return words.empty or (named("{name} holds no value, which is unremarkable", finding),)
    if odd(finding) or (finding.kind == "metadata.dates" and finding.value != "consistent"):
        return words.odd
    if rare(finding):
        return tuple(named(text, finding) for text in _RARE)
    if words.nothing and is_nothing(finding):
        return words.nothing
    if words.low and (finding.strength >= FLOOR or seldom(finding)):
        return words.low
    return words.clean or (named("{name} reads {v}, which is unremarkable", finding),)


def is_nothing(finding: Finding) -> bool:
    """Whether the value says that there is nothing at all: no match, an empty mask, a score that rounds to 0."""
    return finding.value == NOTHING.get(finding.kind, 0)


def fill(template: str, finding: Finding, case: Case, rng: Random) -> str:
    """A wording with its fields filled in from the finding."""
    return template.format(
        v=written(finding.value),
        how=HOW[strength_word(finding.strength)],
        place=_place(finding, case, rng),
        fake=rng.choice(FAKE.get(finding.supports, ("a fake",))),
    )


def both_scores(case: Case, rng: Random) -> str | None:
    """One sentence on the two learned scores, cited; None unless both are there and neither accuses."""
    texts, scores = on_both_scores(case), case.of(*SCORES)
    if not texts:
        return None
    synthetic, tampered = scores
    text = rng.choice(texts).format(s=written(synthetic.value), t=written(tampered.value))
    return cited(text, synthetic, tampered)


def on_both_scores(case: Case) -> tuple[str, ...]:
    """The wordings of that sentence, with their fields."""
    scores = case.of(*SCORES)
    if len(scores) != 2 or any(map(suspicious, scores)):
        return ()
    return _BOTH_OPEN if any(map(lowers_trust, scores)) else _BOTH_LOW


def _suspect(finding: Finding) -> tuple[str, ...]:
    """Wordings for a suspicious finding; where it supports what its kind usually doesn't, only open ones."""
    if finding.value is None:
        return (named("{name} holds no value, which points to {fake}", finding),)
    words = phrases(finding.kind)
    usual = finding.supports == words.supports or not words.supports
    fitting = tuple(text for text in words.suspect if usual or "{fake}" in text)
    return fitting or (named("{name} reads {v}, which points to {fake}", finding),)


def _c2pa(finding: Finding) -> tuple[str, ...]:
    state = finding.value if isinstance(finding.value, str) else ""
    if suspicious(finding) and finding.supports == "synthetic":
        return C2PA_GENERATED
    if suspicious(finding) != (state == "invalid") or state not in C2PA_STATES:
        tail = ", which points to {fake}" if suspicious(finding) else ""
        return ("The Content Credentials read {v}" + tail, "The provenance check reads {v}" + tail)
    return C2PA_STATES[state]


def named(template: str, finding: Finding) -> str:
    """A wording for any kind, with the kind's name in it."""
    name = phrases(finding.kind).name
    if finding.kind == "encoder.mask":
        template = template.replace("{v}", "{v}%")
    return template.replace("{name}", name[0].upper() + name[1:])


def _place(finding: Finding, case: Case, rng: Random) -> str:
    box = case.box(finding.region)
    if box is None:
        return ""
    wide = (box[2] - box[0]) * (box[3] - box[1]) > 0.6 * case.image_size[0] * case.image_size[1]
    if wide or rng.random() < 0.15:
        return f" in {finding.region}"
    if rng.random() < 0.1:
        return " at [" + ",".join(map(str, box)) + "]"
    return " " + place(box, case.image_size)
