"""Writes what an examination holds as cited sentences: the answer to the verdict question, as training text
and where the language model's own answer can't be used.

Claims are picked by what is special in this examination. On a fake verdict, the order is that of dialectical
fine-tuning (Forensic-Chat, arXiv 2509.25502): perceive the artefact, the rule it breaks and why that means
fake, what a real photo would look like. On a real verdict: what was checked and found clean, and what that
does not exclude.
"""

from collections.abc import Sequence
from random import Random

from forensic_chat.data.case import Case, salience
from forensic_chat.data.protocol import SCORES
from forensic_chat.data.sentences import phrases
from forensic_chat.data.statements import (
    both_scores,
    cited,
    fill,
    limit,
    located,
    named,
    real_version,
    rule,
    state,
)
from forensic_chat.schema import Finding

__all__ = ["LEADS", "OPEN", "SCORES", "Case", "inside", "rationale", "special"]

CERTAIN, DOUBTFUL = 0.95, 0.75
"""Probability of the label from which little is said against the verdict, and below which more is."""

OPEN = (
    "{name} reads {v} and leaves the question open",
    "{name} reads {v}, which does not settle it",
    "{name} measures {v}, which is too little for a verdict",
    "{name} gives {v}, not enough for either side",
)
_MORE = ("In addition, ", "Also, ", "Besides, ", "A further sign: ", "Beyond that, ")
_CONTRAST = ("By contrast, ", "On the other hand, ", "Against that, ")
_STILL = ("Still, ", "Even so, ", "All the same, ")
LEADS = (*_MORE, *_CONTRAST, *_STILL)
"""How a claim begins that needs another one before it."""


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


def special(case: Case, rng: Random, most: int) -> list[Finding]:
    """Findings that say nothing against the image, drawn by how much they tell about it, in random order."""
    drawn = sorted(case.for_image(), key=lambda finding: rng.random() ** (1 / salience(finding)))
    return drawn[::-1][:most]


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
    claims = [state(finding, case, rng) for finding in [*against[:1], *doubts[:1]]]
    claims += [both] if both else [state(finding, case, rng) for finding in scores[: rng.choice((1, 2, 2))]]
    others = [finding for finding in special(case, rng, 4) if finding not in scores]
    claims += [state(finding, case, rng) for finding in others[: rng.choice((1, 2, 2))]]
    limits = [text for finding in [*scores, *others] if (text := limit(finding, case, rng))]
    tail = [_led(rng.choice(limits), _STILL, rng)] if limits and rng.random() < 0.75 else []
    claims = claims[: 5 - len(tail)]
    if rng.random() < 0.6:
        rng.shuffle(claims)
    return claims + tail


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
        template = OPEN[0] if weak.value is None else rng.choice(OPEN)
        claims = [*claims[:4], cited(fill(named(template, weak), weak, case, rng), weak)]
    return claims


def _contrast(findings: Sequence[Finding], case: Case, rng: Random) -> list[str]:
    """What does not fit what was said before; words say so where something was said against the image and the
    test could have said it too."""
    accused = any(finding.supports != case.label for finding in case.against_image()[:1])
    wanted = {"synthetic", "tampered"} if case.label == "inconclusive" and accused else {case.label}
    could = [finding.value is not None and phrases(finding.kind).supports in wanted for finding in findings]
    return [
        _led(state(finding, case, rng), _CONTRAST, rng, k == could.index(True) if any(could) else False)
        for k, finding in enumerate(findings)
    ]


def _led(sentence: str, leads: Sequence[str], rng: Random, wanted: bool = True) -> str:
    """The sentence, now and then behind a few words that tie it to the one before."""
    return sentence if not wanted or rng.random() < 0.6 else rng.choice(leads) + inside(sentence)


def inside(sentence: str) -> str:
    """The sentence as it goes on behind a lead: without its capital, where that is no name's."""
    name = sentence.startswith("Content Credentials") or not (sentence[1] == " " or sentence[1].islower())
    return sentence if name else sentence[0].lower() + sentence[1:]
