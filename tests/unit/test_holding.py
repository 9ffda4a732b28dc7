"""Held to what it said: nothing to pull where nothing moved, and less moves where it is held."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.data.rationales import rationale
from forensic_chat.errors import UsageError
from forensic_chat.mllm.loading import assemble
from forensic_chat.mllm.prompts import messages, opening
from tests.unit.staged import folder, llava
from train.examinations import load
from train.holding import Held
from train.seeing import Pull

__all__ = ["folder", "llava"]


def test_a_model_as_it_was_diverges_nowhere_and_a_moved_projector_is_pulled(
    llava: Path, folder: Path
) -> None:
    model, processor = assemble(llava)
    model.requires_grad_(False)
    held = Held(model, processor, folder)
    assert len(held.rationales) == len(load(folder, "train")) == 6
    projector = model.model.multi_modal_projector.requires_grad_(True)
    assert all(held.divergence(k).item() == pytest.approx(0, abs=1e-6) for k in range(6))
    with torch.no_grad():
        for weight in projector.parameters():
            weight += 10 * torch.randn_like(weight)
    moved = held.divergence(0)
    assert moved.item() > 1e-5
    moved.backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        f"model.multi_modal_projector.{name}" for name, _ in projector.named_parameters()
    }


def test_the_rationale_is_read_as_the_product_puts_the_image(llava: Path, folder: Path) -> None:
    model, processor = assemble(llava)
    [kept, *_] = Held(model, processor, folder).rationales
    [(record, views), *_] = load(folder, "train")
    prompt = processor.apply_chat_template(
        messages([opening(views, record.size, record.findings, record.regions)]),
        add_generation_prompt=True,
        tokenize=False,
    )
    text = "\n".join(f"- {claim}" for claim in rationale(record.case(), Random(record.sha256)))
    begun = prompt + answer_prefix(record.label, record.probabilities)
    inputs = processor(
        text=begun, images=[Image.fromarray(view.pixels) for view in views], return_tensors="pt"
    )
    written = processor.tokenizer.encode(text, add_special_tokens=False, return_tensors="pt")
    inputs["input_ids"] = torch.cat([inputs.input_ids, written], 1)
    inputs["attention_mask"] = torch.ones_like(inputs.input_ids)
    with torch.no_grad():
        whole = model(**inputs).logits[0, -written.shape[1] - 1 : -1]
        mine = model.lm_head(kept.said.to(model.dtype))
    assert torch.equal(kept.ids, inputs.input_ids)
    assert torch.allclose(whole, mine, atol=5e-3)


def test_the_pull_draws_the_model_back(llava: Path, folder: Path) -> None:
    model, processor = assemble(llava)
    model.requires_grad_(False)
    pull = Pull(Held(model, processor, folder), weight=1.0)
    projector = model.model.multi_modal_projector.requires_grad_(True)
    with torch.no_grad():
        for weight in projector.parameters():
            weight += 3 * torch.randn_like(weight)
    optimizer = torch.optim.AdamW(projector.parameters(), lr=0.2)
    found = []
    for k in range(24):
        optimizer.zero_grad()
        found.append(pull.backward(np.random.default_rng(k)))
        optimizer.step()
    assert np.mean(found[-6:]) < 0.7 * np.mean(found[:6])
    assert Pull(None, 1.0).backward(np.random.default_rng(0)) == 0


def test_a_folder_without_training_images_is_refused(llava: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no examinations of split train"):
        Held(*assemble(llava), tmp_path)
