"""Greedy decoding that guesses ahead: one pass of the model reads several guessed tokens and keeps those that it would
have written itself, so that the answer is the same and takes fewer passes.

Guesses come from texts that the answer may resemble (Yang et al. 2023, Inference with reference, arXiv 2304.04487).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

LONGEST = 6
"""Tokens that a guess looks back at, at most."""
AHEAD = 16
"""Tokens guessed at a time."""


class Guesses:
    """What followed the last tokens, up to LONGEST and at least two, in some texts."""

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        follows: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for text in texts:
            for end in range(2, len(text)):
                for start in range(max(0, end - LONGEST), end - 1):
                    follows[tuple(text[start:end])][text[end]] += 1
        self._next = {before: counts.most_common(1)[0][0] for before, counts in follows.items()}

    def after(self, ids: Sequence[int]) -> list[int]:
        """Up to AHEAD tokens; none where nothing alike was seen."""
        last, found = tuple(ids[-LONGEST:]), list[int]()
        while len(found) < AHEAD:
            ends = (last[start:] for start in range(len(last) - 1))
            token = next((self._next[end] for end in ends if end in self._next), None)
            if token is None:
                break
            found.append(token)
            last = (*last, token)[-LONGEST:]
        return found


class Form:
    """What may come next in an answer that is to match a pattern; tokens: the vocabulary, as llguidance reads it."""

    def __init__(self, tokens: Any, pattern: str) -> None:
        from llguidance import LLMatcher

        self._matcher = LLMatcher(tokens, LLMatcher.grammar_from_regex(pattern))
        if self._matcher.is_error():
            raise ValueError(self._matcher.get_error().partition("\n")[0])
        self._size = tokens.vocab_size

    def allowed(self, scores: Any) -> Any:
        """scores: (vocabulary,) float; those of tokens that don't go on towards a match become minus infinity.

        Raises ValueError for a pattern that is too much for llguidance.
        """
        import torch
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        bits = allocate_token_bitmask(1, self._size)
        fill_next_token_bitmask(self._matcher, bits)
        if self._matcher.is_error():
            raise ValueError(self._matcher.get_error().partition("\n")[0])
        allowed = np.unpackbits(bits[0].view(np.uint8), bitorder="little")[: scores.shape[0]].astype(bool)
        return scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), -torch.inf)

    def take(self, token: int) -> None:
        """Go on behind this token."""
        self._matcher.consume_token(token)

    def fitting(self, tokens: list[int]) -> list[int]:
        """As many of the tokens as may come next."""
        return tokens[: self._matcher.validate_tokens(tokens)]


def written(
    model: Any,
    ids: list[int],
    cache: Any,
    *,
    most: int,
    guesses: Guesses,
    form: Form | None,
    stopped: Callable[[], bool],
) -> Iterator[int]:
    """The tokens that the model writes behind `ids`, at most so many, without that which ends it.

    ids grow by them, and cache, the keys and values of all tokens but the last, with them; `stopped` is asked before
    each pass.
    """
    ends = model.generation_config.eos_token_id
    ends = {ends} if isinstance(ends, int) else set(ends or ())
    while most > 0 and not stopped():
        guessed = guesses.after(ids)[: most - 1]
        guessed = form.fitting(guessed) if form else guessed
        new = _taken(_scores(model, [ids[-1], *guessed], cache), guessed, form, ends)
        if len(guessed) + 1 > len(new):
            cache.crop(len(new) - len(guessed) - 1)
        ids += new
        most -= len(new)
        for token in new:
            if token in ends:
                return
            yield token


def _scores(model: Any, tokens: list[int], cache: Any) -> Any:
    """(T, vocabulary): behind each of these tokens, which the cache then holds."""
    import torch

    with torch.inference_mode():
        ids = torch.tensor([tokens], device=model.device)
        whole = cache.get_seq_length() + len(tokens)
        mask = torch.ones((1, whole), dtype=torch.long, device=model.device)
        return model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True).logits[0]


def _taken(scores: Any, guessed: list[int], form: Form | None, ends: set[int]) -> list[int]:
    """The best token of each row, as far as the guesses before it were the best ones."""
    new: list[int] = []
    for row, guess in zip(scores, [*guessed, None], strict=True):
        new.append(int((form.allowed(row) if form else row).argmax()))
        if form and new[-1] not in ends:
            form.take(new[-1])
        if new[-1] != guess or new[-1] in ends:
            break
    return new
