"""Loads the examiner for a command, with a progress bar on stderr while base weights are fetched."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forensic_chat.examiner import Examiner


@contextmanager
def load() -> Iterator["Examiner"]:
    from forensic_chat.examiner import Examiner

    yield Examiner.load()
