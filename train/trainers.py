"""TRL's GRPO trainer for our prompts: an answer may have begun, and a group's prompt is read once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig
from trl import GRPOTrainer
from trl.data_utils import prepare_multimodal_messages

from forensic_chat.errors import UsageError
from train.sampling import Merged, Read, completion_logits, ended, image_features, read, sample

SAMPLES_EVERY = 10


class ForcedPrefixTrainer(GRPOTrainer):
    """GRPO where a prompt may end in an answer that has begun, and rewards know the reference's opinion."""

    reference_logps: Any = None

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[Any, Any, Any]:
        """As TRL does, then the begun answer's tokens behind the generation prompt."""
        begun = ["" if p[-1]["role"] != "assistant" else p[-1]["content"][0]["text"] for p in prompts]
        asked = [p[:-1] if p[-1]["role"] == "assistant" else p for p in prompts]
        ids, images, fields = super()._tokenize_prompts(asked)
        encode = self._tokenizer.encode
        behind = [encode(text, add_special_tokens=False) if text else [] for text in begun]
        ids = [[*map(int, mine), *more] for mine, more in zip(ids, behind, strict=True)]
        if "mm_token_type_ids" in fields:
            fields["mm_token_type_ids"] = [
                [*map(int, mine), *[0] * len(more)]
                for mine, more in zip(fields["mm_token_type_ids"], behind, strict=True)
            ]
        return ids, images, fields

    def written(self, row: dict[str, Any]) -> list[int]:
        """The tokens of the greedy answer to one prompt row."""
        prompts = [prepare_multimodal_messages(row["prompt"], images=row["images"])]
        ids, _, fields = self._tokenize_prompts(prompts)
        greedy = GenerationConfig(
            do_sample=False,
            max_new_tokens=self.max_completion_length,
            eos_token_id=self.eos_token_ids,
            pad_token_id=self._tokenizer.pad_token_id,
            suppress_tokens=self.generation_config.suppress_tokens,
        )
        return ended(self._greedy(ids[0], fields, greedy), self.eos_token_ids)

    @torch.no_grad()
    def _greedy(self, prompt: list[int], fields: dict[str, Any], config: GenerationConfig) -> Any:
        model = self.accelerator.unwrap_model(self.model)
        ids = torch.tensor([prompt], device=model.device)
        more = {name: torch.as_tensor(np.asarray(value)).to(model.device) for name, value in fields.items()}
        more |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return model.generate(**more, generation_config=config)[0, len(prompt) :]

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        result = self._logps(model, *args, **kwargs)
        unwrapped = self.accelerator.unwrap_model(self.model)
        if "ref" in unwrapped.active_adapters:
            self.reference_logps = result[0]
        return result

    def _logps(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        return super()._get_per_token_logps_and_entropies(model, *args, **kwargs)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        """Each row also knows what the reference thinks of its completion, and whether it was ended."""
        mean = [None] * len(ids)
        if self.reference_logps is not None:
            mean = [
                float(row[: len(mine)].float().mean())
                for row, mine in zip(self.reference_logps, ids, strict=True)
            ]
        known = [
            row | {"reference": value, "finished": mine[-1] in self.eos_token_ids}
            for row, value, mine in zip(inputs, mean, ids, strict=True)
        ]
        rewards = super()._calculate_rewards(known, prompts, completions, ids)
        if self.model.training and self.state.global_step % SAMPLES_EVERY == 0:
            self._keep_samples(known, completions, rewards)
        return rewards

    def _keep_samples(self, inputs: Any, completions: Any, rewards: Any) -> None:
        with (Path(self.args.output_dir) / "samples.jsonl").open("a", encoding="utf-8") as file:
            for row, completion, values in zip(inputs, completions, rewards.tolist(), strict=True):
                named = dict(zip(self.reward_func_names, values, strict=True))
                sample = {
                    "step": self.state.global_step,
                    "image": json.loads(row["examined"])["sha256"],
                    "text": row["prefix"] + completion[0]["content"],
                    "rewards": {k: round(v, 3) for k, v in named.items() if v == v},
                }
                file.write(json.dumps(sample) + "\n")


class SharedPromptTrainer(ForcedPrefixTrainer):
    """Reads the prompt once for all completions of its group, with the gradient, and samples behind what was read.

    A batch is one group: four rationales of a hundred tokens share a prompt of a thousand. Sampling and the
    reference take copies of the model with the adapter merged (`Merged`): the adapter's own layers, small as they
    are, take about a quarter of a sampled token's time. The image features (tower and projector are frozen) are
    computed once a step.
    """

    _pixels: Any = None
    _features: Any = None
    _writer: Merged | None = None
    _written_at: int = -1
    _reference: Merged | None = None
    _read: tuple[Any, Read] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.args
        if config.per_device_train_batch_size != config.num_generations or config.steps_per_generation != 1:
            raise UsageError(
                "a batch must be one prompt's group: set per_device_train_batch_size to num_generations and "
                "steps_per_generation to 1; more prompts a step are gradient_accumulation_steps"
            )
        if config.gradient_checkpointing:
            raise UsageError(
                "a prompt that is read once can't be read again: set gradient_checkpointing to false"
            )

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, fields: Any, num_generations: int, has_tool_images: bool = False
    ) -> tuple[Any, Any]:
        llava, group = self._llava(), len(prompt_ids)
        prompt = torch.tensor(prompt_ids[0], device=llava.device)
        features = self._image_features(torch.as_tensor(np.asarray(fields["pixel_values"])), group)
        with torch.set_grad_enabled(self.model.training), self.accelerator.autocast():
            self._read = prompt, read(llava, prompt, features)
        written = sample(self._writing(), self._read[1], group, self.generation_config)
        return [ended(ids, self.eos_token_ids) for ids in written], None

    @torch.no_grad()
    def _greedy(self, prompt: list[int], fields: dict[str, Any], config: GenerationConfig) -> Any:
        llava = self._writing()
        features = image_features(llava, torch.as_tensor(np.asarray(fields["pixel_values"])))
        return sample(llava, read(llava, torch.tensor(prompt, device=llava.device), features), 1, config)[0]

    def _logps(
        self,
        model: Any,
        input_ids: Any,
        attention_mask: Any,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        pixel_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Any, Any, None]:
        """Log-probabilities (and entropies) of the completions, (group, tokens) each."""
        prompt, completions = input_ids[0, :-logits_to_keep], input_ids[:, -logits_to_keep:]
        features = self._image_features(pixel_values, input_ids.size(0))
        peft = self.accelerator.unwrap_model(self.model)
        with self.accelerator.autocast():
            if "ref" in peft.active_adapters:
                self._reference = self._reference or Merged(peft, "ref")
                llava = self._reference.llava
                known = read(llava, prompt, features)
            else:
                llava = self._llava()
                known = self._taken(prompt) or read(llava, prompt, features)
            logits = completion_logits(llava, known, completions)
        chances = torch.log_softmax(logits.float() / self.temperature, dim=-1)
        logps = chances.gather(-1, completions[..., None])[..., 0]
        entropy = -(chances.detach().exp() * chances.detach()).sum(-1) if compute_entropy else None
        return logps, entropy, None

    def _taken(self, prompt: Any) -> Read | None:
        """What was read for sampling, with its gradient; once, since a gradient goes back once."""
        if not torch.is_grad_enabled() or self._read is None or not torch.equal(self._read[0], prompt):
            return None
        (_, known), self._read = self._read, None
        return known if known.last.requires_grad else None

    def _llava(self) -> Any:
        return self.accelerator.unwrap_model(self.model).get_base_model()

    def _writing(self) -> Any:
        """The model to sample with: the policy's adapter merged, again after each optimiser step."""
        if self._writer is None:
            self._writer = Merged(self.accelerator.unwrap_model(self.model), "default")
        elif self._written_at != self.state.global_step:
            self._writer.refresh()
        self._written_at = self.state.global_step
        return self._writer.llava

    def _image_features(self, pixels: Any, group: int) -> Any:
        """Of the first of `group` equal prompts, from the last call where the pixels are the same."""
        mine = pixels[: len(pixels) // group]
        if self._pixels is None or self._pixels.shape != mine.shape or not torch.equal(self._pixels, mine):
            self._pixels, self._features = mine, image_features(self._llava(), mine)
        return self._features
