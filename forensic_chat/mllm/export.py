"""The language model as files that a server of stock models takes: a LLaVA checkpoint and a LoRA adapter."""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from forensic_chat.errors import UsageError
from forensic_chat.mllm.loading import ADAPTER, PROJECTOR, trained_folder
from forensic_chat.settings import settings
from forensic_chat.weights import base, fingerprint

if TYPE_CHECKING:
    from forensic_chat.weights.progress import Progress

ADAPTER_FOLDER = "adapter"
_WEIGHTS = "model.safetensors"


def assembled(progress: "Progress | None" = None) -> Path:
    """The folder of the cache with what `assemble` writes; written at the first call.

    Raises as `assemble`.
    """
    name = f"vllm-{fingerprint(base('llava', progress=progress))}-{fingerprint(trained_folder())}"
    place = settings().cache_dir.expanduser() / name
    with FileLock(f"{place}.lock"):
        if not place.is_dir():
            assemble(place, progress)
    return place


def assemble(directory: Path, progress: "Progress | None" = None) -> None:
    """Writes the model into a new folder: base weights with the trained projector, and `adapter`, the trained
    LoRA adapter, for a server that applies it.

    Names of tensors are those of published LLaVA checkpoints, which vLLM wants: `vision_tower.vision_model`
    where newer releases of transformers write `vision_tower`. Raises UsageError if the folder exists or can't
    be written, BackendUnavailable, WeightsUnavailable, WeightsCorrupted.
    """
    trained, folder = trained_folder(), base("llava", progress=progress)
    if directory.exists():
        raise UsageError(f"{directory.name} is already there; give a folder that does not exist")
    unfinished = directory.with_name(f".partial-{directory.name}-{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        _write(folder, trained, unfinished)
        unfinished.rename(directory)
    except OSError as error:
        raise UsageError(
            f"the model can't be written to {directory.name} ({error.strerror}); check the folder's rights and "
            "its disk's space"
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(folder: Path, trained: Path, out: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in folder.iterdir():
        if file.name not in (_WEIGHTS, "complete.json"):
            shutil.copyfile(file, out / file.name)
    state = published(load_file(folder / _WEIGHTS))
    for name, tensor in load_file(trained / PROJECTOR).items():
        state[f"multi_modal_projector.{name}"] = tensor
    save_file(state, out / _WEIGHTS, metadata={"format": "pt"})
    adapter = out / ADAPTER_FOLDER
    adapter.mkdir()
    for name in ADAPTER:
        shutil.copyfile(trained / name, adapter / name)


def published(state: dict[str, Any]) -> dict[str, Any]:
    """Tensors under the names of published LLaVA checkpoints."""
    tower, inner = "vision_tower.", "vision_tower.vision_model."
    return {
        inner + name[len(tower) :] if name.startswith(tower) and not name.startswith(inner) else name: tensor
        for name, tensor in state.items()
    }


def adapter_rank(directory: Path) -> int:
    """The rank of an adapter's matrices."""
    return int(json.loads((directory / ADAPTER[0]).read_text("utf-8"))["r"])
