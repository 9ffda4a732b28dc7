"""The training stages on tiny models of the real classes: each runs, stops, goes on, and hands on what it trained."""

import csv
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from PIL import Image
from transformers import GenerationConfig
from trl import GRPOConfig, SFTConfig, TrlParser

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.errors import UsageError
from forensic_chat.imaging.views import View
from forensic_chat.mllm.loading import assemble
from forensic_chat.schema import Label
from tests.factories import case as made_up
from tests.factories import tiny_llava, tiny_qwen
from tests.unit.test_rewards import examined, mask_png
from train import align, grpo, models, replay, sampling, sft, visual
from train.chunks import UNFINISHED
from train.examinations import Examined, Seen, load, save

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
CPU = ["--use_cpu", "true", "--bf16", "false", "--dataloader_num_workers", "0", "--report_to", "none"]


def record(k: int, split: str = "train", truth: Label = "real") -> tuple[Examined, list[View]]:
    """A made-up examination with noise for views."""
    case, names = made_up(k), ("overview", "crop A", "trace map")
    mask = mask_png((10, 10, 40, 40)) if truth == "tampered" else None
    about = examined(
        case.label,
        truth,
        sha256=f"{k:064x}",
        split=split,
        findings=list(case.findings)[:4],
        regions=list(case.regions),
        probabilities=case.probabilities,
        size=case.image_size,
        masking={region.id: 100.0 for region in case.regions},
        views=[Seen(name=name, box=(0, 0, 224, 224)) for name in names],
        mask=mask,
    )
    pixels = np.random.default_rng(k).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    return about, [View(name, (0, 0, 224, 224), p) for name, p in zip(names, pixels, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examinations of six training and two val images."""
    out = tmp_path_factory.mktemp("examined")
    for k in range(8):
        about, views = record(k + 1, "train" if k < 6 else "val", ("real", "synthetic", "tampered")[k % 3])
        about = about.model_copy(update={"sha256": f"{k:x}" * 64})
        save(out, about, views)
    return out


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("llava")
    model, processor = tiny_llava()
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def tuned(llava: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of a first, short fine-tuning."""
    out = tmp_path_factory.mktemp("sft")
    run(
        sft,
        "embedded/sft.yaml",
        llava,
        out / "run",
        *("--examined", folder, "--text_only", 1, "--pictured", 3, "--shipped", out / "shipped"),
        *("--max_steps", 1, "--save_steps", 1),
    )
    return out / "shipped"


def run(stage: Any, config: str, base: Path | str, out: Path, *more: object) -> None:
    given = ["--config", CONFIGS / config, "--base_model", base, "--output_dir", out, *CPU, *more]
    stage.main([str(value) for value in given])


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_examinations_are_kept_whole(folder: Path) -> None:
    every = load(folder, "train") + load(folder, "val")
    assert [len(load(folder, split)) for split in ("train", "val")] == [6, 2]
    about, views = record(1)
    kept, seen = every[0]
    assert kept.findings == about.findings
    assert all((a.pixels == b.pixels).all() and a.name == b.name for a, b in zip(views, seen, strict=True))


def test_an_adapter_is_shipped_as_the_backend_loads_it(llava: Path, tuned: Path) -> None:
    assert {path.name for path in tuned.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "projector.safetensors",
    }
    assert not any(
        str(ROOT) in path.read_text() or "/tmp" in path.read_text() for path in tuned.glob("*.json")
    )
    model, _ = assemble(llava, tuned)
    assert not isinstance(model, PeftModel)


GRPO = ("--num_generations", 2, "--per_device_train_batch_size", 2, "--max_completion_length", 6)
"""Small groups of short answers."""


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


def test_alignment_trains_the_projector_alone(llava: Path, folder: Path, tmp_path: Path) -> None:
    given = ("--examined", folder, "--views", 8, "--max_steps", 2, "--save_steps", 1, "--bfloat16", "false")
    with pytest.raises(SystemExit) as stopped:
        run(align, "embedded/align.yaml", llava, tmp_path, *given, "--minutes", 1e-6)
    assert stopped.value.code == UNFINISHED
    run(align, "embedded/align.yaml", llava, tmp_path, *given)
    before, _ = tiny_llava()
    after, _ = models.load(models.ModelArguments(base_model=str(llava), start=tmp_path))
    changed = {
        name
        for (name, a), b in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.allclose(a, b, atol=1e-6)
    }
    assert changed
    assert all(models.PROJECTION in name for name in changed)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Four photos, two of them in val, and an untrained autoencoder."""
    from forensic_chat.data.forge.autoencoders import DESIGNS, Autoencoder
    from forensic_chat.data.forge.autoencoders import save as save_autoencoder

    out, coders = tmp_path_factory.mktemp("corpus"), tmp_path_factory.mktemp("coders")
    lines = []
    for k in range(4):
        pixels = np.random.default_rng(k).integers(0, 256, (240, 260, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(out / f"{k}.png")
        item = {
            **dict.fromkeys(
                ("generator", "manipulation", "mask", "authentic", "commit", "orig_path", "note")
            ),
            **{"path": f"{k}.png", "sha256": f"{k}" * 64, "label": "real", "source": "s", "licence": "CC0"},
            **{"width": 260, "height": 240, "format": "PNG", "group": str(k), "modern": False},
            "split": "train" if k < 2 else "val",
        }
        lines.append(json.dumps(item))
    (out / "manifest.jsonl").write_text("\n".join(lines))
    name = min(name for name, design in DESIGNS.items() if not design.fills_holes)
    save_autoencoder(Autoencoder(DESIGNS[name]).eval(), coders / f"{name}.safetensors", {"steps": 0})
    return out, coders


def test_visual_enhancement_trains_the_tower_that_only_the_language_model_uses(
    llava: Path, corpus: tuple[Path, Path], tuned: Path, tmp_path: Path
) -> None:
    run(
        visual,
        "embedded/visual.yaml",
        llava,
        tmp_path,
        *("--corpus", corpus[0], "--autoencoders", corpus[1], "--pairs", 2, "--val_pairs", 2),
        *("--max_steps", 1, "--warmup_steps", 0, "--bfloat16", "false"),
    )
    assert 0 <= json.loads((tmp_path / "accuracy.json").read_text())["val"] <= 1
    before, _ = tiny_llava()
    after, _ = models.load(models.ModelArguments(base_model=str(llava), start=tmp_path))
    changed = {
        name
        for (name, a), b in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.allclose(a, b, atol=1e-7)
    }
    assert any("vision_tower" in name for name in changed)
    assert not any("language_model" in name for name in changed)
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for path in [*tuned.iterdir(), tmp_path / "tower"]:
        path.rename(shipped / path.name) if path.is_dir() else (shipped / path.name).write_bytes(
            path.read_bytes()
        )
    assembled, _ = assemble(llava, shipped)
    same = zip(after.model.vision_tower.parameters(), assembled.model.vision_tower.parameters(), strict=True)
    assert all(torch.allclose(a, b.float(), atol=1e-2) for a, b in same)


ARGUMENTS: dict[str, tuple[Any, list[str]]] = {
    "align": ((align.AlignArguments, models.ModelArguments, SFTConfig), ["--examined", "x"]),
    "visual": (
        (visual.VisualArguments, models.ModelArguments, SFTConfig),
        ["--corpus", "x", "--autoencoders", "y"],
    ),
    "sft": ((sft.DataArguments, models.ModelArguments, SFTConfig), []),
    "grpo": (
        (grpo.GrpoArguments, models.ModelArguments, GRPOConfig),
        ["--examined", "x", "--adapter", "y"],
    ),
}


@pytest.mark.parametrize(
    "path",
    sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent.name != "vllm"),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_every_config_is_one_of_its_stage(path: Path, tmp_path: Path) -> None:
    classes, required = ARGUMENTS[path.stem]
    given = ["--config", str(path), "--output_dir", str(tmp_path), *CPU, *required]
    _, base, config = TrlParser(classes).parse_args_and_config(given)
    wanted = {"embedded": "embedded", "qwen2.5-vl-7b": "Qwen/Qwen2.5-VL", "qwen3-vl-8b": "Qwen/Qwen3-VL"}
    assert base.base_model.startswith(wanted[path.parent.name])
    assert base.four_bit == (path.parent.name != "embedded")
    if path.stem == "grpo":
        assert config.num_generations >= 4
        assert config.max_steps >= 300
        assert config.beta > 0
        assert len(config.reward_weights) == len(grpo.REWARDS)
    else:
        assert config.assistant_only_loss


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.5", "3"])
def test_the_gpu_configs_run_on_a_tiny_model_of_the_real_classes(
    version: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QLoRA in NF4, fine-tuning and then GRPO, with the settings of the config but for sizes and the device."""
    name = {"2.5": "qwen2.5-vl-7b", "3": "qwen3-vl-8b"}[version]
    model, processor = tiny_qwen(version)
    model.save_pretrained(tmp_path / "base")
    monkeypatch.setattr(models.AutoProcessor, "from_pretrained", lambda *_, **__: processor)
    common = ("--examined", folder, "--gradient_accumulation_steps", 1, "--max_steps", 1, "--save_steps", 1)
    run(
        sft,
        f"{name}/sft.yaml",
        tmp_path / "base",
        tmp_path / "sft",
        *(*common, "--text_only", 1, "--pictured", 1, "--shipped", tmp_path / "shipped"),
    )
    assert (tmp_path / "shipped" / "adapter_model.safetensors").is_file()
    run(
        grpo,
        f"{name}/grpo.yaml",
        tmp_path / "base",
        tmp_path / "grpo",
        *(*common, "--adapter", tmp_path / "shipped", "--val_images", 1, *GRPO),
    )
    assert [row["step"] for row in rows_of(tmp_path / "grpo" / "rewards.csv")] == ["1"]
    assert (tmp_path / "grpo" / "best" / "adapter_model.safetensors").is_file()


def test_sft_is_held_to_its_base_on_the_bases_own_text(llava: Path, folder: Path, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": "Blue."}]
    own = tmp_path / "own.jsonl"
    own.write_text(json.dumps({"messages": turns}) + "\n")
    out = tmp_path / "run"
    run(
        sft,
        "embedded/sft.yaml",
        llava,
        out,
        *("--examined", folder, "--text_only", 2, "--pictured", 0, "--own", own, "--learning_rate", 0.1),
        *("--max_steps", 2, "--save_steps", 2, "--gradient_accumulation_steps", 1, "--warmup_steps", 0),
    )
    log = json.loads((out / "checkpoint-2" / "trainer_state.json").read_text())["log_history"]
    first, second = (step["forgot"] for step in log[:2])
    assert first == pytest.approx(0, abs=1e-6), "a fresh adapter changes nothing"
    assert second > 1e-4


def test_the_bases_own_conversations_are_kept_where_they_say_something(
    llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = iter(
        [
            [("What is a river, please?", True), ("Never ends", False), ("Hm", True)],
            [("Water that flows. And it", False)],
            [("And what is a lake, then?", True)],
            [("Water that stands still.", True)],
        ]
    )
    monkeypatch.setattr(replay, "continued", lambda *given: next(written))
    made = replay.conversations(*models.load(models.ModelArguments(base_model=str(llava))))
    said = [[turn["content"] for turn in next(made)["messages"]] for _ in range(2)]
    assert said == [
        ["What is a river, please?", "Water that flows."],
        ["And what is a lake, then?", "Water that stands still."],
    ]
