"""The words by which a sentence is recognised: what it speaks of, and whether it asserts or denies an
artefact.

Small on purpose. A sentence outside this vocabulary is not verified; that costs a true sentence now and then,
and lets no false one through on wording that nobody foresaw.
"""

import re
from dataclasses import dataclass
from typing import Literal

from forensic_chat.schema import Finding

Polarity = Literal["artefact", "clean", "stated"]


@dataclass(frozen=True)
class Words:
    """`own`: words that speak of this kind only. `shared`: words that may also speak of it."""

    own: str
    shared: str = ""


_JPEG = "jpegs?|compress(?:ed|ion)|recompress(?:ed|ion)|blocks?"
_ENCODER = "encoders?|traces?|networks?|learned"

KINDS: dict[str, Words] = {
    "provenance.c2pa": Words(
        "content credentials?|credentials?|c2pa|manifests?|provenance", "signed|signatures?"
    ),
    "metadata.generator": Words(
        "generators? (?:names?|signatures?|parameters?|tags?)|prompts?|sampling parameters",
        "metadata|exif|xmp",
    ),
    "metadata.software": Words("software|programs?", "editors?|metadata|exif|xmp"),
    "metadata.camera": Words("cameras? (?:models?|make|names?|tags?|entry)|exif", "metadata|xmp"),
    "metadata.thumbnail": Words("thumbnails?|embedded previews?", "metadata|exif"),
    "metadata.dates": Words("dates?|timestamps?|times recorded", "metadata|exif|xmp"),
    "jpeg.quality": Words("quality|quantis\\w+|quantiz\\w+", _JPEG),
    "jpeg.double": Words("twice|double|second (?:compression|save)|re-?saved|saved again", _JPEG),
    "jpeg.ghost": Words("ghosts?", _JPEG),
    "jpeg.grid": Words("grids?", _JPEG + "|align\\w*|misalign\\w*"),
    "noise.inconsistency": Words("noise|grain"),
    "copymove.matches": Words(
        "copy-?move|cop(?:y|ied|ies)|cloned?|duplicat\\w+|repeated|matches|matching points"
    ),
    "spectrum.peaks": Words("peaks?|upsampl\\w+", "spectr\\w+|frequenc\\w+|periodic\\w*"),
    "spectrum.resampling": Words(
        "resampl\\w+|rescal\\w+|interpolat\\w+", "spectr\\w+|frequenc\\w+|periodic\\w*"
    ),
    "container.trailing_bytes": Words(
        "trailing|appended|after the end of the (?:image|file)", "bytes?|container|file"
    ),
    "container.type_mismatch": Words("file types?|extensions?|file names?", "container|file|format"),
    "encoder.synthetic": Words("whole-image (?:score|traces?)", _ENCODER + "|synthetic score"),
    "encoder.tampered": Words("local-change (?:score|traces?)", _ENCODER + "|tampered score"),
    "encoder.mask": Words("mask(?:s|ed)?|marked", _ENCODER),
    "encoder.familiarity": Words("familiar\\w*|unfamiliar\\w*|training images?", _ENCODER),
    "encoder.stability": Words(
        "stab(?:le|ility)|unstable|re-?deliver\\w*", _ENCODER + "|" + _JPEG + "|rescal\\w+|re-?saved|quality"
    ),
}

_NOUNS = "|".join(f"{words.own}|{words.shared}" if words.shared else words.own for words in KINDS.values())
_NAMES = (
    r"(?:synthetic|tampered|fake|artefact|artifact)[ -](?:scores?|probabilit\w+|maps?|encoders?)"
    r"|double[ -]compression (?:measures|figure|score|tests?)"
    r"|[\w -]+ (?:was|were) (?:looked|searched|checked|tested) for"
    r"|(?:looked|searched|checked|tested) for [\w -]+"
)
"""Names of quantities and of what was looked for: to write them asserts nothing."""

_FAKE_WORDS = (
    r"fake\w*|forge\w*|manipulat\w+|tamper\w*|edit(?:ed|ing|s)?|past(?:ed|ing)|splic\w+|inserted|retouch\w*"
    r"|altered|alteration\w*|cloned|cop(?:ied|ies)|duplicat\w+|generat(?:ed|ive|ion)|synthe\w+|ai|upsampled"
    r"|generators?(?! (?:names?|signatures?|parameters?|tags?))|compressed twice|double compression"
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
    r"|too (?:high|low|strong|regular|smooth|large|even|clean)"
)
_ARTEFACT = re.compile(f"{_FAKE_WORDS}|{_ODD_WORDS}")
_CLEAN = re.compile(
    r"clean|unremarkable|ordinary|normal\w*|usual\w*|expected|consistent\w*|uniform\w*|evenly|intact|plausible"
    r"|natural\w*|flat|quiet|free of|in line with|camera-like|valid|trusted|authentic|genuine|agrees?"
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
    rf"\b(?:no|none of the|without|lacks?|lacking)(?: [\w-]+){{0,3}}? (?:figure|{_NOUNS})\b"
)
_CLAUSE = re.compile(r"[,;:()]| - |—|–|\b(?:but|while|whereas|although|though|and|yet|because|since)\b")
_SAYS_SYNTHETIC = r"synthetic|generated|ai|synthesi[sz]ed"
_SAYS_TAMPERED = (
    r"tamper(?:ed|ing)|edit(?:ed|ing|s)?|past(?:ed|ing)|splic(?:ed|ing)|retouch(?:ed|ing)|inserted"
)
_GENERAL = re.compile(
    r"would|should|usually|normally|typically|generally|in general"
    r"|(?:real|genuine|ordinary|authentic) (?:photos?|photographs?|pictures?|images?"
    r"|cameras?|scenes?|files?)"
    r"|cameras|generators|editors|photographs|photos"
)


def kind_words(finding: Finding) -> Words:
    """The vocabulary of a finding; for an unknown kind, the words of its name and of its summary."""
    known = KINDS.get(finding.kind)
    if known:
        return known
    name = [word for word in re.split(r"[._]", finding.kind.lower()) if len(word) > 2]
    summary = re.findall(r"[a-z]{5,}", finding.summary.lower())
    return Words("|".join(map(re.escape, name)) or re.escape(finding.kind), "|".join(map(re.escape, summary)))


def speaks_of(sentence: str, finding: Finding) -> bool:
    """Whether a word for the finding occurs in the sentence."""
    words = kind_words(finding)
    return _has(words.own, sentence) or (bool(words.shared) and _has(words.shared, sentence))


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


def supported_labels(sentence: str) -> list[Literal["synthetic", "tampered"]]:
    """The fake labels that the sentence itself names as what an artefact stands for."""
    lowered = re.sub(_NAMES, "figure", sentence.lower())
    labels: list[Literal["synthetic", "tampered"]] = []
    if _has(_SAYS_SYNTHETIC, lowered):
        labels.append("synthetic")
    if _has(_SAYS_TAMPERED, lowered):
        labels.append("tampered")
    return labels if len(labels) == 1 else []


def general(sentence: str) -> bool:
    """Whether the sentence states how photos, cameras or generators are, rather than what this image
    shows."""
    return _words(_GENERAL.pattern).search(sentence.lower()) is not None


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


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w])")


def _has(pattern: str, sentence: str) -> bool:
    return _words(pattern).search(sentence.lower()) is not None
