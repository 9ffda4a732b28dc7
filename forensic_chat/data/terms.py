"""Words of the field, for "what is ELA?": each explained in general, and tied to the findings nearest to it."""

import re
from dataclasses import dataclass

from forensic_chat.data.sentences import PHRASES


@dataclass(frozen=True)
class Term:
    """A word, how it is written, what it means, and the kinds of findings that come nearest to it."""

    written: str
    means: str
    kinds: tuple[str, ...] = ()
    foreign: bool = False
    """Not one of the tests, so that every question that names it asks for it."""


TERMS = (
    Term(
        "ela|error[- ]level(?: analysis)?",
        "Error level analysis (ELA) saves a JPEG again and shows how much each part changes. It is not among "
        "these tests, because edges and fine detail light up in it too. The ghost map looks for the same kind "
        "of trace.",
        ("jpeg.ghost",),
        foreign=True,
    ),
    Term(
        "prnu|sensor (?:pattern|fingerprint)|camera fingerprint",
        "PRNU is the pattern that each sensor leaves in its photos. It is not tested here, because that needs "
        "other photos by the same camera. The noise map compares the noise within this image only.",
        ("noise.inconsistency",),
        foreign=True,
    ),
    Term(
        "deep ?fake",
        "A deepfake is a picture or video in which a trained network made or swapped a face or a scene.",
        ("encoder.synthetic",),
    ),
    Term(
        "diffusion(?: model)?|gan|generative ai|(?:image )?generator",
        "Image generators are programs that compute a whole picture from a text or from other pictures.",
        ("encoder.synthetic",),
    ),
    Term(
        "synthetic",
        "Synthetic means generated as a whole by a program, not taken with a camera.",
        ("encoder.synthetic",),
    ),
    Term(
        "tampered|tampering",
        "Tampered means a photo of which parts were altered: pasted in, removed or repainted.",
        ("encoder.tampered",),
    ),
    Term(
        "splic(?:e|ing)|inpainting",
        "Splicing pastes a part of another picture into a photo; inpainting paints a part anew, to remove or "
        "replace something.",
        ("encoder.mask",),
    ),
    Term(
        "inconclusive",
        "Inconclusive means that what was measured does not decide between real and fake.",
        ("encoder.stability", "encoder.familiarity"),
    ),
    Term("c2pa|content credentials?", PHRASES["provenance.c2pa"].explain, ("provenance.c2pa",)),
    Term("exif|metadata", PHRASES["metadata.camera"].explain, ("metadata.camera",)),
    Term("encoder", PHRASES["encoder.synthetic"].explain, ("encoder.synthetic", "encoder.tampered")),
    Term(
        "false[- ]alarm(?: rate)?",
        "The false-alarm rate says how often a finding of its kind accuses a real photo. It was measured on "
        "real photos and stands beside each finding in the report.",
    ),
    Term(
        "regions?",
        "A region is a box around a place that the mask or a test marked; findings cite it by its number.",
        ("encoder.mask",),
    ),
)

_ASKS = (
    r"(?:what(?:['’]s| is| are| does| do| was)?|explain|define|how do(?:es)?)\s+"
    r"(?:me |an? |the |your |you mean by |by |is |word )*"
)
_ENDS = r"(?: means?| works?| exactly| here| then| anyway)*\W*$"


def term_of(question: str) -> Term | None:
    """The term whose meaning is asked for, or None."""
    lowered = question.lower()
    for term in TERMS:
        written = rf"(?<![\w-])['\"“]?(?:{term.written})['\"”]?(?![\w-])"
        if re.search(written if term.foreign else _ASKS + written + _ENDS, lowered):
            return term
    return None
