"""The vLLM backend against a scripted server: what it sends, and what it makes of faults."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from forensic_chat.errors import BackendUnavailable, Cancelled, DeadlineExceeded, UsageError
from forensic_chat.mllm.backends import vllm_server
from forensic_chat.mllm.backends.base import Conversation
from forensic_chat.mllm.backends.vllm_server import AttachedServer, StartedServer
from forensic_chat.mllm.prompts import Turn, follow_up
from forensic_chat.settings import Settings
from forensic_chat.stopping import Stopping
from tests import fake_vllm
from tests.factories import case, conversation

pytest.importorskip("openai", reason="needs the extra `vllm-client`")
pytest.importorskip("uvicorn", reason="needs the extra `serve`")

from forensic_chat.mllm.backends.vllm import VllmBackend


@pytest.fixture
def fake() -> fake_vllm.Fake:
    return fake_vllm.Fake()


@pytest.fixture
def server(fake: fake_vllm.Fake) -> Iterator[AttachedServer]:
    with fake_vllm.running(fake) as server:
        yield server


@pytest.fixture
def backend(server: AttachedServer) -> VllmBackend:
    return VllmBackend(server)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[StartedServer]:
    command = [sys.executable, "-m", "tests.fake_vllm"]
    server = StartedServer(command, tmp_path / "vllm.log", models={"language": "fake"})
    yield server
    server.close()


def asking(question: str) -> Conversation:
    """A second turn."""
    first = conversation(case(1), 2)
    return replace(first, turns=[*first.turns, Turn("assistant", "real 0.90\n- x [E1]"), follow_up(question)])


def answer(backend: VllmBackend, asked: Conversation, tokens: int = 8, prefix: str = "") -> str:
    return "".join(backend.generate(asked, max_new_tokens=tokens, prefix=prefix))


def test_images_go_as_bytes_and_answers_are_greedy(backend: VllmBackend, fake: fake_vllm.Fake) -> None:
    answer(backend, conversation(case(1), 5))
    (asked,) = fake.requests
    parts = [part for message in asked["messages"] for part in message["content"]]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert len(urls) == 5
    assert all(url.startswith("data:image/png;base64,") for url in urls)
    assert asked["temperature"] == 0
    assert asked["messages"][0]["role"] == "system"


def test_a_prefix_is_continued(backend: VllmBackend, fake: fake_vllm.Fake) -> None:
    answer(backend, conversation(case(1)), prefix="real 0.90\n")
    asked = fake.requests[-1]
    assert asked["messages"][-1] == {"role": "assistant", "content": "real 0.90\n"}
    assert asked["continue_final_message"]
    assert not asked["add_generation_prompt"]


def test_a_pattern_goes_as_structured_output(backend: VllmBackend, fake: fake_vllm.Fake) -> None:
    list(backend.generate(conversation(case(1)), pattern="- (?:a|b)", max_new_tokens=8))
    answer(backend, conversation(case(1)))
    bound, free = fake.requests
    assert bound["structured_outputs"] == {"regex": "- (?:a|b)"}
    assert "structured_outputs" not in free


def test_a_follow_up_begins_with_what_the_server_has_read(backend: VllmBackend, fake: fake_vllm.Fake) -> None:
    first = conversation(case(1), 3)
    answer(backend, first)
    said = [*first.turns, Turn("assistant", "real 0.90\n- x [E1]"), follow_up("Why?")]
    answer(backend, replace(first, turns=said))
    before, after = (asked["messages"] for asked in fake.requests)
    assert after[: len(before)] == before


def test_owners_share_no_cache(backend: VllmBackend, fake: fake_vllm.Fake) -> None:
    asked = conversation(case(1))
    for owner in ("ann", "bob", "ann"):
        answer(backend, replace(asked, owner=owner))
    salts = [request["cache_salt"] for request in fake.requests]
    assert salts[0] == salts[2] != salts[1]
    assert not {"ann", "bob"} & set(salts)
    with fake_vllm.running(fake) as other:
        answer(VllmBackend(other), replace(asked, owner="ann"))
    assert fake.requests[-1]["cache_salt"] not in salts


def test_closing_an_answer_stops_the_server(backend: VllmBackend, fake: fake_vllm.Fake) -> None:
    pieces = backend.generate(asking("Why?"), max_new_tokens=5000)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    end = time.monotonic() + 10
    while not fake.left and time.monotonic() < end:
        threading.Event().wait(0.02)
    assert fake.left == 1


def test_many_answers_are_written_side_by_side(backend: VllmBackend) -> None:
    cancel = threading.Event()
    hanging = backend.generate(asking("hang"), max_new_tokens=8, cancel=cancel)
    next(hanging)
    assert answer(backend, asking("Why?"))
    cancel.set()
    with pytest.raises(Cancelled):
        list(hanging)


def test_a_slow_server_is_waited_for_no_longer_than_allowed(
    backend: VllmBackend, server: AttachedServer
) -> None:
    with pytest.raises(DeadlineExceeded, match=r"within 0\.4 s"):
        list(backend.generate(asking("hang"), max_new_tokens=8, deadline=0.4))
    with pytest.raises(BackendUnavailable, match="middle of the answer"):
        answer(VllmBackend(server, silence=0.4), asking("hang"))


@pytest.mark.parametrize("fault", ["cut", "garbage", "no choices", "stream error"])
def test_an_answer_that_breaks_off_is_no_answer(backend: VllmBackend, fault: str) -> None:
    pieces = backend.generate(asking(fault), max_new_tokens=8)
    assert next(pieces)
    with pytest.raises(BackendUnavailable, match="ask again") as caught:
        list(pieces)
    assert "0x0" not in str(caught.value)
    assert answer(backend, asking("Why?"))


def test_a_server_error_is_tried_again_once(backend: VllmBackend, fake: fake_vllm.Fake) -> None:
    assert answer(backend, asking("unwell"))
    assert len(fake.requests) == 2
    fake.unwell = 0
    with pytest.raises(BackendUnavailable, match="failed twice") as caught:
        answer(backend, asking("unwell twice"))
    assert "0x0" not in str(caught.value)


def test_a_request_that_is_refused_is_not_sent_again(backend: VllmBackend, fake: fake_vllm.Fake) -> None:
    with pytest.raises(BackendUnavailable, match="status 400") as caught:
        answer(backend, asking("refuse"))
    assert "/x/y" not in str(caught.value)
    assert len(fake.requests) == 1


def test_a_server_of_another_model_is_named(server: AttachedServer) -> None:
    server.model = "other"
    with pytest.raises(BackendUnavailable, match="does not serve other"):
        answer(VllmBackend(server), asking("Why?"))


def test_the_embedded_model_chooses_its_claims_and_another_writes_them() -> None:
    names = ("forensic-chat", "Qwen/Qwen2.5-VL-7B-Instruct")
    assert [VllmBackend(AttachedServer("http://127.0.0.1:9", name, "")).any_words for name in names] == [
        False,
        True,
    ]


def test_an_absent_server_is_named() -> None:
    backend = VllmBackend(AttachedServer("http://127.0.0.1:9", "m", "none"))
    with pytest.raises(BackendUnavailable, match=r"http://127\.0\.0\.1:9 does not answer"):
        answer(backend, asking("Why?"))


class TestStarted:
    def test_a_server_killed_in_mid_answer_is_started_again(self, started: StartedServer) -> None:
        backend, first = VllmBackend(started), asking("Why?")
        before = answer(backend, first)
        pieces = backend.generate(asking("die"), max_new_tokens=8)
        assert next(pieces)
        with pytest.raises(BackendUnavailable, match="ask again"):
            list(pieces)
        assert answer(backend, first) == before
        assert backend.models == {"language": "fake", "language server": "vLLM 0.32.0"}

    def test_a_server_killed_between_answers_is_not_noticed(self, started: StartedServer) -> None:
        backend = VllmBackend(started)
        before = answer(backend, asking("Why?"))
        assert started._process is not None
        os.killpg(started._process.pid, signal.SIGKILL)
        assert answer(backend, asking("Why?")) == before

    def test_it_is_not_started_for_ever(
        self, started: StartedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vllm_server, "MOST_STARTS", 1)
        backend = VllmBackend(started)
        answer(backend, asking("Why?"))
        assert started._process is not None
        os.killpg(started._process.pid, signal.SIGKILL)
        started._process.wait()
        with pytest.raises(BackendUnavailable, match="not started again for now"):
            answer(backend, asking("Why?"))

    def test_one_that_can_not_start_is_told_at_once(self, tmp_path: Path) -> None:
        server = StartedServer([sys.executable, "-c", "raise SystemExit(7)"], tmp_path / "vllm.log")
        with pytest.raises(BackendUnavailable, match=r"exit code 7.*vllm\.log"):
            server.ready(Stopping(deadline=30))

    def test_waiting_for_it_can_be_given_up(self, tmp_path: Path) -> None:
        server = StartedServer([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "vllm.log")
        with pytest.raises(DeadlineExceeded):
            server.ready(Stopping(deadline=0.3))
        server.close()

    def test_progress_is_told(self, tmp_path: Path) -> None:
        steps: list[tuple[str, int, int]] = []
        server = StartedServer(
            [sys.executable, "-m", "tests.fake_vllm"],
            tmp_path / "vllm.log",
            progress=lambda *step: steps.append(step),
        )
        server.ready(Stopping(deadline=60))
        server.close()
        assert steps[0] == ("Starting the vLLM server", 0, 0)
        assert steps[-1][1:] == (1, 1)


def test_without_vllm_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_server, "settings", lambda: Settings(vllm_python=sys.executable))
    monkeypatch.setattr(vllm_server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="FORENSIC_CHAT_VLLM_PYTHON"):
        vllm_server.embedded()


def test_a_server_that_runs_is_attached_to(server: AttachedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Settings(vllm_url=f"{server.url}/v1/")
    monkeypatch.setattr(vllm_server, "settings", lambda: known)
    assert answer(VllmBackend.load(), asking("Why?"))
    monkeypatch.setattr(vllm_server, "settings", lambda: Settings(vllm_url="http://127.0.0.1:9"))
    with pytest.raises(BackendUnavailable, match="does not answer"):
        VllmBackend.load()
