"""The backends by name."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from forensic_chat.mllm.backends.base import Backend
    from forensic_chat.weights.progress import Progress

BackendName = Literal["transformers", "vllm", "scripted"]


def load(name: BackendName, progress: "Progress | None" = None) -> "Backend":
    """A backend that is ready to write. Raises BackendUnavailable, UsageError."""
    if name == "scripted":
        from forensic_chat.mllm.backends.scripted import ScriptedBackend

        return ScriptedBackend()
    if name == "vllm":
        from forensic_chat.mllm.backends.vllm import VllmBackend

        return VllmBackend.load(progress=progress)
    from forensic_chat.mllm.backends.transformers import TransformersBackend

    return TransformersBackend.load(progress=progress)
