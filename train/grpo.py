"""Stage 3: GRPO from the fine-tuned adapter, with rewards that code computes, by TRL.

    accelerate launch -m train.grpo --config configs/embedded/grpo.yaml --examined DIR --adapter DIR --output_dir DIR

Group Relative Policy Optimization (Shao et al., DeepSeekMath, arXiv 2402.03300) over examined training images
(train.examinations). Most prompts are the examiner's own: the verdict line is forced and the model writes the
claims; for the others it states the verdict itself. Reward components go to rewards.csv and TensorBoard, samples
to samples.jsonl, scores on `val` to val.csv; what is shipped is the adapter with the best of them, which may be the
one it started from. Exit code 75: stopped after --minutes, the same command goes on.
"""

import csv
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from shutil import copytree, rmtree
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from transformers import DynamicCache, GenerationConfig, TrainerCallback
from trl import GRPOConfig, GRPOTrainer, TrlParser
from trl.data_utils import prepare_multimodal_messages

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.data.rationales import rationale
from forensic_chat.errors import UsageError
from forensic_chat.imaging.views import View
from forensic_chat.mllm.prompts import messages, opening
from train.chunks import UNFINISHED, trained
from train.examinations import Examined
from train.examinations import load as load_examinations
from train.models import ModelArguments, load, ship, with_adapter
from train.rewards import REWARDS, Answer, Reward, total

OTHERS = 4
"""Rationales about other images, by code and by the model itself, with which one is compared."""
REMEMBERED = 8
SAMPLES_EVERY = 10


@dataclass
class GrpoArguments:
    """What is trained on, and how the run is cut into pieces."""

    examined: Path = field(metadata={"help": "folder of train.examinations"})
    adapter: Path = field(metadata={"help": "folder with the fine-tuned adapter and projector"})
    free: float = field(default=0.2, metadata={"help": "share of prompts where the model states the verdict"})
    val_images: int = field(default=24, metadata={"help": "examined val images that choose the checkpoint"})
    minutes: float = field(default=0, metadata={"help": "stop and save after so many minutes; 0: at the end"})
    shipped: Path | None = field(default=None, metadata={"help": "also save the best adapter here"})


def prompt_row(record: Examined, views: list[View], others: list[str], forced: bool) -> dict[str, Any]:
    """One prompt in TRL's conversational form, with what its rewards need."""
    first = opening(views, record.size, record.findings, record.regions)
    prefix = answer_prefix(record.label, record.probabilities) if forced else ""
    begun = [{"role": "assistant", "content": [{"type": "text", "text": prefix}]}] if forced else []
    return {
        "prompt": messages([first]) + begun,
        "images": [Image.fromarray(view.pixels) for view in views],
        "examined": record.model_dump_json(),
        "prefix": prefix,
        "others": others,
    }


def prompt_rows(
    every: Sequence[tuple[Examined, list[View]]], free: float, rng: Random
) -> list[dict[str, Any]]:
    """A prompt an image, the verdict forced but for a share of `free`."""
    said = [(record.sha256, record.label, "\n".join(rationale(record.case(), rng))) for record, _ in every]
    rows = []
    for record, views in every:
        # about images with the same verdict, where text is most alike
        same = [text for sha, label, text in said if label == record.label and sha != record.sha256]
        others = rng.sample(same, min(OTHERS, len(same)))
        rows.append(prompt_row(record, views, others, forced=rng.random() >= free))
    return rows


class Scorer:
    """Rewards as TRL calls them, one function a reward, over answers that are parsed and verified once.

    It remembers the model's last rationales about other images, so that one text for all of them shows.
    """

    def __init__(self) -> None:
        self._said: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)
        self._key: object = None
        self._answers: list[Answer] = []

    def functions(self) -> list[Any]:
        return [self._function(reward) for reward in REWARDS]

    def _function(self, reward: Reward) -> Any:
        def scored(completions: Any, **columns: Any) -> list[float | None]:
            return [reward(answer) for answer in self._read(completions, columns)]

        scored.__name__ = reward.__name__
        return scored

    def _read(self, completions: Any, columns: dict[str, Any]) -> list[Answer]:
        if self._key is not completions:
            state = columns["trainer_state"]
            self._answers = [
                Answer(
                    text=completion[0]["content"],
                    examined=Examined.model_validate_json(record),
                    prefix=prefix,
                    progress=state.global_step / max(1, state.max_steps),
                    others=[*others, *self._elsewhere(record)],
                    reference=reference,
                    finished=finished,
                )
                for completion, record, prefix, others, reference, finished in zip(
                    completions,
                    columns["examined"],
                    columns["prefix"],
                    columns["others"],
                    columns["reference"],
                    columns["finished"],
                    strict=True,
                )
            ]
            # remembered after the whole group was read: siblings speak of the same image
            for record, answer in dict(zip(columns["examined"], self._answers, strict=True)).items():
                self._said.append((record, answer.text))
            self._key = completions
        return self._answers

    def _elsewhere(self, record: str) -> list[str]:
        return [text for other, text in self._said if other != record][-OTHERS:]


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
    """Reads the prompt once for all completions of its group, in sampling, scoring and training.

    A batch is one group: four rationales of a hundred tokens share a prompt of a thousand, and the same gradient
    costs a third. The image features (tower and projector are frozen) are computed once a step.
    """

    _pixels: Any = None
    _features: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.args
        if config.per_device_train_batch_size != config.num_generations or config.steps_per_generation != 1:
            raise UsageError(
                "a batch must be one prompt's group: set per_device_train_batch_size to num_generations and "
                "steps_per_generation to 1; more prompts a step are gradient_accumulation_steps"
            )

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, fields: Any, num_generations: int, has_tool_images: bool = False
    ) -> tuple[Any, Any]:
        llava, group = self._llava(), len(prompt_ids)
        was_training = llava.training
        llava.eval()
        try:
            written = sample(
                llava,
                prompt_ids[0],
                self._image_features(torch.as_tensor(np.asarray(fields["pixel_values"])), group),
                group,
                self.generation_config,
            )
        finally:
            llava.train(was_training)
        return [ended(ids, self.eos_token_ids) for ids in written], None

    def _greedy(self, prompt: list[int], fields: dict[str, Any], config: GenerationConfig) -> Any:
        features = image_features(self._llava(), torch.as_tensor(np.asarray(fields["pixel_values"])))
        return sample(self._llava(), prompt, features, 1, config)[0]

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
        llava, group = self._llava(), input_ids.size(0)
        with self.accelerator.autocast():
            logits = completion_logits(
                llava,
                input_ids[0, :-logits_to_keep],
                input_ids[:, -logits_to_keep:],
                self._image_features(pixel_values, group),
            )
        chances = torch.log_softmax(logits.float() / self.temperature, dim=-1)
        logps = chances.gather(-1, input_ids[:, -logits_to_keep:, None])[..., 0]
        entropy = -(chances.detach().exp() * chances.detach()).sum(-1) if compute_entropy else None
        return logps, entropy, None

    def _llava(self) -> Any:
        return self.accelerator.unwrap_model(self.model).get_base_model()

    def _image_features(self, pixels: Any, group: int) -> Any:
        """Of the first of `group` equal prompts, from the last call where the pixels are the same."""
        mine = pixels[: len(pixels) // group]
        if self._pixels is None or self._pixels.shape != mine.shape or not torch.equal(self._pixels, mine):
            self._pixels, self._features = mine, image_features(self._llava(), mine)
        return self._features


@torch.no_grad()
def image_features(llava: Any, pixels: Any) -> Any:
    """Tower and projector over (n, 3, 224, 224) pixels, as `mm_encoder_outputs` takes it."""
    return llava.model.get_image_features(
        pixel_values=pixels.to(llava.device, llava.dtype),
        vision_feature_layer=llava.config.vision_feature_layer,
        vision_feature_select_strategy=llava.config.vision_feature_select_strategy,
        return_dict=True,
    )


def completion_logits(llava: Any, prompt: Any, completions: Any, features: Any) -> Any:
    """(group, tokens, vocabulary) logits of the tokens of `completions` (group, tokens), all behind one `prompt`.

    One sequence holds the prompt and then every completion; each sees the prompt and itself, from the same position.
    """
    group, length = completions.shape
    start, device = len(prompt), prompt.device
    own = torch.arange(length, device=device)
    positions = torch.cat([torch.arange(start, device=device), (start + own).repeat(group)])
    # which completion a token belongs to; 0 is the prompt, which all see
    member = torch.cat(
        [
            torch.zeros(start, device=device),
            torch.arange(1, group + 1, device=device).repeat_interleave(length),
        ]
    )
    related = (member[:, None] == member[None]) | (member[None] == 0)
    mask = related & (positions[:, None] >= positions[None])
    states = llava.model(
        input_ids=torch.cat([prompt, completions.flatten()])[None],
        mm_encoder_outputs={"image": features},
        position_ids=positions[None],
        attention_mask=mask[None, None],
        use_cache=False,
    ).last_hidden_state[0]
    first = states[start - 1].expand(group, 1, -1)
    rest = states[start:].view(group, length, -1)[:, :-1]
    return llava.get_output_embeddings()(torch.cat([first, rest], dim=1))


@torch.no_grad()
def sample(llava: Any, prompt: Sequence[int], features: Any, group: int, config: GenerationConfig) -> Any:
    """(group, tokens) continuations of one prompt, drawn side by side in one sequence, greedy where `config` says so.

    Reads of `config`: max_new_tokens, do_sample, temperature, suppress_tokens, eos_token_id, pad_token_id.
    """
    device, start = llava.device, len(prompt)
    cache = DynamicCache(config=llava.config.get_text_config())
    ends = torch.as_tensor(config.eos_token_id, device=device).flatten()
    done = torch.zeros(group, dtype=torch.bool, device=device)
    inputs = {
        "input_ids": torch.tensor([list(prompt)], device=device),
        "mm_encoder_outputs": {"image": features},
    }
    written: list[Any] = []
    member = torch.arange(group, device=device)
    while len(written) < config.max_new_tokens and not done.all():
        states = llava.model(**inputs, past_key_values=cache, use_cache=True).last_hidden_state[0]
        logits = llava.get_output_embeddings()(states[-group:] if written else states[-1:]).float()
        logits[:, config.suppress_tokens] = -torch.inf
        if config.do_sample:
            chances = torch.softmax(logits.expand(group, -1) / config.temperature, dim=-1)
            drawn = torch.multinomial(chances, 1)[:, 0]
        else:
            drawn = logits.expand(group, -1).argmax(-1)
        drawn = torch.where(done, config.pad_token_id, drawn)
        written.append(drawn)
        done |= torch.isin(drawn, ends)
        mine = member.repeat(len(written))[None] == member[:, None]
        inputs = {
            "input_ids": drawn[None],
            "position_ids": torch.full((1, group), start + len(written) - 1, device=device),
            "attention_mask": torch.cat([mine.new_ones(group, start), mine], dim=1)[None, None],
        }
    return torch.stack(written, dim=1)


def ended(ids: Any, ends: Sequence[int]) -> list[int]:
    """The tokens up to the first end token, that one included."""
    listed: list[int] = ids.tolist()
    stop = next((k for k, token in enumerate(listed) if token in ends), len(listed) - 1)
    return listed[: stop + 1]


class Curves(TrainerCallback):
    """Writes each step's reward components and speed to rewards.csv, and prints the means at the end."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._rows: list[dict[str, Any]] = []
        self._clock = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._clock = time.process_time()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Rows behind the checkpoint from which the run goes on are dropped: their steps come again."""
        if self.file.exists():
            with self.file.open(encoding="utf-8", newline="") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["step"]) <= state.global_step]

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not logs or "reward" not in logs:
            return
        row = {"step": state.global_step, "reward": logs["reward"], "reward_std": logs["reward_std"]}
        row |= {reward.__name__: logs.get(f"rewards/{reward.__name__}/mean") for reward in REWARDS}
        seconds, tokens = logs["step_time"], logs["completions/mean_length"]
        written = tokens * args.per_device_train_batch_size * args.gradient_accumulation_steps
        row |= {
            "kl": logs.get("kl"),
            "entropy": logs.get("entropy"),
            "tokens": tokens,
            "cut": logs["completions/clipped_ratio"],
            "seconds": seconds,
            "cpu_seconds": time.process_time() - self._clock,
            "tokens_per_second": written / seconds,
        }
        self._rows.append({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})
        write_rows(self.file, self._rows)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._rows:
            seconds, cpu, speed = (
                sum(float(row[name]) for row in self._rows) / len(self._rows)
                for name in ("seconds", "cpu_seconds", "tokens_per_second")
            )
            print(
                f"{len(self._rows)} steps: {seconds:.1f} s a step ({cpu:.1f} of processor time), "
                f"{speed:.1f} sampled tokens/s"
            )


class BestOnVal(TrainerCallback):
    """Scores greedy answers about val images at the start and at each checkpoint, and keeps the best adapter."""

    def __init__(
        self, folder: Path, rows: list[dict[str, Any]], weights: Sequence[float], base_model: str
    ) -> None:
        self.folder, self.rows, self.weights, self.base_model = folder, rows, weights, base_model
        self.trainer: Any = None

    @property
    def scores(self) -> list[dict[str, str]]:
        file = self.folder / "val.csv"
        if not file.exists():
            return []
        with file.open(encoding="utf-8", newline="") as opened:
            return list(csv.DictReader(opened))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.scores:
            self._score(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not any(int(row["step"]) == state.global_step for row in self.scores):
            self._score(state.global_step)

    def _score(self, step: int) -> None:
        answers = [self._answer(row) for row in self.rows]
        scored = [total(answer, self.weights) for answer in answers]
        row: dict[str, Any] = {"step": step, "score": sum(value for value, _ in scored) / len(scored)}
        for reward in REWARDS:
            values = [v for _, each in scored if (v := each[reward.__name__]) is not None]
            row[reward.__name__] = sum(values) / len(values) if values else None
        row = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
        before = self.scores
        write_rows(self.folder / "val.csv", [*before, row])
        lines = [json.dumps({"step": step, "text": a.prefix + a.text}) for a in answers]
        with (self.folder / "val.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        best = all(row["score"] > float(old["score"]) for old in before)
        print(f"val at step {step}: {row['score']:.3f}{', the best so far' if best else ''}", flush=True)
        if best:
            rmtree(self.folder / "best", ignore_errors=True)
            model = self.trainer.accelerator.unwrap_model(self.trainer.model)
            ship(model, self.folder / "best", self.base_model)

    def _answer(self, row: dict[str, Any]) -> Answer:
        trainer = self.trainer
        ids = trainer.written(row)
        return Answer(
            text=trainer.processing_class.decode(ids, skip_special_tokens=True),
            examined=Examined.model_validate_json(row["examined"]),
            prefix=row["prefix"],
            others=row["others"],
            finished=ids[-1] in trainer.eos_token_ids,
        )


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)


def main(arguments: list[str] | None = None) -> None:
    data, base, config = TrlParser((GrpoArguments, ModelArguments, GRPOConfig)).parse_args_and_config(
        arguments
    )
    rng = Random(config.seed)
    rows = prompt_rows(load_examinations(data.examined, "train"), data.free, rng)
    val = prompt_rows(load_examinations(data.examined, "val")[: data.val_images], data.free, rng)
    if not rows or not val:
        raise UsageError(f"{data.examined.name} holds no examinations of both splits; run train.examinations")
    print(f"{len(rows)} prompts, {sum(not row['prefix'] for row in rows)} of them without a forced verdict")
    model, processor = load(base)
    processor.tokenizer.padding_side = "left"
    weights = config.reward_weights = config.reward_weights or [1.0] * len(REWARDS)
    Path(config.output_dir).mkdir(parents=True, exist_ok=True)
    best = BestOnVal(Path(config.output_dir), val, weights, base.base_model)
    trainer_class = SharedPromptTrainer if model.config.model_type == "llava" else ForcedPrefixTrainer
    trainer = trainer_class(
        model=with_adapter(model, data.adapter),
        reward_funcs=Scorer().functions(),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=processor,
        callbacks=[Curves(Path(config.output_dir) / "rewards.csv"), best],
    )
    best.trainer = trainer
    if not trained(trainer, data.minutes):
        raise SystemExit(UNFINISHED)
    if data.shipped is not None:
        copytree(Path(config.output_dir) / "best", data.shipped, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
