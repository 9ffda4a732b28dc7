"""The embedded language model: a stock LLaVA run by transformers in this process."""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forensic_chat.errors import BackendUnavailable
from forensic_chat.mllm.backends.base import Conversation, cancelled, too_late
from forensic_chat.mllm.backends.greedy import Form, Guesses, written
from forensic_chat.mllm.backends.repeats import RepeatGuard
from forensic_chat.mllm.prompts import messages
from forensic_chat.schema import CLASSES

if TYPE_CHECKING:
    from forensic_chat.weights.progress import Progress


@dataclass(frozen=True, eq=False)
class _Read:
    """What the model has read so far: token ids, the images among them, and their keys and values."""

    ids: list[int]
    images: list[str]
    cache: Any


@dataclass(frozen=True, eq=False)
class _Prompt:
    """What the model is to read: token ids, the images' hashes, and their pixels (n, 3, 224, 224), if any; what a tower
    read in them, (196, 768) each, where that is known."""

    ids: list[int]
    images: list[str]
    pixels: Any
    tokens: Sequence[NDArray[np.float32]]


class TransformersBackend:
    """See `backends.base.Backend`. One answer at a time profits from the cache; calls from several threads
    are safe.

    model: LlavaForConditionalGeneration in eval mode; processor: its LlavaProcessor; models: names to
    versions; shares_tower: whether `Conversation.tokens` are what its own tower would read. Raises BackendUnavailable
    when the three labels don't start with three different tokens.
    """

    concurrent = False
    any_words = False

    def __init__(
        self, model: Any, processor: Any, models: dict[str, str], *, shares_tower: bool = False
    ) -> None:
        self._model, self._processor, self._models = model, processor, models
        self._shares_tower = shares_tower
        self._first = [processor.tokenizer.encode(label, add_special_tokens=False)[0] for label in CLASSES]
        if len(set(self._first)) != len(CLASSES):
            raise BackendUnavailable(
                "the language model's tokenizer can't tell the verdict words apart by their first token; "
                "use another one"
            )
        self._read: _Read | None = None
        self._guessed: tuple[tuple[str, ...], Guesses | None] = (), None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, *, progress: "Progress | None" = None) -> "TransformersBackend":
        """The trained model that comes with this package over its base weights, on CUDA where there is
        one."""
        from forensic_chat.mllm.loading import load, shares_tower, trained_folder

        return cls(*load(progress), shares_tower=shares_tower(trained_folder()))

    @property
    def models(self) -> dict[str, str]:
        return dict(self._models)

    def verdict_probabilities(self, conversation: Conversation) -> dict[str, float]:
        """As `Backend.verdict_probabilities`; what was read is kept for the answer that follows."""
        import torch

        prompt = self._encode(conversation, "")
        cache = self._read_all_but_last(prompt, _Stop(None, None))
        with torch.inference_mode():
            output = self._model(**self._step(prompt, len(prompt.ids)), past_key_values=cache, use_cache=True)
        self._remember(_Read(prompt.ids, prompt.images, cache))
        chances = torch.softmax(output.logits[0, -1, self._first].float(), dim=-1).tolist()
        return dict(zip(CLASSES, chances, strict=True))

    def generate(
        self,
        conversation: Conversation,
        *,
        prefix: str = "",
        pattern: str | None = None,
        likely: Sequence[str] = (),
        max_new_tokens: int,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
    ) -> Iterator[str]:
        """As `Backend.generate`. The model writes while the iterator is read."""
        stop = _Stop(cancel, deadline)

        def pieces() -> Iterator[str]:
            guard = RepeatGuard()
            stop.check()
            for piece in self._written(conversation, prefix, pattern, likely, max_new_tokens, stop):
                stop.check()
                if shown := guard.feed(piece):
                    yield shown
                if guard.repeated:
                    return
            stop.check()
            if shown := guard.finish():
                yield shown

        return pieces()

    def _written(
        self,
        conversation: Conversation,
        prefix: str,
        pattern: str | None,
        likely: Sequence[str],
        most: int,
        stop: "_Stop",
    ) -> Iterator[str]:
        from tokenizers.decoders import DecodeStream

        try:
            form = None if pattern is None else Form(self._tokens, pattern)
            prompt = self._encode(conversation, prefix)
            cache = self._read_all_but_last(prompt, stop)
            if stop.now():
                return
            ids, fast = list(prompt.ids), self._processor.tokenizer.backend_tokenizer
            guesses, decoded = self._guesses(ids, tuple(likely)), DecodeStream(skip_special_tokens=True)
            tokens = written(self._model, ids, cache, most=most, guesses=guesses, form=form, stopped=stop.now)
            try:
                for token in tokens:
                    if piece := decoded.step(fast, token):
                        yield piece
            except Exception:
                cache = None  # it may hold half of a pass
                raise
            finally:
                if cache is not None:
                    self._remember(_Read(ids[: cache.get_seq_length()], prompt.images, cache))
        except Exception as error:
            raise BackendUnavailable(
                "the language model failed while writing; free some memory, or leave the rationale out"
            ) from error

    def _guesses(self, ids: list[int], likely: tuple[str, ...]) -> Guesses:
        """From what the model reads and what it is likely to write; the last ones are kept for the next claim."""
        texts, guesses = self._guessed
        if guesses is None or not likely or texts != likely:
            fast = self._processor.tokenizer.backend_tokenizer
            encoded = fast.encode_batch(list(likely), add_special_tokens=False)
            guesses = Guesses([ids, *(encoding.ids for encoding in encoded)])
            self._guessed = likely, guesses
        return guesses

    @cached_property
    def _tokens(self) -> Any:
        """The vocabulary, as llguidance reads it."""
        from llguidance.hf import from_tokenizer

        ends, size = (
            self._model.generation_config.eos_token_id,
            self._model.get_output_embeddings().out_features,
        )
        return from_tokenizer(self._processor.tokenizer, n_vocab=size, eos_token=ends)

    def _encode(self, conversation: Conversation, prefix: str) -> "_Prompt":
        text = self._processor.apply_chat_template(
            messages(conversation.turns), add_generation_prompt=True, tokenize=False
        )
        images = [np.asarray(image) for image in conversation.images]
        inputs = self._processor(text=text + prefix, images=images or None, return_tensors="pt")
        hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
        tokens = conversation.tokens if self._shares_tower else ()
        return _Prompt(inputs["input_ids"][0].tolist(), hashes, inputs.get("pixel_values"), tokens)

    def _read_all_but_last(self, prompt: "_Prompt", stop: "_Stop") -> Any:
        """Keys and values of all tokens but the last, as far as possible from what was read before.

        Reads image by image and looks at `stop` in between: reading a prompt takes seconds on a CPU. If it is
        stopped, the cache ends early and is kept for the next time; else it is the caller's.
        """
        import torch

        cache, seen = self._resume(prompt)
        ends = image_ends(prompt.ids, len(prompt.images), self._model.config.image_token_id)[seen:]
        for end in [*ends, len(prompt.ids) - 1]:
            if stop.now() or end <= cache.get_seq_length():
                continue
            inputs = self._step(prompt, end, cache.get_seq_length())
            with torch.inference_mode():
                if end in ends:
                    inputs = self._with_view(inputs, prompt, seen)
                    seen += 1
                self._model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        if stop.now():
            self._remember(_Read(prompt.ids[: cache.get_seq_length()], prompt.images[:seen], cache))
        return cache

    def _with_view(self, inputs: dict[str, Any], prompt: "_Prompt", k: int) -> dict[str, Any]:
        """The inputs of a step that ends with the tokens of image k, with what there is to see in it."""
        import torch

        device, dtype = self._model.device, self._model.dtype
        if not prompt.tokens:
            return inputs | {"pixel_values": prompt.pixels[k : k + 1].to(device, dtype)}
        ids = inputs.pop("input_ids")
        embedded = self._model.get_input_embeddings()(ids)
        tokens = torch.from_numpy(prompt.tokens[k]).to(device, dtype)
        embedded[ids == self._model.config.image_token_id] = self._model.model.multi_modal_projector(tokens)
        return inputs | {"inputs_embeds": embedded}

    def _step(self, prompt: "_Prompt", end: int, start: int | None = None) -> dict[str, Any]:
        """Inputs for the tokens from `start` (default: the last one) to `end`."""
        import torch

        device = self._model.device
        ids = prompt.ids[end - 1 if start is None else start : end]
        return {
            "input_ids": torch.tensor([ids], device=device),
            "attention_mask": torch.ones((1, end), dtype=torch.long, device=device),
        }

    def _resume(self, prompt: "_Prompt") -> tuple[Any, int]:
        """The cache of what this prompt shares with the one read before, and the number of images in it."""
        from transformers import DynamicCache

        with self._lock:
            read, self._read = self._read, None
        if read is not None:
            kept, seen = shared(read, prompt.ids, prompt.images, self._model.config.image_token_id)
            if kept > 0:
                read.cache.crop(kept - read.cache.get_seq_length())
                return read.cache, seen
        return DynamicCache(config=self._model.config.get_text_config()), 0

    def _remember(self, read: _Read) -> None:
        with self._lock:
            self._read = read


class _Stop:
    """Tells when to stop: the caller cancelled, or the deadline, in seconds from now, passed."""

    def __init__(self, cancel: threading.Event | None, deadline: float | None) -> None:
        self._cancel, self._deadline = cancel, deadline
        self._end = None if deadline is None else time.monotonic() + deadline

    def check(self) -> None:
        """Raises Cancelled or DeadlineExceeded if it is time."""
        if self._cancel is not None and self._cancel.is_set():
            raise cancelled()
        if self._deadline is not None and self._late():
            raise too_late(self._deadline)

    def now(self) -> bool:
        """Whether to stop."""
        return self._late() or (self._cancel is not None and self._cancel.is_set())

    def _late(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end


def shared(read: _Read, ids: Sequence[int], images: Sequence[str], image_token: int) -> tuple[int, int]:
    """How many leading tokens, and how many images among them, can be taken from what was read.

    At least one token is left to read, an image is taken whole or not at all, and only if its pixels are the
    same.
    """
    kept = next((k for k, (old, new) in enumerate(zip(read.ids, ids, strict=False)) if old != new), None)
    kept = min(len(read.ids), len(ids)) if kept is None else kept
    kept = min(kept, len(ids) - 1)
    ends = image_ends(ids, len(images), image_token)
    each = sum(token == image_token for token in ids) // max(1, len(images))
    for k, (image, end) in enumerate(zip(images, ends, strict=True)):
        if kept < end or k >= len(read.images) or read.images[k] != image:
            return min(kept, end - each), k
    return kept, len(images)


def image_ends(ids: Sequence[int], images: int, image_token: int) -> list[int]:
    """For each image, the number of tokens up to its last one."""
    places = [k for k, token in enumerate(ids) if token == image_token]
    each = len(places) // max(1, images)
    return [places[(k + 1) * each - 1] + 1 for k in range(images)]
