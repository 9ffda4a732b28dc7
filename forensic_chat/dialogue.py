"""A conversation about one examination: many questions, each answered in sentences that are checked before
they are shown."""

import re
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Protocol

from forensic_chat.data.case import Case
from forensic_chat.data.followups import (
    OF_A_TEST,
    FollowUp,
    Look,
    Zoom,
    comparison,
    leading,
    no_answer,
    recognised,
    summary,
)
from forensic_chat.data.protocol import QUESTION_LIMIT, clean, quotable
from forensic_chat.errors import Cancelled, UsageError
from forensic_chat.evidence.observation import Evidence
from forensic_chat.mllm.backends.base import LIKELY, Backend, Conversation
from forensic_chat.mllm.claims import ParsedClaim, parse_reply, sentences, streamed
from forensic_chat.mllm.grammar import reply_pattern
from forensic_chat.mllm.prompts import Turn, follow_up
from forensic_chat.mllm.verify import RegionTest, passed, uncited_fault, verify
from forensic_chat.schema import Box, Claim, Examination, Finding, Region
from forensic_chat.stopping import Stopping

if TYPE_CHECKING:
    from forensic_chat.encoder.perceive import ChangeMap

_FIGURES = re.compile(r"[ER]?\d+(?:[.,]\d+)*")
"""Figures and citations."""
MOST_TOKENS = 160
REMEMBERED, BUDGET = 8, 3000
"""Turns after the examination's own that the model still reads at most, and their characters."""
BEFORE = "What did we speak about before?"
"""The question under which the model reads a summary of what was dropped."""
DROPPED = (
    "the conversation has grown too long for the language model: of the first questions it now reads a summary "
    "only; code still knows all of it"
)
REPLACED = (
    "the language model's answer did not pass its check, so code composed this one from the examination; later "
    "ones are composed without another warning"
)


_NOT_THE_MODELS = re.compile(
    r"\b(?:asked|you said|from the start|has(?: not|n't)? changed)\b|^\W*(?:yes|no)\W*$", re.IGNORECASE
)
"""Speaks of the conversation, which code alone knows whole, or is a bare yes or no, which claims more than a
probability bears out."""

_SHARE = re.compile(r"\d[.,]\d|\d ?%")
_OF_THE_VERDICT = re.compile(
    r"probab|likel|chance|sure\b|certain|confiden|verdict|examination says", re.IGNORECASE
)
"""Words of which one stands in a sentence that gives the verdict's figure: it is a figure of nothing else."""


class Looks(Protocol):
    """Looking at the image again. `check` is called between looks; what it raises stops them."""

    def masked(self, region: Region, check: Callable[[], None]) -> RegionTest:
        """Whether the verdict rests on a region."""
        ...

    def zoom(self, box: Box | None, check: Callable[[], None]) -> list[Evidence]:
        """A part seen by itself at its full size; None: the most suspicious one."""
        ...

    def redelivered(self, check: Callable[[], None]) -> list[Evidence]:
        """How the verdict holds up in other deliveries of the image."""
        ...


class Reply:
    """An answer: iterate once for its pieces as they are written; then `text`, `claims`, `findings` and
    `warnings` are there.

    Nothing is written before the first piece is asked for, and nothing that was yielded is taken back. Leaving
    the loop early stops the writing, and `claims` and `warnings` stay empty; a second loop yields nothing.
    """

    def __init__(self, question: str, write: Callable[["Reply"], Generator[str]]) -> None:
        self.question = question
        """What it answers, in the words that the conversation remembers."""
        self.text = ""
        self.claims: list[Claim] = []
        self.findings: list[Finding] = []
        """What a second look found that the question asked for; their ids go on from the examination's."""
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
    answers under pressure), code composes the answer from the examination. Questions that ask for it are
    answered from another look: a closer one into a part, one at other deliveries, one beside another image.

    A question is remembered once its answer has ended; a cancelled one leaves no trace. Threads may share a
    dialogue: their answers are written one after another, in the order in which the loops began.
    """

    def __init__(
        self,
        backend: Backend,
        examination: Examination,
        conversation: Conversation,
        looks: Looks,
        lock: threading.Lock,
        changes: "ChangeMap | None" = None,
    ) -> None:
        self.examination = examination
        self.changes = changes
        """What the mask was cut from, cell by cell, if it is at hand."""
        self._backend, self._conversation, self._looks, self._lock = backend, conversation, looks, lock
        self._opening = len(conversation.turns)
        self._looked: dict[Look, list[Finding]] = {}
        self._found: list[Finding] = []
        """What second looks of the history found, where they are not among those of `_looked`."""
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

        def answered(asked: Conversation, reply: Reply, check: Stopping) -> Generator[str]:
            return self._answered(asked, reply, check)

        return self._reply(question, answered, cancel, deadline)

    def compare(
        self, other: Examination, *, cancel: threading.Event | None = None, deadline: float | None = None
    ) -> Reply:
        """What was measured on this image and on another, side by side; composed by code, and remembered.

        Limits and errors as for `ask`.
        """
        same = other.image.sha256 == self.examination.image.sha256
        name = quotable(other.image.name)

        def answered(asked: Conversation, reply: Reply, check: Stopping) -> Generator[str]:
            rng = Random(f"{self.examination.image.sha256} {other.image.sha256}")
            reply.composed = True
            yield from sentences(comparison(self._case(asked), _case_of(other), name, same, rng))

        question = f'Compare it with the image "{name}".'
        return self._reply(question, answered, cancel, deadline)

    def _reply(
        self,
        question: str,
        answered: Callable[[Conversation, Reply, Stopping], Generator[str]],
        cancel: threading.Event | None,
        deadline: float | None,
    ) -> Reply:
        """The reply whose pieces `answered` yields; once read to its end, it is part of the conversation."""

        def write(reply: Reply) -> Generator[str]:
            check = Stopping(cancel, deadline, "the answer")
            with check.holding(self._lock):
                turns = list(self._conversation.turns)
                asked = replace(self._conversation, turns=[*turns, follow_up(question)])
                for piece in answered(asked, reply, check):
                    reply.text += piece
                    yield piece
                    check()
                text = reply.text.strip()
                reply.text, reply.claims = text, self._claims(text, self._findings(asked, reply), check)
                if self._dropped(turns) and not self._dropped(turns[:-2]):
                    reply.warnings.append(DROPPED)
                self._conversation = replace(asked, turns=[*asked.turns, Turn("assistant", text)])

        return Reply(question, write)

    def with_history(self, exchanges: Sequence[tuple[str, str]], found: Sequence[Finding] = ()) -> "Dialogue":
        """Another dialogue about the same examination, in which these questions were asked and so
        answered; found: what second looks found for these answers."""
        turns = list(self._conversation.turns[: self._opening])
        for question, answer in exchanges:
            turns += [follow_up(question), Turn("assistant", answer)]
        conversation = replace(self._conversation, turns=turns)
        other = Dialogue(self._backend, self.examination, conversation, self._looks, self._lock, self.changes)
        other._opening = self._opening
        looked = [finding for each in self._looked.values() for finding in each]
        if all(finding in looked for finding in found):
            other._looked = self._looked
        else:  # found by another process: looks are taken again, under other ids
            other._found = list({finding.id: finding for finding in found}.values())
        return other

    def _answered(self, asked: Conversation, reply: Reply, check: Stopping) -> Generator[str]:
        """The model's sentences that pass, or else the answer that code composes."""
        question = clean(str(asked.turns[-1].content), QUESTION_LIMIT)
        case = self._case(asked)
        known = recognised(question, case)
        if known and known.look:
            reply.findings = self._look(known.look, check)
            new = [finding for finding in reply.findings if finding not in case.findings]
            case = replace(case, findings=[*case.findings, *new], looked=reply.findings)
        answer = self._composed(known, case, question, check)
        if known and known.fits is not None:
            written = False
            about = names = _cited(answer)
            if about and known.kind not in OF_A_TEST:
                about = about | {finding.id for finding in leading(case)[:2]}
            for piece in self._written(asked, case, known, about, names, check):
                written = True
                yield piece
            if written:
                return
            if not self._warned:
                reply.warnings, self._warned = [REPLACED], True
        reply.composed = True
        yield from sentences(answer)

    def _look(self, look: Look, check: Stopping) -> list[Finding]:
        """What another look shows, as findings; each is taken once."""
        if look not in self._looked:
            taken = [*self.examination.findings, *self._all_looked()]
            first = 1 + max(int(finding.id.removeprefix("E")) for finding in taken)
            seen = (
                self._looks.zoom(look.box, check)
                if isinstance(look, Zoom)
                else self._looks.redelivered(check)
            )
            self._looked[look] = [item.finding(k) for k, item in enumerate(seen, first)]
        return self._looked[look]

    def _written(
        self,
        asked: Conversation,
        case: Case,
        known: FollowUp,
        about: set[str],
        names: set[str],
        check: Stopping,
    ) -> Generator[str]:
        """The model's sentences until one fails its check; none before they are on the topic, and of those that cite
        and figure the same only the first.

        about: findings and regions of which a fitting answer cites one; none where it need not cite. names: those that
        a sentence may name without citing them, where there are any.
        """
        held, shown, told = "", False, set[frozenset[str]]()
        pattern = reply_pattern(case.findings, case.regions, case.label, case.probabilities)
        likely = [known.answer(case, Random(k)) for k in range(LIKELY)]
        with closing(self._streamed(self._remembered(asked), pattern, likely, check)) as pieces:
            for sentence in streamed(pieces):
                if not self._holds(sentence, case, check) or (names and _uncited(sentence) - names):
                    return
                says = frozenset(_FIGURES.findall(sentence))
                if _cited(sentence) and says > _cited(sentence) and says in told:
                    continue
                told.add(says)
                held += sentence
                if shown or (known.fitted(held) and (not about or about & _cited(held))):
                    yield held
                    held, shown = "", True

    def _streamed(
        self, asked: Conversation, pattern: str, likely: Sequence[str], check: Stopping
    ) -> Generator[str]:
        try:
            yield from self._backend.generate(
                asked,
                pattern=pattern,
                likely=likely,
                max_new_tokens=MOST_TOKENS,
                cancel=check.cancel,
                deadline=check.remaining,
            )
        except Cancelled:
            check()  # the deadline that the caller gave, not what was left of it
            raise

    def _composed(self, known: FollowUp | None, case: Case, question: str, check: Stopping) -> str:
        """What code answers: the same every time. A region that the verdict does not rest on is no reason."""
        answer = known.answer if known else no_answer
        seed = f"{self.examination.image.sha256} {len(case.earlier)} {question}"
        text = answer(case, Random(seed))
        failed = {
            claim.region for claim in self._claims(text, case.findings, check) if claim.verified is False
        } - {None}
        return (
            answer(case.without_reasons([name for name in failed if name]), Random(seed)) if failed else text
        )

    def _case(self, asked: Conversation) -> Case:
        follow_ups = list(asked.turns[self._opening - 1 : -1])
        return replace(
            _case_of(self.examination),
            findings=self._findings(asked),
            questions=[str(turn.content) for turn in follow_ups if turn.role == "user"],
            earlier=[str(turn.content) for turn in follow_ups if turn.role == "assistant"],
        )

    def _findings(self, asked: Conversation, reply: Reply | None = None) -> list[Finding]:
        """The examination's, those of second looks that this conversation speaks of, and the reply's own."""
        said = _cited(" ".join(str(turn.content) for turn in asked.turns if turn.role == "assistant"))
        now = reply.findings if reply else []
        looked = (f for f in self._all_looked() if f.id in said or f in now)
        return [*self.examination.findings, *looked]

    def _all_looked(self) -> list[Finding]:
        return [*self._found, *(finding for found in self._looked.values() for finding in found)]

    def _dropped(self, turns: Sequence[Turn]) -> int:
        """How many turns of a conversation, its end without a question, the model no longer reads."""
        asked = turns[self._opening :]
        kept = characters = 0
        for k in range(len(asked) - 2, -1, -2):
            characters += len(str(asked[k].content)) + len(str(asked[k + 1].content))
            if kept and (kept >= REMEMBERED or characters > BUDGET):
                break
            kept += 2
        return len(asked) - kept

    def _remembered(self, asked: Conversation) -> Conversation:
        """What the model reads: the opening, a summary of what was dropped, the last turns, the question."""
        *turns, question = asked.turns
        dropped = turns[self._opening : self._opening + self._dropped(turns)]
        rest = turns[self._opening + len(dropped) :]
        told: list[Turn] = []
        if dropped:
            said = [str(turn.content) for turn in dropped]
            told = [follow_up(BEFORE), Turn("assistant", summary(said[::2], said[1::2]) + ".")]
        return replace(asked, turns=[*turns[: self._opening], *told, *rest, question])

    def _holds(self, sentence: str, case: Case, check: Callable[[], None]) -> bool:
        """Whether a sentence passes its check: every claim in it, and the rest says nothing uncovered."""
        plain: Sequence[str] = [piece for piece in parse_reply(sentence) if isinstance(piece, str)]
        return all(passed(claim) for claim in self._claims(sentence, case.findings, check)) and not any(
            _NOT_THE_MODELS.search(piece)
            or (_SHARE.search(piece) and not _OF_THE_VERDICT.search(piece))
            or uncited_fault(
                piece, case.findings, case.regions, case.label, case.probabilities, case.image_size
            )
            for piece in plain
        )

    def _claims(self, text: str, findings: Sequence[Finding], check: Callable[[], None]) -> list[Claim]:
        """The claims of an answer, checked."""
        examination = self.examination
        return [
            verify(
                claim,
                findings,
                examination.regions,
                examination.verdict.label,
                image_size=(examination.image.width, examination.image.height),
                region_test=lambda region: self._looks.masked(region, check),
            )
            for claim in parse_reply(text)
            if isinstance(claim, ParsedClaim)
        ]


def _case_of(said: Examination) -> Case:
    return Case(
        said.findings,
        said.regions,
        said.verdict.label,
        said.verdict.probabilities,
        (said.image.width, said.image.height),
        reasons=said.verdict.reasons,
        file=said.image,
    )


def _cited(text: str) -> set[str]:
    return set(re.findall(r"\b[ER]\d+\b", text))


def _uncited(sentence: str) -> set[str]:
    """Findings and regions that are named where nothing is cited."""
    return _cited(" ".join(piece for piece in parse_reply(sentence) if isinstance(piece, str)))
