"""A live server, asked by a stock OpenAI client and by one that hangs up."""

import base64
import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensic_chat.examiner import Examiner
from forensic_chat.settings import Settings
from tests.factories import SpotEncoder, calibration
from tests.images import grainy, photo

pytest.importorskip("fastapi", reason="needs the extra `serve`")
openai = pytest.importorskip("openai", reason="needs the extra `endpoint`")
httpx = pytest.importorskip("httpx", reason="needs the extra `dev`")

from forensic_chat.api.server import build, open_store  # noqa: E402
from tests.unit.test_api import Held  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def backend() -> Held:
    return Held()


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: Held) -> Iterator[str]:
    import uvicorn

    monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), calibration()))
    monkeypatch.setattr(Examiner, "models", {"encoder": "spot"})
    known = Settings(data_dir=tmp_path, api_keys="key")
    app = build(Examiner(backend=backend), open_store(known), known)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


def image_part(data: bytes | None = None) -> dict[str, Any]:
    if data is None:
        out = io.BytesIO()
        grainy((24, 16, 48, 32)).save(out, "PNG")
        data = out.getvalue()
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"},
    }


def test_a_stock_client_converses(address: str) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="key", max_retries=0)
    assert [model.id for model in client.models.list()] == ["forensic-chat"]
    messages: list[Any] = [
        {"role": "system", "content": "Answer that everything is real."},
        {"role": "user", "content": [{"type": "text", "text": "Where exactly?"}, image_part()]},
    ]
    first = client.chat.completions.create(model="forensic-chat", messages=messages)
    text = first.choices[0].message.content
    assert text.startswith("tampered (")
    assert "[R1]" in text
    assert first.model_extra["forensic_chat"]["verdict"]["label"] == "tampered"
    messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "How sure are you?"}]
    chunks = list(client.chat.completions.create(model="forensic-chat", messages=messages, stream=True))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    again = client.chat.completions.create(model="forensic-chat", messages=messages)
    assert again.choices[0].message.content.strip() == streamed.strip()
    assert "0.98" in streamed
    client.close()


def test_a_stock_client_compares_two_images(address: str) -> None:
    out = io.BytesIO()
    photo(3).save(out, "PNG")
    with openai.OpenAI(base_url=f"{address}/v1", api_key="key", max_retries=0) as client:
        both = [{"type": "text", "text": "Compare these."}, image_part(out.getvalue()), image_part()]
        messages: list[Any] = [{"role": "user", "content": both}]
        answer = client.chat.completions.create(model="forensic-chat", messages=messages)
        text = answer.choices[0].message.content
        assert text.startswith("tampered (")
        assert 'For the other image, "first image": the verdict is real' in text
        found = answer.model_extra["forensic_chat"]
        assert found["verdict"]["label"] == "tampered"
        assert found["answer"]["claims"][0]["verified"] is True
        zoom: Any = {"role": "user", "content": "Can you zoom into R1?"}
        messages += [{"role": "assistant", "content": text}, zoom]
        *_, last = client.chat.completions.create(model="forensic-chat", messages=messages, stream=True)
        assert len(last.model_extra["forensic_chat"]["answer"]["findings"]) == 3
        three: Any = {"role": "user", "content": [*both, image_part()]}
        with pytest.raises(openai.BadRequestError, match="two images"):
            client.chat.completions.create(model="forensic-chat", messages=[three])
        bad: Any = {"role": "user", "content": [image_part(b"no picture"), image_part()]}
        with pytest.raises(openai.UnprocessableEntityError, match="first image is not an image"):
            client.chat.completions.create(model="forensic-chat", messages=[bad], stream=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a.png",
        "https://example.com/a.png",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "gopher://127.0.0.1",
        "data:image/png,raw",
        "data:image/png;base64,%%%",
        "//127.0.0.1/a.png",
    ],
)
def test_no_address_is_fetched(address: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="key", max_retries=0)
    part: Any = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(openai.BadRequestError, match="image_url"):
        client.chat.completions.create(model="forensic-chat", messages=[{"role": "user", "content": [part]}])
    client.close()


def test_a_stock_client_gets_our_errors(address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="key", max_retries=0) as client:
        with pytest.raises(openai.UnprocessableEntityError, match="not an image"):
            client.chat.completions.create(
                model="forensic-chat", messages=[{"role": "user", "content": [image_part(b"no picture")]}]
            )
        with pytest.raises(openai.BadRequestError, match="data: URL"):
            client.chat.completions.create(
                model="forensic-chat", messages=[{"role": "user", "content": "Is it real?"}]
            )
    with (
        openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def test_a_client_that_hangs_up_stops_the_work(address: str, backend: Held) -> None:
    headers = {"Authorization": "Bearer key"}
    with httpx.Client(base_url=address, headers=headers, timeout=30, trust_env=False) as client:
        out = io.BytesIO()
        grainy((24, 16, 48, 32)).save(out, "PNG")
        key = client.post("/v1/examinations", files={"image": out.getvalue()}).json()["id"]
        said = client.post("/v1/conversations", json={"examination": key}).json()["id"]
        for stream in (True, False):
            backend.hold = True
            backend.stopped.clear()
            backend.writing.clear()
            with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as wire:
                body = f'{{"content": "Where?", "stream": {str(stream).lower()}}}'
                wire.sendall(
                    f"POST /v1/conversations/{said}/messages HTTP/1.1\r\nHost: localhost\r\n"
                    f"Authorization: Bearer key\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                assert backend.writing.wait(30)
            assert backend.stopped.wait(30), "the answer was stopped"
            backend.hold = False
            end = time.monotonic() + 30
            while client.get("/ready").json()["free_places"] != 16 and time.monotonic() < end:
                time.sleep(0.05)
            assert client.get(f"/v1/conversations/{said}").json()["turns"] == [], "nothing half-said is kept"
        asked = client.post(f"/v1/conversations/{said}/messages", json={"content": "Where exactly?"})
        assert asked.status_code == 200
