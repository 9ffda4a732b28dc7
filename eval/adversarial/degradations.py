"""StatAttack and MStatAttack in our reading: natural degradations learned so that a fake's features are
distributed as those of real images.

Hou et al., "Evading DeepFake Detectors via Adversarial Statistical Consistency", CVPR 2023. Exposure, blur and noise;
no detector's decision is asked, only its features. Step sizes and ranges that the paper leaves open are ours.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Features = Callable[[Tensor], Tensor]
"""(N, 3, H, W) RGB in 0..1 -> (N, D) pooled features."""
DEGREE = 11
"""Of the polynomial of the log exposure."""
GRID = 8
"""Nodes a side of the flow that warps it."""
LARGEST_CHANGE = 60 / 255
LAYERS = 3
"""Of MStatAttack."""
RANGES = {
    "exposure": (-0.5, 0.5),
    "flow": (-0.25, 0.25),
    "sigma": (0.1, 1.5),
    "noise": (-4 / 255, 4 / 255),
    "weights": (-3.0, 3.0),
}
"""Polynomial coefficients; shares of half an image; px; of 0..1; logits of a mixture. MStatAttack divides that of
the noise by its layers."""
STEPS = {"exposure": 0.005, "flow": 0.01, "sigma": 0.05, "noise": 0.5 / 255, "weights": 0.3}


class Degradation(nn.Module):
    """One layer over images (N, 3, H, W): exposure, then blur, then noise; or, `mixed`, a learned mixture of the
    three."""

    def __init__(self, images: Tensor, mixed: bool, layers: int = 1) -> None:
        super().__init__()
        n, _, height, width = images.shape
        terms = (DEGREE + 1) * (DEGREE + 2) // 2
        self.mixed, self.layers = mixed, layers
        self.exposure = nn.Parameter(torch.zeros(n, terms))
        self.flow = nn.Parameter(torch.zeros(n, 2, GRID, GRID))
        self.sigma = nn.Parameter(torch.full((n, 1, height, width), 0.35))
        self.noise = nn.Parameter(torch.zeros_like(images))
        self.weights = nn.Parameter(torch.zeros(n, 3))

    def forward(self, x: Tensor) -> Tensor:
        if not self.mixed:
            return blurred(x * self.bias().exp(), self.sigma) + self.noise
        made = torch.stack([x * self.bias().exp(), blurred(x, self.sigma), x + self.noise], 1)
        return (made * self.weights.softmax(1)[:, :, None, None, None]).sum(1)

    def bias(self) -> Tensor:
        """(N, 1, H, W): the log exposure."""
        height, width = self.noise.shape[2:]
        flow = F.interpolate(self.flow, (height, width), mode="bilinear", align_corners=True)
        v = torch.linspace(-1, 1, height)[:, None] + flow[:, 0]
        u = torch.linspace(-1, 1, width)[None, :] + flow[:, 1]
        powers_u = [torch.ones_like(u)]
        powers_v = [torch.ones_like(v)]
        for _ in range(DEGREE):
            powers_u.append(powers_u[-1] * u)
            powers_v.append(powers_v[-1] * v)
        pairs = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]
        total = torch.zeros_like(u)
        for k, (i, j) in enumerate(pairs):
            total = total + self.exposure[:, k, None, None] * powers_u[i] * powers_v[j]
        return total[:, None]

    def step(self, gradients: dict[str, Tensor]) -> None:
        """Against the signs of the gradients, and back into the ranges."""
        with torch.no_grad():
            for name, value in self.named_parameters():
                low, high = RANGES[name]
                share = self.layers if name == "noise" else 1
                value -= STEPS[name] / share * gradients[name].sign()
                value.clamp_(low / share, high / share)


def blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian of 3 x 3 px whose sigma differs from pixel to pixel, (N, 1, H, W)."""
    n, channels, height, width = x.shape
    near = torch.exp(-0.5 / sigma.square())
    weights = torch.cat([near * near, near, near * near, near, torch.ones_like(near)], 1)
    weights = torch.cat([weights, weights[:, [3, 0, 1, 2]]], 1)
    weights = weights / weights.sum(1, keepdim=True)
    patches = F.unfold(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3).view(n, channels, 9, height, width)
    return (patches * weights[:, None]).sum(2)


def mmd(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of (N, D) and (M, D): the sum over five Gaussian kernels.

    scale: a squared distance; the kernels' bandwidths are 1/4 to 4 times it (Long et al. 2015).
    """
    both = torch.cat([a, b])
    distances = squared_distances(both)
    kernel = sum((torch.exp(-distances / (scale * 2.0**k)) for k in range(-2, 3)), torch.zeros(()))
    n = len(a)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def squared_distances(points: Tensor) -> Tensor:
    """(N, D) -> (N, N)."""
    return (points[:, None] - points[None]).square().sum(2)


def stat_attack(features: Features, images: Tensor, real: Tensor, layers: int = 1, steps: int = 10) -> Tensor:
    """Fakes (N, 3, H, W), degraded until their features lie among those of a batch of real images, (M, D).

    Minimises 10 MMD + 10 mean(log exposure^2) + the flow's roughness by signed steps. layers: 1 is StatAttack, more
    is MStatAttack: layers of mixtures whose weights are learned too. Changes stay within 60/255. The kernels' scale is
    the mean squared distance before the attack: one that followed the image would forgive it every distance.
    """
    with torch.no_grad():
        scale = squared_distances(torch.cat([features(images), real])).mean().clamp_min(1e-12)
    stack = [Degradation(images, layers > 1, layers) for _ in range(layers)]
    for _ in range(steps):
        fit = 10 * mmd(features(degraded(stack, images)), real, scale)
        loss = fit + sum((penalty(layer) for layer in stack), torch.zeros(()))
        named = [(layer, name, value) for layer in stack for name, value in layer.named_parameters()]
        found = torch.autograd.grad(loss, [value for _, _, value in named], materialize_grads=True)
        for layer in stack:
            layer.step({name: g for (owner, name, _), g in zip(named, found, strict=True) if owner is layer})
    return degraded(stack, images).detach()


def degraded(stack: list[Degradation], images: Tensor) -> Tensor:
    """Through all layers, within the largest change and 0..1."""
    x = images
    for layer in stack:
        x = layer(x)
    return (images + (x - images).clamp(-LARGEST_CHANGE, LARGEST_CHANGE)).clamp(0, 1)


def penalty(layer: Degradation) -> Tensor:
    """10 mean(log exposure^2), and the mean squared difference of neighbouring nodes of the flow."""
    rough = layer.flow.diff(dim=2).square().mean() + layer.flow.diff(dim=3).square().mean()
    return 10 * layer.bias().square().mean() + rough
