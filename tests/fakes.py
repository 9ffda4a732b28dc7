"""A scripted examiner: real intake, invented results, so that the faces can be tested without any model."""

import base64
import io
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageDraw

from forensic_chat.errors import Cancelled
from forensic_chat.imaging.intake import take_in
from forensic_chat.schema import (
    Claim,
    Examination,
    Finding,
    ImageInfo,
    Mask,
    Probabilities,
    Rationale,
    Region,
    Verdict,
)

CLAIMS = [
    Claim(
        text="The lower left was pasted in.",
        findings=["E2"],
        region="R1",
        verified=True,
        check="E2 supports tampered",
    ),
    Claim(text="The noise is 4.0 there.", findings=["E2"], verified=False, check="E2 says 1.5"),
    Claim(text="It looks staged.", findings=[], verified=None, check="nothing in it can be checked"),
]


def examination(image: ImageInfo | None = None, *, rationale: bool = True, **changes: Any) -> Examination:
    image = image or ImageInfo(sha256="0" * 64, width=96, height=64, format="JPEG", name="a.jpg")
    box = (4, 8, 36, 40)
    return Examination(
        image=image,
        verdict=Verdict(
            label="tampered",
            probabilities=Probabilities(real=0.2, synthetic=0.1, tampered=0.7),
            fake_probability=0.8,
            confidence="likely",
        ),
        regions=[Region(id="R1", box=box, area=0.167, score=0.8)],
        mask=Mask(png=_mask(image.width, image.height, box), reliability=0.6),
        findings=[
            Finding(
                id="E1",
                kind="provenance.c2pa",
                summary="No Content Credentials; most genuine photos have none.",
                value=None,
                supports="neutral",
                strength=0.0,
                false_alarm_rate=0.0,
            ),
            Finding(
                id="E2",
                kind="noise.level",
                summary="Noise of R1 is 1.5 times the rest's.",
                value=1.5,
                supports="tampered",
                strength=0.75,
                false_alarm_rate=0.05,
                region="R1",
            ),
        ],
        rationale=Rationale(text=" ".join(c.text for c in CLAIMS), claims=CLAIMS) if rationale else None,
        models={"encoder": "0.0.0+abc"},
        timings={"intake": 0.01, "encoder": 0.2, "total": 0.21},
        warnings=["alpha channel dropped over white"],
    ).model_copy(update=changes)


def _mask(width: int, height: int, box: tuple[int, int, int, int]) -> str:
    mask, out = Image.new("L", (width, height)), io.BytesIO()
    ImageDraw.Draw(mask).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    mask.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


class Reply:
    """Streams its words; stops when it is cancelled."""

    claims = CLAIMS[:1]
    findings: tuple[Finding, ...] = ()
    warnings = ("the answer was shortened",)

    def __init__(self, question: str, cancel: threading.Event | None) -> None:
        self.question, self.cancel = question, cancel
        self.text = ""

    def __iter__(self) -> Iterator[str]:
        for word in f"You asked: {self.question}".split(" "):
            if self.cancel and self.cancel.is_set():
                raise Cancelled("stopped")
            self.text += f"{word} "
            yield f"{word} "


class FakeDialogue:
    def __init__(self, examination: Examination) -> None:
        self.examination = examination

    def ask(self, question: str, *, cancel: threading.Event | None = None) -> Reply:
        return Reply(question, cancel)

    def compare(self, other: Examination, *, cancel: threading.Event | None = None) -> Reply:
        return Reply(f"compare with {other.image.name}", cancel)


class FakeExaminer:
    """`hook` is called with each path before it is examined and may raise."""

    concurrent = False

    def __init__(self) -> None:
        self.models, self.backend = (
            {"encoder": "0.0.0+abc"},
            SimpleNamespace(models={"language": "0.0.0+def"}),
        )
        self.examined: list[str] = []
        self.hook: Callable[[Path], None] = lambda path: None

    def examine(
        self,
        source: Path | bytes,
        *,
        rationale: bool = True,
        name: str | None = None,
        cancel: threading.Event | None = None,
    ) -> Examination:
        if isinstance(source, Path):
            self.examined.append(source.name)
            self.hook(source)
        found = examination(take_in(source, name=name).info(), rationale=rationale)
        models = self.models | (self.backend.models if rationale else {})
        return found.model_copy(update={"models": models})

    def open(self, source: Path) -> FakeDialogue:
        return FakeDialogue(self.examine(source))


@pytest.fixture
def examiner(monkeypatch: pytest.MonkeyPatch) -> FakeExaminer:
    """What `from forensic_chat.examiner import Examiner` finds."""
    fake, module = FakeExaminer(), ModuleType("forensic_chat.examiner")
    module.Examiner = lambda **options: fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return fake
