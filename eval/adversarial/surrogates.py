"""What an attacker fits on images of their own: a detector made Bayesian, and a head of their own on the tower.

Both read (N, D) features and logits of a `See`, such as `twin.Twin.see`.
"""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from eval.adversarial.attacks import fake_odds

See = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(N, 3, H, W) in 0..1 -> penultimate features (N, D) and logits (N, K) as of a Detector."""


class Bayesian(nn.Module):
    """A detector with small MLPs appended to its penultimate features, averaged: FPBA's surrogate.

    Post-train Bayesian (Li et al. 2023; Diao et al. 2024): the detector stays as it is, each MLP adds to its log odds
    and is fitted from another start, here by weight-decayed cross-entropy in place of their sampler.
    """

    def __init__(self, see: See, width: int, members: int = 3, hidden: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.see = see
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.mlps = nn.ModuleList(
                nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
                for _ in range(members)
            )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1) log odds of a fake."""
        return self.odds(*self.see(images)).mean(0)[:, None]

    def odds(self, features: Tensor, logits: Tensor) -> Tensor:
        """(members, N)."""
        return torch.stack([mlp(features)[:, 0] for mlp in self.mlps]) + fake_odds(logits)

    def fit(self, features: Tensor, logits: Tensor, fake: Tensor, epochs: int = 60) -> "Bayesian":
        """On features and logits of labelled images, (N,) bool; returns itself, frozen."""
        optimiser = torch.optim.AdamW(self.mlps.parameters(), lr=1e-3, weight_decay=0.1)
        target = fake.float().expand(len(self.mlps), -1)
        for _ in range(epochs):
            optimiser.zero_grad()
            F.binary_cross_entropy_with_logits(self.odds(features, logits), target).backward()
            optimiser.step()
        self.requires_grad_(False)
        return self


class OwnHead(nn.Module):
    """A linear head that the attacker fitted on the public tower: they don't use ours."""

    def __init__(self, see: See, features: Tensor, fake: Tensor) -> None:
        super().__init__()
        self.see = see
        fitted = LogisticRegression(C=1e-3, max_iter=2000, class_weight="balanced")
        fitted.fit(features.numpy(), fake.numpy())
        self.weight = torch.from_numpy(fitted.coef_.astype(np.float32))
        self.bias = torch.from_numpy(fitted.intercept_.astype(np.float32))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1) log odds of a fake."""
        return self.see(images)[0] @ self.weight.T + self.bias
