"""Shape of the artifact-aware encoder; saved as `config.json` beside its weights."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TRACES = ("generated", "splice", "copymove", "inpaint", "resynthesis", "retouch")
"""Trace types the mask head scores, in the order of its outputs (multi-label)."""


@dataclass(frozen=True)
class EncoderConfig:
    """What the frozen tower reads of an image, and the size of the heads on it."""

    tapped_blocks: tuple[int, ...] = (6, 7, 8, 9, 10)
    """Blocks of the CLIP tower (1-based count of blocks run) whose CLS and mean patch tokens the verdict reads."""
    view_size: int = 224
    """Side in px of what the tower reads."""
    max_crops: int = 4
    """Native crops read beside the overview."""
    mask_blocks: tuple[int, ...] = (6, 8, 10)
    """Tapped blocks whose patch tokens the mask heads read."""
    mask_stride: int = 8
    """Pixels of the image that a mask cell covers."""
    mask_width: int = 96
    """Channels of a mask head."""
    mask_heads: int = 2
    """How many of either kind are heard together."""
    mask_mix: tuple[float, float, float] = (1.0, 1.0, 2.0)
    """Logits of the mask that is shown are so many times those of the heads that read tokens, so many times those of
    the heads that read residuals, and so much more."""

    @property
    def picked(self) -> list[int]:
        """Indices of `mask_blocks` among `tapped_blocks`."""
        return [self.tapped_blocks.index(block) for block in self.mask_blocks]

    @classmethod
    def load(cls, directory: Path) -> "EncoderConfig":
        """Of `directory`/config.json. Raises OSError, ValueError or TypeError where it can't be read."""
        stored: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        return cls(**read)

    def save(self, directory: Path) -> None:
        """What `load` reads."""
        (directory / "config.json").write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
