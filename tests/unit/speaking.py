"""An examiner whose encoder sees one spot, and language models that say what they are told to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.base import Conversation
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.schema import Examination
from tests.factories import SpotEncoder, calibration
from tests.images import grainy

BOX = (24, 16, 48, 32)
"""Where SpotEncoder looks in an image of 96 x 64 px."""


class Says(ScriptedBackend):
    """Answers everything with the same text, word by word; keeps what it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[Conversation] = []

    def generate(
        self, conversation: Conversation, *, prefix: str = "", max_new_tokens: int, **limits: Any
    ) -> Iterator[str]:
        self.asked.append(conversation)
        for k, word in enumerate(self.text.split(" ")):
            yield word if k == 0 else f" {word}"


class SaysInTurn(ScriptedBackend):
    """Answers with one text after the other; keeps how each had to begin and go on."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.heard: list[tuple[str, str]] = []

    def generate(
        self, *asked: Any, prefix: str = "", pattern: str | None = None, **limits: Any
    ) -> Iterator[str]:
        self.heard.append((prefix, pattern or ""))
        yield self.texts.pop(0)


class GivesUp(ScriptedBackend):
    """Fails after a piece."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def generate(self, *args: Any, **options: Any) -> Iterator[str]:
        yield "The"
        raise self.error


@pytest.fixture
def examiner(monkeypatch: pytest.MonkeyPatch) -> Examiner:
    monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), calibration()))
    monkeypatch.setattr(Examiner, "models", {"encoder": "spot"})
    return Examiner(backend=ScriptedBackend())


def saying(examiner: Examiner, backend: Any) -> Examiner:
    return Examiner(backend=backend)


@pytest.fixture
def forged(tmp_path: Path) -> Path:
    path = tmp_path / "forged.png"
    grainy(BOX).save(path)
    return path


def check_contract(examination: Examination) -> None:
    assert Examination.model_validate_json(examination.model_dump_json()) == examination
    known = {finding.id for finding in examination.findings}
    places = {region.id for region in examination.regions}
    assert len(known) == len(examination.findings) >= 5
    assert {finding.region for finding in examination.findings} - {None} <= places
    assert examination.timings["total"] == pytest.approx(
        sum(seconds for stage, seconds in examination.timings.items() if stage != "total"), abs=1e-3
    )
    if examination.rationale is not None:
        assert len(examination.rationale.claims) >= 2
        for claim in examination.rationale.claims:
            assert claim.check
            if claim.verified:
                assert set(claim.findings) <= known
                assert claim.region is None or claim.region in places
