"""Explainable image forensics: is an image real, synthetic or tampered - where, why, and how sure.

>>> from forensic_chat import Examiner
>>> examination = Examiner.load().examine("photo.jpg")

Importing this package imports no model library; a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forensic_chat.dialogue import Dialogue
    from forensic_chat.errors import (
        AnswerUnparsable,
        BackendUnavailable,
        Cancelled,
        DeadlineExceeded,
        ForensicChatError,
        InputRejected,
        ReportAltered,
        UsageError,
        WeightsCorrupted,
        WeightsUnavailable,
    )
    from forensic_chat.examiner import Examiner
    from forensic_chat.schema import Claim, Examination, Finding, Region, Verdict

    __version__: str

__all__ = [
    "AnswerUnparsable",
    "BackendUnavailable",
    "Cancelled",
    "Claim",
    "DeadlineExceeded",
    "Dialogue",
    "Examination",
    "Examiner",
    "Finding",
    "ForensicChatError",
    "InputRejected",
    "Region",
    "ReportAltered",
    "UsageError",
    "Verdict",
    "WeightsCorrupted",
    "WeightsUnavailable",
    "__version__",
]

_IN_MODULE = {
    "Dialogue": "dialogue",
    "Examiner": "examiner",
    **dict.fromkeys(("Claim", "Examination", "Finding", "Region", "Verdict"), "schema"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("forensic-chat")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_IN_MODULE.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
