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

    @property
    def complete(self) -> bool:
        """Whether nothing more may come."""
        return bool(self._matcher.is_stopped())

    def ahead(self, ids: Sequence[int], guesses: Guesses, most: int) -> tuple[list[int], list[bool]]:
        """What may come next behind `ids`, at most so many tokens, and whether each of them must: the text that the
        pattern leaves no choice of, in the tokenizer's own tokens, else what is guessed and fits."""
        found, forced, last = list[int](), list[bool](), list(ids[-LONGEST:])
        while len(found) < most:
            must = self._matcher.compute_ff_tokens()[: most - len(found)]
            new = must or guesses.after([*last, *found])[:1]
            if not new or not self._matcher.try_consume_tokens(new):
                break
            found += new
            forced += [bool(must)] * len(new)
        self._matcher.rollback(len(found))
        return found, forced


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
    while most > 0 and not stopped() and not (form and form.complete):
        if form:
            ahead, forced = form.ahead(ids, guesses, min(AHEAD, most - 1))
        else:
            ahead = guesses.after(ids)[: most - 1]
            forced = [False] * len(ahead)
        new = _taken(_scores(model, [ids[-1], *ahead], cache), ahead, forced, form, ends)
        if len(ahead) + 1 > len(new):
            cache.crop(len(new) - len(ahead) - 1)
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


def _taken(scores: Any, ahead: list[int], forced: list[bool], form: Form | None, ends: set[int]) -> list[int]:
    """The best token of each row, as far as the ones before it were read; what is forced is taken unasked."""
    new: list[int] = []
    for k, row in enumerate(scores):
        known = k < len(ahead)
        new.append(ahead[k] if known and forced[k] else int((form.allowed(row) if form else row).argmax()))
        if form and new[-1] not in ends:
            form.take(new[-1])
        if not known or new[-1] != ahead[k] or new[-1] in ends:
            break
    return new
