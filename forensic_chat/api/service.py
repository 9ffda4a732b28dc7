"""What the routes ask for: examinations and answers, from the examiner and the store."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensic_chat.api.bodies import Options
from forensic_chat.dialogue import Dialogue, Reply
from forensic_chat.examiner import Examiner
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.schema import Examination, Finding
from forensic_chat.sessions.store import Exchange, Store

REMEMBERED = 8
"""Dialogues kept open: the next question about one of these images needs no new look at it."""
REMEMBERED_PIXELS = 100_000_000
"""Of the images of all of these, but for the newest."""

HandOver = Callable[[str], None]


class Service:
    """One examiner for all; the store is the truth, what is in memory only saves time."""

    def __init__(self, examiner: Examiner, store: Store, deadline: float) -> None:
        self.examiner, self.store, self._deadline = examiner, store, deadline
        self._open: OrderedDict[tuple[str, str, str], Dialogue] = OrderedDict()
        self._lock = threading.Lock()

    def examine(
        self, owner: str, data: bytes, name: str, wanted: Options, cancel: threading.Event
    ) -> tuple[str, Examination]:
        """Examine and keep; the id and the result. Raises what `Examiner.examine` raises."""
        deadline = min(self._deadline, wanted.deadline or self._deadline)
        if wanted.rationale:
            found = self.dialogue(owner, data, name, cancel, deadline).examination
        else:
            found = self.examiner.examine(data, rationale=False, name=name, cancel=cancel, deadline=deadline)
        return self.store.add_examination(owner, data, found), found

    def dialogue(
        self, owner: str, data: bytes, name: str, cancel: threading.Event, deadline: float | None = None
    ) -> Dialogue:
        """A dialogue about an image in which nothing was asked yet."""
        key = (owner, hashlib.sha256(data).hexdigest(), name)
        return self._opened(key, lambda: data, cancel, deadline or self._deadline)

    def _opened(
        self,
        key: tuple[str, str, str],
        data: Callable[[], bytes],
        cancel: threading.Event,
        deadline: float,
    ) -> Dialogue:
        """The dialogue of an owner about a file, by its hash, under a name; `data` is read if it is not open."""
        with self._lock:
            if key in self._open:
                self._open.move_to_end(key)
                return self._open[key]
        owner, _, name = key
        opened = self.examiner.open(data(), name=name, cancel=cancel, deadline=deadline, owner=owner)
        with self._lock:
            self._open[key] = opened
            while len(self._open) > 1 and self._remembers_too_much():
                self._open.popitem(last=False)
        return opened

    def suspicion(self, image: ExaminedImage, cancel: threading.Event) -> NDArray[np.float32]:
        """As `Examiner.suspicion`."""
        return self.examiner.suspicion(image.data, name=image.name, cancel=cancel, deadline=self._deadline)

    def answer(
        self,
        dialogue: Dialogue,
        before: Sequence[tuple[str, str]],
        asked: str | Examination,
        hand_over: HandOver,
        cancel: threading.Event,
        found: Sequence[Finding] = (),
    ) -> Reply:
        """Answer a question, or set another examination beside this one, after what was said and, by second looks,
        found before. Raises what `Dialogue.ask` raises."""
        known = dialogue.with_history(before, found)
        if isinstance(asked, str):
            reply = known.ask(asked, cancel=cancel, deadline=self._deadline)
        else:
            reply = known.compare(asked, cancel=cancel, deadline=self._deadline)
        for piece in reply:
            hand_over(piece)
        return reply

    def say(
        self,
        owner: str,
        conversation: str,
        asked: str | Examination,
        hand_over: HandOver,
        cancel: threading.Event,
    ) -> Exchange:
        """As `answer`, in a kept conversation, of which the turn is kept, too. Raises also Missing, Conflict."""
        key, said = self.store.conversation(owner, conversation)
        examination = self.store.examination(owner, key)
        image = examination.image
        of = (owner, image.sha256, image.name)
        dialogue = self._opened(of, lambda: self.store.image(examination), cancel, self._deadline)
        before = [(turn.question, turn.answer) for turn in said]
        found = [Finding.model_validate(finding) for turn in said for finding in turn.findings]
        reply = self.answer(dialogue, before, asked, hand_over, cancel, found)
        turn = Exchange(reply.question, reply.text, **found_in(reply))
        self.store.add_turn(owner, conversation, len(said), turn)
        return turn

    def forget(self, owner: str | None = None) -> None:
        """Let go of the owner's images in memory, or of all."""
        with self._lock:
            for key in [key for key in self._open if owner in (key[0], None)]:
                del self._open[key]

    def seen(self, data: bytes, name: str, cancel: threading.Event) -> Examination:
        """An examination without rationale, of which nothing is kept. Raises what `Examiner.examine` raises."""
        return self.examiner.examine(data, rationale=False, name=name, cancel=cancel, deadline=self._deadline)

    def _remembers_too_much(self) -> bool:
        sizes = [dialogue.examination.image for dialogue in self._open.values()]
        pixels = sum(size.width * size.height for size in sizes)
        return len(self._open) > REMEMBERED or pixels > REMEMBERED_PIXELS


def found_in(reply: Reply) -> dict[str, Any]:
    """What comes with an answer's text, as JSON: the checked claims, warnings, and a second look's findings."""
    return {
        "claims": [claim.model_dump(mode="json") for claim in reply.claims],
        "warnings": list(reply.warnings),
        "findings": [finding.model_dump(mode="json") for finding in reply.findings],
    }
