"""The mask heads: where was this image changed, read off the frozen tower's patch tokens and off residuals.

A change shows against the rest of the image, so every token is read beside the image's mean token; blocks of
large depthwise convolutions (after Liu et al. 2022, ConvNeXt) carry what is seen to its surroundings. The
reliability map after Guillaro et al. 2023 (TruFor): where the mask can be trusted, learned from where it was
right. Frozen features and a light head, because tuning forgets what carries over (Ojha et al. 2023).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forensic_chat.encoder.config import TRACES, EncoderConfig
from forensic_chat.encoder.residuals import CHANNELS

NOISE = 0.1
FARTHEST = 6.0
"""Standard deviations at which a residual is cut off: flat and clipped places give wild ones."""


@dataclass(frozen=True)
class MaskOutput:
    """What the head says of a batch of B images of h x w tokens; two cells a token each way."""

    mask: Tensor
    """(B, 2h, 2w) logits: this place was changed."""
    reliability: Tensor
    """(B, 2h, 2w) logits: the mask is right here."""
    traces: Tensor
    """(B, len(TRACES)) logits."""


class Mix(nn.Module):
    """A residual block of C channels: depthwise 5x5 with holes, then two pointwise layers."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.spread = nn.Conv2d(
            channels, channels, 5, padding=2 * dilation, dilation=dilation, groups=channels
        )
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.gelu(self.widen(self.spread(self.norm(x)))))


class MaskHead(nn.Module):
    """Tokens (B, D, h, w) float32 and which of them belong to the image (B, 1, h, w) -> MaskOutput."""

    def __init__(self, dim: int, width: int, dilations: tuple[int, ...] = (1, 2, 1)) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim, 1, 1))
        self.register_buffer("scale", torch.ones(dim, 1, 1))
        self.project = nn.Conv2d(dim, width, 1)
        self.dropout = nn.Dropout2d(0.1)
        self.contrast = nn.Conv2d(2 * width, width, 1)
        self.mixes = nn.Sequential(*(Mix(width, dilation) for dilation in dilations))
        self.maps = nn.Conv2d(width, 8, 1)
        self.trace_head = nn.Linear(2 * width, len(TRACES))

    def forward(self, tokens: Tensor, inside: Tensor | None = None) -> MaskOutput:
        if inside is None:
            inside = torch.ones_like(tokens[:, :1])
        area = inside.sum((2, 3), keepdim=True)
        x = F.relu(self.project(self.standard(tokens, inside, area)))
        if self.training:  # feature noise, as in Gaussian-noise regularised heads (SP_CUP)
            x = x + NOISE * torch.randn_like(x)
        x = self.dropout(x)
        mean = (x * inside).sum((2, 3), keepdim=True) / area
        x = self.mixes(self.contrast(torch.cat([x, x - mean], 1)))
        maps = F.pixel_shuffle(self.maps(x), 2)
        spread = (x * inside).sum((2, 3)) / area[:, :, 0, 0]
        peak = x.masked_fill(inside == 0, -1e4).amax((2, 3))
        return MaskOutput(maps[:, 0], maps[:, 1], self.trace_head(torch.cat([spread, peak], 1)))

    def standard(self, tokens: Tensor, inside: Tensor, area: Tensor) -> Tensor:
        """What `project` reads; area (B, 1, 1, 1): how many tokens belong to the image."""
        return (tokens - self.mean) / self.scale


class ResidualHead(MaskHead):
    """Reads residuals (B, CHANNELS, h, w), and each again relative to the image's own mean and spread of it."""

    def __init__(self, width: int) -> None:
        super().__init__(CHANNELS, width, (1, 2, 3))
        self.project = nn.Conv2d(2 * CHANNELS, width, 1)

    def standard(self, tokens: Tensor, inside: Tensor, area: Tensor) -> Tensor:
        x = super().standard(tokens, inside, area).clamp(-FARTHEST, FARTHEST) * inside
        off = (x - x.sum((2, 3), keepdim=True) / area) * inside
        spread = (off.square().sum((2, 3), keepdim=True) / area).sqrt()
        return torch.cat([x, off / (spread + 0.1)], 1)


class MaskHeads(nn.Module):
    """Heads that were trained on different sources, heard together: the mean of their logits.

    Called, it says what tokens tell, which is what the verdict reads; `sharpened` joins what residuals tell of the
    place. By themselves residuals hardly tell whether an image was changed.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        dim, width = 768 * len(config.mask_blocks), config.mask_width
        self.heads = nn.ModuleList(MaskHead(dim, width) for _ in range(config.mask_heads))
        self.residual_heads = nn.ModuleList(ResidualHead(width) for _ in range(config.mask_heads))
        self.mix = config.mask_mix

    def forward(self, tokens: Tensor) -> MaskOutput:
        said = [head(tokens) for head in self.heads]
        return MaskOutput(
            torch.stack([output.mask for output in said]).mean(0),
            torch.stack([output.reliability for output in said]).mean(0),
            torch.stack([output.traces for output in said]).mean(0),
        )

    def sharpened(self, mask: Tensor, residuals: Tensor) -> Tensor:
        """Logits (B, 2h, 2w) of a mask read off tokens, and residuals (B, CHANNELS, h, w) -> logits (B, 2h, 2w)."""
        of_tokens, of_residuals, bias = self.mix
        below = torch.stack([head(residuals).mask for head in self.residual_heads]).mean(0)
        return of_tokens * mask + of_residuals * below + bias
