"""The embedded MLLM before its training: CLIP's image tower and SmolLM2 in transformers' stock LLaVA class.

Liu et al., "Improved Baselines with Visual Instruction Tuning" (LLaVA-1.5), 2023. The projector is drawn from
a fixed seed; it says nothing until the trained projector that is shipped with this package replaces it.
"""

from pathlib import Path
from typing import Any

from forensic_chat.errors import WeightsCorrupted
from forensic_chat.weights.convert import VIEW_PROCESSING, quiet

IMAGE_TOKEN = "<image>"
IMAGE_TOKENS_PER_VIEW = 196
"""14 x 14 patches of a 224 px view; the class token is dropped (strategy "default")."""
VISION_FEATURE_LAYER = -3
"""Of the 13 hidden states (embeddings, 12 blocks): the output of block 10."""
PROJECTOR_SEED = 20250924

CHAT_TEMPLATE = (
    "{%- macro body(content) -%}"
    "{%- if content is string -%}{{- content -}}{%- else -%}"
    "{%- for part in content -%}"
    "{%- if part['type'] == 'text' -%}{{- part['text'] -}}"
    "{%- elif part['type'] in ['image', 'image_url'] -%}{{- '<image>' -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}{{- body(message['content']) + '<|im_end|>' -}}{%- endgeneration -%}"
    "{%- else -%}{{- body(message['content']) + '<|im_end|>' -}}{%- endif -%}"
    "{{- '\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
"""ChatML as SmolLM2 speaks it, without its default system message. Content is a string or a list of parts
`text`, `image`, `image_url`; an image is `<image>` and nothing else, white space is the writer's. The
generation markers cover what an assistant writes and its end token (TRL's `assistant_only_loss`)."""


def assemble_llava(smollm2_dir: Path, clip_dir: Path, out: Path) -> None:
    """Writes a LlavaForConditionalGeneration (bfloat16 safetensors, 221M parameters) and its LlavaProcessor.

    Keys are the ones of published LLaVA checkpoints (`vision_tower.vision_model...`), which vLLM wants and
    transformers reads. `<image>` is token 49152, the last; its embedding is the mean embedding, so that as an
    answer it is as unlikely as an average token, and generation suppresses it. Padding is `<|endoftext|>`,
    not `<|im_end|>` as in SmolLM2: collators leave padding out of the loss, and the model must learn to end.
    """
    from safetensors.torch import save_file
    from transformers import (
        AutoConfig,
        AutoTokenizer,
        CLIPImageProcessorPil,
        GenerationConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = AutoTokenizer.from_pretrained(str(smollm2_dir))
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE_TOKEN], "pad_token": "<|endoftext|>"})
    image_token = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    text = AutoConfig.from_pretrained(str(smollm2_dir))
    vision = AutoConfig.from_pretrained(str(clip_dir))
    if image_token != text.vocab_size:
        raise WeightsCorrupted(
            "SmolLM2's tokenizer and embeddings don't agree; remove the weights cache, pull again"
        )
    ends = {
        "bos_token_id": text.bos_token_id,
        "eos_token_id": text.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    text.update({"vocab_size": image_token + 1, "pad_token_id": tokenizer.pad_token_id})
    vision.dtype = text.dtype
    text._name_or_path = vision._name_or_path = ""  # no path of this machine in a file that may be handed on
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=image_token,
        image_seq_length=IMAGE_TOKENS_PER_VIEW,
        vision_feature_layer=VISION_FEATURE_LAYER,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
        architectures=["LlavaForConditionalGeneration"],
        dtype="bfloat16",
    )
    state = _state(smollm2_dir, clip_dir, vision.hidden_size, text.hidden_size)
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(out)
    GenerationConfig(**ends, suppress_tokens=[image_token]).save_pretrained(out)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(**VIEW_PROCESSING),
        tokenizer=tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE_TOKEN,
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(out)
    with quiet():
        _, info = LlavaForConditionalGeneration.from_pretrained(str(out), output_loading_info=True)
    if any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise WeightsCorrupted("the LLaVA assembly is incomplete; remove the weights cache and pull again")


def _state(smollm2_dir: Path, clip_dir: Path, vision_size: int, text_size: int) -> dict[str, Any]:
    import torch
    from safetensors.torch import load_file

    state: dict[str, Any] = {}
    for name, tensor in load_file(clip_dir / "model.safetensors").items():
        if name.startswith("vision_model."):
            state[f"vision_tower.{name}"] = tensor.bfloat16()
    for name, tensor in load_file(smollm2_dir / "model.safetensors").items():
        if name != "lm_head.weight":
            state[f"language_model.{name}"] = tensor.bfloat16()
    embeddings = state["language_model.model.embed_tokens.weight"]
    mean = embeddings.float().mean(dim=0, keepdim=True).bfloat16()
    state["language_model.model.embed_tokens.weight"] = torch.cat([embeddings, mean])
    generator = torch.Generator().manual_seed(PROJECTOR_SEED)
    for layer, inputs in (("linear_1", vision_size), ("linear_2", text_size)):
        weight = torch.randn(text_size, inputs, generator=generator) * inputs**-0.5
        state[f"multi_modal_projector.{layer}.weight"] = weight.bfloat16()
        state[f"multi_modal_projector.{layer}.bias"] = torch.zeros(text_size, dtype=torch.bfloat16)
    return state
