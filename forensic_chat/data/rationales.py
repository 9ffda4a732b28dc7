"""Writes what an examination holds as cited sentences: the answer to the verdict question, as training text
and where the language model's own answer can't be used.

Claims are picked by what is special in this examination. On a fake verdict, the order is that of dialectical
fine-tuning (Forensic-Chat, arXiv 2509.25502): perceive the artefact, the rule it breaks and why that means
fake, what a real photo would look like. On a real verdict: what was checked and found clean, and what that
does not exclude.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from forensic_chat.data.protocol import FLOOR, percent, place, strength_word, suspicious, written
from forensic_chat.data.sentences import C2PA_GENERATED, C2PA_STATES, FAKE, HOW, NOTHING, phrases
from forensic_chat.schema import Box, Finding, Label, Probabilities, Region

SCORES = ("encoder.synthetic", "encoder.tampered")
CERTAIN, DOUBTFUL = 0.95, 0.75
"""Probability of the label from which little is said against the verdict, and below which more is."""
UNDECIDED = 0.8
"""Below this, a learned score does not speak for a fake while the verdict is inconclusive."""

_OUTWEIGHED = (
    "{name} reads {v}, outweighed by the other findings",
    "{name} measures {v}, too little to change the verdict",
    "{name} of {v} was weighed and does not decide",
    "{name} reads {v}, which alone does not turn the verdict",
)
_OPEN = (
    "{name} reads {v} and leaves the question open",
    "{name} at {v} does not settle it",
    "{name} measures {v}, which is too little for a verdict",
    "{name} gives {v}, not enough for either side",
)
_BOTH_LOW = (
    "Both learned scores are low: {s} for generation and {t} for a local change",
    "The encoder's scores are low, with {s} for generation and {t} for a local edit",
    "Neither score is remarkable: {s} of 1 for generation, {t} of 1 for a local change",
    "Low scores on both counts: {s} for being generated, {t} for being edited in places",
)
_BOTH_OPEN = (
    "The learned scores do not settle it: {s} for generation, {t} for a local change",
    "With a score of {s} for generation and {t} for a local edit, neither side is clear",
    "The encoder gives a score of {s} for generation and {t} for a local change, which decides nothing",
    "The learned scores leave it open: {s} of 1 for generation, {t} of 1 for a local edit",
)
_REGION = (
    "{r} lies {where} and covers {area} of the image",
    "{r} takes {area} of the image, {where}",
    "The region {r} is {where}, at {box}",
    "{r} is a box of {size} pixels {where}",
    "{where}, {r} spans {box}, {area} of the image",
)
_LOW_BESIDE_A_MASK = (
    "The learned score for a locally changed photo is low: {v} of 1",
    "The encoder's score for a local change is only {v} of 1, which is low",
    "By itself, the local-change score of {v} is low",
)
"""What a low score says of the whole photo, and not that nothing was found, where a place is marked."""
_MORE = ("In addition, ", "Also, ", "Besides, ", "A further sign: ", "Beyond that, ")
_CONTRAST = ("By contrast, ", "On the other hand, ", "Against that, ", "For balance: ")
_STILL = ("Still, ", "Even so, ", "What stays open: ", "All the same, ")


@dataclass(frozen=True)
class Case:
    """What a conversation is about.

    `image_size` is (width, height); `truth` the true label, where it is known; `reasons` why the verdict is
    inconclusive; `earlier` the answers given so far.
    """

    findings: Sequence[Finding]
    regions: Sequence[Region]
    label: Label
    probabilities: Probabilities
    image_size: tuple[int, int]
    truth: str | None = None
    reasons: Sequence[str] = ()
    earlier: Sequence[str] = ()

    @property
    def certainty(self) -> float:
        """The probability of the label; for `inconclusive`, of the likeliest class."""
        p = self.probabilities
        likeliest = max(p.real, p.synthetic, p.tampered)
        return likeliest if self.label == "inconclusive" else float(getattr(p, self.label))

    def against_image(self) -> list[Finding]:
        """Suspicious findings: those that support the verdict first, then by strength."""
        found = [finding for finding in self.findings if suspicious(finding)]
        return sorted(found, key=lambda finding: (finding.supports != self.label, -finding.strength))

    def for_image(self) -> list[Finding]:
        """Findings that say nothing against the image: those that support "real" and the encoder's first."""
        found = [
            finding for finding in self.findings if not suspicious(finding) and not lowers_trust(finding)
        ]
        return sorted(
            found, key=lambda finding: (finding.supports != "real", not finding.kind.startswith("encoder."))
        )

    def doubts(self) -> list[Finding]:
        """Findings that support no label but matter, the strongest first."""
        return sorted(filter(lowers_trust, self.findings), key=lambda finding: -finding.strength)

    def of(self, *kinds: str) -> list[Finding]:
        """Findings whose kind begins so, in the order of the kinds."""
        return [finding for kind in kinds for finding in self.findings if finding.kind.startswith(kind)]

    def marked(self) -> bool:
        """Whether the mask speaks for a changed place."""
        return any(map(suspicious, self.of("encoder.mask")))

    def box(self, region: str | None) -> Box | None:
        return next((place.box for place in self.regions if place.id == region), None)

    def without_reasons(self, regions: Collection[str]) -> "Case":
        """The same case, in which these regions are no reason for the verdict: no finding is placed there."""
        findings = [
            finding.model_copy(update={"region": None}) if finding.region in regions else finding
            for finding in self.findings
        ]
        return replace(self, findings=findings)


def lowers_trust(finding: Finding) -> bool:
    """A finding that supports no label but matters: an unfamiliar image, a score that is not low."""
    return _odd(finding) and not finding.kind.startswith("container.")


def _odd(finding: Finding) -> bool:
    return finding.supports == "neutral" and finding.strength >= FLOOR and bool(phrases(finding.kind).odd)


def salience(finding: Finding) -> float:
    """How much a finding that says nothing against the image tells about this very image; at least 0.3."""
    if finding.supports == "real":
        return 4.0
    if isinstance(finding.value, str) and finding.kind != "provenance.c2pa":
        return 2.5
    if finding.kind in SCORES or finding.kind == "encoder.mask":
        return 2.0
    if finding.value is None or finding.value == "absent":
        return 0.3
    return 0.8 + 10 * min(finding.strength, FLOOR)


def rationale(case: Case, rng: Random) -> list[str]:
    """Two to five claims, each a sentence with its citations: "The spectrum shows no peaks (0.1) [E4]".

    At least two of them say what findings measured, where there are two findings.
    """
    if case.label == "real":
        claims = _real(case, rng)
    elif case.label == "inconclusive":
        claims = _inconclusive(case, rng)
    else:
        claims = _fake(case, rng)
    claims = list(dict.fromkeys(claims))[:5]
    for finding in case.findings:
        if len(claims) >= 2:
            break
        claims.append(state(finding, case, rng))
    return claims


def state(finding: Finding, case: Case, rng: Random) -> str:
    """One cited sentence that says what the finding shows, without a full stop; never an artefact on
    `real`."""
    if suspicious(finding) and case.label == "real":
        if finding.value is None:
            return cited(_named(_OUTWEIGHED[0], finding).format(v="none"), finding)
        return cited(fill(_named(rng.choice(_OUTWEIGHED), finding), finding, case, rng), finding)
    words = wordings(finding)
    if finding.kind == "encoder.tampered" and words == phrases(finding.kind).clean and case.marked():
        words = _LOW_BESIDE_A_MASK
    if case.label == "inconclusive" and finding.kind in SCORES and FLOOR <= finding.strength < UNDECIDED:
        words = phrases(finding.kind).odd
    return cited(fill(rng.choice(words), finding, case, rng), finding, region=suspicious(finding))


def cited(sentence: str, *findings: Finding, region: bool = False) -> str:
    """The sentence with its citations behind it."""
    ids = ", ".join(finding.id for finding in findings)
    place = findings[0].region if region else None
    return f"{sentence} [{ids}]" + (f"[{place}]" if place else "")


def located(region: Region, case: Case, rng: Random) -> str:
    """Where a region lies, cited."""
    x0, y0, x1, y1 = region.box
    text = rng.choice(_REGION).format(
        r=region.id,
        where=place(region.box, case.image_size),
        area=percent(region.area),
        box=f"[{x0},{y0},{x1},{y1}]",
        size=f"{x1 - x0} x {y1 - y0}",
    )
    return f"{text[0].upper()}{text[1:]} [{region.id}]"


def limit(finding: Finding, case: Case, rng: Random) -> str | None:
    """What the finding does not exclude, cited; None where there is nothing to say, or where it matters itself."""
    limits = () if suspicious(finding) or lowers_trust(finding) else phrases(finding.kind).limit
    fitting = [text for text in limits if ("{v}" in text) == (finding.value is not None)]
    return cited(fill(rng.choice(fitting), finding, case, rng), finding) if fitting else None


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
        return words.empty or (_named("{name} holds no value, which is unremarkable", finding),)
    if _odd(finding):
        return words.odd
    if words.nothing and finding.value == NOTHING.get(finding.kind, 0):
        return words.nothing
    return words.clean or (_named("{name} reads {v}, which is unremarkable", finding),)


def fill(template: str, finding: Finding, case: Case, rng: Random) -> str:
    """A wording with its fields filled in from the finding."""
    return template.format(
        v=written(finding.value),
        how=HOW[strength_word(finding.strength)],
        place=_place(finding, case, rng),
        fake=rng.choice(FAKE.get(finding.supports, ("a fake",))),
    )


def special(case: Case, rng: Random, most: int) -> list[Finding]:
    """Findings that say nothing against the image, drawn by how much they tell about it, in random order."""
    drawn = sorted(case.for_image(), key=lambda finding: rng.random() ** (1 / salience(finding)))
    return drawn[::-1][:most]


def both_scores(case: Case, rng: Random) -> str | None:
    """One sentence on the two learned scores, cited; None unless both are there and neither accuses."""
    scores = case.of(*SCORES)
    if len(scores) != 2 or any(map(suspicious, scores)):
        return None
    templates = _BOTH_OPEN if any(map(lowers_trust, scores)) else _BOTH_LOW
    synthetic, tampered = scores
    text = rng.choice(templates).format(s=written(synthetic.value), t=written(tampered.value))
    return cited(text, synthetic, tampered)


def _fake(case: Case, rng: Random) -> list[str]:
    """What supports the verdict; now and then where, why that means fake, what a real photo would show; and
    what does not fit, the more the less certain the verdict is."""
    against = case.against_image()
    own = [finding for finding in against if finding.supports == case.label]
    shown = own[: rng.choice((2, 3, 3))]
    if rng.random() < 0.3:
        rng.shuffle(shown)
    claims = [_led(state(finding, case, rng), _MORE, rng, k > 0) for k, finding in enumerate(shown)]
    places = {finding.region for finding in shown}
    if (region := next((r for r in case.regions if r.id in places), None)) and rng.random() < 0.4:
        claims.insert(rng.randint(1, len(claims)), located(region, case, rng))
    if shown:
        general = [rule(shown[0], rng), real_version(rng.choice(shown), rng)]
        claims += [text for text in general if text and rng.random() < 0.35]
    balance = (case.certainty < CERTAIN or rng.random() < 0.5) + (case.certainty < DOUBTFUL)
    balance = max(balance, rng.choice((2, 3, 3)) - len(claims), len(against) > len(own))
    other = against[len(own) :][:1] + case.doubts()[:1] + special(case, rng, 2)
    return claims[: 5 - balance] + _contrast(other[:balance], case, rng)


def _real(case: Case, rng: Random) -> list[str]:
    """The scores, what is not quite clean, what else is special, and what all that does not exclude."""
    against, doubts = case.against_image(), case.doubts()
    scores = [finding for finding in case.of(*SCORES) if finding not in against and finding not in doubts]
    rng.shuffle(scores)
    both = both_scores(case, rng) if len(scores) == 2 and rng.random() < 0.3 else None
    claims = [both] if both else [state(finding, case, rng) for finding in scores[: rng.choice((1, 2, 2))]]
    claims += [state(finding, case, rng) for finding in [*against[:1], *doubts[:1]]]
    others = [finding for finding in special(case, rng, 4) if finding not in scores]
    claims += [state(finding, case, rng) for finding in others[: rng.choice((1, 2, 2))]]
    if rng.random() < 0.4:
        rng.shuffle(claims)
    limits = [text for finding in [*scores, *others] if (text := limit(finding, case, rng))]
    if limits and rng.random() < 0.75:
        claims = [*claims[:4], _led(rng.choice(limits), _STILL, rng)]
    return claims


def _inconclusive(case: Case, rng: Random) -> list[str]:
    """What speaks against the image and what lowers trust, then what is clean."""
    against, doubts, scores = case.against_image(), case.doubts(), case.of(*SCORES)
    claims = []
    if (
        any(finding in doubts for finding in scores)
        and rng.random() < 0.5
        and (both := both_scores(case, rng))
    ):
        claims = [both]
        doubts = [finding for finding in doubts if finding not in scores]
    shown = against[: rng.choice((1, 2, 2, 3))]
    claims += [state(finding, case, rng) for finding in [*shown, *doubts[: rng.choice((1, 2))]]]
    others = [finding for finding in special(case, rng, 4) if finding not in scores or not claims]
    claims += _contrast(others[: max(rng.choice((1, 2)), 3 - len(claims))], case, rng)
    if len(against) > len(shown) and rng.random() < 0.5:
        weak = against[-1]
        template = _OPEN[0] if weak.value is None else rng.choice(_OPEN)
        claims = [*claims[:4], cited(fill(_named(template, weak), weak, case, rng), weak)]
    return claims


def _contrast(findings: Sequence[Finding], case: Case, rng: Random) -> list[str]:
    """What does not fit what was said before."""
    return [_led(state(finding, case, rng), _CONTRAST, rng, k == 0) for k, finding in enumerate(findings)]


def _led(sentence: str, leads: Sequence[str], rng: Random, wanted: bool = True) -> str:
    """The sentence, now and then behind a few words that tie it to the one before."""
    if not wanted or rng.random() < 0.6:
        return sentence
    name = sentence.startswith("Content Credentials") or not (sentence[1] == " " or sentence[1].islower())
    return rng.choice(leads) + (sentence if name else sentence[0].lower() + sentence[1:])


def _suspect(finding: Finding) -> tuple[str, ...]:
    """Wordings for a suspicious finding; where it supports what its kind usually doesn't, only open ones."""
    if finding.value is None:
        return (_named("{name} holds no value, which points to {fake}", finding),)
    words = phrases(finding.kind)
    usual = finding.supports == words.supports or not words.supports
    fitting = tuple(text for text in words.suspect if usual or "{fake}" in text)
    return fitting or (_named("{name} reads {v}, which points to {fake}", finding),)


def _c2pa(finding: Finding) -> tuple[str, ...]:
    state = finding.value if isinstance(finding.value, str) else ""
    if suspicious(finding) and finding.supports == "synthetic":
        return C2PA_GENERATED
    if suspicious(finding) != (state == "invalid") or state not in C2PA_STATES:
        tail = ", which points to {fake}" if suspicious(finding) else ""
        return ("The Content Credentials read {v}" + tail, "The provenance check reads {v}" + tail)
    return C2PA_STATES[state]


def _named(template: str, finding: Finding) -> str:
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
