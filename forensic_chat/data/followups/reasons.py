"""Answers about the verdict: why, how sure, what against it, what would change it, what next."""

from random import Random

from forensic_chat.data.case import Case, lowers_trust
from forensic_chat.data.followups.base import Answer
from forensic_chat.data.followups.saying import (
    join,
    leading,
    opposing,
    states,
    undecided,
    verdict,
)
from forensic_chat.data.protocol import SCORES, suspicious
from forensic_chat.data.rationales import inside, special
from forensic_chat.data.statements import both_scores, limit, located, real_version, rule, state
from forensic_chat.schema import Label

_FAMILIES = {
    "encoder": "the encoder's learned scores",
    "provenance": "Content Credentials",
    "metadata": "the metadata",
    "jpeg": "the JPEG structure",
    "noise": "the noise",
    "copymove": "copy-move",
    "spectrum": "the spectrum",
    "container": "the file itself",
}
AI: dict[Label, tuple[str, ...]] = {
    "synthetic": ("Yes, that is the measured verdict", "By what was measured, yes"),
    "real": (
        "Not by what was measured, though no test excludes it",
        "Nothing that was measured says so, but I can't exclude it",
    ),
    "tampered": ("The measured verdict is another one: edited in places",),
    "inconclusive": ("It can't be decided either way", "That stays open"),
}
EDITED: dict[Label, tuple[str, ...]] = {
    "tampered": ("Yes, that is the measured verdict", "By what was measured, yes"),
    "real": (
        "Not by what was measured; small or global changes can go unseen",
        "Nothing that was measured says so, but I can't see every local edit",
    ),
    "synthetic": ("The measured verdict is another one: generated as a whole",),
    "inconclusive": ("It can't be decided either way", "That stays open"),
}
_WISHES: dict[Label, tuple[str, ...]] = {
    "real": (
        "A better copy in which a test responds, or a source that shows it earlier in another form",
        "An earlier version that is not the same, or a copy with less compression where a test responds",
        "An older copy that shows something else, or another maker named in the file",
    ),
    "synthetic": (
        "The original file from the device, or other shots of the same scene, would weigh more than any score",
        "A raw file, its neighbours in the series, or a trusted signature from a known camera would count",
        "A source that can be checked: the unprocessed file, other shots of the moment, a witness",
    ),
    "tampered": (
        "The unprocessed original, to lay beside this one, would weigh more than any score",
        "An earlier copy from another source that shows the same, or the raw file, would count",
        "Other shots of the same moment in which the same things stand at the same place",
    ),
    "inconclusive": (
        "A larger copy with less compression would help most, best the file from the device",
        "The original file, or an earlier copy of it, so that the scores have more to go on",
        "A copy that was not resized, and word of where it comes from",
    ),
}
_STEPS: dict[Label, tuple[str, ...]] = {
    "real": (
        "Look for the earliest copy on the web with a reverse image search, and ask who took it.",
        "Ask for the original file and for other shots of the same scene.",
        "Check place, weather and date against what the caption says.",
    ),
    "synthetic": (
        "Search the web for the earliest copy, and ask whoever posted it for the original file.",
        "Look at hands, writing, reflections and repeated patterns at full size.",
        "Ask for a second shot of the same scene: a photographer has one.",
    ),
    "tampered": (
        "Look for an unaltered copy with a reverse image search, and lay the two side by side.",
        "Compare light, shadow and sharpness of the parts at full size.",
        "Ask for the original file and for the shots before and after it.",
    ),
    "inconclusive": (
        "Get a larger copy with less compression and examine that.",
        "Search the web for the earliest copy, which has lost the least.",
        "Ask for the file as the device stored it.",
    ),
}


def why(case: Case, rng: Random) -> str:
    """The findings that carry the verdict."""
    shown = leading(case)[: rng.choice((2, 2, 3))]
    if case.label == "inconclusive":
        opener = (
            "The findings don't settle it" if case.against_image() else "Nothing that was found decides it"
        )
        return join(
            undecided(case) or opener,
            *states(shown, case, rng),
            *states(opposing(case, rng)[:1], case, rng),
        )
    if case.label == "real":
        opener = rng.choice(
            (
                "Because no test speaks for a fake strongly enough",
                "Nothing that was checked gives it away",
                "I looked for what a fake would leave, and it is not there",
            )
        )
        both = both_scores(case, rng) if rng.random() < 0.3 else None
        if both:
            shown = [finding for finding in shown if finding.kind not in SCORES]
        tail = limit(shown[0], case, rng) if shown and rng.random() < 0.4 else None
        return opener + ". " + join(both, *states(shown, case, rng), tail)
    shown = [finding for finding in shown if finding.supports == case.label] or shown
    tail = rule(shown[0], rng) if suspicious(shown[0]) and rng.random() < 0.5 else None
    opener = rng.choice(
        ("Because of what was measured", "These findings carry the verdict", "For these reasons")
    )
    return opener + ": " + inside(join(*states(shown, case, rng), tail))


def how_sure(case: Case, rng: Random) -> str:
    """The probability, what carries it, and what is on the other side."""
    if case.label == "inconclusive":
        opener = rng.choice(("Not sure at all.", "I am not sure, and say so."))
        if reasons := undecided(case):
            return join(opener, reasons, *states(leading(case)[:1], case, rng))
    elif case.certainty >= 0.95:
        opener = rng.choice(("By the scores, very likely.", "The scores are clear.", ""))
    elif case.certainty >= 0.75:
        opener = rng.choice(("Likely, with some doubt left.", "By the scores, likely.", ""))
    else:
        opener = rng.choice(("It only leans that way.", "Not very sure."))
    shown = leading(case)[:1]
    doubts = [finding for finding in [*case.doubts(), *opposing(case, rng)] if finding not in shown][:1]
    other = "On the other side: " + inside(join(*states(doubts, case, rng))) if doubts else None
    caution = rng.choice(("It is a probability, not proof", "I can be wrong", "A probability is no proof"))
    return f"{opener} {verdict(case, rng)} ".lstrip() + join(*states(shown, case, rng), other, caution)


def checked(case: Case, rng: Random) -> str:
    """Which families of tests were made."""
    families = dict.fromkeys(finding.kind.split(".")[0] for finding in case.findings)
    names = [_FAMILIES[family] for family in families if family in _FAMILIES]
    listed = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
    opener = rng.choice(("I checked", "These were examined:", "The examination covered"))
    shown = [*leading(case)[:1], *special(case, rng, 2)]
    return join(f"{opener} {listed}", *states(list({f.id: f for f in shown}.values())[:2], case, rng))


def strongest(case: Case, rng: Random) -> str:
    """The finding that weighs most."""
    first = leading(case)[0]
    opener = rng.choice((f"{first.id} weighs most", f"The strongest is {first.id}", f"That is {first.id}"))
    return f"{opener}: " + inside(join(state(first, case, rng)))


def least_sure(case: Case, rng: Random) -> str:
    """The finding that weighs least."""
    shown = [finding for finding in case.findings if suspicious(finding)]
    if case.label == "real" or not shown:
        quiet = [finding for finding in case.findings if lowers_trust(finding)] or special(case, rng, 1)
        return join("The findings that say nothing either way", *states(quiet[:1], case, rng))
    weakest = min(shown, key=lambda finding: finding.strength)
    if len(shown) == 1:
        return f"Only {weakest.id} speaks for a fake, so the case rests on it: " + inside(
            join(state(weakest, case, rng))
        )
    return f"{weakest.id} counts least: " + inside(join(state(weakest, case, rng)))


def speaks_against(case: Case, rng: Random) -> str:
    """What does not fit the verdict."""
    found = opposing(case, rng)[: rng.choice((1, 2))]
    if not found:
        limits = [text for finding in case.of(*SCORES) if (text := limit(finding, case, rng))]
        return join("Nothing that was measured speaks against it; what was not measured may", *limits[:1])
    if case.label == "inconclusive":
        shown = [*leading(case)[:1], *[finding for finding in found if finding not in leading(case)[:1]]]
        return "There is something on both sides: " + inside(join(*states(shown[:2], case, rng)))
    if any(finding.supports != "neutral" for finding in found) or case.label == "real":
        opener = rng.choice(("Against the verdict", "On the other side", "This does not fit"))
    else:
        opener = rng.choice(
            ("No finding contradicts it, but not every test responded", "Not every test responded")
        )
    return join(opener, *states(found, case, rng))


def could_be(openers: dict[Label, tuple[str, ...]], *kinds: str) -> Answer:
    """Yes, no or open, by the verdict, and what was measured for this kind of fake."""

    def answer(case: Case, rng: Random) -> str:
        found = sorted(case.of(*kinds), key=lambda finding: not suspicious(finding))
        return join(rng.choice(openers[case.label]), *states(found[: rng.choice((1, 2))], case, rng))

    return answer


def authentic(case: Case, rng: Random) -> str:
    """The verdict, for those who ask whether it is real."""
    caution = "That no fake was found does not mean that none is there" if case.label == "real" else None
    return join(verdict(case, rng), *states(leading(case)[:2], case, rng), caution)


def like_a_photo(case: Case, rng: Random) -> str:
    """What a real photo would show instead."""
    if case.label == "real":
        return join("This image already behaves like one", *states(leading(case)[:2], case, rng))
    versions = [real_version(finding, rng) for finding in leading(case)[:2]]
    return join(*versions) or "A real photo would show the same camera traces in every part."


def rules(case: Case, rng: Random) -> str:
    """What holds of photos at large, behind the findings that carry the verdict; on `real`, what photos show."""
    general = real_version if case.label == "real" else rule
    told = [text for finding in leading(case) if (text := general(finding, rng))]
    none = "A real photo would show the same camera traces in every part"
    return join(*(told[:2] or [none]), *states(leading(case)[:1], case, rng))


def change_mind(case: Case, rng: Random) -> str:
    """What would turn the verdict."""
    swing = case.doubts()[:1] or opposing(case, rng)[:1] or leading(case)[:1]
    return join(rng.choice(_WISHES[case.label]), *states(swing, case, rng))


def next_steps(case: Case, rng: Random) -> str:
    """What a reader can do."""
    first, second = rng.sample(_STEPS[case.label], 2)
    if case.regions and case.label != "synthetic":
        look = rng.choice(("Begin with this place", "First look at this place at full size"))
        return f"{look}: " + inside(join(located(case.regions[0], case, rng), first))
    reason = case.of("provenance.c2pa")[:1] if rng.random() < 0.4 else case.doubts()[:1]
    return join(first, second, *states(reason, case, rng))


def limits(case: Case, rng: Random) -> str:
    """What the tests do not see."""
    found = [text for finding in case.findings if (text := limit(finding, case, rng))]
    opener = rng.choice(
        (
            "I miss what compression removed, and what no test looks for",
            "No test sees everything",
            "What leaves no trace in the pixels or the file escapes me",
        )
    )
    return join(opener, *rng.sample(found, min(len(found), 2)))
