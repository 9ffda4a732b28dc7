"""Specificity: sentences bound to this image by a number, a place or a finding, in words that would not fit
another image as well.
"""

import re
from collections.abc import Sequence
from functools import cache

from eval.explanation.reading import Reading, asserted, speaks_of_probability
from forensic_chat.mllm.claims import ParsedClaim
from forensic_chat.mllm.positions import misplaced

ENOUGH = 2
"""Sentences bound to the image from which an answer is not too poor in them; half of all are enough."""
ALIKE = 0.8
"""Share of common three-word runs from which two sentences are the same but for a word or two."""
COMPARED = 8
"""Answers about other images with which a text is compared."""
Fingerprint = tuple[tuple[str, ...], frozenset[tuple[str, ...]]]


def specificity(reading: Reading, others: Sequence[Reading]) -> float:
    """0..1. others: the same system's answers to the same question about other images."""
    sentences = [piece for piece in reading.pieces if not _only_verdict(piece)]
    tied = [piece for piece in sentences if _is_bound(piece)]
    if not tied:
        return 0.0
    enough = min(ENOUGH, -(-len(sentences) // 2))
    amount = min(1.0, len(tied) / enough) * min(1.0, 2 * len(tied) / len(sentences))
    return amount * own(tied, [piece for other in others[:COMPARED] for piece in other.pieces])


def own(sentences: Sequence[ParsedClaim], elsewhere: Sequence[ParsedClaim]) -> float:
    """The share of sentences that fit no other image: none that was said of another one has the same figures
    in nearly the same words."""
    known = [_fingerprint(piece) for piece in elsewhere]
    mine = map(_fingerprint, sentences)
    return sum(not any(_same(one, other) for other in known) for one in mine) / len(sentences)


def _is_bound(piece: ParsedClaim) -> bool:
    if piece.findings or piece.region:
        return True
    placed = misplaced(piece.text, None, (1, 1)) is not None
    return placed or (re.search(r"\d", piece.text) is not None and not speaks_of_probability(piece.text))


def _only_verdict(piece: ParsedClaim) -> bool:
    """A sentence about the verdict or its probability alone."""
    return not _is_bound(piece) and (speaks_of_probability(piece.text) or bool(asserted(piece.text)))


@cache
def _fingerprint(piece: ParsedClaim) -> Fingerprint:
    """A sentence's figures, and its words in runs of three."""
    figures = re.findall(r"\d(?:[\d.,]*\d)?", piece.text)
    words = re.findall(r"[^\W\d_]+", piece.text.lower())
    return tuple(figures), frozenset(zip(words, words[1:], words[2:], strict=False)) or frozenset(
        [tuple(words)]
    )


def _same(a: Fingerprint, b: Fingerprint) -> bool:
    return a[0] == b[0] and len(a[1] & b[1]) >= ALIKE * max(len(a[1]), len(b[1]))
