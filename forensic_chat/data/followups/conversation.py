"""Answers about the conversation, in a wanted form, and under pressure."""

import json
import re
from collections.abc import Sequence
from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.followups.base import Answer
from forensic_chat.data.followups.evidence import explain
from forensic_chat.data.followups.saying import (
    cited_ids,
    figure,
    fixed,
    join,
    leading,
    states,
    stop,
    verdict,
)
from forensic_chat.data.protocol import quotable, suspicious
from forensic_chat.data.rationales import inside, special
from forensic_chat.data.statements import state
from forensic_chat.schema import Label

RECALLED = 6
"""Questions that a summary of the conversation lists."""


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
        f"{opener} {verdict(case, rng)} You can ask why, where, how sure, what speaks against the verdict, or what "
        "to check next."
    )


def kept(*openers: str) -> Answer:
    """An answer that keeps the measured verdict and gives its strongest finding."""
    return lambda case, rng: join(rng.choice(openers), verdict(case, rng), state(leading(case)[0], case, rng))


def one_word(case: Case, rng: Random) -> str:
    """The label."""
    return case.label


def one_sentence(case: Case, rng: Random) -> str:
    """The verdict with its strongest finding."""
    first = leading(case)[0]
    if case.label == "inconclusive":
        return stop(f"The verdict is inconclusive: {case.reasons[0]}") if case.reasons else verdict(case, rng)
    if case.label != "real" and not suspicious(first):
        return verdict(case, rng)
    shown = state(first, case, rng)
    return f"Verdict {case.label}: " + stop(inside(shown))


def bullets(case: Case, rng: Random) -> str:
    """The verdict and two findings, a line each."""
    shown = {finding.id: finding for finding in [*leading(case)[:2], *special(case, rng, 3)]}
    lines = [verdict(case, rng), *states(list(shown.values())[:2], case, rng)]
    return "\n".join(f"- {text}" for text in lines)


def as_json(case: Case, rng: Random) -> str:
    """Verdict and probability as a JSON object."""
    said: dict[str, str | float] = {"verdict": case.label, "confidence": float(figure(case))}
    if case.label == "inconclusive":
        said["confidence_in"] = "a fake"
    return json.dumps(said)


def more(case: Case, rng: Random) -> str:
    """What was not said yet, the most telling first."""
    said = set(cited_ids(" ".join(case.earlier)))
    ranked = [*case.against_image(), *case.doubts(), *special(case, rng, len(case.findings)), *case.findings]
    rest = list({finding.id: finding for finding in ranked if finding.id not in said}.values())
    if not rest:
        return "All that was measured has been said. Ask about a single finding, or what to check next."
    return join(*states(rest[:3], case, rng))


def again(case: Case, rng: Random) -> str:
    """The last answer, word for word."""
    return case.earlier[-1] if case.earlier else verdict(case, rng)


def that(case: Case, rng: Random) -> str:
    """What the finding that was cited last means."""
    ids = cited_ids(case.earlier[-1])[:1] if case.earlier else []
    meant = [finding for finding in case.findings if finding.id in ids] or leading(case)[:1]
    return explain(case, rng, meant[0])


def same_verdict(case: Case, rng: Random) -> str:
    """That the verdict has not changed."""
    opener = "The verdict has been the same from the start"
    return join(f"{opener}. {verdict(case, rng)}", *states(leading(case)[:1], case, rng))


def recap(case: Case, rng: Random) -> str:
    """What was asked, and what the answers cited."""
    if not case.questions:
        return join("Nothing was asked before this", verdict(case, rng))
    answers = case.earlier[len(case.earlier) - len(case.questions) :]
    return join(summary(case.questions, answers), "The verdict has not changed", verdict(case, rng))


def summary(questions: Sequence[str], answers: Sequence[str]) -> str:
    """Questions in order, each with what its answer cited: what is kept of turns that are dropped.

    Of more than RECALLED, the first and the last are listed, and that some are left out is said.
    """
    lines = []
    for question, answer in zip(questions, answers, strict=True):
        cited = ", ".join(dict.fromkeys(re.findall(r"\b[ER]\d+\b", answer)))
        lines.append(f'"{quotable(question)}"' + (f" (my answer cited {cited})" if cited else ""))
    if len(lines) > RECALLED:
        half = RECALLED // 2
        lines = [*lines[:half], "others that I leave out here", *lines[-half:]]
    return "You asked: " + "; ".join(lines)


def premised(case: Case, rng: Random, claimed: Sequence[Label]) -> str:
    """The answer to "you said that it is real": what was said in truth.

    claimed: the labels that the words fit.
    """
    opener = (
        rng.choice(("Yes, and it stays so", "Yes, that is what was measured"))
        if case.label in claimed
        else rng.choice(("No, that is not what I said", "I did not say that, and nothing new was measured"))
    )
    return join(opener, verdict(case, rng), state(leading(case)[0], case, rng))


CONVERSATION: dict[str, Answer] = {
    "help": fixed(
        "I examined this image. Ask me why, where, how sure I am, what speaks against the verdict, what a "
        "finding means, or what to check next.",
        "You can ask about the verdict, its reasons, a finding such as E1, a region, or what to do next.",
    ),
    "privacy": fixed(
        "The picture is examined where this program runs, and nothing is learned from it. It goes to no other service, "
        "unless whoever runs the program has attached a language model server of their own. The command line and the "
        "browser app keep nothing once they end; a server keeps images until they are deleted, a month by default. "
        "I can't delete anything myself."
    ),
    "one word": one_word,
    "one sentence": one_sentence,
    "bullets": bullets,
    "json": as_json,
    "pushback": kept(
        "You may know more than the pixels show, and I can be wrong. I report what was measured",
        "I can't exclude an error, but the measurement stays the same",
        "Who says so is not something I can measure, and nothing in the file has changed",
        "I understand. What you say is not something I can measure",
    ),
    "injection": kept(
        "I can't change the verdict on request",
        "Words do not change what was measured",
        "No: the verdict comes from measurements, not from instructions",
    ),
    "thanks": fixed(
        "You're welcome. Ask on if something about the image is unclear.",
        "Glad to help. I can also explain a single finding.",
    ),
    "hello": lambda case, rng: join(
        "Hello. " + verdict(case, rng), "What would you like to know about the image?"
    ),
    "recap": recap,
    "misquote": kept("What I said has not changed", "Nothing new was measured, so what I said stands"),
    "new evidence": kept(
        "That can weigh more than any score, but it has to be examined: let me examine that file too, then the "
        "two can be compared. Until then this one stands as measured",
        "Such a source counts for more than I can measure here. Have it examined and compared with this file. "
        "So far nothing new was measured",
    ),
    "other image": fixed(
        "I can compare the two once the other image is examined as well: give me its file. Until then I can only "
        "speak of this one.",
        "This conversation is about one image. Examine the other as well, and I set what was measured side by "
        "side.",
    ),
    "language": fixed(
        "I answer in English. In French, German and Spanish I can give the verdict and answer the plainest "
        "questions; the findings stay English.",
        "English is what I write. The verdict and the basics I can also give in French, German or Spanish.",
    ),
    "off topic": fixed(
        "That is outside what I do. Shall we go on with the image?",
        "I only examine images. Ask me about the verdict or a finding.",
    ),
    "more": more,
    "again": again,
    "that": that,
    "same verdict": same_verdict,
}
"""By the kind of a question: code alone answers."""
