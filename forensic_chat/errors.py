"""Every error this package raises on purpose.

ForensicChatError              exit code 1; never raised itself
|-- InputRejected              2: the given file is not an image we examine (what is wrong, what to do)
|-- UsageError                 2: a request that can't be carried out as asked (options, settings, folders)
|-- ReportAltered              2: a report is not what was signed, or is no report
|-- BackendUnavailable         3: the model that writes rationales can't run or be reached
|   |-- WeightsUnavailable     3: base weights are neither cached nor to be fetched
|   `-- WeightsCorrupted       3: a weights file does not have the pinned SHA-256
|-- AnswerUnparsable           the model's answer can't be read as claims; counted, never guessed at
`-- Cancelled                  the caller stopped the work, or its deadline passed
    `-- DeadlineExceeded

Every message says what was wrong, with what, and what to do, on one line, and is safe to show to a remote
user: it quotes no library's text and no path but the name the user gave.
"""


class ForensicChatError(Exception):
    """Base of the tree; `code` is a stable word for machines, `exit_code` what the command line returns."""

    code = "error"
    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class InputRejected(ForensicChatError):
    """The file is not an image that can be examined."""

    code = "input_rejected"
    exit_code = 2


class UsageError(ForensicChatError):
    """The request itself is wrong: an option, a setting, a folder."""

    code = "usage"
    exit_code = 2


class ReportAltered(ForensicChatError):
    """A report was changed after it was signed, or is none."""

    code = "report_altered"
    exit_code = 2


class BackendUnavailable(ForensicChatError):
    """The language model can't run or be reached."""

    code = "backend_unavailable"
    exit_code = 3


class WeightsUnavailable(BackendUnavailable):
    """Weights are not in the cache and could not be fetched."""

    code = "weights_unavailable"


class WeightsCorrupted(BackendUnavailable):
    """A weights file is not the pinned one."""

    code = "weights_corrupted"


class AnswerUnparsable(ForensicChatError):
    """A model's answer does not have the form that was asked for."""

    code = "answer_unparsable"


class Cancelled(ForensicChatError):
    """The caller stopped the work."""

    code = "cancelled"


class DeadlineExceeded(Cancelled):
    """The work did not finish within its deadline."""

    code = "deadline_exceeded"
