"""The embedded language model: a stock LLaVA run by transformers in this process."""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forensic_chat.errors import BackendUnavailable
from forensic_chat.mllm.backends.base import Conversation, cancelled, too_late
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


class TransformersBackend:
    """See `backends.base.Backend`. One answer at a time profits from the cache; calls from several threads
    are safe.

    model: LlavaForConditionalGeneration in eval mode; processor: its LlavaProcessor; models: names to
    versions. Raises BackendUnavailable when the three labels don't start with three different tokens.
    """

    def __init__(self, model: Any, processor: Any, models: dict[str, str]) -> None:
        self._model, self._processor, self._models = model, processor, models
        self._first = [processor.tokenizer.encode(label, add_special_tokens=False)[0] for label in CLASSES]
        if len(set(self._first)) != len(CLASSES):
            raise BackendUnavailable(
                "the language model's tokenizer can't tell the verdict words apart by their first token; "
                "use another one"
            )
        self._read: _Read | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, *, progress: "Progress | None" = None) -> "TransformersBackend":
        """The trained model that comes with this package over its base weights, on CUDA where there is
        one."""
        from forensic_chat.mllm.loading import load

        return cls(*load(progress))

    @property
    def models(self) -> dict[str, str]:
        return dict(self._models)

    def verdict_probabilities(self, conversation: Conversation) -> dict[str, float]:
        """As `Backend.verdict_probabilities`; what was read is kept for the answer that follows."""
        import torch

        inputs, ids, images = self._encode(conversation, "")
        cache, inputs = self._resume(inputs, ids, images)
        new = inputs["input_ids"][:, cache.get_seq_length() :]
        with torch.inference_mode():
            output = self._model(
                **inputs | {"input_ids": new}, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
        self._remember(_Read(ids, images, cache))
        chances = torch.softmax(output.logits[0, -1, self._first].float(), dim=-1).tolist()
        return dict(zip(CLASSES, chances, strict=True))

    def generate(
        self,
        conversation: Conversation,
        *,
        prefix: str = "",
        max_new_tokens: int,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
    ) -> Iterator[str]:
        """As `Backend.generate`. The model writes in a thread of its own, which has ended when the iterator
        has."""
        end = None if deadline is None else time.monotonic() + deadline
        stop = _Stop(cancel, end)

        def pieces() -> Iterator[str]:
            guard = RepeatGuard()
            stop.check(deadline)
            for piece in self._stream(conversation, prefix, max_new_tokens, stop):
                stop.check(deadline)
                if shown := guard.feed(piece):
                    yield shown
                if guard.repeated:
                    return
            stop.check(deadline)
            if shown := guard.finish():
                yield shown

        return pieces()

    def _stream(
        self, conversation: Conversation, prefix: str, max_new_tokens: int, stop: "_Stop"
    ) -> Iterator[str]:
        from transformers import TextIteratorStreamer

        streamer = TextIteratorStreamer(
            self._processor.tokenizer,
            skip_prompt=True,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        failure: list[Exception] = []

        def write() -> None:
            try:
                self._write(conversation, prefix, max_new_tokens, stop, streamer)
            except Exception as error:
                failure.append(error)
            finally:
                streamer.text_queue.put(streamer.stop_signal)

        writer = threading.Thread(target=write, name="forensic-chat-writer", daemon=True)
        writer.start()
        try:
            yield from streamer
        finally:
            stop.closed.set()
            writer.join()
        if failure:
            raise BackendUnavailable(
                "the language model failed while writing; free some memory, or leave the rationale out"
            ) from failure[0]

    def _write(
        self, conversation: Conversation, prefix: str, max_new_tokens: int, stop: "_Stop", streamer: Any
    ) -> None:
        import torch
        from transformers import StoppingCriteriaList

        inputs, ids, images = self._encode(conversation, prefix)
        cache, inputs = self._resume(inputs, ids, images)
        with torch.inference_mode():
            written = self._model.generate(
                **inputs,
                past_key_values=cache,
                do_sample=False,
                max_new_tokens=max_new_tokens,
                streamer=streamer,
                stopping_criteria=StoppingCriteriaList([stop]),
            )
        self._remember(_Read(written[0].tolist()[: cache.get_seq_length()], images, cache))

    def _encode(self, conversation: Conversation, prefix: str) -> tuple[dict[str, Any], list[int], list[str]]:
        text = self._processor.apply_chat_template(
            messages(conversation.turns), add_generation_prompt=True, tokenize=False
        )
        images = [np.asarray(image) for image in conversation.images]
        inputs = self._processor(text=text + prefix, images=images or None, return_tensors="pt")
        inputs = dict(inputs.to(self._model.device))
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
        return inputs, inputs["input_ids"][0].tolist(), hashes

    def _resume(
        self, inputs: dict[str, Any], ids: list[int], images: list[str]
    ) -> tuple[Any, dict[str, Any]]:
        """The cache of what this conversation shares with the one read before, and the inputs still to be
        read."""
        from transformers import DynamicCache

        with self._lock:
            read, self._read = self._read, None
        kept, seen = shared(read, ids, images, self._model.config.image_token_id) if read else (0, 0)
        if read is None or kept == 0:
            return DynamicCache(config=self._model.config.get_text_config()), inputs
        read.cache.crop(kept)
        if "pixel_values" in inputs:
            rest = inputs["pixel_values"][seen:]
            inputs = {name: value for name, value in inputs.items() if name != "pixel_values"}
            if len(rest):
                inputs["pixel_values"] = rest
        return read.cache, inputs

    def _remember(self, read: _Read) -> None:
        with self._lock:
            self._read = read


class _Stop:
    """A stopping criterion: the caller cancelled, the deadline passed, or nobody listens any more."""

    def __init__(self, cancel: threading.Event | None, end: float | None) -> None:
        self.closed = threading.Event()
        self._cancel, self._end = cancel, end

    def check(self, deadline: float | None) -> None:
        """Raises Cancelled or DeadlineExceeded if it is time."""
        if self._cancel is not None and self._cancel.is_set():
            raise cancelled()
        if self._end is not None and deadline is not None and time.monotonic() >= self._end:
            raise too_late(deadline)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        late = self._end is not None and time.monotonic() >= self._end
        stop = late or self.closed.is_set() or (self._cancel is not None and self._cancel.is_set())
        return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)


def shared(read: _Read, ids: Sequence[int], images: Sequence[str], image_token: int) -> tuple[int, int]:
    """How many leading tokens, and how many images among them, can be taken from what was read.

    At least one token is left to read, an image is taken whole or not at all, and only if its pixels are the
    same.
    """
    kept = next((k for k, (old, new) in enumerate(zip(read.ids, ids, strict=False)) if old != new), None)
    kept = min(len(read.ids), len(ids)) if kept is None else kept
    kept = min(kept, len(ids) - 1)
    if not images:
        return kept, 0
    places = [k for k, token in enumerate(ids) if token == image_token]
    each = len(places) // len(images)
    for k, image in enumerate(images):
        first, last = places[k * each], places[(k + 1) * each - 1]
        if kept <= last or k >= len(read.images) or read.images[k] != image:
            return min(kept, first), k
    return kept, len(images)
