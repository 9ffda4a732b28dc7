"""A group of answers to one prompt: drawn, and scored with and without gradient, the prompt read once for all."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from transformers import DynamicCache, GenerationConfig


@torch.no_grad()
def image_features(llava: Any, pixels: Any) -> Any:
    """Tower and projector over (n, 3, 224, 224) pixels, as `mm_encoder_outputs` takes it."""
    return llava.model.get_image_features(
        pixel_values=pixels.to(llava.device, llava.dtype),
        vision_feature_layer=llava.config.vision_feature_layer,
        vision_feature_select_strategy=llava.config.vision_feature_select_strategy,
        return_dict=True,
    )


@dataclass(frozen=True, eq=False)
class Read:
    """A prompt that a model has read, with the gradient if it was read with one."""

    layers: list[tuple[Any, Any]]
    """Keys and values of each layer, (1, heads, tokens, width)."""
    last: Any
    """(1, width): the state from which the first token of an answer is told."""

    @property
    def length(self) -> int:
        return int(self.layers[0][0].shape[-2])

    def cache(self, llava: Any, rows: int = 1) -> Any:
        """A cache to go on from, for `rows` sequences; what is put into it leaves this prompt as it is."""
        cache = DynamicCache(config=llava.config.get_text_config())
        for index, (keys, values) in enumerate(self.layers):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), index)
        return cache


def read(llava: Any, prompt: Any, features: Any) -> Read:
    """Of the tokens of one prompt, (tokens,)."""
    cache = DynamicCache(config=llava.config.get_text_config())
    states = llava.model(
        input_ids=prompt[None],
        mm_encoder_outputs={"image": features},
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state[0]
    return Read([(layer.keys, layer.values) for layer in cache.layers], states[-1:])


def completion_logits(llava: Any, prompt: Read, completions: Any) -> Any:
    """(group, tokens, vocabulary) logits of the tokens of `completions` (group, tokens), each behind the prompt."""
    group, length = completions.shape
    states = prompt.last.expand(group, 1, -1)
    if length > 1:
        positions = torch.arange(prompt.length, prompt.length + length - 1, device=completions.device)
        rest = llava.model(
            input_ids=completions[:, :-1],
            position_ids=positions.expand(group, -1),
            past_key_values=prompt.cache(llava, group),
            use_cache=True,
        ).last_hidden_state
        states = torch.cat([states, rest], dim=1)
    return llava.get_output_embeddings()(states)


@torch.no_grad()
def sample(llava: Any, prompt: Read, group: int, config: GenerationConfig) -> Any:
    """(group, tokens) continuations of one prompt, drawn side by side in one sequence, greedy where `config` says so.

    Reads of `config`: max_new_tokens, do_sample, temperature, suppress_tokens, eos_token_id, pad_token_id.
    """
    device, start = llava.device, prompt.length
    cache = prompt.cache(llava)
    ends = torch.as_tensor(config.eos_token_id, device=device).flatten()
    done = torch.zeros(group, dtype=torch.bool, device=device)
    written: list[Any] = []
    member = torch.arange(group, device=device)
    states = prompt.last.expand(group, -1)
    while True:
        logits = llava.get_output_embeddings()(states).float()
        logits[:, config.suppress_tokens] = -torch.inf
        if config.do_sample:
            drawn = torch.multinomial(torch.softmax(logits / config.temperature, dim=-1), 1)[:, 0]
        else:
            drawn = logits.argmax(-1)
        drawn = torch.where(done, config.pad_token_id, drawn)
        written.append(drawn)
        done |= torch.isin(drawn, ends)
        if len(written) == config.max_new_tokens or done.all():
            return torch.stack(written, dim=1)
        # each token sees the prompt and those of its own answer
        mine = member.repeat(len(written))[None] == member[:, None]
        states = llava.model(
            input_ids=drawn[None],
            position_ids=torch.full((1, group), start + len(written) - 1, device=device),
            attention_mask=torch.cat([mine.new_ones(group, start), mine], dim=1)[None, None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[0]


class Merged:
    """A copy of a model with one of its adapters merged: what the adapter says without the cost of its layers.

    Only the weights that an adapter changes are copied.
    """

    def __init__(self, model: Any, adapter: str) -> None:
        self._model, self._adapter = model, adapter
        same = {id(p): p for name, p in model.named_parameters() if ".base_layer." not in name}
        self.llava = deepcopy(model, same).unload().eval().requires_grad_(False)
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over what the adapter is now."""
        mine = dict(self.llava.named_modules())
        for name, layer in self._model.get_base_model().named_modules():
            if isinstance(layer, LoraLayer):
                weight = layer.get_base_layer().weight
                mine[name].weight.copy_(weight + layer.get_delta_weight(self._adapter))


def ended(ids: Any, ends: Sequence[int]) -> list[int]:
    """The tokens up to the first end token, that one included."""
    listed: list[int] = ids.tolist()
    stop = next((k for k, token in enumerate(listed) if token in ends), len(listed) - 1)
    return listed[: stop + 1]
