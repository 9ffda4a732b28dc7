"""Puts the embedded language model together: base LLaVA, the trained projector, the trained adapter."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensic_chat.errors import BackendUnavailable, WeightsCorrupted
from forensic_chat.weights import base, fingerprint, shipped
from forensic_chat.weights.convert import quiet

if TYPE_CHECKING:
    from forensic_chat.weights.progress import Progress

FOLDER = "mllm"
PROJECTOR = "projector.safetensors"
"""The state of `model.model.multi_modal_projector`: linear_1.weight, linear_1.bias, linear_2.weight,
linear_2.bias."""
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
"""As PEFT saves a LoRA adapter."""
TOWER = "tower"
"""A folder with a LoRA adapter on the vision tower, where one was trained: for the language model's eyes only,
the encoder has a tower of its own."""


def load(progress: "Progress | None" = None) -> tuple[Any, Any, dict[str, str]]:
    """Model (eval mode, on CUDA where there is one), processor, and their names and fingerprints.

    Raises BackendUnavailable when the trained part is not installed (an untrained projector is never used),
    WeightsUnavailable or WeightsCorrupted for the base.
    """
    trained = trained_folder()
    folder = base("llava", progress=progress)
    model, processor = assemble(folder, trained)
    return model, processor, {"language": fingerprint(folder), "language adapter": fingerprint(trained)}


def trained_folder() -> Path:
    """Where the trained projector and adapter are. Raises BackendUnavailable when they are not installed."""
    trained = shipped() / FOLDER
    for name in (PROJECTOR, *ADAPTER):
        if not (trained / name).is_file():
            raise BackendUnavailable(
                "this installation holds no trained language model; reinstall forensic-chat, or leave the "
                "rationale out"
            )
    return trained


def assemble(folder: Path, *trained: Path) -> tuple[Any, Any]:
    """The model of a base folder, and its processor, with what trained folders hold put in, one after the other:
    the projector, the vision tower's LoRA adapter and the language model's, both merged."""
    import torch
    from peft import PeftModel
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if bfloat16_is_fast(device) else torch.float32
    with quiet():
        processor = LlavaProcessor.from_pretrained(str(folder), local_files_only=True)
        model = LlavaForConditionalGeneration.from_pretrained(str(folder), dtype=dtype, local_files_only=True)
        for part in trained:
            if (part / PROJECTOR).is_file():
                load_projector(model, part / PROJECTOR)
            model = merge_tower(model, part)
            if (part / ADAPTER[0]).is_file():
                model = PeftModel.from_pretrained(model, str(part), local_files_only=True).merge_and_unload()
    return model.eval().to(device), processor


def shares_tower(trained: Path) -> bool:
    """Whether a language model with this trained part looks through CLIP's tower as the encoder does, which taps the
    same block last (`weights.assemble.VISION_FEATURE_LAYER`): without an adapter of its own on it."""
    return not (trained / TOWER / ADAPTER[0]).is_file()


def merge_tower(model: Any, trained: Path) -> Any:
    """The model with the vision tower's adapter of a trained folder merged, if there is one."""
    from peft import PeftModel

    folder = trained / TOWER
    if not (folder / ADAPTER[0]).is_file():
        return model
    return PeftModel.from_pretrained(model, str(folder), local_files_only=True).merge_and_unload()


def bfloat16_is_fast(device: str) -> bool:
    """Whether the device multiplies bfloat16 matrices faster than float32 ones: CUDA, and CPUs with AMX.

    With AVX-512 alone bfloat16 took 1.6 times as long to read a prompt and as long to write.
    """
    import torch

    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device == "cuda" or bool(capabilities.get("amx_bf16", False))


def load_projector(model: Any, file: Path) -> None:
    """Put a saved projector into a LlavaForConditionalGeneration; every tensor must be there and fit."""
    from safetensors.torch import load_file

    try:
        model.model.multi_modal_projector.load_state_dict(load_file(file), strict=True)
    except RuntimeError:
        raise WeightsCorrupted(
            "the trained projector does not fit the language model; reinstall forensic-chat"
        ) from None


def save_projector(model: Any, file: Path) -> None:
    """What `load_projector` reads, in bfloat16."""
    import torch
    from safetensors.torch import save_file

    state = model.model.multi_modal_projector.state_dict()
    save_file(
        {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in state.items()}, file
    )
