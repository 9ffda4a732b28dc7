"""What is measured: the product as shipped, or with an encoder that `train.fit_verdict` wrote; and several language
models over one encoder.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from forensic_chat.encoder.calibration import Calibration
from forensic_chat.encoder.loading import load as load_encoder
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.errors import UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.imaging.intake import Source
from forensic_chat.settings import settings
from forensic_chat.stopping import Stopping
from forensic_chat.weights import base, fingerprint, shipped

if TYPE_CHECKING:
    from forensic_chat.judgement import Judgement
    from forensic_chat.mllm.backends.base import Backend

SHIPPED = "embedded"


class Trained(Examiner):
    """The product with the encoder and operating points of a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @cached_property
    def _seeing(self) -> tuple[Encoder, Calibration]:
        return load_encoder(self._folder, base("clip-tower-int8") / "tower.onnx", settings().threads)

    @cached_property
    def models(self) -> dict[str, str]:
        return super().models | {"encoder": fingerprint(self._folder)}


class Once(Examiner):
    """`first`, which looks at an image once, however often in a row it is asked for; with a `backend` of its own,
    another language model over the same looks."""

    def __init__(self, first: Examiner, backend: "Backend | None" = None) -> None:
        super().__init__(backend=backend)
        self._first = first
        self._last: tuple[Source, tuple[Judgement, dict[str, float]]] | None = None

    @property
    def _seeing(self) -> tuple[Encoder, Calibration]:
        return self._first._seeing

    @property
    def models(self) -> dict[str, str]:
        return self._first.models

    @property
    def backend(self) -> "Backend":
        return self._first.backend if self._given is None else super().backend

    def _judge(
        self, source: Source, name: str | None, check: Stopping
    ) -> "tuple[Judgement, dict[str, float]]":
        if self._last is None or self._last[0] != source:
            self._last = source, self._first._judge(source, name, check)
        return self._last[1]


def encoder_folder(model: str) -> Path:
    """Where the weights and frozen thresholds of `model` lie."""
    return shipped() / "encoder" if model == SHIPPED else Path(model)


def load(model: str) -> Examiner:
    """`embedded`, or a folder. Raises UsageError, WeightsUnavailable, WeightsCorrupted."""
    if model == SHIPPED:
        return Examiner.load()
    if not (Path(model) / "calibration.json").is_file():
        raise UsageError(
            f"--model {model} is neither {SHIPPED} nor a folder that train.fit_verdict wrote (no calibration.json)"
        )
    examiner = Trained(Path(model))
    examiner.encoder  # noqa: B018  (loads it)
    return examiner
