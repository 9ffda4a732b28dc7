"""How alike texts are, and how varied."""

import re
from collections.abc import Sequence
from itertools import combinations


def words(text: str) -> list[str]:
    """Words, ids and figures, in lower case."""
    return re.findall(r"[a-z0-9]+(?:[.,'-][a-z0-9]+)*", text.lower())


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """0..1: F measure of the longest common subsequence of two sequences of words (Lin, ROUGE, 2004); 0 if
    one is empty."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = row[:]
        for k, other in enumerate(b):
            row[k + 1] = before[k] + 1 if word == other else max(row[k], before[k + 1])
    return 2 * row[-1] / (len(a) + len(b)) if a and b else 0.0


def mean_pairwise(texts: Sequence[str]) -> float:
    """0..1: mean ROUGE-L over all pairs of texts; 0 for fewer than two."""
    split = [words(text) for text in texts]
    pairs = list(combinations(split, 2))
    return sum(rouge_l(a, b) for a, b in pairs) / len(pairs) if pairs else 0.0


def distinct(texts: Sequence[str], n: int) -> float:
    """0..1: different runs of n words over all of them (distinct-n, Li et al., 2016); 0 if there is none."""
    split = [words(text) for text in texts]
    runs = [run for each in split for run in zip(*(each[k:] for k in range(n)), strict=False)]
    return len(set(runs)) / len(runs) if runs else 0.0
