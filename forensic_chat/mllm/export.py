"""The language model as files that a server of stock models takes: a LLaVA checkpoint, the LoRA adapter merged into it.

Merged, because vLLM on a CPU gathers an adapter's matrices anew for every token that it reads: eight prompts took four
minutes with the adapter beside its base, and 39 s without (two cores, AVX2).
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from forensic_chat.errors import UsageError
from forensic_chat.mllm import loading
from forensic_chat.settings import settings
from forensic_chat.weights import base, fingerprint
from forensic_chat.weights.convert import quiet

if TYPE_CHECKING:
    from forensic_chat.weights.progress import Progress

_WEIGHTS = "model.safetensors"


def assembled(progress: "Progress | None" = None) -> Path:
    """The folder of the cache with what `assemble` writes; written at the first call.

    Raises as `assemble`.
    """
    parts = base("llava", progress=progress), loading.trained_folder()
    name = "-".join(["merged", *map(fingerprint, parts)])
    place = settings().cache_dir.expanduser() / name
    with FileLock(f"{place}.lock"):
        if not place.is_dir():
            assemble(place, progress)
    return place


def assemble(directory: Path, progress: "Progress | None" = None) -> None:
    """Writes the model into a new folder: base weights with the trained projector, the trained adapters merged, in the
    numbers that this machine multiplies fastest (bfloat16, or float32 on a CPU without AMX).

    Names of tensors are those of published LLaVA checkpoints, which vLLM wants: `vision_tower.vision_model`
    where newer releases of transformers write `vision_tower`. Raises UsageError if the folder exists or can't
    be written, BackendUnavailable, WeightsUnavailable, WeightsCorrupted.
    """
    trained, folder = loading.trained_folder(), base("llava", progress=progress)
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

    model, _ = loading.assemble(folder, trained)
    with quiet():
        model.save_pretrained(out)
    saved = (out / _WEIGHTS).rename(
        out / "saved.safetensors"
    )  # what is read may be mapped: not to be written over
    save_file(published(load_file(saved)), out / _WEIGHTS, metadata={"format": "pt"})
    saved.unlink()
    for file in folder.iterdir():
        if not (out / file.name).exists() and file.name != "complete.json":
            shutil.copyfile(file, out / file.name)


def published(state: dict[str, Any]) -> dict[str, Any]:
    """Tensors under the names of published LLaVA checkpoints."""
    tower, inner = "vision_tower.", "vision_tower.vision_model."
    return {
        inner + name[len(tower) :] if name.startswith(tower) and not name.startswith(inner) else name: tensor
        for name, tensor in state.items()
    }
