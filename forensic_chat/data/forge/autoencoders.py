"""Small convolutional autoencoders: a photo passed through one keeps its content and gains a decoder's traces.

Such pairs (photo, reconstruction) leave a detector nothing but those traces to learn. Decoders differ in what
the field's do: how they upsample (Odena et al., Deconvolution and Checkerboard Artifacts, 2016, compare the
ways), the latent's size, and whether it is Gaussian (Kingma & Welling, Auto-Encoding Variational Bayes, 2014) or
a sequence of codes (van den Oord et al., Neural Discrete Representation Learning, 2017). `train.autoencoders`
trains them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from forensic_chat.data.forge.forgery import Pixels
from forensic_chat.errors import UsageError

Hole = NDArray[np.bool_]
"""(H, W), True where pixels are to be invented."""


@dataclass(frozen=True)
class Design:
    bottleneck: Literal["kl", "vq"]
    upsampling: Literal["nearest", "bilinear", "transposed", "shuffle"]
    """The family: hold whole families out, not members, to measure transfer to unseen decoders."""
    factor: Literal[4, 8]
    """Photo pixels per latent pixel, along each side."""
    channels: int
    """Of the latent; for "vq" a multiple of 4: every 4 are one of 256 codes."""
    seed: int
    fills_holes: bool = False
    """Trained to invent what a mask hides."""


DESIGNS: dict[str, Design] = {
    "kl-nearest-4x": Design("kl", "nearest", 4, 8, 1),
    "vq-transposed-4x": Design("vq", "transposed", 4, 16, 2),
    "kl-shuffle-8x": Design("kl", "shuffle", 8, 40, 3),
    "vq-bilinear-4x": Design("vq", "bilinear", 4, 12, 4),
    "kl-transposed-8x": Design("kl", "transposed", 8, 48, 5),
    "vq-shuffle-4x": Design("vq", "shuffle", 4, 16, 6),
    "kl-nearest-8x-fill": Design("kl", "nearest", 8, 32, 7, fills_holes=True),
}
"""Name -> design of the shipped recipe."""

_WIDTHS = {1: 16, 2: 32, 4: 64, 8: 96}
"""Feature channels at each stride."""
_CODES, _CODE_SIZE = 256, 4
_DRIFT = 4.0
"""px, sigma; the patterns of an upsampling by 8 or less are finer and stay as they are."""


class Residual(nn.Module):
    """x + two 3x3 convolutions; the second starts at zero, so no normalisation is needed, and what happens
    at one place never depends on the rest of the photo."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class Codes(nn.Module):
    """Replaces every 4 channels by the nearest of 256 learnt vectors; gradients pass straight through."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = channels // _CODE_SIZE
        self.book = nn.Parameter(torch.randn(self.groups, _CODES, _CODE_SIZE))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) -> the same of codes, and the loss that draws codes and latents together."""
        batch, channels, height, width = z.shape
        # Unit scale over the channels keeps latents within reach of the codes.
        z = F.layer_norm(z.permute(0, 2, 3, 1).float(), (channels,))
        flat = z.reshape(-1, self.groups, _CODE_SIZE).transpose(0, 1)
        book = self.book.float()
        distance = book.square().sum(2)[:, None] - 2 * flat @ book.transpose(1, 2)
        index = distance.argmin(2)
        codes = torch.gather(book, 1, index[..., None].expand(-1, -1, _CODE_SIZE))
        loss = F.mse_loss(codes, flat.detach()) + 0.25 * F.mse_loss(flat, codes.detach())
        passed = flat + (codes - flat).detach()
        latent = passed.transpose(0, 1).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
        return latent, 0.1 * loss


def _up(cin: int, cout: int, upsampling: str) -> nn.Module:
    """Doubles both sides."""
    if upsampling == "transposed":
        return nn.ConvTranspose2d(cin, cout, 4, stride=2, padding=1)
    if upsampling == "shuffle":
        return nn.Sequential(nn.Conv2d(cin, 4 * cout, 3, padding=1), nn.PixelShuffle(2))
    # "nearest" or "bilinear"
    return nn.Sequential(nn.Upsample(scale_factor=2, mode=upsampling), nn.Conv2d(cin, cout, 3, padding=1))


class Autoencoder(nn.Module):
    """Photos (B, 3, H, W), float -1..1, sides multiples of the factor -> the same, made anew.

    One that fills holes takes a fourth channel: 1 where the photo is hidden (its pixels 0 there), else 0.
    """

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        deepest, latent = _WIDTHS[design.factor], design.channels
        dilations = (2, 4) if design.fills_holes else ()
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(2),
            nn.Conv2d(16 if design.fills_holes else 12, _WIDTHS[2], 3, padding=1),
        ]
        stride = 2
        while stride < design.factor:
            layers += [nn.ReLU(), nn.Conv2d(_WIDTHS[stride], _WIDTHS[2 * stride], 3, 2, 1)]
            stride *= 2
            layers.append(Residual(_WIDTHS[stride]))
        # A hole is bridged by what dilation lets a place see.
        layers += [Residual(deepest, dilation) for dilation in dilations]
        layers += [nn.ReLU(), nn.Conv2d(deepest, 2 * latent if design.bottleneck == "kl" else latent, 1)]
        self.encoder = nn.Sequential(*layers)
        self.codes = Codes(latent) if design.bottleneck == "vq" else None
        layers = [nn.Conv2d(latent, deepest, 3, padding=1)]
        layers += [Residual(deepest, dilation) for dilation in (*dilations, 1, 1)]
        while stride > 1:
            layers += [nn.ReLU(), _up(_WIDTHS[stride], _WIDTHS[stride // 2], design.upsampling)]
            stride //= 2
            if stride > 1:
                layers.append(Residual(_WIDTHS[stride]))
        layers += [nn.ReLU(), nn.Conv2d(_WIDTHS[1], 3, 3, padding=1)]
        self.decoder = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The photos made anew, and the bottleneck's part of the loss."""
        z = self.encoder(x)
        if self.codes is not None:
            latent, loss = self.codes(z)
            return self.decoder(latent), loss
        mean, log_variance = z.float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-20, 10)
        noise = (log_variance / 2).exp() * torch.randn_like(mean) if self.training else 0
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).mean() / 2
        return self.decoder(mean + noise), 1e-5 * divergence


def save(model: Autoencoder, path: Path, record: Mapping[str, float]) -> None:
    """One safetensors file that says its own design; `record` (steps, PSNR) is kept beside it."""
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    metadata = {"design": json.dumps(asdict(model.design)), "record": json.dumps(dict(record))}
    save_file(weights, path, metadata)


def load(folder: Path) -> dict[str, Autoencoder]:
    """Every autoencoder of a folder by its name, in the order of their names, ready to use.

    Raises UsageError when there is none, or a file is not one.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise UsageError(
            f"{folder.name} holds no autoencoders; train them with "
            f"python -m train.autoencoders --data CORPUS --out {folder.name}"
        )
    return {path.stem: _load(path) for path in paths}


def _load(path: Path) -> Autoencoder:
    try:
        with safe_open(path, "pt") as file:
            model = Autoencoder(Design(**json.loads(file.metadata()["design"])))
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError):
        raise UsageError(f"{path.name} is not an autoencoder of train.autoencoders; train it again") from None
    model.eval()
    return model


def remade(photo: Pixels, model: Autoencoder, rng: np.random.Generator, hole: Hole | None = None) -> Pixels:
    """`photo` (H, W, 3) passed through `model`; with `hole`, what lies in it is invented from around it.

    Without one, colours are put back to the photo's at scales of 8 px and more: a small network's drift
    in colour is no trace of a decoder, and would be the first thing a detector learns. The latent's grid
    falls at a random phase against the photo's, as after a crop. Only a model that fills holes takes one
    (ValueError).
    """
    if hole is not None and not model.design.fills_holes:
        raise ValueError("this autoencoder was not trained to fill holes")
    height, width = photo.shape[:2]
    factor = model.design.factor
    # One latent pixel more than needed on every side keeps zero padding out of the picture.
    top, left = (int(rng.integers(factor, 2 * factor)) for _ in range(2))
    bottom, right = 2 * factor + -(height + top) % factor, 2 * factor + -(width + left) % factor
    around = ((top, bottom), (left, right))
    x = torch.from_numpy(np.pad(photo, (*around, (0, 0)), mode="symmetric")).permute(2, 0, 1)[None]
    x = x.float() / 127.5 - 1
    if model.design.fills_holes:
        hidden = np.zeros((height, width), bool) if hole is None else hole
        mask = torch.from_numpy(np.pad(hidden, around, mode="symmetric"))[None, None].float()
        x = torch.cat([x * (1 - mask), mask], dim=1)
    with torch.inference_mode():
        made = model(x)[0][0].permute(1, 2, 0)
    values = ((made + 1) * 127.5).numpy()[top : top + height, left : left + width]
    if hole is None:
        values = values + cv2.GaussianBlur(photo - values, (0, 0), _DRIFT)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
