"""The vLLM server that a backend asks: one that runs already, or one that is started and kept alive."""

import atexit
import contextlib
import importlib.util
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from forensic_chat.errors import BackendUnavailable, UsageError
from forensic_chat.mllm.export import assembled
from forensic_chat.settings import settings
from forensic_chat.stopping import Stopping

if TYPE_CHECKING:
    from forensic_chat.weights.progress import Progress

LOG = logging.getLogger("forensic_chat.vllm")
MODEL = "forensic-chat"
"""The name under which a started server serves the embedded model."""
MOST_STARTS, WINDOW = 3, 600.0
"""A server that dies is started again, at most so often within so many seconds."""
_PATIENCE = 5.0
"""Seconds that a server may take to say whether it is well."""
_LOOK = 0.25
"""Seconds between two looks at a server that starts."""
GPU = Path("/dev/nvidiactl")
ON_CPU = ("--enforce-eager", "--gpu-memory-utilization", "0.3")
"""vLLM takes a share of the machine's memory as it would of a GPU's; compiling took a minute and gained nothing."""
STRUCTURED = '{"backend": "guidance"}'
"""As in the embedded backend; xgrammar, vLLM's own choice, is far slower to compile an answer's pattern."""
CPU_CACHE_GB = "1"
"""Keys and values of about 45,000 tokens of the embedded model."""

FEW_CORES = 8
"""vLLM by itself binds a thread to each core and leaves one to its scheduler, which sleeps most of the time: half of a
laptop with two. With no more cores than these, or with a number of threads that was set, nothing is bound."""

Check = Callable[[], None]
"""Called while a server is waited for; raises when its caller gives up."""


class Server(Protocol):
    """Where a vLLM server answers."""

    url: str
    """Without `/v1`."""
    key: str
    model: str
    """The name that requests carry."""
    models: dict[str, str]
    """What is known of the weights it serves."""

    def ready(self, check: Check) -> None:
        """Return when it answers, as far as is known. Raises BackendUnavailable, and what `check` raises."""
        ...

    def revive(self, check: Check) -> None:
        """After a request that failed: return when the server answers. Raises as `ready`."""
        ...


class AttachedServer:
    """A server that somebody else starts and keeps alive."""

    def __init__(self, url: str, model: str, key: str) -> None:
        self.url, self.model, self.key = url.rstrip("/").removesuffix("/v1"), model, key
        self.models = {"language": f"{model}, as the vLLM server names it"}

    def ready(self, check: Check) -> None:
        check()

    def revive(self, check: Check) -> None:
        check()
        if health(self.url) == "down":
            raise BackendUnavailable(
                f"the vLLM server at {self.url} does not answer; start it, or correct FORENSIC_CHAT_VLLM_URL"
            )


class StartedServer:
    """A server of our own on this machine, ended with this process.

    command: the server's, without host and port; log: the file that takes what it prints.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        model: str = MODEL,
        models: dict[str, str] | None = None,
        progress: "Progress | None" = None,
    ) -> None:
        self.url, self.model, self.key = "", model, secrets.token_hex(16)
        self.models = models or {}
        self._command, self._log, self._progress = list(command), log, progress
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._up = False
        self._starts: list[float] = []
        atexit.register(self.close)

    def ready(self, check: Check) -> None:
        began = time.monotonic()
        while not self._answers():
            if self._progress is not None:
                self._progress("Starting the vLLM server", int(time.monotonic() - began), 0)
            check()
            time.sleep(_LOOK)
        if self._progress is not None:
            self._progress("Starting the vLLM server", 1, 1)
            self._progress = None

    def revive(self, check: Check) -> None:
        with self._lock:
            if self._up and health(self.url) == "down":
                LOG.warning("the vLLM server does not answer any more; it is started again")
                self._end()
        self.ready(check)

    def close(self) -> None:
        """End the server."""
        with self._lock:
            self._end()

    def _answers(self) -> bool:
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                if process is not None and not self._up:
                    self._end()
                    raise BackendUnavailable(
                        f"the vLLM server ended while it started (exit code {process.returncode}); "
                        f"{self._log.name} in the cache folder holds what it printed"
                    )
                self._start()
            elif not self._up:
                self._up = health(self.url) == "up"
            return self._up

    def _start(self) -> None:
        """Begin to start it; a lock is held."""
        self._end()
        now = time.monotonic()
        self._starts = [then for then in self._starts if now - then < WINDOW]
        if len(self._starts) >= MOST_STARTS:
            raise BackendUnavailable(
                f"the vLLM server ended {MOST_STARTS} times within {WINDOW / 60:.0f} minutes and is not started "
                f"again for now; {self._log.name} in the cache folder holds what it printed"
            )
        self._starts.append(now)
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = os.environ | {
            "VLLM_API_KEY": self.key,
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        environment.setdefault("VLLM_CPU_KVCACHE_SPACE", CPU_CACHE_GB)
        cores = _cores()
        if threads := settings().threads or (cores if cores <= FEW_CORES else None):
            environment.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
            environment["OMP_NUM_THREADS"] = str(threads)
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*self._command, "--host", "127.0.0.1", "--port", str(port)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        except OSError:
            raise BackendUnavailable(
                "the vLLM server can't be started; check FORENSIC_CHAT_VLLM_PYTHON and the cache folder's rights"
            ) from None

    def _end(self) -> None:
        """End the server with all its processes; a lock is held."""
        process, self._process, self._up = self._process, None, False
        if process is None:
            return
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        with contextlib.suppress(OSError):  # its engine, if that outlived it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def server(progress: "Progress | None" = None) -> Server:
    """The one that the settings name, ready to answer.

    Raises UsageError, BackendUnavailable, WeightsUnavailable, WeightsCorrupted.
    """
    from forensic_chat.weights.resolver import shown

    known = settings()
    if known.vllm_url is not None:
        attached = AttachedServer(known.vllm_url, known.vllm_model, known.vllm_api_key)
        attached.revive(Stopping())
        return attached
    with shown(progress) as report:
        started = embedded(report)
        started.ready(Stopping())
    return started


def embedded(progress: "Progress | None" = None) -> StartedServer:
    """A server of the embedded model, not started yet."""
    from forensic_chat.mllm.loading import trained_folder
    from forensic_chat.weights import base, fingerprint

    known = settings()
    _require_vllm(known.vllm_python)
    if known.vllm_config is not None and not known.vllm_config.is_file():
        raise UsageError("FORENSIC_CHAT_VLLM_CONFIG names no file; give a YAML file of vLLM's options")
    folder = assembled(progress)
    dtype = str(json.loads((folder / "config.json").read_text("utf-8"))["dtype"])
    command = [
        *(known.vllm_python, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(folder), "--served-model-name", MODEL, "--dtype", dtype),
        *("--chat-template-content-format", "openai", "--limit-mm-per-prompt", '{"image": 8}'),
        *("--structured-outputs-config", STRUCTURED),
        *(() if GPU.exists() else ON_CPU),
        *(("--config", str(known.vllm_config)) if known.vllm_config else ()),
    ]
    models = {
        "language": fingerprint(base("llava", progress=progress)),
        "language adapter": fingerprint(trained_folder()),
    }
    return StartedServer(command, folder.parent / "vllm.log", models=models, progress=progress)


def health(url: str) -> Literal["up", "slow", "down"]:
    """How a server is. `slow`: it took the connection, but said nothing yet; it may just be busy."""
    import httpx2

    try:
        return "up" if httpx2.get(f"{url}/health", timeout=_PATIENCE, trust_env=False).is_success else "down"
    except httpx2.ReadTimeout:
        return "slow"
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return "down"


def _require_vllm(python: str) -> None:
    import sys

    if python == sys.executable and importlib.util.find_spec("vllm") is None:
        raise UsageError(
            "vLLM is not installed here: pip install 'forensic-chat[vllm]' on a machine with a GPU, or name the "
            "interpreter of another environment in FORENSIC_CHAT_VLLM_PYTHON (docs/serving.md)"
        )


def _cores() -> int:
    import torch

    return int(torch.get_num_threads())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
