"""Holding a model to what it says of examined images, while its projector learns to carry something else.

Learning without forgetting (Li and Hoiem 2016, arXiv 1606.09282): on rationales that code writes of examined training
images, the KL divergence of each token from what the model gave before the training.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from forensic_chat.data.rationales import rationale
from forensic_chat.errors import UsageError
from forensic_chat.imaging.views import View
from forensic_chat.mllm.prompts import answer_prefix, messages, opening
from train.examinations import Examined, load


@dataclass(frozen=True, eq=False)
class Rationale:
    """Token ids (1, T) of a prompt and a rationale; what the tower sees of its views, (V, 196, 768) float16; and the
    model's last hidden states before each token of the rationale, (S, D) float16, as they were."""

    ids: Tensor
    tokens: Tensor
    said: Tensor


class Held:
    """Rationales of one image each, and what `model` gives for their tokens now.

    Raises UsageError when the folder of train.examinations holds none of split `train`.
    """

    def __init__(self, model: Any, processor: Any, folder: Path) -> None:
        examined = load(folder, "train")
        if not examined:
            raise UsageError(f"{folder} holds no examinations of split train; run train.examinations")
        self.model, self.processor = model, processor
        self.rationales = [self._kept(record, views) for record, views in examined]

    @torch.no_grad()
    def _kept(self, record: Examined, views: list[View]) -> Rationale:
        turn = opening(views, record.size, record.findings, record.regions)
        prompt = self.processor.apply_chat_template(
            messages([turn]), add_generation_prompt=True, tokenize=False
        )
        begun = prompt + answer_prefix(record.label, record.probabilities)
        images = [Image.fromarray(view.pixels) for view in views]
        asked = self.processor(text=begun, images=images, return_tensors="pt")
        claims = rationale(record.case(), Random(record.sha256))
        written = self.processor.tokenizer.encode(
            "\n".join(f"- {claim}" for claim in claims), add_special_tokens=False, return_tensors="pt"
        )
        layer = self.model.config.vision_feature_layer
        tower = self.model.model.vision_tower
        seen = tower(asked.pixel_values.to(tower.dtype), output_hidden_states=True).hidden_states[layer][
            :, 1:
        ]
        ids = torch.cat([asked.input_ids, written], 1)
        states = self._states(ids, seen)[-written.shape[1] - 1 : -1]
        return Rationale(ids, seen.half(), states.half())

    def _states(self, ids: Tensor, tokens: Tensor) -> Tensor:
        """(T, D) last hidden states; the views' tokens pass through the projector as it is."""
        embedded = self.model.get_input_embeddings()(ids)[0]
        seen = self.model.model.multi_modal_projector(tokens.float()).to(embedded.dtype).flatten(0, 1)
        at = (ids[0] == self.model.config.image_token_id).nonzero()[:, 0]
        states: Tensor = self.model.model.language_model(
            inputs_embeds=embedded.index_copy(0, at, seen)[None], use_cache=False
        ).last_hidden_state[0]
        return states

    def divergence(self, index: int) -> Tensor:
        """Nats a token of a rationale, from what was said to what the model says now."""
        kept = self.rationales[index]
        with torch.no_grad():
            before = self.model.lm_head(kept.said.to(self.model.dtype)).float().log_softmax(-1)
        states = self._states(kept.ids, kept.tokens)[-len(kept.said) - 1 : -1]
        now = self.model.lm_head(states).float().log_softmax(-1)
        return F.kl_div(now, before, reduction="batchmean", log_target=True)
