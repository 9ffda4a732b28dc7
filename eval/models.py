"""What is measured: the product as shipped, or with an encoder that `train.fit_verdict` wrote."""

from functools import cached_property
from pathlib import Path

from forensic_chat.encoder.calibration import Calibration
from forensic_chat.encoder.loading import load as load_encoder
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.errors import UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.settings import settings
from forensic_chat.weights import base, fingerprint, shipped

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
