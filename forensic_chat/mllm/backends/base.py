"""What a language model that writes rationales has to do."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forensic_chat.errors import Cancelled, DeadlineExceeded
from forensic_chat.mllm.prompts import Turn

LIKELY = 12
"""How many `likely` texts are worth composing for an answer."""


@dataclass(frozen=True, eq=False)
class Conversation:
    """Turns, and the views they show: (224, 224, 3) uint8 RGB each, in the order of the image parts.

    Raises ValueError when the turns hold more or fewer image parts than there are images, or when tokens are given of
    some images alone.
    """

    images: Sequence[NDArray[np.uint8]]
    turns: Sequence[Turn]
    owner: str = ""
    """Whose it is: a server that remembers what it has read shares nothing of it between owners."""
    tokens: Sequence[NDArray[np.float32]] = ()
    """(196, 768) each: the patch tokens that the encoder's tower read in the images, so that a model which looks
    through the same tower need not look again; or nothing."""

    def __post_init__(self) -> None:
        parts = sum(
            part["type"] == "image"
            for turn in self.turns
            if not isinstance(turn.content, str)
            for part in turn.content
        )
        if parts != len(self.images):
            raise ValueError(f"{parts} image parts, {len(self.images)} images")
        if len(self.tokens) not in (0, len(self.images)):
            raise ValueError(f"{len(self.images)} images, tokens of {len(self.tokens)}")


class Backend(Protocol):
    """Writes the next assistant turn of a conversation that ends with a user turn.

    concurrent: whether it gains by writing several answers at a time; if not, it is asked for one after
    another.
    any_words: whether it writes the claims of a rationale in any words, as a large model may, or chooses among the
    sentences of `data.sayings`.
    """

    concurrent: bool

    @property
    def any_words(self) -> bool: ...

    @property
    def models(self) -> dict[str, str]:
        """Names of the models at work, to their versions and hashes."""
        ...

    def verdict_probabilities(self, conversation: Conversation) -> dict[str, float]:
        """The model's own opinion: probabilities of real, synthetic and tampered, summing to 1.

        Softmax over the first answer token, restricted to the three labels (DeFakerOne).
        """
        ...

    def generate(
        self,
        conversation: Conversation,
        *,
        prefix: str = "",
        pattern: str | None = None,
        likely: Sequence[str] = (),
        max_new_tokens: int,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
    ) -> Iterator[str]:
        """Streams the answer behind `prefix` (which is not repeated) in pieces; greedy, so always the same.

        `pattern`: a regular expression (see `mllm.grammar`) that the whole answer behind `prefix` matches, or its
        beginning where the tokens run out. `likely`: texts that it may share phrases with, which a backend may use to
        write the same answer faster. `deadline`: seconds from the call. Closing the iterator stops the work.
        Raises Cancelled, DeadlineExceeded, BackendUnavailable; pieces streamed before are then an unfinished
        answer.
        """
        ...


def cancelled() -> Cancelled:
    """The error of an answer whose caller stopped it."""
    return Cancelled("the answer was cancelled while it was being written; ask again for a whole one")


def too_late(seconds: float) -> DeadlineExceeded:
    """The error of an answer that its deadline cut off."""
    return DeadlineExceeded(
        f"the answer was not finished within {seconds:g} s; allow more time, or ask for less"
    )
