"""Tiny models of the real classes and a few made-up examinations, for the training stages to run on."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensic_chat.imaging.views import View
from forensic_chat.schema import Label
from tests.factories import case as made_up
from tests.factories import tiny_llava
from tests.unit.test_rewards import examined, mask_png
from train import sft
from train.examinations import Examined, Seen, save

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
CPU = ["--use_cpu", "true", "--bf16", "false", "--dataloader_num_workers", "0", "--report_to", "none"]
GRPO = ("--num_generations", 2, "--per_device_train_batch_size", 2, "--max_completion_length", 6)
"""Small groups of short answers."""


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
