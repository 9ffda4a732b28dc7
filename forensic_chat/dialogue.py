"""A conversation about one examination: many questions, each answered in a stream and checked when it
ends."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from forensic_chat.errors import UsageError
from forensic_chat.mllm.backends.base import Backend, Conversation
from forensic_chat.mllm.claims import ParsedClaim, parse_reply
from forensic_chat.mllm.prompts import Turn, follow_up
from forensic_chat.mllm.verify import verify
from forensic_chat.schema import Claim, Examination

MOST_TOKENS = 160
REMEMBERED = 8
"""Turns after the examination's own that the model still reads."""


class Reply:
    """An answer: iterate for its pieces as they are written; then `text`, `claims` and `warnings` are
    there."""

    def __init__(self, pieces: Iterator[str], finish: "object") -> None:
        self._pieces, self._finish = pieces, finish
        self.text = ""
        self.claims: list[Claim] = []
        self.warnings: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            self.text += piece
            yield piece
        self.text = self.text.strip()
        self._finish(self)  # type: ignore[operator]


class Dialogue:
    """Ask about one examination.

    A question is remembered once its answer has ended; a cancelled one leaves no trace.
    """

    def __init__(
        self, backend: Backend, examination: Examination, conversation: Conversation, lock: threading.Lock
    ) -> None:
        self.examination = examination
        self._backend, self._conversation, self._lock = backend, conversation, lock
        self._opening = len(conversation.turns)

    def ask(
        self, question: str, *, cancel: threading.Event | None = None, deadline: float | None = None
    ) -> Reply:
        """Ask one question; `deadline` in seconds.

        Iterating the reply raises Cancelled, DeadlineExceeded, BackendUnavailable.
        """
        if not question.strip():
            raise UsageError("the question is empty; ask something about the image")
        turns = [*self._remembered(), follow_up(question)]
        asked = replace(self._conversation, turns=turns)

        def pieces() -> Iterator[str]:
            with self._lock:
                yield from self._backend.generate(
                    asked, max_new_tokens=MOST_TOKENS, cancel=cancel, deadline=deadline
                )

        def finish(reply: Reply) -> None:
            reply.claims, reply.warnings = self._checked(reply.text)
            self._conversation = replace(asked, turns=[*turns, Turn("assistant", reply.text)])

        return Reply(pieces(), finish)

    def _remembered(self) -> list[Turn]:
        turns = list(self._conversation.turns)
        return turns[: self._opening] + turns[self._opening :][-REMEMBERED:]

    def _checked(self, text: str) -> tuple[list[Claim], list[str]]:
        """The answer's claims, verified; and a warning when one fails."""
        examination = self.examination
        claims = verified(
            [piece for piece in parse_reply(text) if isinstance(piece, ParsedClaim)], examination
        )
        failed = [claim for claim in claims if claim.verified is False]
        warnings = [f'not verified: "{claim.text}": {claim.check}' for claim in failed]
        return claims, warnings


def verified(claims: Sequence[ParsedClaim], examination: Examination) -> list[Claim]:
    size = (examination.image.width, examination.image.height)
    return [
        verify(claim, examination.findings, examination.regions, examination.verdict.label, image_size=size)
        for claim in claims
    ]
