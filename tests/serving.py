"""A server for tests in a process of its own: real HTTP, intake and store, an examiner without weights.

python -m tests.serving [--seconds S] [--pause S]; the settings come from the environment, as for `serve`.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensic_chat.examiner import Examiner
from forensic_chat.imaging.intake import Source, take_in
from forensic_chat.mllm.backends.base import cancelled
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.schema import Examination
from forensic_chat.stopping import Stopping
from tests.factories import SpotEncoder, calibration
from tests.fakes import examination


class SlowBackend(ScriptedBackend):
    """Waits before each word."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    def generate(self, *args: Any, **options: Any) -> Iterator[str]:
        for piece in super().generate(*args, **options):
            if options["cancel"] is not None and options["cancel"].wait(self.pause):
                raise cancelled()
            yield piece


class StubExaminer(Examiner):
    """`examine` takes the image in and then a given time, for an invented result; `open` is the real one over
    `SpotEncoder`."""

    _seeing = (SpotEncoder(), calibration())  # type: ignore[assignment]
    models = {"encoder": "spot"}  # type: ignore[assignment]  # noqa: RUF012

    def __init__(self, seconds: float = 0.0, pause: float = 0.0) -> None:
        super().__init__(backend=SlowBackend(pause))
        self.seconds = seconds
        self.examined: list[str] = []

    def examine(
        self,
        source: Source,
        *,
        rationale: bool = True,
        name: str | None = None,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
    ) -> Examination:
        check = Stopping(cancel, deadline)
        with check.holding(self._lock):
            found = examination(take_in(source, name=name).info(), rationale=rationale)
            left = self.seconds if deadline is None else min(self.seconds, check.remaining or 0.0)
            (cancel or threading.Event()).wait(left)
            check()
            self.examined.append(found.image.name)
            return found


@dataclass(frozen=True)
class Served:
    address: str
    process: "subprocess.Popen[str]"

    def kill(self) -> None:
        """As `kill -9`."""
        self.process.kill()
        self.process.wait(30)


@contextmanager
def serving(folder: Path, *, seconds: float = 0.0, pause: float = 0.0, **settings: Any) -> Iterator[Served]:
    """A server that keeps its data in `folder`; settings by their names."""
    given = {f"FORENSIC_CHAT_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {
        **os.environ,
        "FORENSIC_CHAT_DATA_DIR": str(folder / "data"),
        "FORENSIC_CHAT_SIGNING_KEY": str(folder / "key.pem"),
        **given,
    }
    command = [sys.executable, "-m", "tests.serving", "--seconds", str(seconds), "--pause", str(pause)]
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(
            command,
            cwd=Path(__file__).parents[1],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "http://" in line, (folder / "log").read_text()
            yield Served(line[line.index("http://") :].strip(), process)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def until(holds: Any, seconds: float = 30.0) -> Any:
    """What `holds` returns, once it is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)
    return found


def main() -> None:
    from forensic_chat.api.server import serve

    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--pause", type=float, default=0.0)
    given = parser.parse_args()
    stub = StubExaminer(given.seconds, given.pause)
    Examiner.load = classmethod(lambda cls, **_: stub)  # type: ignore[method-assign,assignment]
    serve("127.0.0.1", 0)


if __name__ == "__main__":
    main()
