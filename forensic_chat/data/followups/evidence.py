"""Answers about one kind of evidence, one finding or one word of the field."""

from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.followups.base import Answer
from forensic_chat.data.followups.saying import join, leading, states
from forensic_chat.data.protocol import quotable, suspicious
from forensic_chat.data.sentences import phrases
from forensic_chat.data.statements import state
from forensic_chat.data.terms import Term
from forensic_chat.schema import Finding


def explain(case: Case, rng: Random, finding: Finding) -> str:
    """What a test is, and what it gave here."""
    return join(phrases(finding.kind).explain, state(finding, case, rng))


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


def about_term(case: Case, rng: Random, term: Term) -> str:
    """What a word means, and the nearest finding."""
    return join(term.means, *states(case.of(*term.kinds)[:1], case, rng))


def topic(missing: str, *kinds: str) -> Answer:
    """What these kinds of findings say; `missing` where there is none."""

    def answer(case: Case, rng: Random) -> str:
        found = sorted(case.of(*kinds), key=lambda finding: not suspicious(finding))
        return join(*states(found[:4], case, rng)) if found else missing

    return answer


def just_compression(case: Case, rng: Random) -> str:
    """Whether mere handling of the file explains what was found."""
    handling = case.of("encoder.stability") + case.of("jpeg.quality")
    if case.label == "real":
        opener = "Compression is no sign of a fake, and none was found here"
        return join(opener, *states(handling[:2] or leading(case)[:1], case, rng))
    if case.label == "inconclusive":
        opener = rng.choice(
            (
                "It may be, and that is why the verdict stays open",
                "Possibly: compression hides and blurs traces",
            )
        )
        return join(opener, *states([*leading(case)[:1], *handling[:2]], case, rng))
    opener = rng.choice(
        (
            "Compression alone seldom leaves this, but it can't be ruled out",
            "Not likely by the scores, though heavy compression does mislead them at times",
            "I can't rule that out; what speaks against it was measured",
        )
    )
    tail = "A copy that was compressed less would tell more"
    return join(opener, *states([*leading(case)[:1], *handling[:2]], case, rng), tail)


def of_file(case: Case, rng: Random) -> str:
    """The file's format and size, and what compression it shows."""
    width, height = case.image_size
    size = f"{width} pixels wide and {height} high"
    if case.file is None:
        return join(f"The picture is {size}", *states(case.of("jpeg.quality")[:1], case, rng))
    called = f'The file "{quotable(case.file.name)}" is {size}, in the format {case.file.format}'
    hashed = f"Its SHA-256 is {case.file.sha256}"
    return join(called, *states(case.of("jpeg.quality")[:1], case, rng), hashed)


def handled(case: Case, rng: Random) -> str:
    """That harmless handling is no forgery and mostly not tested for, and what bears on it."""
    opener = rng.choice(
        (
            "Crops, filters, screenshots and scans are no forgeries, and most of them are not tested for",
            "Whether it was cropped, filtered or taken off a screen is not among the tests",
            "Harmless handling such as a crop, a filter or a screenshot is mostly not tested for",
        )
    )
    found = case.of("spectrum.resampling", "jpeg.double", "jpeg.quality", "metadata.software")
    tail = "Handling takes traces away, so the scores say less of a picture that had much of it"
    return join(opener, *states(found[:3], case, rng), tail)


def generator(case: Case, rng: Random) -> str:
    """What the file says of a generator."""
    found = case.of("metadata.generator", "provenance.c2pa")
    return join("Which program it was can't be read from the pixels", *states(found[:1], case, rng))
