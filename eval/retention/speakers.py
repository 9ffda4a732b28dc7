"""The language models that are compared, text only: the base, and the one that is shipped."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

LONGEST_REPLY = 64
"""Tokens."""


class Speaker(Protocol):
    """A language model, text only."""

    name: str

    @property
    def maker(self) -> str:
        """A hash of what it consists of."""

    def surprise(self, text: str) -> tuple[float, int]:
        """Nats of a text after its first token, and how many tokens these were."""

    def reply(self, turns: Sequence[dict[str, str]]) -> str:
        """The greedy answer to a conversation of `role` and `content`."""


class Causal:
    """A LlavaForConditionalGeneration without images.

    models: names to fingerprints.
    """

    def __init__(self, name: str, model: Any, processor: Any, models: dict[str, str]) -> None:
        self.name, self.model, self.processor, self.models = name, model, processor, models

    @cached_property
    def maker(self) -> str:
        return json.dumps([self.models, str(self.model.dtype)], sort_keys=True)

    def surprise(self, text: str) -> tuple[float, int]:
        import torch

        ids = self.processor.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        ids = ids.to(self.model.device)
        with torch.inference_mode():
            logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, :-1].float()
            nats = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")
        return float(nats), ids.shape[1] - 1

    def reply(self, turns: Sequence[dict[str, str]]) -> str:
        import torch

        tokenizer = self.processor.tokenizer
        told = [{"role": t["role"], "content": [{"type": "text", "text": t["content"]}]} for t in turns]
        prompt = self.processor.apply_chat_template(told, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids.to(self.model.device)
        with torch.inference_mode():
            written = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=LONGEST_REPLY,
            )
        return str(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)).strip()


def base_and_tuned() -> tuple[Causal, Causal]:
    """The base without its adapter, and the model that is shipped, in the same precision.

    Raises WeightsUnavailable, WeightsCorrupted, BackendUnavailable.
    """
    from transformers import LlavaForConditionalGeneration

    from forensic_chat.mllm.loading import load
    from forensic_chat.weights import base, fingerprint
    from forensic_chat.weights.convert import quiet

    model, processor, names = load()
    folder = base("llava")
    with quiet():
        plain = LlavaForConditionalGeneration.from_pretrained(
            str(folder), dtype=model.dtype, local_files_only=True
        )
    plain = plain.eval().to(model.device)
    return Causal("base", plain, processor, {"language": fingerprint(folder)}), Causal(
        "tuned", model, processor, names
    )
