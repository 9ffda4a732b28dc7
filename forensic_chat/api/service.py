"""What the routes ask for: examinations and answers, from the examiner and the store."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from forensic_chat.dialogue import Dialogue, Reply
from forensic_chat.examiner import Examiner
from forensic_chat.schema import Examination
from forensic_chat.sessions.store import Exchange, Store
from forensic_chat.streaming import written_aside

REMEMBERED = 8
"""Dialogues kept open: the next question about one of these images needs no new look at it."""

HandOver = Callable[[str], None]


class Service:
    """One examiner for all; the store is the truth, what is in memory only saves time."""

    def __init__(self, examiner: Examiner, store: Store, deadline: float) -> None:
        self.examiner, self.store, self._deadline = examiner, store, deadline
        self._open: OrderedDict[tuple[str, bytes, str], Dialogue] = OrderedDict()
        self._lock = threading.Lock()

    def examine(
        self, owner: str, data: bytes, name: str, rationale: bool, cancel: threading.Event
    ) -> tuple[str, Examination]:
        """Examine and keep; the id and the result. Raises what `Examiner.examine` raises."""
        if rationale:
            found = self.dialogue(owner, data, name, cancel).examination
        else:
            found = self.examiner.examine(
                data, rationale=False, name=name, cancel=cancel, deadline=self._deadline
            )
        return self.store.add_examination(owner, data, found), found

    def dialogue(self, owner: str, data: bytes, name: str, cancel: threading.Event) -> Dialogue:
        """A dialogue about an image in which nothing was asked yet."""
        key = (owner, data, name)
        with self._lock:
            if key in self._open:
                self._open.move_to_end(key)
                return self._open[key]
        opened = self.examiner.open(data, name=name, cancel=cancel, deadline=self._deadline, owner=owner)
        with self._lock:
            self._open[key] = opened
            while len(self._open) > REMEMBERED:
                self._open.popitem(last=False)
        return opened

    def answer(
        self,
        dialogue: Dialogue,
        before: Sequence[tuple[str, str]],
        question: str,
        hand_over: HandOver,
        cancel: threading.Event,
    ) -> Reply:
        """Answer a question after what was said before. Raises what `Dialogue.ask` raises."""
        reply = dialogue.with_history(before).ask(question, cancel=cancel, deadline=self._deadline)
        for piece in written_aside(reply, cancel):
            hand_over(piece)
        return reply

    def say(
        self, owner: str, conversation: str, question: str, hand_over: HandOver, cancel: threading.Event
    ) -> Exchange:
        """Answer a message of a kept conversation and keep the turn. Raises Missing, Conflict."""
        key, said = self.store.conversation(owner, conversation)
        examination = self.store.examination(owner, key)
        data = self.store.image(examination)
        dialogue = self.dialogue(owner, data, examination.image.name, cancel)
        before = [(turn.question, turn.answer) for turn in said]
        reply = self.answer(dialogue, before, question, hand_over, cancel)
        claims = [claim.model_dump(mode="json") for claim in reply.claims]
        turn = Exchange(question, reply.text, claims, list(reply.warnings))
        self.store.add_turn(owner, conversation, len(said), turn)
        return turn

    def forget(self, owner: str) -> None:
        """Let go of the owner's images in memory."""
        with self._lock:
            for key in [key for key in self._open if key[0] == owner]:
                del self._open[key]
