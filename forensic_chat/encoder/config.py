"""Shape of the artifact-aware encoder; saved as `config.json` beside its weights."""

from typing import Any

from transformers import PretrainedConfig

TRACES = ("generated", "splice", "copymove", "inpaint", "resynthesis", "retouch")
"""Trace types the mask head scores, in the order of its outputs (multi-label)."""


class EncoderConfig(PretrainedConfig):
    """What the frozen tower reads of an image, and the size of the heads on it.

    tapped_blocks: blocks of the CLIP tower (1-based count of blocks run) whose CLS and mean patch tokens the
    verdict reads; mask_blocks: those of them whose patch tokens the mask heads read. view_size: side in px of
    what the tower reads; max_crops: native crops read beside the overview. mask_stride: px of the image that a
    mask cell covers; mask_width: channels of a mask head; mask_heads: how many of either kind are heard together.
    mask_mix: logits of the mask that is shown are so many times those of the heads that read tokens, so many times
    those of the heads that read residuals, and so much more.
    """

    model_type = "forensic_chat_encoder"

    def __init__(
        self,
        tapped_blocks: tuple[int, ...] = (6, 7, 8, 9, 10),
        view_size: int = 224,
        max_crops: int = 4,
        mask_blocks: tuple[int, ...] = (6, 8, 10),
        mask_stride: int = 8,
        mask_width: int = 96,
        mask_heads: int = 2,
        mask_mix: tuple[float, float, float] = (1.0, 1.0, 2.0),
        **kwargs: Any,
    ) -> None:
        self.tapped_blocks = tuple(tapped_blocks)
        self.view_size = view_size
        self.max_crops = max_crops
        self.mask_blocks = tuple(mask_blocks)
        self.mask_stride = mask_stride
        self.mask_width = mask_width
        self.mask_heads = mask_heads
        self.mask_mix = tuple(mask_mix)
        super().__init__(**kwargs)

    @property
    def picked(self) -> list[int]:
        """Indices of `mask_blocks` among `tapped_blocks`."""
        return [self.tapped_blocks.index(block) for block in self.mask_blocks]
