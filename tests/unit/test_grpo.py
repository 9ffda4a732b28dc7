"""GRPO on tiny models: it stops and goes on, keeps the best, and reads a prompt once without changing a result."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.errors import UsageError
from forensic_chat.mllm.loading import assemble
from tests.factories import tiny_llava
from tests.unit.staged import GRPO, folder, llava, record, rows_of, run, tuned
from train import grpo, models, sampling
from train.chunks import UNFINISHED
from train.examinations import Examined

__all__ = ["folder", "llava", "tuned"]


def test_grpo_stops_goes_on_and_keeps_the_best(
    llava: Path, folder: Path, tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (
        *("--examined", folder, "--adapter", tuned, "--shipped", tmp_path / "shipped", "--val_images", 2),
        *(
            "--save_steps",
            1,
            "--max_steps",
            3,
            "--free",
            0.5,
            "--learning_rate",
            0.01,
            "--warmup_steps",
            0,
            *GRPO,
        ),
    )
    with pytest.raises(SystemExit) as stopped:
        run(grpo, "embedded/grpo.yaml", llava, tmp_path / "run", *given, "--minutes", 1e-6)
    assert stopped.value.code == UNFINISHED
    assert not (tmp_path / "shipped").exists()
    assert [row["step"] for row in rows_of(tmp_path / "run" / "rewards.csv")] == ["1"]
    run(grpo, "embedded/grpo.yaml", llava, tmp_path / "run", *given)
    curves, val = rows_of(tmp_path / "run" / "rewards.csv"), rows_of(tmp_path / "run" / "val.csv")
    assert [row["step"] for row in curves] == ["1", "2", "3"]
    assert [row["step"] for row in val] == ["0", "1", "2", "3"]
    assert {"form", "evidence", "kl", "seconds", "tokens_per_second"} <= curves[0].keys()
    assert float(curves[0]["kl"]) == pytest.approx(0.0, abs=1e-4)  # still the reference
    samples = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 2
    assert {"form", "evidence", "length", "language"} <= samples[0]["rewards"].keys()
    printed = capsys.readouterr().out
    assert "s a step" in printed
    assert printed.count("the best so far") >= 1
    best = max(val, key=lambda row: float(row["score"]))
    first = next(row for row in val if row["score"] == best["score"])
    assert f"val at step {first['step']}: {float(first['score']):.3f}, the best so far" in printed
    assemble(llava, tmp_path / "shipped")


def by_text(_: grpo.Scorer, reward: Any) -> Any:
    """A reward by which the nonsense of a random model differs."""

    def scored(completions: Any, **_: Any) -> list[float]:
        return [sum(map(ord, completion[0]["content"])) % 97 for completion in completions]

    scored.__name__ = reward.__name__
    return scored


def test_grpo_changes_the_adapter_and_nothing_else(
    llava: Path, folder: Path, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo.Scorer, "_function", by_text)
    run(
        grpo,
        "embedded/grpo.yaml",
        llava,
        tmp_path / "run",
        *("--examined", folder, "--adapter", tuned, "--val_images", 1, "--save_steps", 2, "--max_steps", 2),
        *("--learning_rate", 0.01, "--warmup_steps", 0, "--max_completion_length", 12, *GRPO[:4]),
    )
    from safetensors.torch import load_file

    after = load_file(tmp_path / "run" / "checkpoint-2" / "adapter_model.safetensors")
    before = load_file(tuned / "adapter_model.safetensors")
    assert after.keys() == before.keys()
    assert any(not torch.equal(after[k].float(), before[k].float()) for k in after)
    reference = load_file(tmp_path / "run" / "checkpoint-2" / "ref" / "adapter_model.safetensors")
    assert all(torch.equal(reference[k].float(), before[k].float()) for k in before)


def test_a_step_is_the_same_where_the_prompt_is_read_again(
    llava: Path, folder: Path, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before sampling hands its gradient on, though the reference's adapter was at work in between."""
    from safetensors.torch import load_file

    monkeypatch.setattr(grpo.Scorer, "_function", by_text)
    more = ("--max_steps", 1, "--save_steps", 1, "--learning_rate", 0.01, "--warmup_steps", 0, *GRPO[:4])
    given = (
        "--examined",
        folder,
        "--adapter",
        tuned,
        "--val_images",
        1,
        "--max_completion_length",
        12,
        *more,
    )
    run(grpo, "embedded/grpo.yaml", llava, tmp_path / "once", *given)
    monkeypatch.setattr(grpo.SharedPromptTrainer, "_taken", lambda *_: None)
    run(grpo, "embedded/grpo.yaml", llava, tmp_path / "again", *given)
    once, again = (
        load_file(tmp_path / name / "checkpoint-1" / "adapter_model.safetensors")
        for name in ("once", "again")
    )
    norms = [rows_of_log(tmp_path / name)["grad_norm"] for name in ("once", "again")]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)
    assert norms[0] > 0
    assert all(torch.allclose(once[name], again[name], atol=1e-4) for name in once)


def rows_of_log(out: Path) -> dict[str, float]:
    """What the first step logged."""
    logged: dict[str, float] = json.loads((out / "checkpoint-1" / "trainer_state.json").read_text())[
        "log_history"
    ][0]
    return logged


def test_grpo_wants_one_group_a_batch(llava: Path, folder: Path, tuned: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one prompt's group"):
        run(
            grpo,
            "embedded/grpo.yaml",
            llava,
            tmp_path,
            *("--examined", folder, "--adapter", tuned, *GRPO, "--per_device_train_batch_size", 4),
        )


def test_grpo_says_that_there_is_nothing_to_train_on(llava: Path, tuned: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run train\.examinations"):
        run(grpo, "embedded/grpo.yaml", llava, tmp_path, "--examined", tmp_path, "--adapter", tuned)


def prompt_of(processor: Any) -> tuple[Any, Any]:
    about, views = record(3)
    row = grpo.prompt_row(about, views, [], forced=True)
    text = processor.apply_chat_template(row["prompt"][:-1], add_generation_prompt=True, tokenize=False)
    inputs = processor(text=text + row["prefix"], images=row["images"], return_tensors="pt")
    return inputs["input_ids"][0], inputs["pixel_values"]


def trained_on(policy: Any) -> None:
    """Changes the adapter as much as a long training would."""
    with torch.no_grad():
        for name, p in policy.named_parameters():
            if "lora_" in name:
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(0)) * 0.2)


def test_a_prompt_read_once_gives_what_each_completion_alone_would(llava: Path, tuned: Path) -> None:
    """Logits, and the gradient of the adapter, which goes through the prompt too."""
    model, processor = models.load(models.ModelArguments(base_model=str(llava)))
    policy = models.with_adapter(model, tuned)
    trained_on(policy)
    prompt, pixels = prompt_of(processor)
    completions = torch.randint(5, 200, (3, 7), generator=torch.Generator().manual_seed(0))
    features = sampling.image_features(model, pixels)

    def gradients(logits: Any) -> dict[str, Any]:
        policy.zero_grad()
        torch.log_softmax(logits, -1).gather(-1, completions[..., None]).mean().backward()
        return {name: p.grad.clone() for name, p in policy.named_parameters() if p.grad is not None}

    together = sampling.completion_logits(model, sampling.read(model, prompt, features), completions)
    alone = torch.cat(
        [
            model(input_ids=torch.cat([prompt, each])[None], pixel_values=pixels).logits[
                :, len(prompt) - 1 : -1
            ]
            for each in completions
        ]
    )
    assert torch.allclose(together, alone, atol=1e-4)
    quick, slow = gradients(together), gradients(alone)
    assert quick.keys() == slow.keys()
    assert any("lora_A" in name and value.abs().max() > 1e-4 for name, value in slow.items())
    assert all(torch.allclose(quick[name], slow[name], rtol=1e-3, atol=1e-5) for name in slow)


def test_a_merged_copy_says_what_the_adapter_does_and_follows_it(llava: Path, tuned: Path) -> None:
    model, processor = models.load(models.ModelArguments(base_model=str(llava)))
    policy = models.with_adapter(model, tuned)
    prompt, pixels = prompt_of(processor)
    features = sampling.image_features(model, pixels)
    copy = sampling.Merged(policy, "default")

    def last(of: Any) -> Any:
        with torch.no_grad():
            return sampling.read(of, prompt, features).last

    before = last(model)
    assert torch.allclose(last(copy.llava), before, atol=1e-4)
    own = {id(p) for p in model.parameters()}
    copied = {name for name, p in copy.llava.named_parameters() if id(p) not in own}
    assert copied
    assert all(name.split(".")[-2].endswith("_proj") for name in copied)
    trained_on(policy)
    assert not torch.allclose(last(model), before, atol=1e-3)
    assert torch.allclose(last(copy.llava), before, atol=1e-4)
    copy.refresh()
    assert torch.allclose(last(copy.llava), last(model), atol=1e-3)


def test_sampling_side_by_side_is_what_generate_does() -> None:
    model, processor = tiny_llava()
    prompt, pixels = prompt_of(processor)
    config = GenerationConfig(
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=[2],
        pad_token_id=0,
        suppress_tokens=model.generation_config.suppress_tokens,
    )
    ids = prompt[None]
    wanted = model.generate(
        input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), generation_config=config
    )[0, len(prompt) :]
    known = sampling.read(model, prompt, sampling.image_features(model, pixels))
    written = sampling.sample(model, known, 3, config)
    assert written.tolist() == [wanted.tolist()] * 3
    assert known.length == len(prompt)
    config.do_sample, config.temperature = True, 1.5
    torch.manual_seed(0)
    assert len({tuple(row) for row in sampling.sample(model, known, 4, config).tolist()}) == 4


def test_sampling_ends_where_all_have_ended() -> None:
    model, processor = tiny_llava()
    prompt, pixels = prompt_of(processor)
    every = list(range(model.config.text_config.vocab_size))
    config = GenerationConfig(
        max_new_tokens=9, eos_token_id=[7], pad_token_id=0, suppress_tokens=[k for k in every if k != 7]
    )
    known = sampling.read(model, prompt, sampling.image_features(model, pixels))
    assert sampling.sample(model, known, 2, config).tolist() == [[7], [7]]
    assert sampling.ended(torch.tensor([5, 7, 0, 0]), [7]) == [5, 7]
    assert sampling.ended(torch.tensor([5, 6]), [7]) == [5, 6]


def test_prompts_force_most_verdicts_and_know_other_rationales() -> None:
    rows = grpo.prompt_rows([record(k) for k in range(40)], 0.25, Random(0))
    free = [row for row in rows if not row["prefix"]]
    assert 4 <= len(free) <= 16
    assert all(row["prompt"][-1]["role"] == "user" for row in free)
    forced = next(row for row in rows if row["prefix"])
    about = Examined.model_validate_json(forced["examined"])
    assert forced["prefix"] == answer_prefix(about.label, about.probabilities)
    assert forced["prompt"][-1]["content"][0]["text"] == forced["prefix"]
    assert max(len(row["others"]) for row in rows) == grpo.OTHERS


def test_the_scorer_remembers_what_was_said_of_other_images() -> None:
    scorer = grpo.Scorer()
    specificity = next(f for f in scorer.functions() if f.__name__ == "specificity")
    text = "- The same words for every image there is [E1]"
    state = type("State", (), {"global_step": 1, "max_steps": 2})()

    def score(k: int) -> list[float | None]:
        return specificity(
            [[{"role": "assistant", "content": text}]] * 2,
            examined=[record(k)[0].model_dump_json()] * 2,
            prefix=["real 0.90\n"] * 2,
            others=[[]] * 2,
            reference=[None] * 2,
            finished=[True] * 2,
            trainer_state=state,
        )

    assert score(1) == [None, None]  # siblings are about the same image
    assert score(1) == [None, None]
    assert score(2) == [0.0, 0.0]
