"""Tiny models and examinations, built offline."""

from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np

from forensic_chat.data.dialogues import Case, random_examination
from forensic_chat.mllm.backends.base import Conversation
from forensic_chat.mllm.prompts import opening


def tiny_llava(seed: int = 0) -> tuple[Any, Any]:
    """A random LlavaForConditionalGeneration with a byte-level tokenizer, and its processor."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    from forensic_chat.weights.assemble import CHAT_TEMPLATE, IMAGE_TOKEN

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", IMAGE_TOKEN]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: k for k, token in enumerate([*specials, *alphabet])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[IMAGE_TOKEN],
    )
    torch.manual_seed(seed)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=224,
            patch_size=32,
            projection_dim=32,
        ),
        text_config=LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=8192,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        ),
        image_token_index=3,
        image_seq_length=49,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    model = LlavaForConditionalGeneration(config).eval()
    model.generation_config.update(
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        suppress_tokens=[0, 1, 2, 3, *_unprintable(vocabulary)],
    )
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"height": 224, "width": 224}, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=32,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE_TOKEN,
        chat_template=CHAT_TEMPLATE,
    )
    return model, processor


def _unprintable(vocabulary: dict[str, int]) -> list[int]:
    """Tokens that are not one printable ASCII character: a random model shall write readable nonsense."""
    return [
        k for token, k in vocabulary.items() if len(token) == 1 and not ("!" <= token <= "~" or token == "Ġ")
    ]


def conversation(case: Case, images: int = 3, seed: int = 0) -> Conversation:
    """A conversation that asks the verdict question about a case, with so many noise images."""
    names = ["overview", *(f"crop {chr(65 + k)}" for k in range(images - 2)), "trace map"][:images]
    views = [SimpleNamespace(name=name, box=(0, 0, 224, 224)) for name in names]
    pixels = np.random.default_rng(seed).integers(0, 256, (len(views), 224, 224, 3), dtype=np.uint8)
    return Conversation(list(pixels), [opening(views, case.image_size, case.findings, case.regions)])


def case(seed: int) -> Case:
    return random_examination(Random(seed))
