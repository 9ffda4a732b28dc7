"""The low-level branch: EfficientNet-Lite0 up to stride 16 on native pixels and fixed high-pass residuals.

It sees what resizing would destroy. Backbone: Tan & Le 2019 (EfficientNet), the "Lite" form without squeeze
and excitation; residual filters after Fridrich & Kodovsky 2012 (SRM); the reliability map after Guillaro et
al. 2023 (TruFor): where the mask can be trusted, learned from where it was right.
"""

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forensic_chat.encoder.config import TRACES, EncoderConfig

# expansion, channels, repeats, stride, kernel; the stages after stride 16 are semantic and left out
STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5))


@dataclass(frozen=True)
class LowLevelOutput:
    """What the branch says of a batch of B tiles of H x W px (h = H / 8, w = W / 8)."""

    verdict: Tensor
    """(B, 3) logits: real, synthetic, tampered."""

    traces: Tensor
    """(B, len(TRACES)) logits."""

    mask: Tensor
    """(B, h, w) logits: this place was changed."""
    reliability: Tensor
    """(B, h, w) logits: the mask is right here."""
    embedding: Tensor
    """(B, 264) pooled features."""


def residual_filters() -> Tensor:
    """(3, 1, 5, 5) float32: the 5x5 and 3x3 square SRM filters and a second-order line filter, unit gain at
    the centre."""
    square5 = torch.tensor(
        [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]]
    )
    square3 = F.pad(torch.tensor([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]), (1, 1, 1, 1))
    line = F.pad(torch.tensor([[1, -2, 1]]), (1, 1, 2, 2))
    return torch.stack([square5 / 12, square3 / 4, line / 2]).unsqueeze(1).float()


def conv_bn(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(cout, eps=1e-3, momentum=0.02),
    )


class InvertedResidual(nn.Module):
    """MBConv without squeeze and excitation, ReLU6."""

    def __init__(self, cin: int, cout: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = cin * expansion
        self.expand = conv_bn(cin, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = conv_bn(wide, wide, kernel, stride, groups=wide)
        self.project = conv_bn(wide, cout, 1)
        self.skip = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x)
        if not isinstance(self.expand, nn.Identity):
            y = F.relu6(y)
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.skip else y


class LowLevelBranch(nn.Module):
    """Tiles (B, 3, H, W), float32 0..255, H and W multiples of 16 -> LowLevelOutput."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.register_buffer("filters", residual_filters().repeat(3, 1, 1, 1), persistent=False)
        self.stem = conv_bn(3, 32, 3, 2)
        self.residual_stem = conv_bn(9, 32, 3, 2)
        nn.init.zeros_(self.residual_stem[1].weight)  # at the start the branch is the pretrained network
        blocks, self.taps, cin = [], {}, 32
        for stage, (expansion, cout, repeats, stride, kernel) in enumerate(STAGES):
            for repeat in range(repeats):
                blocks.append(InvertedResidual(cin, cout, expansion, stride if repeat == 0 else 1, kernel))
                cin = cout
            self.taps[len(blocks) - 1] = stage
        self.blocks = nn.ModuleList(blocks)
        width = config.mask_width
        self.mask_neck = nn.Sequential(conv_bn(24 + 40 + 112, width, 1), nn.ReLU6())
        self.mask_mix = nn.Sequential(
            conv_bn(width, width, 5, groups=width), conv_bn(width, width, 1), nn.ReLU6()
        )
        self.mask_head = nn.Conv2d(width, 2, 1)
        self.dropout = nn.Dropout(0.2)
        self.verdict_head = nn.Linear(112 * 2 + 40, 3)
        self.trace_head = nn.Linear(112 * 2 + 40, len(TRACES))

    def forward(self, tiles: Tensor) -> LowLevelOutput:
        residual = F.conv2d(tiles, self.filters, padding=2, groups=3).clamp(-6, 6) / 3
        x = F.relu6(self.stem(tiles / 127.5 - 1) + self.residual_stem(residual))
        stages: dict[int, Tensor] = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                stages[self.taps[index]] = x
        fine, middle, coarse = stages[1], stages[2], stages[4]
        dense = torch.cat(
            [F.avg_pool2d(fine, 2), middle, F.interpolate(coarse, scale_factor=2.0, mode="nearest")], dim=1
        )
        neck = self.mask_neck(dense)
        maps = self.mask_head(neck + self.mask_mix(neck))
        pooled = torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3)), middle.mean((2, 3))], dim=1)
        hidden = self.dropout(pooled)
        return LowLevelOutput(
            self.verdict_head(hidden), self.trace_head(hidden), maps[:, 0], maps[:, 1], pooled
        )

    def load_backbone(self, pretrained: dict[str, Tensor]) -> None:
        """Take stem and blocks from an EfficientNet-Lite0 state dict (ImageNet); raises KeyError if one is
        missing."""
        own = self.state_dict()
        for name in own:
            if name.startswith(("stem.", "blocks.")) and not name.endswith("num_batches_tracked"):
                own[name] = pretrained[backbone_name(name)]
        self.load_state_dict(own)

    def fused(self) -> "LowLevelBranch":
        """Fold every batch norm into its convolution, in place, for inference."""
        for module in self.modules():
            if (
                isinstance(module, nn.Sequential)
                and len(module) >= 2
                and isinstance(module[1], nn.BatchNorm2d)
            ):
                module[0] = torch.nn.utils.fusion.fuse_conv_bn_eval(module[0], module[1])
                module[1] = nn.Identity()
        return self


def backbone_name(name: str) -> str:
    """Our parameter's name -> its name in the EfficientNet-Lite0 state dict."""
    if name.startswith("stem."):
        return name.replace("stem.0.", "_conv_stem.").replace("stem.1.", "_bn0.")
    parts = re.fullmatch(r"blocks\.(\d+)\.(expand|depthwise|project)\.([01])\.(.+)", name)
    if parts is None:
        raise KeyError(name)
    index, part, kind, rest = parts.groups()
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    return f"_blocks.{index}.{f'_{part}_conv' if kind == '0' else norm}.{rest}"
