"""A conversation about one examination: many questions, each answered in sentences that are checked before
they are shown."""

import re
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from forensic_chat.data.followups import FollowUp, leading, no_answer, recognised
from forensic_chat.data.protocol import QUESTION_LIMIT, clean
from forensic_chat.data.rationales import Case
from forensic_chat.errors import Cancelled, UsageError
from forensic_chat.mllm.backends.base import Backend, Conversation
from forensic_chat.mllm.claims import ParsedClaim, parse_reply, sentences, streamed
from forensic_chat.mllm.prompts import Turn, follow_up
from forensic_chat.mllm.verify import RegionTest, passed, uncited_fault, verify
from forensic_chat.schema import Claim, Examination, Region
from forensic_chat.stopping import Stopping

if TYPE_CHECKING:
    from forensic_chat.encoder.perceive import ChangeMap

MOST_TOKENS = 160
REMEMBERED = 8
"""Turns after the examination's own that the model still reads."""
REPLACED = (
    "the language model's answer did not pass its check, so code composed this one from the examination; later "
    "ones are composed without another warning"
)

Masked = Callable[[Region, Callable[[], None]], RegionTest]
"""Whether the verdict rests on a region; the second argument is called between looks and may raise."""


class Reply:
    """An answer: iterate once for its pieces as they are written; then `text`, `claims` and `warnings` are
    there.

    Nothing is written before the first piece is asked for, and nothing that was yielded is taken back. Leaving
    the loop early stops the writing, and `claims` and `warnings` stay empty; a second loop yields nothing.
    """

    def __init__(self, write: Callable[["Reply"], Generator[str]]) -> None:
        self.text = ""
        self.claims: list[Claim] = []
        self.warnings: list[str] = []
        self.composed = False
        """Whether code wrote it: the kind of question asks for that, or the model's answer failed its check."""
        self._pieces = write(self)

    def __iter__(self) -> Generator[str]:
        with closing(self._pieces):
            yield from self._pieces


class Dialogue:
    """Ask about one examination.

    The language model answers what it is asked of the findings, sentence by sentence, as long as each passes
    its check and the answer is about the question. Else, and where the wording matters (formats, refusals,
    answers under pressure), code composes the answer from the examination.

    A question is remembered once its answer has ended; a cancelled one leaves no trace. Threads may share a
    dialogue: their answers are written one after another, in the order in which the loops began.
    """

    def __init__(
        self,
        backend: Backend,
        examination: Examination,
        conversation: Conversation,
        masked: Masked,
        lock: threading.Lock,
        changes: "ChangeMap | None" = None,
    ) -> None:
        self.examination = examination
        self.changes = changes
        """What the mask was cut from, cell by cell, if it is at hand."""
        self._backend, self._conversation, self._masked, self._lock = backend, conversation, masked, lock
        self._opening = len(conversation.turns)
        self._warned = False

    def ask(
        self, question: str, *, cancel: threading.Event | None = None, deadline: float | None = None
    ) -> Reply:
        """Ask one question; `deadline` in seconds from the first piece asked for.

        Raises UsageError for an empty question. Iterating the reply raises Cancelled, DeadlineExceeded,
        BackendUnavailable. While an answer is being written, the examiner serves nobody else: read it to its
        end, or leave the loop, before you ask it for something else in the same thread.
        """
        if not question.strip():
            raise UsageError("the question is empty; ask something about the image")

        def write(reply: Reply) -> Generator[str]:
            check = Stopping(cancel, deadline, "the answer")
            with check.holding(self._lock):
                asked = replace(self._conversation, turns=[*self._remembered(), follow_up(question)])
                for piece in self._answered(asked, reply, check):
                    reply.text += piece
                    yield piece
                    check()
                text = reply.text.strip()
                reply.text, reply.claims = text, self._claims(text, check)
                self._conversation = replace(asked, turns=[*asked.turns, Turn("assistant", text)])

        return Reply(write)

    def with_history(self, exchanges: Sequence[tuple[str, str]]) -> "Dialogue":
        """Another dialogue about the same examination, in which these questions were asked and so
        answered."""
        turns = list(self._conversation.turns[: self._opening])
        for question, answer in exchanges:
            turns += [follow_up(question), Turn("assistant", answer)]
        conversation = replace(self._conversation, turns=turns)
        other = Dialogue(
            self._backend, self.examination, conversation, self._masked, self._lock, self.changes
        )
        other._opening = self._opening
        return other

    def _answered(self, asked: Conversation, reply: Reply, check: Stopping) -> Generator[str]:
        """The model's sentences that pass, or else the answer that code composes."""
        question = clean(str(asked.turns[-1].content), QUESTION_LIMIT)
        case = self._case(asked)
        known = recognised(question, case)
        answer = self._composed(known, case, question, check)
        if known and known.fits is not None:
            written = False
            about = _cited(answer) and _cited(answer) | {finding.id for finding in leading(case)[:2]}
            for piece in self._written(asked, known, about, check):
                written = True
                yield piece
            if written:
                return
            if not self._warned:
                reply.warnings, self._warned = [REPLACED], True
        reply.composed = True
        yield from sentences(answer)

    def _written(
        self, asked: Conversation, known: FollowUp, about: set[str], check: Stopping
    ) -> Generator[str]:
        """The model's sentences until one fails its check; none before they are on the topic.

        about: findings and regions of which a fitting answer cites one; none where it need not cite.
        """
        held, shown = "", False
        with closing(self._streamed(asked, check)) as pieces:
            for sentence in streamed(pieces):
                if not self._holds(sentence, check):
                    return
                held += sentence
                if shown or (known.fitted(held) and (not about or about & _cited(held))):
                    yield held
                    held, shown = "", True

    def _streamed(self, asked: Conversation, check: Stopping) -> Generator[str]:
        try:
            yield from self._backend.generate(
                asked, max_new_tokens=MOST_TOKENS, cancel=check.cancel, deadline=check.remaining
            )
        except Cancelled:
            check()  # the deadline that the caller gave, not what was left of it
            raise

    def _composed(self, known: FollowUp | None, case: Case, question: str, check: Stopping) -> str:
        """What code answers: the same every time. A region that the verdict does not rest on is no reason."""
        answer = known.answer if known else no_answer
        seed = f"{self.examination.image.sha256} {len(case.earlier)} {question}"
        text = answer(case, Random(seed))
        failed = {claim.region for claim in self._claims(text, check) if claim.verified is False} - {None}
        return (
            answer(case.without_reasons([name for name in failed if name]), Random(seed)) if failed else text
        )

    def _case(self, asked: Conversation) -> Case:
        said = self.examination
        return Case(
            said.findings,
            said.regions,
            said.verdict.label,
            said.verdict.probabilities,
            (said.image.width, said.image.height),
            reasons=said.verdict.reasons,
            earlier=[str(turn.content) for turn in asked.turns if turn.role == "assistant"],
        )

    def _remembered(self) -> list[Turn]:
        turns = list(self._conversation.turns)
        return turns[: self._opening] + turns[self._opening :][-REMEMBERED:]

    def _holds(self, sentence: str, check: Callable[[], None]) -> bool:
        """Whether a sentence passes its check: every claim in it, and the rest says nothing uncovered."""
        said = self.examination
        plain: Sequence[str] = [piece for piece in parse_reply(sentence) if isinstance(piece, str)]
        verdict = said.verdict
        return all(passed(claim) for claim in self._claims(sentence, check)) and not any(
            uncited_fault(piece, said.findings, said.regions, verdict.label, verdict.probabilities)
            for piece in plain
        )

    def _claims(self, text: str, check: Callable[[], None]) -> list[Claim]:
        """The claims of an answer, checked."""
        examination = self.examination
        return [
            verify(
                claim,
                examination.findings,
                examination.regions,
                examination.verdict.label,
                image_size=(examination.image.width, examination.image.height),
                region_test=lambda region: self._masked(region, check),
            )
            for claim in parse_reply(text)
            if isinstance(claim, ParsedClaim)
        ]


def _cited(text: str) -> set[str]:
    return set(re.findall(r"\b[ER]\d+\b", text))
