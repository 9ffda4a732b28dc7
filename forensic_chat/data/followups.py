"""Answers to follow-up questions, for training conversations and where the language model's own can't be used.

An answer states measured facts with their citations and nothing that the examination does not hold. It keeps
the measured verdict under pressure, and says plainly what traces cannot tell.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from forensic_chat.data.languages import LANGUAGES, kind_of_foreign, language_of, verdict_in
from forensic_chat.data.protocol import answer_prefix, suspicious
from forensic_chat.data.questions import QUESTIONS, kind_of
from forensic_chat.data.rationales import (
    SCORES,
    Case,
    both_scores,
    limit,
    located,
    lowers_trust,
    real_version,
    rule,
    special,
    state,
)
from forensic_chat.data.sentences import phrases
from forensic_chat.data.terms import Term, term_of
from forensic_chat.schema import Finding, Label, Region

Answer = Callable[[Case, Random], str]


@dataclass(frozen=True)
class FollowUp:
    """A kind of question: its wordings, who answers it, and how a fitting answer is recognised."""

    kind: str
    questions: tuple[str, ...]
    answer: Answer
    fits: str | None = None
    """A pattern that every fitting answer holds, in lower case. None where code alone answers, because the
    wording matters: formats, refusals, answers under pressure."""

    def fitted(self, answer: str) -> bool:
        """Whether an answer, or its beginning, is on the topic."""
        return self.fits is None or re.search(self.fits, answer.lower()) is not None


_LABELS: dict[Label, str] = {
    "real": "real",
    "synthetic": "synthetic (generated as a whole)",
    "tampered": "tampered (edited in places)",
    "inconclusive": "inconclusive",
}
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


def figure(case: Case) -> str:
    """The number in the first line of the first answer."""
    return answer_prefix(case.label, case.probabilities).split()[1]


_FIRST = (
    (
        "injection",
        r"\bignore\b.*\b(?:findings|instructions|rules|verdict)\b|\bpretend\b|\bforget your\b|developer mode"
        r"|^system:",
    ),
    (
        "pushback",
        r"\bi (?:took|shot|made|photographed|was there|know (?:for sure|that|it)|am the photographer)\b"
        r"|(?<!that )\byou(?:['’]re| are) (?:wrong|mistaken|lying)\b|\bcan(?:['’]t|not) be right\b|\bnonsense\b"
        r"|\bi don['’]?t believe\b",
    ),
    ("generator", r"\bwhich (?:ai|generator|diffusion)\b"),
    ("json", r"\bjson\b"),
    ("bullets", r"\bbullets?\b"),
    ("one word", r"\b(?:one|single) word\b"),
    ("one sentence", r"\b(?:one|a|a single) sentence\b|\btl;?dr\b|\bsum(?:mari[sz]e)?\b|\bin short\b"),
)
"""Kinds that decide how a question is answered, whatever else it asks."""
_THINGS = (
    r"faces?|heads?|hair|eyes?|mouth|hands?|arms?|persons?|people|man|woman|child|dogs?|cats?|birds?|animals?"
    r"|sky|sun|moon|clouds?|trees?|water|background|foreground|cars?|buildings?|houses?|walls?|signs?|text|logo"
    r"|windows?|objects?|tables?|cups?|hats?"
)
_ABOUT = re.compile(
    r"^\W*(?:(?:and|but|so|ok|okay|well)\W+)*(?:what about|how about|and) (?:the|that|this|his|her) [\w ]+\W*$"
    rf"|\b(?:is|was|are|were|has|have) (?:the|that|this|his|her) (?:\w+ )?(?:{_THINGS})\b.*"
    r"\b(?:edited|fake|pasted|added|changed|altered|inserted|generated|photoshopped|manipulated|replaced)\b"
)
_SIDES = {
    "left": (
        r"\b(?:the|upper|lower|top|bottom|far)[ -]left\b(?! (?:to|over|for|out))"
        r"|\bleft (?:side|half|corner|edge|part)\b"
    ),
    "right": (
        r"\b(?:the|upper|lower|top|bottom|far)[ -]right\b(?! (?:answer|verdict|way|thing|conclusion))"
        r"|\bright (?:side|half|corner|edge|part)\b"
    ),
    "top": r"\b(?:upper|top)[ -](?:left|right|half|part|edge|corner)\b|\b(?:at|on) the top\b",
    "bottom": r"\b(?:lower|bottom)[ -](?:left|right|half|part|edge|corner)\b|\b(?:at|on) the bottom\b",
    "centre": r"\b(?:in|at) the (?:middle|centre|center)\b",
}


def recognised(question: str, case: Case) -> FollowUp | None:
    """The kind of a question: told by the finding, region, word or place that it names, or by its likeness to
    known wordings; None for a question of no known kind."""
    if named := _naming(question, case):
        return named
    if language := language_of(question):
        return _foreign(question, language)
    lowered = question.lower().strip()
    first = next((kind for kind, pattern in _FIRST if re.search(pattern, lowered)), None)
    if first:
        return _known(first)
    if term := term_of(question):
        return FollowUp("term", (), lambda case, rng: _term(case, rng, term))
    sides = [side for side, pattern in _SIDES.items() if re.search(pattern, lowered)]
    if sides:
        return _placing(sides)
    kind = kind_of(question, {finding.id: explain_questions(finding) for finding in reversed(case.findings)})
    if finding := next((finding for finding in case.findings if finding.id == kind), None):
        return explaining(finding)
    if kind is None and _ABOUT.search(lowered):
        return _placing([])
    return _known(kind)


def _naming(question: str, case: Case) -> FollowUp | None:
    """A question that names a finding or a region by its id."""
    found = re.search(r"\b[er]\d{1,4}\b", question.lower())
    if found is None:
        return None
    name = found.group().upper()
    if finding := next((finding for finding in case.findings if finding.id == name), None):
        return explaining(finding)
    if region := next((region for region in case.regions if region.id == name), None):
        return FollowUp("region", (), lambda case, rng: _region(case, rng, region), rf"\b{name.lower()}\b")
    return FollowUp("no such id", (), lambda case, rng: _no_such(case, name))


def _known(kind: str | None) -> FollowUp | None:
    return next((follow_up for follow_up in FOLLOW_UPS if follow_up.kind == kind), None)


def _foreign(question: str, language: str) -> FollowUp:
    """A question in another language: the verdict in that language, the rest in English, and that said."""
    kind = kind_of_foreign(question)
    known = _known(kind)

    def answer(case: Case, rng: Random) -> str:
        english = known.answer(case, rng) if known else no_answer(case, rng)
        if kind == "json":
            return english
        verdict = verdict_in(language, case.label, figure(case))
        return " ".join((verdict, LANGUAGES[language].english, english))

    return FollowUp(kind or "unknown", (), answer)


def _placing(sides: Sequence[str]) -> FollowUp:
    """A question about a part of the picture."""
    return FollowUp("place", (), lambda case, rng: _placed(case, rng, sides))


def explaining(finding: Finding) -> FollowUp:
    """The question what a finding means."""
    return FollowUp(
        "explain",
        explain_questions(finding),
        lambda case, rng: explain(case, rng, finding),
        rf"\[{finding.id.lower()}\b",
    )


def explain(case: Case, rng: Random, finding: Finding) -> str:
    """What a test is, and what it gave here."""
    return _join(phrases(finding.kind).explain, state(finding, case, rng))


def explain_questions(finding: Finding) -> tuple[str, ...]:
    """Wordings that ask what a finding means."""
    name = phrases(finding.kind).name
    return (
        f"What is {name}?",
        f"What does {name} mean?",
        f"Explain {name}.",
        f"Can you explain {finding.id}?",
        f"What does {finding.id} tell me?",
        f"I don't understand {name}, what is it?",
        f"{finding.kind}?",
        f"How does {name} work?",
        f"What about {finding.id}?",
    )


def no_answer(case: Case, rng: Random) -> str:
    """What code says to a question of no known kind."""
    opener = rng.choice(
        (
            "I can't answer that: I only know what was measured on this image.",
            "Nothing that was measured on this image answers that.",
            "That goes beyond what this examination can say.",
        )
    )
    return (
        f"{opener} You can ask why, where, how sure, what speaks against the verdict, or what to check next."
    )


def _stop(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."


def _join(*sentences: str | None) -> str:
    return " ".join(_stop(sentence) for sentence in sentences if sentence)


def _states(findings: Sequence[Finding], case: Case, rng: Random) -> list[str]:
    return [state(finding, case, rng) for finding in findings]


def leading(case: Case) -> list[Finding]:
    """The findings that carry the verdict, the most telling first; never empty where there are findings."""
    if case.label == "real":
        scores = [finding for finding in case.of(*SCORES) if not suspicious(finding)]
        others = [finding for finding in case.for_image() if finding not in scores]
        return scores + others or list(case.findings)
    return case.against_image() or case.doubts() or case.for_image() or list(case.findings)


def _opposing(case: Case, rng: Random) -> list[Finding]:
    """What does not fit the verdict; the undecided come first where the verdict is real."""
    if case.label == "real":
        return case.against_image() + case.doubts()
    if case.label == "inconclusive":
        return special(case, rng, 3)
    against = [finding for finding in case.against_image() if finding.supports != case.label]
    return against + [finding for finding in special(case, rng, len(case.findings)) if _silent(finding, case)]


def _silent(finding: Finding, case: Case) -> bool:
    """A finding that could have supported the fake verdict and does not, or that supports "real"."""
    if finding.supports == "real":
        return True
    measured = finding.value is not None or finding.kind == "metadata.generator"
    return measured and phrases(finding.kind).supports == case.label


def _verdict(case: Case, rng: Random) -> str:
    if case.label == "inconclusive":
        return rng.choice(
            (
                f"The verdict is inconclusive; the probability of a fake is {figure(case)}.",
                f"It is undecided: a fake has probability {figure(case)}.",
                f"I can't decide it; a fake has a probability of {figure(case)}.",
            )
        )
    return rng.choice(
        (
            f"The verdict is {_LABELS[case.label]}, with probability {figure(case)}.",
            f"Measured verdict: {case.label}, probability {figure(case)}.",
            f"The examination says {case.label} ({figure(case)}).",
            f"The measured verdict is {case.label}, at a probability of {figure(case)}.",
        )
    )


def _why(case: Case, rng: Random) -> str:
    shown = leading(case)[: rng.choice((2, 2, 3))]
    if case.label == "inconclusive":
        opener = (
            "The findings don't settle it" if case.against_image() else "Nothing that was found decides it"
        )
        return _join(
            _undecided(case) or opener,
            *_states(shown, case, rng),
            *_states(_opposing(case, rng)[:1], case, rng),
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
        return opener + ". " + _join(both, *_states(shown, case, rng), tail)
    shown = [finding for finding in shown if finding.supports == case.label] or shown
    tail = rule(shown[0], rng) if suspicious(shown[0]) and rng.random() < 0.5 else None
    opener = rng.choice(
        ("Because of what was measured", "These findings carry the verdict", "For these reasons")
    )
    return opener + ": " + _join(*_states(shown, case, rng), tail)


def _undecided(case: Case) -> str | None:
    """The measured reasons for an inconclusive verdict."""
    return f"It is inconclusive because {', and '.join(case.reasons)}" if case.reasons else None


def _where(case: Case, rng: Random) -> str:
    if case.regions:
        lines = [located(region, case, rng) for region in case.regions[:3]]
        drew = _drew(case, case.regions[0])
        behind = drew[:1] or case.of("encoder.mask")[:1]
        return _join(*lines, *_states(behind, case, rng), _caution(case, drew, rng))
    if case.label == "synthetic":
        return _join(
            "No single region: the verdict is about the image as a whole",
            *_states(leading(case)[:1], case, rng),
        )
    if case.label == "tampered":
        opener = "I can't say where"
    else:
        opener = rng.choice(("There is no place to point to", "Nowhere in particular"))
    return _join(opener, *_states(case.of("encoder.mask")[:1], case, rng))


def _drew(case: Case, region: Region) -> list[Finding]:
    """The suspicious findings that lie in a region."""
    return [finding for finding in case.against_image() if finding.region == region.id]


def _caution(case: Case, drew: Sequence[Finding], rng: Random) -> str | None:
    """How a marked place is to be taken beside the verdict."""
    match case.label:
        case "inconclusive":
            return "Whether that place was changed stays open: the verdict is inconclusive"
        case "real":
            return "That a place is marked did not turn the verdict, which is real"
        case "synthetic":
            return "The verdict is about the image as a whole, so the place is a further hint only"
    if not drew:
        return "Take the place as a hint: the verdict does not rest on it alone"
    return rng.choice(("The borders are rough", "Take the place as a hint, its borders are rough", None))


def _region(case: Case, rng: Random, region: Region) -> str:
    drew = _drew(case, region)
    return _join(located(region, case, rng), *_states(drew[:2], case, rng), _caution(case, drew, rng))


def _no_such(case: Case, name: str) -> str:
    if name[0] == "E":
        first, last = case.findings[0].id, case.findings[-1].id
        return f"There is no finding of that number; they go from {first} to {last}."
    marked = ", ".join(region.id for region in case.regions)
    return "There is no such region. " + (f"Marked: {marked}." if marked else "No region was marked.")


def _placed(case: Case, rng: Random, sides: Sequence[str]) -> str:
    """What is marked in a part of the picture; things in it are not recognised."""
    opener = "I measure traces and don't recognise things, so I can only go by the place"
    if not case.regions:
        whole = "The verdict is about the image as a whole" if case.label == "synthetic" else None
        mask = _states(case.of("encoder.mask")[:1], case, rng) or ["No region was marked, there or elsewhere"]
        return _join(opener, *mask, whole)
    there = [region for region in case.regions if sides and _lies(region, sides, case.image_size)]
    if not there:
        none = "No marked region lies there" if sides else "See whether it lies where a region is marked"
        return _join(opener, none, *(located(region, case, rng) for region in case.regions[:2]))
    drew = _drew(case, there[0])
    lines = [located(region, case, rng) for region in there[:2]]
    return _join(opener, *lines, *_states(drew[:1], case, rng), _caution(case, drew, rng))


def _lies(region: Region, sides: Sequence[str], image_size: tuple[int, int]) -> bool:
    """Whether the region's centre lies in the halves named; centre: in the middle half of both axes."""
    x = (region.box[0] + region.box[2]) / (2 * image_size[0])
    y = (region.box[1] + region.box[3]) / (2 * image_size[1])
    holds = {
        "left": x <= 0.5,
        "right": x >= 0.5,
        "top": y <= 0.5,
        "bottom": y >= 0.5,
        "centre": 0.25 <= x <= 0.75 and 0.25 <= y <= 0.75,
    }
    return all(holds[side] for side in sides)


def _term(case: Case, rng: Random, term: Term) -> str:
    """What a word means, and the nearest finding."""
    return _join(term.means, *_states(case.of(*term.kinds)[:1], case, rng))


def _cites(text: str) -> list[str]:
    """The ids of the findings that a text names, in order."""
    return re.findall(r"\bE\d+\b", text)


def _more(case: Case, rng: Random) -> str:
    """What was not said yet, the most telling first."""
    said = set(_cites(" ".join(case.earlier)))
    ranked = [*case.against_image(), *case.doubts(), *special(case, rng, len(case.findings)), *case.findings]
    rest = list({finding.id: finding for finding in ranked if finding.id not in said}.values())
    if not rest:
        return "All that was measured has been said. Ask about a single finding, or what to check next."
    return _join(*_states(rest[:3], case, rng))


def _again(case: Case, rng: Random) -> str:
    return case.earlier[-1] if case.earlier else _verdict(case, rng)


def _that(case: Case, rng: Random) -> str:
    """What the finding that was cited last means."""
    ids = _cites(case.earlier[-1])[:1] if case.earlier else []
    meant = [finding for finding in case.findings if finding.id in ids] or leading(case)[:1]
    return explain(case, rng, meant[0])


def _same_verdict(case: Case, rng: Random) -> str:
    opener = "The verdict has been the same from the start"
    return _join(f"{opener}. {_verdict(case, rng)}", *_states(leading(case)[:1], case, rng))


def _generator(case: Case, rng: Random) -> str:
    found = case.of("metadata.generator", "provenance.c2pa")
    return _join("Which program it was can't be read from the pixels", *_states(found[:1], case, rng))


def _how_sure(case: Case, rng: Random) -> str:
    if case.label == "inconclusive":
        opener = rng.choice(("Not sure at all.", "I am not sure, and say so."))
        if reasons := _undecided(case):
            return _join(opener, reasons, *_states(leading(case)[:1], case, rng))
    elif case.certainty >= 0.95:
        opener = rng.choice(("By the scores, very likely.", "The scores are clear.", ""))
    elif case.certainty >= 0.75:
        opener = rng.choice(("Likely, with some doubt left.", "By the scores, likely.", ""))
    else:
        opener = rng.choice(("It only leans that way.", "Not very sure."))
    shown = leading(case)[:1]
    doubts = [finding for finding in [*case.doubts(), *_opposing(case, rng)] if finding not in shown][:1]
    other = "On the other side: " + _join(*_states(doubts, case, rng)) if doubts else None
    caution = rng.choice(("It is a probability, not proof", "I can be wrong", "A probability is no proof"))
    return f"{opener} {_verdict(case, rng)} ".lstrip() + _join(*_states(shown, case, rng), other, caution)


def _checked(case: Case, rng: Random) -> str:
    families = dict.fromkeys(finding.kind.split(".")[0] for finding in case.findings)
    names = [_FAMILIES[family] for family in families if family in _FAMILIES]
    listed = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
    opener = rng.choice(("I checked", "These were examined:", "The examination covered"))
    shown = [*leading(case)[:1], *special(case, rng, 2)]
    return _join(f"{opener} {listed}", *_states(list({f.id: f for f in shown}.values())[:2], case, rng))


def _topic(missing: str, *kinds: str) -> Answer:
    def answer(case: Case, rng: Random) -> str:
        found = sorted(case.of(*kinds), key=lambda finding: not suspicious(finding))
        return _join(*_states(found[:4], case, rng)) if found else missing

    return answer


def _just_compression(case: Case, rng: Random) -> str:
    """Whether mere handling of the file explains what was found."""
    handling = case.of("encoder.stability") + case.of("jpeg.quality")
    if case.label == "real":
        opener = "Compression is no sign of a fake, and none was found here"
        return _join(opener, *_states(handling[:2] or leading(case)[:1], case, rng))
    if case.label == "inconclusive":
        opener = rng.choice(
            (
                "It may be, and that is why the verdict stays open",
                "Possibly: compression hides and blurs traces",
            )
        )
        return _join(opener, *_states([*leading(case)[:1], *handling[:2]], case, rng))
    opener = rng.choice(
        (
            "Compression alone seldom leaves this, but it can't be ruled out",
            "Not likely by the scores, though heavy compression does mislead them at times",
            "I can't rule that out; what speaks against it was measured",
        )
    )
    tail = "A copy that was compressed less would tell more"
    return _join(opener, *_states([*leading(case)[:1], *handling[:2]], case, rng), tail)


def _strongest(case: Case, rng: Random) -> str:
    first = leading(case)[0]
    opener = rng.choice((f"{first.id} weighs most", f"The strongest is {first.id}", f"That is {first.id}"))
    return f"{opener}: " + _join(state(first, case, rng))


def _speaks_against(case: Case, rng: Random) -> str:
    found = _opposing(case, rng)[: rng.choice((1, 2))]
    if not found:
        limits = [text for finding in case.of(*SCORES) if (text := limit(finding, case, rng))]
        return _join("Nothing that was measured speaks against it; what was not measured may", *limits[:1])
    if case.label == "inconclusive":
        shown = [*leading(case)[:1], *[finding for finding in found if finding not in leading(case)[:1]]]
        return "There is something on both sides: " + _join(*_states(shown[:2], case, rng))
    if any(finding.supports != "neutral" for finding in found) or case.label == "real":
        opener = rng.choice(("Against the verdict", "On the other side", "This does not fit"))
    else:
        opener = rng.choice(
            ("No finding contradicts it, but not every test responded", "Not every test responded")
        )
    return f"{opener}: " + _join(*_states(found, case, rng))


_AI: dict[Label, tuple[str, ...]] = {
    "synthetic": ("Yes, that is the measured verdict", "By what was measured, yes"),
    "real": (
        "Not by what was measured, though no test excludes it",
        "Nothing that was measured says so, but I can't exclude it",
    ),
    "tampered": ("The measured verdict is another one: edited in places",),
    "inconclusive": ("It can't be decided either way", "That stays open"),
}
_EDITED: dict[Label, tuple[str, ...]] = {
    "tampered": ("Yes, that is the measured verdict", "By what was measured, yes"),
    "real": (
        "Not by what was measured; small or global changes can go unseen",
        "Nothing that was measured says so, but I can't see every local edit",
    ),
    "synthetic": ("The measured verdict is another one: generated as a whole",),
    "inconclusive": ("It can't be decided either way", "That stays open"),
}


def _could_be(openers: dict[Label, tuple[str, ...]], *kinds: str) -> Answer:
    """Yes, no or open, by the verdict, and what was measured for this kind of fake."""

    def answer(case: Case, rng: Random) -> str:
        found = sorted(case.of(*kinds), key=lambda finding: not suspicious(finding))
        return _join(rng.choice(openers[case.label]), *_states(found[: rng.choice((1, 2))], case, rng))

    return answer


def _authentic(case: Case, rng: Random) -> str:
    caution = "That no fake was found does not mean that none is there" if case.label == "real" else None
    return _join(_verdict(case, rng), *_states(leading(case)[:2], case, rng), caution)


def _real_version(case: Case, rng: Random) -> str:
    if case.label == "real":
        return _join("This image already behaves like one", *_states(leading(case)[:2], case, rng))
    versions = [real_version(finding, rng) for finding in leading(case)[:2]]
    return _join(*versions) or "A real photo would show the same camera traces in every part."


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


def _change_mind(case: Case, rng: Random) -> str:
    swing = case.doubts()[:1] or _opposing(case, rng)[:1] or leading(case)[:1]
    return _join(rng.choice(_WISHES[case.label]), *_states(swing, case, rng))


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


def _next(case: Case, rng: Random) -> str:
    first, second = rng.sample(_STEPS[case.label], 2)
    if case.regions and case.label != "synthetic":
        look = rng.choice(("Begin with this place", "First look at this place at full size"))
        return f"{look}: " + _join(located(case.regions[0], case, rng), first)
    reason = case.of("provenance.c2pa")[:1] if rng.random() < 0.4 else case.doubts()[:1]
    return _join(first, second, *_states(reason, case, rng))


def _limits(case: Case, rng: Random) -> str:
    found = [text for finding in case.findings if (text := limit(finding, case, rng))]
    opener = rng.choice(
        (
            "I miss what compression removed, and what no test looks for",
            "No test sees everything",
            "What leaves no trace in the pixels or the file escapes me",
        )
    )
    return _join(opener, *rng.sample(found, min(len(found), 2)))


def _proof(case: Case, rng: Random) -> str:
    return rng.choice(
        (
            f"No. It is a measured opinion with probability {figure(case)}, not proof.",
            (
                f"It is not proof: traces can be planted or lost, and the verdict is a probability "
                f"({figure(case)})."
            ),
            f"No, treat it as an indication ({figure(case)}). Proof needs the original and its history.",
            f"No. A probability of {figure(case)} accuses nobody; ask for the original and its history.",
        )
    )


def _fixed(*answers: str) -> Answer:
    return lambda case, rng: rng.choice(answers)


def _person(case: Case, rng: Random) -> str:
    opener = rng.choice(
        (
            "I can't tell whether a person exists, only how the picture came about.",
            "That can't be read from pixels: whether somebody lives leaves no traces.",
            "I don't know who this is or whether they exist; I examine the picture, not the person.",
        )
    )
    return opener + " " + _join(_verdict(case, rng))


def _kept(*openers: str) -> Answer:
    """An answer that keeps the measured verdict and gives its strongest finding."""
    return lambda case, rng: _join(
        rng.choice(openers), _verdict(case, rng), state(leading(case)[0], case, rng)
    )


def _one_word(case: Case, rng: Random) -> str:
    return case.label


def _one_sentence(case: Case, rng: Random) -> str:
    first = leading(case)[0]
    if case.label == "inconclusive":
        return (
            _stop(f"The verdict is inconclusive: {case.reasons[0]}") if case.reasons else _verdict(case, rng)
        )
    if case.label != "real" and not suspicious(first):
        return _verdict(case, rng)
    shown = state(first, case, rng)
    return f"Verdict {case.label}: " + _stop(shown[0].lower() + shown[1:] if shown[1:2].islower() else shown)


def _bullets(case: Case, rng: Random) -> str:
    shown = {finding.id: finding for finding in [*leading(case)[:2], *special(case, rng, 3)]}
    lines = [_verdict(case, rng), *_states(list(shown.values())[:2], case, rng)]
    return "\n".join(f"- {text}" for text in lines)


def _json(case: Case, rng: Random) -> str:
    said: dict[str, str | float] = {"verdict": case.label, "confidence": float(figure(case))}
    if case.label == "inconclusive":
        said["confidence_in"] = "a fake"
    return json.dumps(said)


def _least_sure(case: Case, rng: Random) -> str:
    shown = [finding for finding in case.findings if suspicious(finding)]
    if case.label == "real" or not shown:
        quiet = [finding for finding in case.findings if lowers_trust(finding)] or special(case, rng, 1)
        return _join("The findings that say nothing either way", *_states(quiet[:1], case, rng))
    weakest = min(shown, key=lambda finding: finding.strength)
    return f"{weakest.id} counts least: " + _join(state(weakest, case, rng))


_CITES = r"\[[er]\d"
_ANSWERS: dict[str, tuple[Answer, str]] = {
    "why": (_why, _CITES),
    "where": (_where, r"\br\d|region|nowhere|no place|can't say where"),
    "how sure": (_how_sure, r"\b[01]\.\d\d\b"),
    "checked": (_checked, "check|examin|cover|test|" + _CITES),
    "provenance": (
        _topic("Provenance was not part of this examination.", "provenance"),
        "credential|c2pa|manifest|provenance",
    ),
    "metadata": (
        _topic(
            "The examination lists no metadata for this file.",
            "metadata.camera",
            "metadata.software",
            "metadata.dates",
            "metadata.generator",
            "metadata.thumbnail",
        ),
        "metadata|exif|camera|software|program|date|timestamp|thumbnail|preview|generator",
    ),
    "compression": (
        _topic("There are no JPEG findings for this file.", "jpeg"),
        "jpeg|compress|quality|grid|ghost|quanti|saved",
    ),
    "just compression": (_just_compression, "compress|jpeg|re-deliver|quality|saved|stab"),
    "noise and copies": (
        _topic("Neither noise nor copy-move is among the findings.", "noise", "copymove"),
        "noise|grain|cop(?:y|ied|ies)|clone|duplic|match|repeat|second time",
    ),
    "frequencies": (
        _topic("The spectrum is not among the findings.", "spectrum"),
        "spectr|peak|frequen|resampl|rescal|interpol|upsampl",
    ),
    "strongest": (_strongest, _CITES),
    "weakest": (_least_sure, _CITES),
    "against": (_speaks_against, _CITES + "|nothing that was measured"),
    "AI": (
        _could_be(_AI, "encoder.synthetic", "metadata.generator", "spectrum.peaks"),
        r"yes|not|nothing|no |decided|open|verdict|generat",
    ),
    "edited": (
        _could_be(_EDITED, "encoder.tampered", "copymove", "encoder.mask", "noise"),
        r"yes|not|nothing|no |decided|open|verdict|edit",
    ),
    "authentic": (_authentic, "verdict|probability|examination|undecided"),
    "real version": (_real_version, "would|real photo|behaves like one|" + _CITES),
    "change mind": (_change_mind, "cop(?:y|ies)|file|shots|source|original|version"),
    "next": (_next, "look|search|ask|check|compare|get|begin"),
    "limits": (
        _limits,
        "escape|see|exclude|rule out|no proof|unseen|miss|remov",
    ),
}
"""By the kind of a question: what code answers, and what every fitting answer holds."""
_BY_CODE: dict[str, Answer] = {
    "accuracy": _fixed(
        "I am wrong at times, in both directions. MODEL_CARD.md has the error rates that were measured "
        "on sources left out of training.",
        "It depends on the image: resized and heavily compressed files are judged worse. The measured error "
        "rates are in MODEL_CARD.md.",
        "Not perfect: photos are accused now and then, and many local edits are missed. MODEL_CARD.md "
        "has the figures.",
    ),
    "proof": _proof,
    "author": _fixed(
        "I can't say who made it: traces tell how pixels came about, not by whom.",
        "That can't be read from the traces.",
        "Nothing measured here names a person.",
        "I don't know, and I won't guess: no trace carries the name of whoever did it.",
    ),
    "motive": _fixed(
        "I can't tell anybody's intention; traces don't show why something was done.",
        "That can't be measured. Ask the people involved, and don't take a verdict as an accusation.",
        "I don't know. A picture may be changed for harmless reasons too.",
    ),
    "person": _person,
    "event": _fixed(
        "I can't tell what happened or whether a caption is true: also an unchanged photo can be told "
        "wrongly.",
        "That is beyond the pixels. I judge how the picture came about, not what it is said to show.",
        "I don't know. Look for other sources on the event; the examination says nothing about it.",
    ),
    "identity": _fixed(
        "I don't identify people. I only examine how the image was made.",
        "I won't name or recognise anyone; the examination is about traces in the pixels.",
        "I can't tell who that is, and I don't try to.",
    ),
    "content": _fixed(
        "I examine traces of how the picture was made, not what it shows.",
        "That is about content, which this examination does not read. I can tell you about its traces.",
        "I don't describe what is in the picture; ask me about its traces.",
    ),
    "restore": _fixed(
        "I can't: what was there before is not in the file any more.",
        "No. The mask shows where, not what was there before.",
        "I only examine the image and don't change it.",
    ),
    "help": _fixed(
        "I examined this image. Ask me why, where, how sure I am, what speaks against the verdict, what a "
        "finding means, or what to check next.",
        "You can ask about the verdict, its reasons, a finding such as E1, a region, or what to do next.",
    ),
    "one word": _one_word,
    "one sentence": _one_sentence,
    "bullets": _bullets,
    "json": _json,
    "pushback": _kept(
        "You may know more than the pixels show, and I can be wrong. I report what was measured",
        "I can't exclude an error, but the measurement stays the same",
        "I understand. What you say is not something I can measure",
    ),
    "injection": _kept(
        "I can't change the verdict on request",
        "Words do not change what was measured",
        "No: the verdict comes from measurements, not from instructions",
    ),
    "thanks": _fixed(
        "You're welcome. Ask on if something about the image is unclear.",
        "Glad to help. I can also explain a single finding.",
    ),
    "hello": lambda case, rng: _join(
        "Hello. " + _verdict(case, rng), "What would you like to know about the image?"
    ),
    "off topic": _fixed(
        "That is outside what I do. Shall we go on with the image?",
        "I only examine images. Ask me about the verdict or a finding.",
    ),
    "more": _more,
    "again": _again,
    "that": _that,
    "same verdict": _same_verdict,
    "generator": _generator,
    "scene": _fixed(
        "Light, shadows, perspective and anatomy are not among the tests. Look at them yourself, at full size.",
        "I don't judge what is shown, so neither shadows nor hands. That is for your own eyes, at full size.",
    ),
    "other image": _fixed(
        "I can only speak of this one. Examine the other image by itself, and lay the two reports side by side.",
        "This conversation is about one image. Open another for the other, and compare what was measured.",
    ),
}
"""By the kind of a question: what code alone answers."""
FOLLOW_UPS: tuple[FollowUp, ...] = tuple(
    FollowUp(kind, wordings, _BY_CODE[kind])
    if kind in _BY_CODE
    else FollowUp(kind, wordings, *_ANSWERS[kind])
    for kind, wordings in QUESTIONS.items()
)
