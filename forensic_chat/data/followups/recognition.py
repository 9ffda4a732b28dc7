"""What kind of question a question is."""

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.followups.base import FollowUp
from forensic_chat.data.followups.conversation import no_answer, one_sentence, premised
from forensic_chat.data.followups.evidence import about_term, explain, explain_questions
from forensic_chat.data.followups.forms import Form, form_in, in_form, json_of, summed_up
from forensic_chat.data.followups.kinds import UNVERIFIABLE, known
from forensic_chat.data.followups.looks import sides_in, zooming
from forensic_chat.data.followups.places import about_region, no_such, placed
from forensic_chat.data.followups.saying import figure, verdict
from forensic_chat.data.languages import (
    LANGUAGES,
    basic,
    kind_of_foreign,
    language_of,
    named_language,
    unread,
    verdict_in,
)
from forensic_chat.data.questions import kind_of, most_alike, wording_of
from forensic_chat.data.terms import term_of
from forensic_chat.schema import Finding, Label

_ZOOM = re.compile(
    r"\bzoom\b|\bmagnif\w+|\benlarg(?:e|ing)\b|\bcloser? look\b|\blook (?:closer|again at|more closely)\b"
    r"|\bcut (?:\w+ ){0,3}out\b"
)
_FIRST = (
    (
        "injection",
        r"\bignore\b.*\b(?:findings|instructions|rules|verdict)\b|\bpretend\b|\bforget your\b|developer mode"
        r"|^system:|\b(?:just|please) (?:say|admit|confirm|agree|call it|tell me)\b(?! whether| if).*"
        r"\b(?:real|fake|genuine|authentic|synthetic|tampered|edited)\b",
    ),
    (
        "new evidence",
        r"\bi (?:have|found|got|can send|own)\b.*\b(?:original|raw|negative|older|earlier|other (?:shots?|photos?))\b",
    ),
    (
        "pushback",
        r"\bi (?:(?:took|shot|made|photographed) (?:it|this|that|the)|was there|know (?:for sure|that|it)"
        r"|am the photographer)\b"
        r"|(?<!that )\byou(?:['’]re| are) (?:wrong|mistaken|lying)\b|\bcan(?:['’]t|not) be right\b|\bnonsense\b"
        r"|\bi don['’]?t believe\b"
        r"|\b(?:experts?|professors?|friends?|boss|editor|everyone|everybody|other (?:tools?|detectors?|program))\b"
        r".*\b(?:says?|said|thinks?|agrees?|confirms?|confirmed|sees?)\b",
    ),
    (
        "recap",
        r"\b(?:our|this|the) conversation\b|\bso far\b|\bmy (?:first|previous|last|earlier) question\b"
        r"|\b(?:did|have) i asked?\b|\bdid we (?:talk|speak)\b",
    ),
    (
        "re-deliver",
        r"\bre-?deliver|\b(?:if|would|when|try)\b.*\b(?:compress|sav|resiz|shr[aiu]nk)\w*\b.*\bagain\b",
    ),
    ("generator", r"\bwhich (?:ai|generator|diffusion)\b"),
    ("json", r"\bjson\b"),
    ("one word", r"\b(?:one|single|1)[ -]word\b|\bone of (?:these|the(?: \w+)?) words\b"),
    (
        "other image",
        r"\bcompar\w+\b.*\b(?:image|picture|photo|one|file)\b|\b(?:second|another|other) (?:image|file)\b",
    ),
)
"""Kinds that decide how a question is answered, whatever else it asks."""
OF_WHAT_IT_SAYS = frozenset({"misquote", "language"})
"""Kinds whose answer hangs on what a question says, even in known words."""
OF_ANY = frozenset({"injection", "zoom", "rule", "real version", "strongest", "weakest"})
"""Kinds that remain what they are where they name a finding or a region."""
SUMMED_UP = frozenset({"why", "strongest", "authentic"})
"""Kinds that the verdict with its reasons answers, where an answer of a certain form is wanted."""
SIDED = frozenset({"zoom", "scene", "content", "identity", "handling"})
"""Kinds that remain what they are where they name a side of the picture."""
OPPOSITE = ({"left", "right"}, {"top", "bottom"})
"""Sides of which a question leaves open the one that it means."""
_THINGS = (
    r"faces?|heads?|hair|eyes?|mouth|hands?|arms?|persons?|people|man|woman|child|dogs?|cats?|birds?|animals?"
    r"|sky|sun|moon|clouds?|trees?|water|background|foreground|cars?|buildings?|houses?|walls?|signs?|text|logo"
    r"|windows?|objects?|tables?|cups?|hats?"
)
_ABOUT = re.compile(
    r"^\W*(?:(?:and|but|so|ok|okay|well)\W+)*(?:what about|how about|and) (?:the|that|this|his|her) [\w ]+\W*$"
    rf"|\b(?:the|that|this|those|these|his|her|my) (?:\w+ )?(?:{_THINGS})\b.*\b(?:edited|fake|pasted|added|changed"
    r"|altered|inserted|generated|photoshopped|manipulated|replaced|removed|erased|moved|swapped|real)\b"
    r"|^\W*(?:did|have|has) (?:they|he|she|you|some(?:one|body)|any(?:one|body)) (?:add|past|remov|eras|chang|edit"
    rf"|alter|insert|swap|mov|replac|paint)\w* (?:the|that|this|his|her|those|an?) (?:\w+ )?(?:{_THINGS})\b"
)
_PRODUCTS = re.compile(
    r"\b(?:midjourney|dall[- ]?e|stable diffusion|sdxl|flux|firefly|chatgpt|gpt[- ]?4o?|gemini|nano banana|imagen|sora"
    r"|grok|ideogram|leonardo|craiyon|bing)\b"
)
"""Generators by name: a yes would name one as the maker, which no trace tells."""
_SAID = re.compile(
    r"\byou(?:['’]ve| have)?(?: just| already| also| even| yourself| not)* "
    r"(?:said|say|told|admit(?:ted)?|agreed?|confirmed|called|concluded)\b(.*)"
)
_ASKING = re.compile(r"\b(?:why|how|what|when|who|where|which)\b")
_LABELLED: tuple[tuple[str, tuple[Label, ...]], ...] = (
    (r"real|authentic|genuine|untouched", ("real",)),
    (r"fake|forged|a forgery", ("synthetic", "tampered")),
    (r"synthetic|(?:ai[- ])?generated", ("synthetic",)),
    (r"tampered|edited|manipulated|photoshopped|altered", ("tampered",)),
)


def recognised(question: str, case: Case) -> FollowUp | None:
    """The kind of a question: told by the finding, region, word or place that it names, or by its likeness to
    known wordings; None for a question of no known kind."""
    lowered = question.lower().strip()
    if (kind := wording_of(question)) and kind not in OF_WHAT_IT_SAYS:
        return looking(known(kind), question, case)
    if _ZOOM.search(lowered):
        return zooming(question, case)
    if found := _naming(question, case):
        kind = kind_of(question)
        return looking(known(kind), question, case) if kind in OF_ANY else found
    if wanted := named_language(question):
        return _in_language(wanted)
    if unread(question):
        return FollowUp("unread", (), _unread)
    if language := language_of(question):
        return _foreign(question, language)
    if claimed := _claimed(lowered):
        return FollowUp("misquote", (), lambda case, rng: premised(case, rng, claimed))
    if first := next((kind for kind, pattern in _FIRST if re.search(pattern, lowered)), None):
        return looking(known(first), question, case)
    if wanted_form := form_in(lowered):
        return _formed(*wanted_form)
    if term := term_of(question):
        return FollowUp("term", (), lambda case, rng: about_term(case, rng, term))
    explained = most_alike(question, {each.id: explain_questions(each) for each in reversed(case.findings)})
    if finding := next((finding for finding in case.findings if finding.id == explained), None):
        return explaining(finding)
    kind = kind_of(question)
    if kind == "AI" and _PRODUCTS.search(lowered):
        kind = "generator"
    sides = sides_in(lowered)
    if sides and kind not in SIDED and not any(each <= {*sides} for each in OPPOSITE):
        return _placing(sides)
    if kind is None and _ABOUT.search(lowered):
        return _placing([])
    return looking(known(kind), question, case)


def looking(found: FollowUp | None, question: str, case: Case) -> FollowUp | None:
    """The kind with the look that it needs, or the keys."""
    match found:
        case FollowUp(kind="zoom"):
            return zooming(question, case)
        case FollowUp(kind="re-deliver"):
            return replace(found, look="re-delivery")
        case FollowUp(kind="json"):
            return replace(found, answer=json_of(question.lower()))
    return found


def explaining(finding: Finding) -> FollowUp:
    """The question what a finding means."""
    return FollowUp(
        "explain",
        explain_questions(finding),
        lambda case, rng: explain(case, rng, finding),
        rf"\[{finding.id.lower()}\b",
    )


def _naming(question: str, case: Case) -> FollowUp | None:
    """A question that names a finding or a region by its id."""
    found = re.search(r"\b[er]\d{1,4}\b", question.lower())
    if found is None:
        return None
    name = found.group().upper()
    if finding := next((finding for finding in case.findings if finding.id == name), None):
        return explaining(finding)
    if region := next((region for region in case.regions if region.id == name), None):
        return FollowUp(
            "region", (), lambda case, rng: about_region(case, rng, region), rf"\b{name.lower()}\b"
        )
    return FollowUp("no such id", (), lambda case, rng: no_such(case, name))


def _claimed(question: str) -> tuple[Label, ...]:
    """The labels that fit what the assistant is said to have said; none where nothing of that kind is."""
    said = _SAID.search(question)
    if said is None or _ASKING.search(question):
        return ()
    for words, labels in _LABELLED:
        if found := re.search(rf"\b(?:{words})\b", said[1]):
            if not re.search(r"\bnot\b|n['’]t\b", said[1][: found.start()]):
                return labels
            every: tuple[Label, ...] = ("real", "synthetic", "tampered")
            return tuple(label for label in every if label not in labels)
    return ()


def _foreign(question: str, language: str) -> FollowUp:
    """A question in another language: the verdict in it, the plainest answers too; else English, and that
    said."""
    kind = kind_of_foreign(question)
    found = known(kind)

    def answer(case: Case, rng: Random) -> str:
        if kind == "json" and found:
            return found.answer(case, rng)
        said = verdict_in(language, case.label, figure(case))
        if native := basic(language, kind):
            return f"{said} {native}"
        english = found.answer(case, rng) if found else no_answer(case, rng)
        return " ".join((said, LANGUAGES[language].english, english))

    return FollowUp(kind or "unknown", (), answer)


def _in_language(wanted: str) -> FollowUp:
    """The wish for another language: the verdict in it where it can be, and that the rest is English."""

    def answer(case: Case, rng: Random) -> str:
        if wanted in LANGUAGES:
            said = verdict_in(wanted, case.label, figure(case))
            return f"{said} {LANGUAGES[wanted].only}"
        return (
            f"I can't write {wanted}. I answer in English, and the basics in French, German or Spanish. "
            + verdict(case, rng)
        )

    return FollowUp("language", (), answer)


def _unread(case: Case, rng: Random) -> str:
    return (
        "I can't read this language. I read English, and plain questions in French, German and Spanish. "
        + verdict(case, rng)
    )


def _formed(form: Form, rest: str) -> FollowUp:
    """The wish for an answer in a form, about what else the question asks; else the verdict and its reasons."""
    about = known(kind_of(rest))
    if about and (about.fits is not None or about.kind in UNVERIFIABLE) and about.kind not in SUMMED_UP:
        return FollowUp("form", (), in_form(form, about.answer))
    if form == Form(sentences=(1, 1)):
        return FollowUp("one sentence", (), one_sentence)
    return FollowUp("bullets" if form.bullets else "form", (), in_form(form, summed_up))


def _placing(sides: Sequence[str]) -> FollowUp:
    """A question about a part of the picture."""
    return FollowUp("place", (), lambda case, rng: placed(case, rng, sides))
