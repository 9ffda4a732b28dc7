"""The systems that can stand in one table: our own Examiner in its forms, a file of answers, an endpoint."""

import copy
import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from eval.explanation.answers import Given, System
from eval.explanation.endpoint import Endpoint, EndpointConfig
from eval.explanation.facts import Evidence
from eval.explanation.items import Item
from eval.models import Once
from eval.rows import DECIDES, made_by
from forensic_chat.data.protocol import answer_prefix
from forensic_chat.errors import AnswerUnparsable, UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.schema import CLASSES, Claim, Examination, Finding, Region

if TYPE_CHECKING:
    from forensic_chat.dialogue import Dialogue
    from forensic_chat.mllm.backends.base import Backend

SPEAKS = (
    "mllm",
    "telling.py",
    "dialogue.py",
    "data/case.py",
    "data/followups",
    "data/languages.py",
    "data/protocol.py",
    "data/questions",
    "data/rationales.py",
    "data/sayings.py",
    "data/sentences",
    "data/statements.py",
    "data/terms.py",
)
"""The parts of the package on which words depend, beside those on which verdicts do."""
BY_CODE = "the rationale was written by code"
"""How the product's warning begins when the model's own could not be read as claims."""


class ExaminerSystem:
    """Our product as a user gets it: examined once, each item a conversation of its own about the image.

    A rationale that code wrote as a whole in the model's place is not the model's: only its verdict line counts.
    Claims that code adds where the model's fail, and answers that it composes, count: a user reads them.
    """

    def __init__(self, examiner: Examiner, name: str = "embedded", family: str = "SmolLM") -> None:
        self.name, self.family = name, family
        self._examiner = examiner
        self._opened: tuple[str, Dialogue] | None = None

    @cached_property
    def models(self) -> dict[str, str]:
        return self._examiner.models | self._examiner.backend.models

    @cached_property
    def maker(self) -> str:
        return made_by(self.models, (*DECIDES, *SPEAKS))

    def answer(self, item: Item) -> Given:
        key = str(item.example.path)
        if self._opened is None or self._opened[0] != key:
            self._opened = (key, self._examiner.open(item.example.path))
        # a dialogue replaces its conversation, never changes it: a copy goes its own way
        dialogue = copy.copy(self._opened[1])
        examination = dialogue.examination
        note = next((warning for warning in examination.warnings if warning.startswith(BY_CODE)), None)
        answers = [opening(examination, with_claims=note is None)]
        for question in item.turns[1:]:
            reply = dialogue.ask(question)
            for _ in reply:
                pass
            answers.append(reply.text)
        return Given(answers, Evidence(examination.findings, examination.regions), note)


def opening(examination: Examination, *, with_claims: bool) -> str:
    """The answer to the verdict question, as the conversation holds it."""
    prefix = answer_prefix(examination.verdict.label, examination.verdict.probabilities)
    claims = examination.rationale.claims if examination.rationale and with_claims else []
    return prefix + "\n".join(f"- {_cited(claim)}" for claim in claims)


def _cited(claim: Claim) -> str:
    names = [*claim.findings, *([claim.region] if claim.region else [])]
    return " ".join([claim.text, "".join(f"[{name}]" for name in names)]).strip()


class Template:
    """The plain-probability baseline: the encoder's likeliest class in the same words for every image, and no
    more."""

    name, family = "template", "code"

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner
        self._seen: tuple[str, Examination] | None = None

    @cached_property
    def models(self) -> dict[str, str]:
        return dict(self._examiner.models)

    @cached_property
    def maker(self) -> str:
        source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        return made_by(self.models | {"template": source})

    def answer(self, item: Item) -> Given:
        key = str(item.example.path)
        if self._seen is None or self._seen[0] != key:
            self._seen = (key, self._examiner.examine(item.example.path, rationale=False))
        examination = self._seen[1]
        chances = examination.verdict.probabilities.model_dump()
        label = max(CLASSES, key=chances.__getitem__)
        first = f"{label} {chances[label]:.2f}\nThe image was classified as {label} by a trained network."
        again = f"The verdict is {label}, with probability {chances[label]:.2f}."
        evidence = Evidence(examination.findings, examination.regions)
        return Given([first, *[again] * (len(item.turns) - 1)], evidence)


def untuned() -> "Backend":
    """The embedded language model without its LoRA adapter; the projector, without which it sees nothing, is
    the trained one."""
    from forensic_chat.mllm.backends.transformers import TransformersBackend
    from forensic_chat.mllm.loading import FOLDER, PROJECTOR, assemble, load_projector
    from forensic_chat.weights import base, fingerprint, shipped

    folder = base("llava")
    model, processor = assemble(folder)
    load_projector(model, shipped() / FOLDER / PROJECTOR)
    names = {"language": fingerprint(folder), "projector": fingerprint(shipped() / FOLDER)}
    return TransformersBackend(model, processor, names)


class Recorded:
    """A file of answers, one object a line: {"id": ITEM, "answers": [...]}, in any order.

    It may also hold "findings" and "regions" of the contract's form, which are what citations are held
    against, and a "family". Raises UsageError for a file that can't be read.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._rows, self.maker = _recorded(path)
        families = {str(row.get("family", "")) for row in self._rows.values()} - {""}
        self.family = " + ".join(sorted(families))
        self.models = {path.name: self.maker}

    def answer(self, item: Item) -> Given:
        row = self._rows.get(item.id)
        if row is None:
            raise AnswerUnparsable("the file holds no answer to this item")
        try:
            findings = [Finding.model_validate(f) for f in row.get("findings", [])]
            regions = [Region.model_validate(r) for r in row.get("regions", [])]
        except ValidationError:
            raise AnswerUnparsable("its findings or regions are not of the contract's form") from None
        return Given(row["answers"], Evidence(findings, regions))


def _recorded(path: Path) -> tuple[dict[str, dict[str, Any]], str]:
    try:
        data = path.read_bytes()
    except OSError:
        raise UsageError(
            f"{path.name} can't be read; write the answers to OUT/items.jsonl into it, one object a line"
        ) from None
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            answers = row["answers"]
            if not isinstance(row["id"], str) or not all(isinstance(a, str) for a in answers):
                raise TypeError
        except (ValueError, TypeError, KeyError):
            raise UsageError(
                f'{path.name} line {number} is not {{"id": "...", "answers": ["...", ...]}}; correct it'
            ) from None
        rows[row["id"]] = row
    return rows, hashlib.sha256(data).hexdigest()


def named(name: str, examiner: Callable[[], Examiner]) -> System:
    """embedded, embedded-base, template, FILE.jsonl with answers, or FILE.yaml with an endpoint.

    examiner: called when one is needed; all systems should get the same `Once`, so that an image is examined once for
    all. Raises UsageError for another name.
    """
    path = Path(name)
    match path.suffix:
        case ".jsonl":
            return Recorded(path)
        case ".yaml" | ".yml":
            return Endpoint(EndpointConfig.load(path))
    if name == "embedded":
        return ExaminerSystem(examiner())
    if name == "embedded-base":
        return ExaminerSystem(Once(examiner(), untuned()), name)
    if name == "template":
        return Template(examiner())
    raise UsageError(
        f"there is no system {name!r}: write embedded, embedded-base, template, a .jsonl file of answers, or a "
        ".yaml file that describes an endpoint"
    )
