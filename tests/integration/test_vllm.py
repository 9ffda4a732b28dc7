"""The embedded model in a real vLLM server on this machine's CPU."""

import os
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.errors import BackendUnavailable
from forensic_chat.mllm.asking import asked_for_claims
from forensic_chat.mllm.backends.transformers import TransformersBackend
from forensic_chat.mllm.backends.vllm import VllmBackend
from forensic_chat.mllm.grammar import chosen_pattern, claim_patterns, rationale_pattern
from forensic_chat.mllm.prompts import Turn, follow_up
from forensic_chat.telling import MOST_TOKENS
from tests import real_vllm
from tests.factories import case, conversation

pytestmark = [pytest.mark.weights, pytest.mark.slow, pytest.mark.vllm]
CONFIGS = Path(__file__).parents[2] / "configs" / "vllm"
PARSE = """
import sys
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = AsyncEngineArgs.add_cli_args(FlexibleArgumentParser())
for option in ("--host", "--port"):  # the server's own, not the engine's
    parser.add_argument(option)
print(AsyncEngineArgs.from_cli_args(parser.parse_args(["--config", sys.argv[1]])).data_parallel_size)
"""


@pytest.fixture(scope="module")
def backend() -> VllmBackend:
    return VllmBackend(real_vllm.server())


def test_it_is_the_model_that_transformers_runs(backend: VllmBackend) -> None:
    embedded = TransformersBackend.load()
    for seed in range(2):
        asked = conversation(case(seed), 3, seed)
        expected = embedded.verdict_probabilities(asked)
        assert backend.verdict_probabilities(asked) == pytest.approx(expected, abs=0.05)
    shared = {name: backend.models[name] for name in embedded.models}
    assert shared == embedded.models
    assert backend.models["language server"].startswith("vLLM 0.32")


@pytest.mark.parametrize(("seed", "least"), [(0, 2), (1, 1)])
def test_a_rationale_is_held_to_the_findings(backend: VllmBackend, seed: int, least: int) -> None:
    said = case(seed)
    pattern = rationale_pattern(said)
    claims = claim_patterns(said.findings, said.regions, said.label)
    prefix = answer_prefix(said.label, said.probabilities)
    answer = "".join(
        backend.generate(conversation(said), prefix=prefix, pattern=pattern, max_new_tokens=MOST_TOKENS)
    )
    whole = answer.splitlines()[: None if answer.endswith("]") else -1]
    assert len(whole) >= least
    for line in whole:
        assert any(re.fullmatch(f"- {claim}", line) for claim in claims), line


def test_it_chooses_its_claims_as_the_embedded_backend_does(backend: VllmBackend) -> None:
    said = case(1)

    def write(begun: str, pattern: str) -> str:
        pieces = backend.generate(
            conversation(said), prefix=begun, pattern=pattern, max_new_tokens=MOST_TOKENS
        )
        return "".join(pieces)

    prefix = answer_prefix(said.label, said.probabilities)
    lines = asked_for_claims(write, said, prefix, any_words=backend.any_words).splitlines()
    assert len(lines) >= 2
    assert all(re.fullmatch(chosen_pattern(said), line) for line in lines)
    assert len({line[line.rindex(" [") :] for line in lines}) == len(lines)


def test_a_server_killed_in_mid_answer_costs_that_answer_only(backend: VllmBackend) -> None:
    server = real_vllm.server()
    first = conversation(case(3), 2)
    said = "".join(backend.generate(first, prefix="real 0.90\n", max_new_tokens=24))
    turns = [*first.turns, Turn("assistant", f"real 0.90\n{said}"), follow_up("Which finding weighs most?")]
    asked = replace(first, turns=turns)
    pieces = backend.generate(asked, max_new_tokens=400)
    assert next(pieces)
    assert server._process is not None
    os.killpg(server._process.pid, signal.SIGKILL)
    with pytest.raises(BackendUnavailable, match="ask again"):
        list(pieces)
    assert "".join(backend.generate(asked, max_new_tokens=24))


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_vllm_knows_every_option_of_the_configurations(config: Path) -> None:
    python = os.environ.get(real_vllm.VARIABLE)
    if not python:
        pytest.skip(f"{real_vllm.VARIABLE} names no interpreter with vLLM")
    # offline, vLLM would look for the model at once
    set_up = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    told = subprocess.run(
        [python, "-c", PARSE, str(config)], capture_output=True, text=True, check=False, env=set_up
    )
    assert told.returncode == 0, told.stderr[-2000:]
    assert told.stdout.split()[-1] == "1"
