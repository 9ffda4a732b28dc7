"""All kinds of follow-up questions, with who answers them."""

from forensic_chat.data.followups.base import Answer, FollowUp
from forensic_chat.data.followups.beyond import BEYOND
from forensic_chat.data.followups.conversation import CONVERSATION
from forensic_chat.data.followups.evidence import generator, handled, just_compression, of_file, topic
from forensic_chat.data.followups.looks import LOOKS
from forensic_chat.data.followups.places import where
from forensic_chat.data.followups.reasons import (
    AI,
    EDITED,
    authentic,
    change_mind,
    checked,
    could_be,
    how_sure,
    least_sure,
    like_a_photo,
    limits,
    next_steps,
    rules,
    speaks_against,
    strongest,
    why,
)
from forensic_chat.data.questions import QUESTIONS

_CITES = r"\[[er]\d"
_UNCITED_FIGURE = r"\b[01]\.\d\d\b[^\[]*?[.!?](?:\s|$)"
"""The verdict's own: those of findings stand in sentences that cite them."""
_ANSWERS: dict[str, tuple[Answer, str]] = {
    "why": (why, _CITES),
    "where": (where, r"\br\d|region|nowhere|no place|can't say where"),
    "how sure": (how_sure, _UNCITED_FIGURE),
    "checked": (checked, "check|examin|cover|test|" + _CITES),
    "provenance": (
        topic("Provenance was not part of this examination.", "provenance"),
        "credential|c2pa|manifest|provenance",
    ),
    "metadata": (
        topic(
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
        topic("There are no JPEG findings for this file.", "jpeg"),
        "jpeg|compress|quality|grid|ghost|quanti|saved",
    ),
    "just compression": (just_compression, "compress|jpeg|re-deliver|quality|saved|stab"),
    "noise and copies": (
        topic("Neither noise nor copy-move is among the findings.", "noise", "copymove"),
        "noise|grain|cop(?:y|ied|ies)|clone|duplic|match|repeat|second time",
    ),
    "frequencies": (
        topic("The spectrum is not among the findings.", "spectrum"),
        "spectr|peak|frequen|resampl|rescal|interpol|upsampl",
    ),
    "strongest": (strongest, rf"(?s)^(?!.*(?:weakest|least)).*{_CITES}"),
    "weakest": (least_sure, rf"(?s)^(?!.*(?:strongest|clearest|most obvious)).*{_CITES}"),
    "against": (speaks_against, _CITES + "|nothing that was measured"),
    "AI": (
        could_be(AI, "encoder.synthetic", "metadata.generator", "spectrum.peaks"),
        r"yes|not|nothing|no |decided|open|verdict|generat",
    ),
    "edited": (
        could_be(EDITED, "encoder.tampered", "copymove", "encoder.mask", "noise"),
        r"yes|not|nothing|no |decided|open|verdict|edit",
    ),
    "real version": (like_a_photo, "would|real photo|behaves like one|" + _CITES),
    "rule": (rules, _CITES),
}
"""By the kind of a question: what code answers, and what every fitting answer holds."""
OF_A_TEST = frozenset(
    {
        "where",
        "provenance",
        "metadata",
        "compression",
        "just compression",
        "noise and copies",
        "frequencies",
        "weakest",
        "against",
        "AI",
        "edited",
    }
)
"""Kinds that ask for some findings and not for those that carry the verdict."""
UNVERIFIABLE: dict[str, Answer] = {
    "authentic": authentic,
    "change mind": change_mind,
    "limits": limits,
    "next": next_steps,
}
"""Kinds that code answers, as no finding bears out what a model would say."""
_BY_CODE: dict[str, Answer] = (
    BEYOND
    | UNVERIFIABLE
    | CONVERSATION
    | LOOKS
    | {
        "generator": generator,
        "file": of_file,
        "handling": handled,
    }
)
FOLLOW_UPS: tuple[FollowUp, ...] = tuple(
    FollowUp(kind, wordings, _BY_CODE[kind])
    if kind in _BY_CODE
    else FollowUp(kind, wordings, *_ANSWERS[kind])
    for kind, wordings in QUESTIONS.items()
)


def known(kind: str | None) -> FollowUp | None:
    """The kind of that name."""
    return next((follow_up for follow_up in FOLLOW_UPS if follow_up.kind == kind), None)
