"""The form of a follow-up question's kind."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from forensic_chat.data.case import Case
from forensic_chat.schema import Box

Answer = Callable[[Case, Random], str]


@dataclass(frozen=True)
class Zoom:
    """A closer look at a part of the picture."""

    box: Box | None
    """In oriented pixels; None: at the part that the encoder would look at first."""
    name: str
    """How an answer calls the part: "R1", "the upper left"."""


Look = Zoom | Literal["re-delivery"]
"""What has to be looked at again before a question can be answered."""


@dataclass(frozen=True)
class FollowUp:
    """A kind of question: its wordings, who answers it, and how a fitting answer is recognised."""

    kind: str
    questions: tuple[str, ...]
    answer: Answer
    fits: str | None = None
    """A pattern that every fitting answer holds, in lower case. None where code alone answers, because the
    wording matters: formats, refusals, answers under pressure."""
    look: Look | None = None

    def fitted(self, answer: str) -> bool:
        """Whether an answer, or its beginning, is on the topic."""
        return self.fits is None or re.search(self.fits, answer.lower()) is not None
