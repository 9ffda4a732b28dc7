"""The shipped encoder, assembled from its trained weights and the pinned base weights."""

from pathlib import Path

from forensic_chat.encoder.calibration import Calibration
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.maskhead import MaskHeads
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.encoder.tower import Tower
from forensic_chat.encoder.verdict import VerdictHead
from forensic_chat.errors import WeightsCorrupted


def load(directory: Path, tower_graph: Path, threads: int | None = None) -> tuple[Encoder, Calibration]:
    """Read `directory` (config.json, maskheads.safetensors, verdict.safetensors, calibration.json).

    threads: CPU threads of the tower and the heads, and so of all that torch does in this process. Raises
    WeightsCorrupted when a file is missing or does not fit the code.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if threads is not None:
        torch.set_num_threads(threads)

    try:
        config = EncoderConfig.load(directory)
        mask_heads = MaskHeads(config)
        mask_heads.load_state_dict(load_file(directory / "maskheads.safetensors"))
        head = VerdictHead.load(directory / "verdict.safetensors")
        calibration = Calibration.load(directory / "calibration.json")
    except (OSError, RuntimeError, TypeError, KeyError, ValueError, SafetensorError) as error:
        raise WeightsCorrupted(
            f"the encoder's weights can't be read ({type(error).__name__}); install the package again"
        ) from error
    return Encoder(config, mask_heads.eval(), Tower(tower_graph, threads), head), calibration
