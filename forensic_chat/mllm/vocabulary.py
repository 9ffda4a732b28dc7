"""The words by which a sentence is recognised: what it speaks of, and whether it asserts or denies an
artefact.

Small on purpose. A sentence outside this vocabulary is not verified; that costs a true sentence now and then,
and lets no false one through on wording that nobody foresaw.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from forensic_chat.schema import Finding

Polarity = Literal["artefact", "clean", "stated"]
FakeLabel = Literal["synthetic", "tampered"]


@dataclass(frozen=True)
class Words:
    """The vocabulary of one kind of finding."""

    own: str
    """Words that speak of this kind only."""
    shared: str = ""
    """Words that speak of it where a word for what it measures stands beside them."""
    measures: tuple[FakeLabel, ...] = ()
    """The fake labels for or against which it can speak."""


HEDGED = re.compile(
    r"\b(?:neither clear nor|(?:settle|decide)s? nothing|not settle|too little to decide|leaves some)\b",
    re.IGNORECASE,
)
"""Says that a score is neither high nor low."""
_JPEG = "jpegs?|compress(?:ed|ion)|recompress(?:ed|ion)|blocks?"
_ENCODER = "encoders?|traces?|networks?|learned"
_GENERATED: tuple[FakeLabel, ...] = ("synthetic",)
_EDITED: tuple[FakeLabel, ...] = ("tampered",)

KINDS: dict[str, Words] = {
    "provenance.c2pa": Words(
        "content credentials?|credentials?|c2pa|manifests?|provenance",
        "signed|signatures?",
        _GENERATED + _EDITED,
    ),
    "metadata.generator": Words(
        "generators? (?:names?|signatures?|parameters?|tags?|marks?)|prompts?|sampling parameters"
        "|marks? of an? (?:image )?generator",
        "metadata|exif|xmp",
        _GENERATED,
    ),
    "metadata.software": Words("software|programs?", "editors?|metadata|exif|xmp", _EDITED),
    "metadata.camera": Words("cameras? (?:models?|make|names?|tags?|entry)|exif", "metadata|xmp"),
    "metadata.thumbnail": Words("thumbnails?|embedded previews?", "metadata|exif", _EDITED),
    "metadata.dates": Words("dates?|timestamps?|times recorded", "metadata|exif|xmp", _EDITED),
    "jpeg.quality": Words("quality|quantis\\w+|quantiz\\w+", _JPEG, _EDITED),
    "jpeg.double": Words(
        "twice|double|second (?:compression|save)|earlier save|re-?saved|saved again", _JPEG, _EDITED
    ),
    "jpeg.ghost": Words("ghosts?", _JPEG, _EDITED),
    "jpeg.grid": Words("grids?", _JPEG + "|align\\w*|misalign\\w*", _EDITED),
    "noise.inconsistency": Words("noise|grain", measures=_EDITED),
    "copymove.matches": Words(
        "copy-?move|cop(?:y|ied|ies)|cloned?|duplicat\\w+|repeated|matches|matching points", measures=_EDITED
    ),
    "spectrum.peaks": Words("peaks?|upsampl\\w+", "spectr\\w+|frequenc\\w+|periodic\\w*", _GENERATED),
    "spectrum.resampling": Words(
        "resampl\\w+|rescal\\w+|interpolat\\w+", "spectr\\w+|frequenc\\w+|periodic\\w*", _EDITED
    ),
    "container.trailing_bytes": Words(
        "trailing|appended|after the end of the (?:image|file)", "bytes?|container|file", _EDITED
    ),
    "container.type_mismatch": Words("file types?|extensions?|file names?", "container|file|format", _EDITED),
    "container.companion": Words("companion data", "bytes?|container|file"),
    "container.polyglot": Words("second format|another format", "container|file"),
    "test.not_run": Words("(?:could )?not (?:be )?run", "tests?"),
    "encoder.synthetic": Words("whole-image (?:score|traces?)", _ENCODER + "|scores?", _GENERATED),
    "encoder.tampered": Words("local-change (?:score|traces?)", _ENCODER + "|scores?", _EDITED),
    "encoder.mask": Words("mask(?:s|ed)?|marked", _ENCODER, _EDITED),
    "encoder.familiarity": Words("familiar\\w*|unfamiliar\\w*|training images?", _ENCODER),
    "encoder.stability": Words(
        "stab(?:le|ility)|unstable|re-?deliver\\w*", _ENCODER + "|" + _JPEG + "|rescal\\w+|re-?saved|quality"
    ),
}

# what a second look measured
KINDS |= {
    "zoom.synthetic": Words("cut-?outs?", "encoders?", _GENERATED),
    "zoom.tampered": Words("cut-?outs?", "encoders?", _EDITED),
    "zoom.mask": Words("cut-?outs?", "masks?|marked", _EDITED),
    "redelivery.rough": Words("rough\\w*", "re-?deliver\\w*|compression|jpegs?"),
    "redelivery.half": Words("half the size", "re-?deliver\\w*|jpegs?"),
}

_NOUNS = "|".join(f"{words.own}|{words.shared}" if words.shared else words.own for words in KINDS.values())
_NAMES = (
    r"(?:synthetic|tampered|fake|artefact|artifact)[ -](?:scores?|probabilit\w+|maps?|encoders?)"
    r"|scores? (?:of \S+ )?for (?:an? )?(?:wholly )?generated (?:image|picture)s?"
    r"|scores? (?:of \S+ )?for (?:an? )?local(?:ly)?[ -]chang(?:es?|ed)(?: photos?| images?)?"
    r"|(?:scores?|\d(?: of 1)?) for (?:generation|being (?:generated|edited)|a local (?:change|edit))"
    r"|double[ -]compression (?:measures|figure|score|tests?)"
    r"|[\w -]+ (?:was|were) (?:looked|searched|checked|tested) for"
    r"|(?:looked|searched|checked|tested) for (?:(?! and (?:found|saw|no|nothing|none|there|it)\b)[\w -])+"
)
"""Names of quantities and of what was looked for: to write them asserts nothing."""

_FAKE_WORDS = (
    r"fake\w*|forge\w*|manipulat\w+|tamper\w*|edit(?:ed|ing|s)?|past(?:ed|ing)|splic\w+|inserted|retouch\w*"
    r"|photoshopped"
    r"|altered|alteration\w*|cloned|cop(?:ied|ies)|duplicat\w+|generat(?:ed|ive|ion)|synthe\w+|ai|upsampled"
    r"|generators?(?! (?:names?|signatures?|parameters?|tags?|marks?))|compressed twice|double compression"
)
_ODD_WORDS = (
    r"artefacts?|artifacts?|unusual\w*|abnormal\w*|suspicious\w*|suspect|anomal\w+|inconsisten\w+|mismatch\w*"
    r"|disagree\w*|contradict\w*|differ\w*|deviat\w+|st(?:and|ands|ood|anding) out|stick\w* out|betray\w*"
    r"|reveal\w*|giv\w+ (?:it |this |the image |them )?away|unnatural\w*|excess\w*|misalign\w*|shifted|broken"
    r"|impossible|invalid|out of the ordinary|outside the (?:usual|normal)"
    r"|(?:above|beyond|exceed\w*|over) (?:the |what is |any )?(?:usual|normal)"
    r"|(?:higher|stronger|larger|lower|sharper|weaker|smoother|more \w+|less \w+) than "
    r"(?:in |on |for |that of )?(?:an? |any |most |the |its )?"
    r"(?:real|camera|ordinary|genuine|usual|normal|rest|surroundings)"
    r"|(?:is|are|very|clearly|so) high|too (?:high|low|strong|regular|smooth|large|even|clean)"
)
_ARTEFACT = re.compile(f"{_FAKE_WORDS}|{_ODD_WORDS}")
_CLEAN = re.compile(
    r"clean|unremarkable|ordinary|normal\w*|usual\w*|expected|consistent\w*|uniform\w*|evenly|intact|plausible"
    r"|natural\w*|flat|low|quiet|free of|in line with|camera-like|valid|trusted|authentic|genuine|agrees?"
    r"|(?:is|are) even"
)
_OTHER_WAY = re.compile(
    r"consistent with (?:an? |the )?(?:ai|generat|edit|upsampl|synth|splic|tamper|past|manip)\w*"
)
_NEGATOR = re.compile(
    r"not (?:only|just|merely)|no (?:doubt|longer)|not|\w+n't|cannot|no|never|none|nothing|without|neither"
    r"|nor|lacks?|lacking|free of|fail\w* to|rather than|instead of|nowhere|hardly"
)
_EMPHASIS = ("not only", "not just", "not merely", "no doubt", "no longer")
_MISSING = re.compile(
    r"(?:not|never|nowhere) (?:to be )?(?:found|seen|present|visible|detected|measured|observed|there)"
    r"|absent|missing"
)
_DENIES_CLEAN = re.compile(
    r"(?:\b(?:not|never|hardly|cannot|no longer|\w+n't)(?: [\w-]+){0,2}"
    r"|\b(?:no|without|lacks?|lacking|nothing|neither|nor)(?: an?| any| the)?) $"
)
_DENIED_NOUN = re.compile(
    rf"\b(?:no|none of the|neither|nor|without|lacks?|lacking)(?: [\w-]+){{0,3}}? (?:figure|{_NOUNS})\b"
)
_PART = re.compile(r"[,;](?!\d)|\b(?:but|while|whereas|although|though|and|yet)\b")
_CLAUSE = re.compile(r"[,;:()]| - |—|–|\b(?:but|while|whereas|although|though|and|yet|because|since)\b")
_TOPICS: dict[FakeLabel, str] = {
    "synthetic": (
        r"synthetic|generat(?:ed|ion|ive)|synthe(?:sis|si[sz]ed)|ai"
        r"|generators?(?! (?:names?|signatures?|parameters?|tags?|marks?))"
    ),
    "tampered": (
        r"tamper(?:ed|ing)|edit(?:ed|ing|s)?|past(?:ed|ing)|splic(?:e|ed|es|ing)|retouch(?:ed|ing)|inserted"
        r"|photoshopped"
        r"|alter(?:ed|ations?)|local(?:ly)?[ -]chang(?:es?|ed)"
    ),
}
_CALLED_REAL = re.compile(
    r"(?:is|are|was|be|as|verdict:?|looks?|seems?|appears?(?: to be)?|call(?:ed)?(?: it)?|says?)"
    r"(?: (?:an?|the|very|most|probably|likely|really|clearly|indeed|completely|entirely))*"
    r" (?:real|genuine|authentic|untouched|unedited|unaltered|original)"
)
_GENERAL = re.compile(
    r"would|should|usually|normally|typically|generally|in general"
    r"|(?:real|genuine|ordinary|authentic) (?:photos?|photographs?|pictures?|images?"
    r"|cameras?|scenes?|files?)"
    r"|cameras|generators|editors|photographs|photos"
)


ABSENT = re.compile(
    r"\b(?:no|none|nothing|neither|without|missing|empty|left out|not possible|too small)\b", re.IGNORECASE
)
"""Says that something is not there."""
_UNMEASURED = re.compile(
    r"\b(?:left out|not possible|too small|could be (?:made|measured|read|compared)"
    r"|no [\w -]+ (?:was made|is available|can be measured)|to (?:look for|test for|check)"
    r"|(?:has no|are no|is no) (?:jpeg|8x8|ghost))\b",
    re.IGNORECASE,
)


def absence_fault(sentence: str, finding: Finding, quoted: bool) -> str | None:
    """What is wrong with how a sentence says that something is, or is not, there; or None.

    quoted: whether it writes the finding's value.
    """
    kind, value = finding.kind, finding.value
    absent = ABSENT.search(sentence) is not None
    if value is None:
        agreeing = kind == "container.type_mismatch"  # there it means that name and content agree
        return None if absent or agreeing else f"speaks of what {finding.id} holds, which is nothing"
    if kind == "metadata.dates" and value != "consistent" and not quoted:
        return f"does not say that the dates of {finding.id} do not fit"
    if kind == "provenance.c2pa" and value == "absent":
        return (
            f"speaks of a manifest, but {finding.id} found none" if "readable" in sentence.lower() else None
        )
    if kind.startswith(("metadata.", "provenance.")) and isinstance(value, str) and absent and not quoted:
        return f"says that nothing is there, but {finding.id} holds something"
    if not isinstance(value, str) and not quoted and _UNMEASURED.search(sentence):
        return f"says that nothing was measured, but {finding.id} has a value"
    return None


def kind_words(finding: Finding) -> Words:
    """The vocabulary of a finding; for an unknown kind, the words of its name and of its summary."""
    known = KINDS.get(finding.kind)
    if known:
        return known
    name = [word for word in re.split(r"[._]", finding.kind.lower()) if len(word) > 2]
    summary = re.findall(r"[a-z]{5,}", finding.summary.lower())
    return Words("|".join(map(re.escape, name)) or re.escape(finding.kind), "|".join(map(re.escape, summary)))


def speaks_of(sentence: str, finding: Finding) -> bool:
    """Whether a word for the finding occurs in the sentence, and for a shared one a word for what it
    measures."""
    words = kind_words(finding)
    if _has(words.own, sentence):
        return True
    return bool(words.shared) and _has(words.shared, sentence) and bool(topics(sentence) & measures(finding))


def topics(sentence: str) -> set[FakeLabel]:
    """The fake labels that the sentence speaks of, for or against."""
    return {label for label, words in _TOPICS.items() if _has(words, sentence)}


def measures(finding: Finding) -> set[FakeLabel]:
    """The fake labels that a finding can speak for or against: those of its kind, and the one it supports."""
    labels = set(kind_words(finding).measures)
    if finding.supports in ("synthetic", "tampered"):
        labels.add(finding.supports)
    return labels


def clauses(sentence: str) -> list[str]:
    """The parts of a sentence that say one thing each, their figures in brackets included."""
    return _PART.split(sentence)


def stray_word(sentence: str, cited: list[Finding]) -> str | None:
    """A word that speaks of a kind nobody cites, or None."""
    allowed = "|".join(
        part for finding in cited for part in (kind_words(finding).own, kind_words(finding).shared) if part
    )
    cited_kinds = {finding.kind for finding in cited}
    for kind, words in KINDS.items():
        if kind in cited_kinds:
            continue
        for match in _words(words.own).finditer(sentence.lower()):
            if not (allowed and _words(allowed).fullmatch(match.group())):
                return match.group()
    return None


def polarities(sentence: str) -> set[Polarity]:
    """What the clauses of a sentence do: "artefact" asserts one, "clean" denies one; neither: {"stated"}.

    A cue counts within its clause; an odd number of negators before it turns it round, and so does "... was
    not found" behind it.
    """
    seen: set[Polarity] = set()
    lowered = re.sub(_NAMES, "figure", sentence.lower().replace("’", "'"))
    for clause in _CLAUSE.split(lowered):
        seen |= _clause_polarity(clause)
    return seen or {"stated"}


def supported_labels(sentence: str) -> set[FakeLabel]:
    """The fake label that the sentence itself names as what an artefact stands for; nothing if it names
    both."""
    named = topics(re.sub(_NAMES, "figure", sentence.lower()))
    return named if len(named) == 1 else set()


def general(sentence: str) -> bool:
    """Whether the sentence states how photos, cameras or generators are, rather than what this image
    shows."""
    return _words(_GENERAL.pattern).search(sentence.lower()) is not None


def odd(sentence: str) -> bool:
    """Whether the sentence has a word for something out of the ordinary."""
    return _has(_ODD_WORDS, sentence)


def called_real(sentence: str) -> bool:
    """Whether the sentence calls the image real, and does not deny it."""
    lowered = sentence.lower()
    found = _words(_CALLED_REAL.pattern).search(lowered)
    return found is not None and _negations(lowered, found.end()) % 2 == 0


def _clause_polarity(clause: str) -> set[Polarity]:
    missing = _words(_MISSING.pattern).search(clause)
    found: set[Polarity] = set()
    rest = clause
    for cue in _words(f"{_OTHER_WAY.pattern}|{_ARTEFACT.pattern}").finditer(clause):
        flips = _negations(clause, cue.start()) + bool(missing and missing.start() >= cue.end())
        found.add("clean" if flips % 2 else "artefact")
        rest = rest[: cue.start()] + "~" * len(cue.group()) + rest[cue.end() :]
    for cue in _words(_CLEAN.pattern).finditer(rest):
        found.add("artefact" if _DENIES_CLEAN.search(rest[: cue.start()]) else "clean")
    if not found and (_DENIED_NOUN.search(clause) or (missing and _has(_NOUNS, clause))):
        found.add("clean")
    return found


def _negations(clause: str, before: int) -> int:
    return sum(
        match.group() not in _EMPHASIS for match in _words(_NEGATOR.pattern).finditer(clause, 0, before)
    )


@cache
def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w])")


def _has(pattern: str, sentence: str) -> bool:
    return _words(pattern).search(sentence.lower()) is not None
