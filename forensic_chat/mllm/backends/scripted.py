"""A backend without a model: the same conversation always gets the same answer, written from its findings.

For tests, demonstrations and machines without weights. It reads nothing but the conversation's text, so it
also shows that a prompt holds all that an answer needs.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from random import Random

from forensic_chat.data.dialogues import Case, verdict_answer
from forensic_chat.data.followups import no_answer, recognised
from forensic_chat.data.protocol import RARE, SCORES, VERDICT_QUESTION
from forensic_chat.mllm.backends.base import Conversation, cancelled, too_late
from forensic_chat.mllm.prompts import Part, Turn, messages
from forensic_chat.schema import CLASSES, Finding, Label, Probabilities, Region

_FINDING = re.compile(
    r'(E\d+) (\S+) ("[^"]*"|\S+) (real|synthetic|tampered|neutral)(?: (rare|weak|moderate|strong))?(?: (R\d+))?'
)
_REGION = re.compile(r"(R\d+) \[(\d+),(\d+),(\d+),(\d+)\] ([\d.]+)% ([\d.]+)")
_SIZE = re.compile(r"Overview (\d+)x(\d+):")
_VERDICT = re.compile(r"(real|synthetic|tampered|inconclusive) (\d\.\d+)")
_STRENGTHS = {"rare": RARE, "weak": 0.25, "moderate": 0.55, "strong": 0.85}


class ScriptedBackend:
    """See `backends.base.Backend`."""

    concurrent = False
    any_words = True

    @property
    def models(self) -> dict[str, str]:
        return {"language": "scripted"}

    def verdict_probabilities(self, conversation: Conversation) -> dict[str, float]:
        """The encoder's scores as the prompt lists them; a third each where it lists none."""
        values = {finding.kind: finding.value for finding in read(conversation.turns[0])[0]}
        scores = [values.get(f"encoder.{label}") for label in ("synthetic", "tampered")]
        if not all(isinstance(score, int | float) for score in scores):
            return dict.fromkeys(CLASSES, 1 / 3)
        synthetic, tampered = (min(1.0, max(0.0, float(score or 0))) for score in scores)
        weights = {"real": max(0.0, 1 - synthetic - tampered), "synthetic": synthetic, "tampered": tampered}
        total = sum(weights.values())
        return {label: weight / total for label, weight in weights.items()}

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
        """As `Backend.generate`; a token is a word. What it writes has the form of `mllm.grammar` anyway."""
        end = None if deadline is None else time.monotonic() + deadline

        def pieces() -> Iterator[str]:
            answer = self._answer(conversation, prefix)
            for piece in re.findall(r"\s*\S+", answer)[:max_new_tokens]:
                if cancel is not None and cancel.is_set():
                    raise cancelled()
                if end is not None and deadline is not None and time.monotonic() >= end:
                    raise too_late(deadline)
                yield piece

        return pieces()

    def _answer(self, conversation: Conversation, prefix: str) -> str:
        turns = conversation.turns
        findings, regions, size = read(turns[0])
        opinion = self.verdict_probabilities(conversation)
        first = prefix or next((_text(turn) for turn in turns if turn.role == "assistant"), "")
        label, probabilities = _verdict(first, opinion)
        earlier = [_text(turn) for turn in turns if turn.role == "assistant"]
        asked = [_text(turn) for turn in turns[1:-1] if turn.role == "user"]
        case = Case(findings, regions, label, probabilities, size, questions=asked, earlier=earlier)
        question = _text(turns[-1])
        rng = Random(sha256((_text(turns[0]) + question).encode()).hexdigest())
        if not findings:
            return (
                f"{label} {max(opinion.values()):.2f}\n"[len(prefix) :] + "There are no findings to report."
            )
        if len(turns) == 1 or question == VERDICT_QUESTION:
            whole = verdict_answer(case, rng)
            return whole.partition("\n")[2] if prefix else whole
        known = recognised(question, case)
        return known.answer(case, rng) if known else no_answer(case, rng)


def read(turn: Turn) -> tuple[list[Finding], list[Region], tuple[int, int]]:
    """The findings, regions and image size that an opening turn lists; strengths are those of their words."""
    text = _text(turn)
    regions = [
        Region(
            id=name,
            box=(int(x0), int(y0), int(x1), int(y1)),
            area=min(1.0, float(area) / 100),
            score=min(1.0, float(score)),
        )
        for line in text.splitlines()
        if (match := _REGION.fullmatch(line))
        for name, x0, y0, x1, y1, area, score in [match.groups()]
    ]
    findings = [
        Finding.model_validate(
            {
                "id": name,
                "kind": kind,
                "summary": f"{kind}: {value}",
                "value": _value(value),
                "supports": supports,
                "strength": _strength(kind, _value(value), word),
                "false_alarm_rate": 1.0,
                "region": region,
            }
        )
        for line in text.splitlines()
        if (match := _FINDING.fullmatch(line))
        for name, kind, value, supports, word, region in [match.groups()]
    ]
    size = _SIZE.search(text)
    return findings, regions, (int(size[1]), int(size[2])) if size else (1, 1)


def _strength(kind: str, value: float | int | str | None, word: str | None) -> float:
    """That of a learned score is its value; of others, what the word stands for."""
    if kind in SCORES and isinstance(value, int | float):
        return min(1.0, max(0.0, float(value)))
    return _STRENGTHS.get(word or "", 0.0)


def _text(turn: Turn) -> str:
    """The text of a turn as the template would render it."""
    parts: list[Part] = messages([turn])[-1]["content"]
    return "\n".join(part["text"] for part in parts if part["type"] == "text").strip()


def _value(text: str) -> float | int | str | None:
    if text.startswith('"'):
        return text[1:-1]
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _verdict(first: str, opinion: dict[str, float]) -> tuple[Label, Probabilities]:
    """Label and probabilities from the first line of the first answer, else from the opinion."""
    match = _VERDICT.match(first)
    if match is None:
        return max(CLASSES, key=lambda name: opinion[name]), Probabilities.model_validate(opinion)
    figure = float(match[2])
    if match[1] == "inconclusive":
        return "inconclusive", Probabilities(real=1 - figure, synthetic=figure, tampered=0.0)
    said: Label = next(name for name in CLASSES if name == match[1])
    values = dict.fromkeys(CLASSES, (1 - figure) / 2)
    values[said] = figure
    return said, Probabilities.model_validate(values)
