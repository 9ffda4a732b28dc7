"""A conversation about one examination: many questions, each answered in a stream and checked when it
ends."""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace

from forensic_chat.errors import Cancelled, UsageError
from forensic_chat.mllm.backends.base import Backend, Conversation
from forensic_chat.mllm.claims import ParsedClaim, parse_reply
from forensic_chat.mllm.prompts import Turn, follow_up
from forensic_chat.mllm.verify import RegionTest, verify
from forensic_chat.schema import Claim, Examination, Region
from forensic_chat.stopping import Stopping

MOST_TOKENS = 160
REMEMBERED = 8
"""Turns after the examination's own that the model still reads."""

Masked = Callable[[Region, Callable[[], None]], RegionTest]
"""Whether the verdict rests on a region; the second argument is called between looks and may raise."""


class Reply:
    """An answer: iterate once for its pieces as they are written; then `text`, `claims` and `warnings` are
    there.

    Nothing is written before the first piece is asked for. Leaving the loop early stops the writing, and
    `claims` and `warnings` stay empty; a second loop yields nothing.
    """

    def __init__(self, write: Callable[["Reply"], Generator[str]]) -> None:
        self.text = ""
        self.claims: list[Claim] = []
        self.warnings: list[str] = []
        self._pieces = write(self)

    def __iter__(self) -> Generator[str]:
        with closing(self._pieces):
            yield from self._pieces


class Dialogue:
    """Ask about one examination.

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
    ) -> None:
        self.examination = examination
        self._backend, self._conversation, self._masked, self._lock = backend, conversation, masked, lock
        self._opening = len(conversation.turns)

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
                for piece in self._written(asked, check):
                    reply.text += piece
                    yield piece
                text = reply.text.strip()
                claims, warnings = self._checked(text, check)
                reply.text, reply.claims, reply.warnings = text, claims, warnings
                self._conversation = replace(asked, turns=[*asked.turns, Turn("assistant", text)])

        return Reply(write)

    def with_history(self, exchanges: Sequence[tuple[str, str]]) -> "Dialogue":
        """Another dialogue about the same examination, in which these questions were asked and so
        answered."""
        turns = list(self._conversation.turns[: self._opening])
        for question, answer in exchanges:
            turns += [follow_up(question), Turn("assistant", answer)]
        conversation = replace(self._conversation, turns=turns)
        other = Dialogue(self._backend, self.examination, conversation, self._masked, self._lock)
        other._opening = self._opening
        return other

    def _written(self, asked: Conversation, check: Stopping) -> Generator[str]:
        try:
            yield from self._backend.generate(
                asked, max_new_tokens=MOST_TOKENS, cancel=check.cancel, deadline=check.remaining
            )
        except Cancelled:
            check()  # the deadline that the caller gave, not what was left of it
            raise

    def _remembered(self) -> list[Turn]:
        turns = list(self._conversation.turns)
        return turns[: self._opening] + turns[self._opening :][-REMEMBERED:]

    def _checked(self, text: str, check: Callable[[], None]) -> tuple[list[Claim], list[str]]:
        """The answer's claims, verified; and a warning for each that fails."""
        examination = self.examination
        claims = [
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
        failed = [claim for claim in claims if claim.verified is False]
        return claims, [f'not verified: "{claim.text}": {claim.check}' for claim in failed]
