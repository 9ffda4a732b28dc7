"""Stage 1 on kept tokens: the model asked is the model that is used, and only its projector learns, and goes on."""

import argparse
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image

from forensic_chat.errors import UsageError
from forensic_chat.mllm.loading import ADAPTER, PROJECTOR, assemble
from forensic_chat.mllm.prompts import messages
from tests.factories import ColourTower
from tests.unit.staged import llava
from train import seeing
from train.chunks import UNFINISHED
from train.seeing import Asker, Pool, Pull, Shown, figures, shown
from train.visual import ASKED, alone

__all__ = ["llava"]

SPLITS = ("train",) * 4 + ("val",) * 2 + ("holdout",) * 2


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures, every other one generated: those are smooth."""
    out = tmp_path_factory.mktemp("corpus")
    lines = []
    for k, split in enumerate(SPLITS):
        made = k % 2 == 1
        noise = np.random.default_rng(k).integers(0, 256, (240, 260, 3), dtype=np.uint8)
        Image.fromarray(noise // 8 + 96 if made else noise).save(out / f"{k}.png")
        nothing = ("generator", "manipulation", "mask", "authentic", "commit", "orig_path", "note")
        item = {
            **dict.fromkeys(nothing),
            **{"path": f"{k}.png", "sha256": f"{k}" * 64, "source": f"source {k}", "licence": "CC0"},
            **{"label": "synthetic" if made else "real", "group": str(k), "modern": False},
            **{"width": 260, "height": 240, "format": "PNG", "split": split},
        }
        lines.append(json.dumps(item))
    (out / "manifest.jsonl").write_text("\n".join(lines))
    return out


@pytest.fixture
def begun(llava: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(seeing, "base", lambda name: llava)
    monkeypatch.setattr(seeing, "DRAWN", 9)
    return ["seeing", "--corpus", str(corpus), "--out", str(tmp_path), "--workers", "1", "--settle", "1"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", list(arguments))
    seeing.main()


def test_the_projector_learns_and_nothing_else_and_a_stopped_run_goes_on(
    begun: list[str], llava: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, *begun, "--minutes", "0.000001")
    assert stopped.value.code == UNFINISHED
    images = shown([corpus], 16, tmp_path)
    assert seeing.read_all(images, llava, 1, math.inf)
    args = argparse.Namespace(out=tmp_path, steps=4, check=2, rate=0.001, seed=0)
    assert not seeing.train(Asker(*assemble(llava)), images, Pull(None, 1.0), args, end=0.0)
    assert torch.load(tmp_path / seeing.CHECKPOINT, weights_only=True)["step"] == 1
    monkeypatch.setattr(Shown, "read", lambda *given, **more: pytest.fail("read again"))
    run(monkeypatch, *begun, "--steps", "4")
    assert torch.load(tmp_path / seeing.CHECKPOINT, weights_only=True)["step"] == 4
    reached = json.loads((tmp_path / "accuracy.json").read_text())
    assert reached.keys() == {"val", "holdout"}
    for rows in reached.values():
        assert {name: row["images"] for name, row in rows.items()} == {"untrained": 2, "trained": 2}
    measured = [row["trained"] for row in reached.values()]
    run(monkeypatch, *begun, "--measure", "--start", str(tmp_path))
    again = json.loads((tmp_path / "accuracy.json").read_text())
    assert [row["measured"] for row in again.values()] == measured
    (before, _), (after, _) = assemble(llava), assemble(llava, tmp_path)
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    changed = {name for (name, a), b in pairs if not torch.equal(a, b)}
    assert changed
    assert all("multi_modal_projector" in name for name in changed)


def test_the_adapter_that_it_began_with_lies_beside_the_projector(
    begun: list[str], llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = assemble(llava)
    layers = r".*language_model.*\.q_proj"
    get_peft_model(model, LoraConfig(r=2, target_modules=layers)).save_pretrained(tmp_path / "tuned")
    run(monkeypatch, *begun, "--steps", "1", "--start", str(tmp_path / "tuned"))
    for name in ADAPTER:
        assert (tmp_path / name).read_bytes() == (tmp_path / "tuned" / name).read_bytes()


def test_the_model_is_asked_as_the_product_asks_it(llava: Path, corpus: Path, tmp_path: Path) -> None:
    model, processor = assemble(llava)
    [image, *_] = shown([corpus], 4, tmp_path)
    image.read(llava)
    pictures = [Image.fromarray(view) for view in seeing.views(image.example)]
    asker = Asker(model, processor)
    for k, (question, _) in enumerate(ASKED):
        text = processor.apply_chat_template(
            messages([alone(seeing.VIEWS, question)]), add_generation_prompt=True, tokenize=False
        )
        inputs = processor(text=text, images=pictures, return_tensors="pt")
        with torch.no_grad():
            whole = model(**inputs).logits[:, -1]
            kept = asker.logits(image.tokens()[None], k)
        assert torch.allclose(whole, kept, atol=2e-3)


def test_the_encoders_tower_can_stand_in_for_the_models_own(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeing, "Tower", lambda place, threads: ColourTower())
    [image, *_] = shown([corpus], 4, tmp_path)
    image.read(Path("tower.onnx"))
    read = np.stack([ColourTower().patches(view, [0]) for view in seeing.views(image.example)])
    assert np.allclose(image.tokens().numpy(), read, atol=1e-3)


def test_delivery_that_tells_the_classes_apart_is_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = []
    monkeypatch.setattr(seeing, "refuse_shortcuts", fed.extend)
    seeing.guard(shown([corpus], 4, tmp_path))
    assert Counter(one.label for one in fed) == {"real": 2, "synthetic": 2}
    assert all(one.pixels.shape == (224, 224, 3) for one in fed)

    def refuse(fed: object) -> None:
        raise UsageError("the fed pixels tell")

    monkeypatch.setattr(seeing, "refuse_shortcuts", refuse)
    with pytest.raises(UsageError):
        seeing.guard(shown([corpus], 4, tmp_path))


def test_large_sources_are_drawn_less_than_their_size(corpus: Path, tmp_path: Path) -> None:
    images = [image for image in shown([corpus], 4, tmp_path) if not image.made]
    pool = Pool.of([images[0]] * 9 + [images[1]], made=False)
    assert pool.weights[:9].sum() == pytest.approx(0.75)


def test_figures_of_swapped_views_fall_to_chance(corpus: Path, tmp_path: Path) -> None:
    images = shown([corpus], 4, tmp_path) * 60
    odds = np.array([1.0 if image.made else -1.0 for image in images], np.float32)
    found = figures(images, odds)
    assert found["AUC"] == found["balanced accuracy"] == 1
    assert found["swapped"] == pytest.approx(0.5, abs=0.03)
    assert not (tmp_path / PROJECTOR).exists()
