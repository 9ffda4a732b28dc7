"""A real vLLM server with the embedded model, one for the whole test run."""

import os
from functools import cache

import pytest

from forensic_chat.mllm.backends.vllm_server import StartedServer, embedded
from forensic_chat.stopping import Stopping

VARIABLE = "FORENSIC_CHAT_VLLM_PYTHON"


@cache
def server() -> StartedServer:
    """Ready to answer; ended with the test run."""
    pytest.importorskip("openai", reason="needs the extra `vllm-client`")
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} names no interpreter with vLLM (configs/vllm/install-cpu.sh makes one)")
    started = embedded()
    started.ready(Stopping(deadline=600))
    return started
