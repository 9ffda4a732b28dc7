"""Answers to what traces cannot tell."""

from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.followups.base import Answer
from forensic_chat.data.followups.saying import figure, fixed, join, verdict


def proof(case: Case, rng: Random) -> str:
    """That a probability is no proof."""
    last = "is no proof that nothing was changed" if case.label == "real" else "accuses nobody"
    return rng.choice(
        (
            f"No. It is a measured opinion with probability {figure(case)}, not proof.",
            (
                f"It is not proof: traces can be planted or lost, and the verdict is a probability "
                f"({figure(case)})."
            ),
            f"No, treat it as an indication ({figure(case)}). Proof needs the original and its history.",
            f"No. A probability of {figure(case)} {last}; ask for the original and its history.",
        )
    )


def person(case: Case, rng: Random) -> str:
    """That nobody's existence can be measured, and what was."""
    opener = rng.choice(
        (
            "I can't tell whether a person exists, only how the picture came about.",
            "That can't be read from pixels: whether somebody lives leaves no traces.",
            "I don't know who this is or whether they exist; I examine the picture, not the person.",
        )
    )
    return opener + " " + join(verdict(case, rng))


BEYOND: dict[str, Answer] = {
    "proof": proof,
    "person": person,
    "accuracy": fixed(
        "I am wrong at times, in both directions. MODEL_CARD.md has the error rates that were measured "
        "on sources left out of training.",
        "It depends on the image: resized and heavily compressed files are judged worse. The measured error "
        "rates are in MODEL_CARD.md.",
        "Not perfect: photos are accused now and then, and many local edits are missed. MODEL_CARD.md "
        "has the figures.",
    ),
    "author": fixed(
        "I can't say who made it: traces tell how pixels came about, not by whom.",
        "That can't be read from the traces.",
        "Nothing measured here names a person.",
        "I don't know, and I won't guess: no trace carries the name of whoever did it.",
    ),
    "motive": fixed(
        "I can't tell anybody's intention; traces don't show why something was done.",
        "That can't be measured. Ask the people involved, and don't take a verdict as an accusation.",
        "I don't know. A picture may be changed for harmless reasons too.",
    ),
    "event": fixed(
        "I can't tell what happened or whether a caption is true: even an unchanged photo can carry a wrong "
        "caption.",
        "That is beyond the pixels. I judge how the picture came about, not what it is said to show.",
        "I don't know. Look for other sources on the event; the examination says nothing about it.",
    ),
    "identity": fixed(
        "I don't identify people. I only examine how the image was made.",
        "I won't name or recognise anyone; the examination is about traces in the pixels.",
        "I can't tell who that is, and I don't try to.",
    ),
    "content": fixed(
        "I examine traces of how the picture was made, not what it shows.",
        "That is about content, which this examination does not read. I can tell you about its traces.",
        "I don't describe what is in the picture; ask me about its traces.",
    ),
    "restore": fixed(
        "I can't: what was there before is not in the file any more.",
        "No. The mask shows where, not what was there before.",
        "I only examine the image and don't change it.",
    ),
    "scene": fixed(
        "Light, shadows, perspective and anatomy are not among the tests. Look at them yourself, at full size.",
        "I don't judge what is shown, so neither shadows nor hands. That is for your own eyes, at full size.",
    ),
}
"""By the kind of a question: code alone answers."""
