"""How much an attack changed a picture: PSNR, SSIM, and a distance of features."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Pixels = NDArray[np.uint8]
STRIDES = (1, 2, 1, 2, 1)
"""Of EfficientNet-Lite0's first five blocks."""


def psnr(a: Pixels, b: Pixels) -> float:
    """dB; infinite for equal pictures."""
    error = float(np.square(a.astype(np.float64) - b).mean())
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def ssim(a: Pixels, b: Pixels) -> float:
    """Wang et al. 2004: Gaussian window of 11 px and sigma 1.5, mean over pixels and the channels of RGB."""

    def local(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT), np.float64)

    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    both = local(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


class FeatureDistance:
    """Like LPIPS (Zhang et al. 2018) without its learned weights: ImageNet features of EfficientNet-Lite0.

    At the stem and after blocks 1, 3 and 5, features are scaled to unit length over their channels at every
    position; the distance is the mean over positions of the squared difference, averaged over the four. 0 for equal
    pictures, at most 4. A network that no attack here looks at.
    """

    def __init__(self) -> None:
        from safetensors.torch import load_file

        from forensic_chat.weights import base

        self._state = load_file(base("efficientnet-lite0") / "efficientnet_lite0.safetensors")

    def __call__(self, a: Pixels, b: Pixels) -> float:
        with torch.inference_mode():
            pairs = [self._features(torch.from_numpy(np.ascontiguousarray(x))) for x in (a, b)]
            gaps = [(x - y).square().sum(1).mean() for x, y in zip(*pairs, strict=True)]
        return float(torch.stack(gaps).mean())

    def _features(self, pixels: Tensor) -> list[Tensor]:
        x = (pixels.permute(2, 0, 1)[None].float() - 127) / 128
        x = self._layer(x, "_conv_stem", "_bn0", 2).clamp(0, 6)
        taps = [x]
        for k, stride in enumerate(STRIDES):
            y, name = x, f"_blocks.{k}."
            if f"{name}_expand_conv.weight" in self._state:
                y = self._layer(y, f"{name}_expand_conv", f"{name}_bn0", 1).clamp(0, 6)
            y = self._layer(y, f"{name}_depthwise_conv", f"{name}_bn1", stride).clamp(0, 6)
            y = self._layer(y, f"{name}_project_conv", f"{name}_bn2", 1)
            x = x + y if x.shape == y.shape else y
            if k % 2 == 0:
                taps.append(x)
        return [F.normalize(tap, dim=1) for tap in taps]

    def _layer(self, x: Tensor, conv: str, norm: str, stride: int) -> Tensor:
        """A convolution padded so that ceil(side / stride) is left, and its batch normalisation."""
        weight = self._state[f"{conv}.weight"]
        kernel = weight.shape[2]
        gaps = [max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in x.shape[2:]]
        around = (gaps[1] // 2, gaps[1] - gaps[1] // 2, gaps[0] // 2, gaps[0] - gaps[0] // 2)
        groups = x.shape[1] // weight.shape[1]
        x = F.conv2d(F.pad(x, around), weight, stride=stride, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self._state[f"{norm}.{name}"] for name in names), eps=1e-3)
