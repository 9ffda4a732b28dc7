"""The parts whose worth is measured: each loss and the two steps do what their sources say."""

import numpy as np
import torch
from torch.nn import functional as F

from train.ablations import cvar, ranked, two_steps
from train.tower_heads import linear


def problem(n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 6)).astype(np.float32)
    x[:, 0] += 2 * y
    return x, y, np.ones(n, np.float32)


def test_cvar_of_equal_losses_is_their_mean_and_rises_with_the_hardest() -> None:
    y, sample = torch.tensor([0, 1] * 10), torch.ones(20)
    even = torch.zeros(20, 3)
    assert torch.isclose(cvar(even, y, sample), F.cross_entropy(even, y, reduction="sum"))
    spoiled = even.clone()
    spoiled[0, 1] = 5
    mean = F.cross_entropy(spoiled, y, reduction="sum")
    assert cvar(spoiled, y, sample) > mean


def test_ranking_asks_for_order_and_not_for_size() -> None:
    y, sample = torch.tensor([0, 1] * 10), torch.ones(20)
    apart = torch.zeros(20, 3)
    apart[:, 1] = y * 4.0
    shifted = apart.clone()
    shifted[:, 1] += 2
    pairs = [
        2 * ranked(logits, y, sample) - F.cross_entropy(logits, y, reduction="sum")
        for logits in (apart, shifted)
    ]
    assert torch.isclose(*pairs)
    assert pairs[0] < 2 * ranked(torch.zeros(20, 3), y, sample) - 20 * np.log(3)


def test_the_second_step_stays_near_the_first_where_the_pull_is_strong() -> None:
    x, y, weight = problem()
    pseudo = np.arange(len(y)) < 200
    first, _ = linear(x[pseudo], y[pseudo], weight[pseudo], 1e-4)
    pulled, _ = two_steps(pseudo, weight)(x, y, weight, 1e-4)
    alone, _ = linear(x, y, weight, 1e-4)
    assert np.abs(pulled - first).max() < np.abs(pulled).max()
    assert np.abs(pulled).sum() > np.abs(alone).sum()
