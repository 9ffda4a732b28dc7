"""The model that a stage trains: the embedded one, or any image-text model that transformers loads."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from forensic_chat.mllm.loading import ADAPTER, PROJECTOR, load_projector, merge_tower, save_projector
from forensic_chat.weights import base
from forensic_chat.weights.assemble import CHAT_TEMPLATE, IMAGE_TOKEN

EMBEDDED = "embedded"
LANGUAGE = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""The language model's linear layers, in LLaVA and in Qwen's classes alike."""
PROJECTION = "multi_modal_projector"
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


@dataclass
class ModelArguments:
    """Which model is trained, and from where it starts."""

    base_model: str = field(default=EMBEDDED, metadata={"help": "embedded, a hub id or a folder"})
    revision: str | None = field(default=None, metadata={"help": "commit of a hub id"})
    four_bit: bool = field(default=False, metadata={"help": "QLoRA: the base in NF4 by bitsandbytes"})
    bfloat16: bool = field(default=False, metadata={"help": "base weights in bfloat16, else float32"})
    start: Path | None = field(
        default=None,
        metadata={"help": "folder with a projector, a tower adapter or both, of the stage before"},
    )
    lora_rank: int = 16


def load(args: ModelArguments) -> tuple[Any, Any]:
    """Model and processor, with the projector and the vision tower of the stage before."""
    place = str(base("llava")) if args.base_model == EMBEDDED else args.base_model
    quantised = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = AutoModelForImageTextToText.from_pretrained(
        place,
        revision=args.revision or "main",
        dtype=torch.bfloat16 if args.bfloat16 or args.four_bit else torch.float32,
        quantization_config=quantised if args.four_bit else None,
    )
    processor = AutoProcessor.from_pretrained(place, revision=args.revision or "main")
    if "<|image_pad|>" in processor.tokenizer.get_vocab():
        # the same ChatML tokens as its own template writes, with the marks that say what the assistant wrote
        processor.chat_template = CHAT_TEMPLATE.replace(IMAGE_TOKEN, QWEN_IMAGE)
    if args.start is not None:
        if (args.start / PROJECTOR).is_file():
            load_projector(model, args.start / PROJECTOR)
        model = merge_tower(model, args.start)
    return model, processor


def lora(model: Any, rank: int) -> LoraConfig:
    """LoRA on the language model; LLaVA's projector is trained whole, a larger model's own merger stays."""
    projector = any(PROJECTION in name for name, _ in model.named_modules())
    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=LANGUAGE,
        modules_to_save=[PROJECTION] if projector else None,
    )


def with_adapter(model: Any, folder: Path) -> Any:
    """The model with a shipped adapter (see `ship`), to train on; the shipped projector is put in and frozen."""
    if (folder / PROJECTOR).is_file():
        load_projector(model, folder / PROJECTOR)
    tuned = PeftModel.from_pretrained(model, str(folder), is_trainable=True)
    # the shipped name says which model it belongs to; PEFT would look it up on the hub at every save
    tuned.peft_config["default"].base_model_name_or_path = model.config._name_or_path
    return tuned


def ship(model: Any, out: Path, base_model: str = EMBEDDED, share: float = 1.0) -> None:
    """The trained adapter (bfloat16), and LLaVA's projector, as the backends load them.

    share: how far the language model's weights are from the base (0) to the trained ones (1). In between, less is
    forgotten than was learnt (WiSE-FT, Wortsman et al. 2022).
    """
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out, selected_adapters=["default"])
    adapter = out / ADAPTER[1]
    tensors = {name: value.bfloat16().contiguous() for name, value in load_file(adapter).items()}
    projector = {name.split(f"{PROJECTION}.")[1]: v for name, v in tensors.items() if PROJECTION in name}
    if projector:
        save_file(projector, out / PROJECTOR)
    elif any(PROJECTION in name for name, _ in model.named_modules()):
        save_projector(model.get_base_model(), out / PROJECTOR)
    rest = {name: value for name, value in tensors.items() if PROJECTION not in name}
    rest |= {name: value * share for name, value in rest.items() if "lora_B" in name}
    save_file(rest, adapter, metadata={"format": "pt"})
    config = json.loads((out / ADAPTER[0]).read_text())
    name = "llava" if base_model == EMBEDDED else base_model
    config |= {
        "modules_to_save": None,
        "base_model_name_or_path": Path(name).name if Path(name).is_dir() else name,
    }
    (out / ADAPTER[0]).write_text(json.dumps(config, indent=1) + "\n")
    (out / "README.md").unlink(missing_ok=True)
