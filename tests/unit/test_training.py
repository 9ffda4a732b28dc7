"""The training stages on tiny models of the real classes: each runs, stops, goes on, and hands on what it trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from PIL import Image
from trl import GRPOConfig, SFTConfig, TrlParser

from forensic_chat.mllm.loading import assemble
from tests.factories import tiny_llava, tiny_qwen
from tests.unit.staged import CONFIGS, CPU, GRPO, ROOT, folder, llava, record, rows_of, run, tuned
from train import align, grpo, models, replay, sft, visual
from train.chunks import UNFINISHED
from train.examinations import load

__all__ = ["folder", "llava", "tuned"]


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
