"""Shape of the artifact-aware encoder; saved as `config.json` beside its weights."""

from typing import Any

from transformers import PretrainedConfig

TRACES = ("generated", "splice", "copymove", "inpaint", "resynthesis", "retouch")
"""Trace types the low-level branch scores, in the order of its outputs (multi-label)."""


class EncoderConfig(PretrainedConfig):
    """Both branches and how their outputs are gathered.

    tapped_blocks: blocks of the CLIP tower (1-based count of blocks run) whose CLS tokens are read.
    view_size: side in px of what the tower reads; max_crops: native crops read beside the overview.
    tile_size, tile_overlap: px; the low-level branch reads the whole image in such native tiles.
    mask_stride: px of the image a mask cell covers.
    """

    model_type = "forensic_chat_encoder"

    def __init__(
        self,
        tapped_blocks: tuple[int, ...] = (6, 7, 8, 9, 10),
        view_size: int = 224,
        max_crops: int = 4,
        tile_size: int = 512,
        tile_overlap: int = 64,
        mask_stride: int = 8,
        mask_width: int = 96,
        **kwargs: Any,
    ) -> None:
        self.tapped_blocks = tuple(tapped_blocks)
        self.view_size = view_size
        self.max_crops = max_crops
        self.tile_size = tile_size
        self.tile_overlap = tile_overlap
        self.mask_stride = mask_stride
        self.mask_width = mask_width
        super().__init__(**kwargs)
