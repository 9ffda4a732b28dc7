"""Gradient attacks inside an L-infinity ball: PGD, and FPBA in our reading of it.

PGD: Madry et al. 2018. FPBA: Diao et al., "Vulnerabilities in AI-generated Image Detection", 2024: the gradients
of the image and of spectrally scaled copies of it, added.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import scipy.fft
import torch
from torch import Tensor

Detector = Callable[[Tensor], Tensor]
"""(N, 3, H, W) RGB in 0..1 -> logits: (N, 1), above 0 = fake, or (N, K), of which the first is real."""
BATCH = 4
"""Spectral copies that go through a detector at once."""


def fake_odds(logits: Tensor) -> Tensor:
    """Logits as of a Detector -> (N,) log odds of a fake."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    return torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]


def gradient(detector: Detector, images: Tensor, fake: Tensor) -> Tensor:
    """Where to move each pixel so that the images look less like what they are.

    fake: (N,) bool. The log odds are used, not the cross-entropy: for one image both have the same signs, and a
    confident detector does not make these vanish.
    """
    x = images.detach().requires_grad_()
    away = torch.where(fake, -1.0, 1.0)
    (found,) = torch.autograd.grad((away * fake_odds(detector(x))).sum(), x)
    return found


def within(x: Tensor, images: Tensor, eps: float) -> Tensor:
    """The nearest pixels in 0..1 that differ from `images` by at most eps."""
    return torch.clamp(torch.minimum(torch.maximum(x, images - eps), images + eps), 0, 1)


def uniform(images: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Random values of the images' shape."""
    return low + (high - low) * torch.rand(images.shape, generator=generator)


def pgd(
    detector: Detector,
    images: Tensor,
    fake: Tensor,
    eps: float,
    alpha: float,
    steps: int = 10,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Signed steps of size alpha; the last iterate. Starts at a random place in the ball, or, without a
    generator, at the images."""
    x = images if generator is None else images + uniform(images, -eps, eps, generator)
    x = within(x, images, eps)
    for _ in range(steps):
        x = within(x + alpha * gradient(detector, x, fake).sign(), images, eps)
    return x


def fpba(
    detector: Detector,
    images: Tensor,
    fake: Tensor,
    eps: float,
    alpha: float,
    steps: int,
    draws: int,
    generator: torch.Generator,
) -> Tensor:
    """Signed steps along the spatial gradient plus the mean gradient at `draws` spectral copies.

    The paper: eps 8/255, alpha 2/255, 10 steps, 20 draws, and as detector one made Bayesian (surrogates.Bayesian).
    """
    x = images
    for _ in range(steps):
        step = gradient(detector, x, fake)
        for start in range(0, draws, BATCH):
            count = min(BATCH, draws - start)
            copies = spectral(x.repeat(count, 1, 1, 1), eps, generator)
            found = gradient(detector, copies, fake.repeat(count))
            step = step + found.reshape(count, *x.shape).sum(0) / draws
        x = within(x + alpha * step.sign(), images, eps)
    return x


def spectral(images: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    """IDCT(DCT(x + U(-eps, eps)) * U(0.5, 1.5)), every coefficient scaled by itself."""
    rows, columns = basis(images.shape[2]), basis(images.shape[3])
    spectrum = rows @ (images + uniform(images, -eps, eps, generator)) @ columns.T
    return rows.T @ (spectrum * uniform(images, 0.5, 1.5, generator)) @ columns


@cache
def basis(length: int) -> Tensor:
    """(length, length) float32: the orthonormal DCT-II as a matrix."""
    return torch.from_numpy(scipy.fft.dct(np.eye(length), norm="ortho", axis=0).astype(np.float32))
