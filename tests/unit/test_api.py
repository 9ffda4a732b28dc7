"""The HTTP API over an examiner without weights: contract, sessions, limits, and what must never happen."""

import base64
import io
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.base import cancelled
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.schema import Examination
from forensic_chat.settings import Settings, settings
from tests.factories import SpotEncoder, calibration
from tests.images import grainy, photo

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("sqlalchemy", reason="needs the extra `serve`")

from starlette.testclient import TestClient

from forensic_chat.api.server import build, open_store, serve
from forensic_chat.dialogue import Dialogue
from forensic_chat.errors import BackendUnavailable, UsageError
from forensic_chat.report.custody import check
from forensic_chat.sessions.store import Exchange, Missing, Store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
A, B = {"Authorization": "Bearer key-a"}, {"Authorization": "Bearer key-b"}


def limits(folder: Path, **changes: Any) -> Settings:
    return Settings(**{"data_dir": folder, "api_keys": "key-a, key-b", "queue_limit": 2} | changes)


@pytest.fixture
def examiner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Examiner]:
    monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), calibration()))
    monkeypatch.setattr(Examiner, "models", {"encoder": "spot"})
    monkeypatch.setenv("FORENSIC_CHAT_SIGNING_KEY", str(tmp_path / "key.pem"))
    settings.cache_clear()
    yield Examiner(backend=ScriptedBackend())
    settings.cache_clear()


@pytest.fixture
def client(examiner: Examiner, tmp_path: Path) -> Iterator[TestClient]:
    known = limits(tmp_path / "data")
    store = open_store(known)
    with TestClient(build(examiner, store, known), raise_server_exceptions=False) as started:
        yield started
    store.close()


def png(image: Image.Image | None = None) -> bytes:
    out = io.BytesIO()
    (image or grainy((24, 16, 48, 32))).save(out, "PNG")
    return out.getvalue()


def examined(client: TestClient, headers: dict[str, str] = A, **form: str) -> dict[str, Any]:
    answer = client.post(
        "/v1/examinations", files={"image": ("forged.png", png())}, data=form, headers=headers
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def conversing(client: TestClient, headers: dict[str, str] = A) -> str:
    given = {"examination": examined(client, headers)["id"]}
    return str(client.post("/v1/conversations", json=given, headers=headers).json()["id"])


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = dict(answer.json())
    assert body["code"] == code
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body


def events(text: str) -> list[tuple[str, Any]]:
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")
    ]
    return [(block.get("event", ""), json.loads(block["data"])) for block in blocks]


class TestExaminations:
    def test_multipart_and_json_give_the_contract(self, client: TestClient) -> None:
        one = examined(client)
        given = {"image": base64.b64encode(png()).decode(), "name": "forged.png"}
        two = client.post("/v1/examinations", json=given, headers=A).json()
        for body in (one, two):
            key = body.pop("id")
            found = Examination.model_validate(body)
            assert found.verdict.label == "tampered"
            assert found.rationale is not None
            assert client.get(f"/v1/examinations/{key}", headers=A).json() == body | {"id": key}
        assert one["findings"] == two["findings"]
        bare = examined(client, rationale="false")
        assert bare["rationale"] is None

    def test_pictures_and_report(self, client: TestClient) -> None:
        where = f"/v1/examinations/{examined(client)['id']}"
        with Image.open(io.BytesIO(client.get(f"{where}/mask.png", headers=A).content)) as mask:
            assert (mask.mode, mask.size) == ("L", (96, 64))
            assert mask.getextrema() == (0, 255)
        with Image.open(io.BytesIO(client.get(f"{where}/overlay.png", headers=A).content)) as overlay:
            assert overlay.size == (96, 64)
        with Image.open(io.BytesIO(client.get(f"{where}/heatmap.png", headers=A).content)) as heatmap:
            assert heatmap.size == (96, 64)
        for kind in ("html", "pdf"):
            report = client.get(f"{where}/report.{kind}", headers=A)
            assert kind in report.headers["content-type"]
            assert check(report.content).examination.verdict.label == "tampered"

    @pytest.mark.parametrize(
        ("body", "status", "code", "says"),
        [
            ({"json": {"image": "%%%"}}, 422, "cant_be_processed", "not base64"),
            ({"json": {"image": "AAAA"}}, 422, "input_rejected", "not an image"),
            ({"json": {"picture": "AAAA"}}, 422, "cant_be_processed", "Field required"),
            (
                {"content": b"x", "headers": {"content-type": "text/plain"}},
                415,
                "unsupported_media_type",
                "multipart",
            ),
            ({"files": {"picture": b"x"}}, 422, "cant_be_processed", "field `image`"),
            (
                {"content": b"{", "headers": {"content-type": "application/json"}},
                422,
                "cant_be_processed",
                "",
            ),
        ],
    )
    def test_bad_bodies_say_what_is_wrong(
        self, client: TestClient, body: dict[str, Any], status: int, code: str, says: str
    ) -> None:
        body["headers"] = body.get("headers", {}) | A
        assert says in problem(client.post("/v1/examinations", **body), status, code)["detail"]

    def test_too_large_is_refused_before_it_is_read(self, examiner: Examiner, tmp_path: Path) -> None:
        known = limits(tmp_path, max_file_bytes=1000)
        with TestClient(build(examiner, open_store(known), known), raise_server_exceptions=False) as client:
            answer = client.post("/v1/examinations", files={"image": b"x" * 3_000_000}, headers=A)
            problem(answer, 413, "too_large")

    def test_names_don_t_leave_the_store(self, client: TestClient, tmp_path: Path) -> None:
        name = "../../../../evil.png"
        answer = client.post("/v1/examinations", files={"image": (name, png())}, headers=A)
        assert answer.json()["image"]["name"] == "evil.png"
        assert not list(tmp_path.rglob("*evil*"))
        for key in ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "%00", "a" * 5000):
            assert client.get(f"/v1/examinations/{key}/mask.png", headers=A).status_code == 404


class TestOwners:
    def test_without_a_key_nothing(self, client: TestClient) -> None:
        for headers in ({}, {"Authorization": "Bearer nope"}, {"Authorization": "Basic key-a"}):
            answer = client.get("/v1/models", headers=headers)
            assert problem(answer, 401, "not_authenticated")["error"]["message"]
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"store": True, "free_places": 2}

    def test_another_owner_s_is_not_there(self, client: TestClient) -> None:
        key, said = examined(client)["id"], conversing(client)
        for path in ("", "/mask.png", "/overlay.png", "/heatmap.png", "/report.html", "/report.pdf"):
            problem(client.get(f"/v1/examinations/{key}{path}", headers=B), 404, "not_found")
        problem(client.get(f"/v1/conversations/{said}", headers=B), 404, "not_found")
        for stream in (True, False):
            asked = {"content": "Where?", "stream": stream}
            answer = client.post(f"/v1/conversations/{said}/messages", json=asked, headers=B)
            problem(answer, 404, "not_found")
        problem(client.post("/v1/conversations", json={"examination": key}, headers=B), 404, "not_found")
        for path in (f"examinations/{key}", f"conversations/{said}"):
            problem(client.delete(f"/v1/{path}", headers=B), 404, "not_found")
        assert client.get(f"/v1/examinations/{key}", headers=A).status_code == 200

    def test_others_can_t_reach_a_server_without_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("FORENSIC_CHAT_API_KEYS", raising=False)
        settings.cache_clear()
        with pytest.raises(UsageError, match="FORENSIC_CHAT_API_KEYS"):
            serve("0.0.0.0", 0)


class TestConversations:
    def test_turns_are_kept_and_streamed(self, client: TestClient) -> None:
        where = f"/v1/conversations/{conversing(client)}"
        first = client.post(f"{where}/messages", json={"content": "Where exactly?"}, headers=A).json()
        assert "[R1]" in first["answer"]
        assert first["claims"][0]["verified"] is True
        asked = {"content": "How sure are you?", "stream": True}
        streamed = events(client.post(f"{where}/messages", json=asked, headers=A).text)
        assert {name for name, _ in streamed[:-1]} == {"piece"}
        name, turn = streamed[-1]
        assert name == "done"
        assert "".join(data["text"] for _, data in streamed[:-1]).strip() == turn["answer"]
        assert client.get(where, headers=A).json()["turns"] == [first, turn]

    @pytest.mark.parametrize("wrote", [False, True])
    def test_a_failure_is_a_status_until_there_is_a_piece(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch, wrote: bool
    ) -> None:
        where = f"/v1/conversations/{conversing(client)}"
        failing = threading.Event()

        def fail(*_: Any) -> None:
            # the piece before it must be on its way, or it would be the same as none
            failing.wait(10)
            raise BackendUnavailable("the language model is gone")

        if wrote:
            monkeypatch.setattr(Store, "add_turn", fail)
        else:
            failing.set()
            monkeypatch.setattr(Dialogue, "_answered", fail)
        asked = {"content": "Where exactly?", "stream": True}
        with client.stream("POST", f"{where}/messages", json=asked, headers=A) as answer:
            failing.set()
            answer.read()
        if wrote:
            assert answer.status_code == 200
            (name, told) = events(answer.text)[-1]
            assert (name, told["code"], told["status"]) == ("error", "backend_unavailable", 503)
        else:
            problem(answer, 503, "backend_unavailable")
        assert client.get(where, headers=A).json()["turns"] == []

    def test_what_is_open_is_not_read_again(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        where = f"/v1/conversations/{conversing(client)}/messages"
        with monkeypatch.context() as patch:
            patch.delattr(Store, "image")
            assert client.post(where, json={"content": "Where exactly?"}, headers=A).status_code == 200

    def test_a_second_look_s_findings_come_with_the_turn(self, client: TestClient) -> None:
        where = f"/v1/conversations/{conversing(client)}"
        asked = {"content": "Can you zoom into R1?"}
        turn = client.post(f"{where}/messages", json=asked, headers=A).json()
        kinds = [finding["kind"] for finding in turn["findings"]]
        assert kinds == ["zoom.synthetic", "zoom.tampered", "zoom.mask"]
        assert all(f"[{finding['id']}]" in turn["answer"] for finding in turn["findings"])
        plain = client.post(f"{where}/messages", json={"content": "Where exactly?"}, headers=A).json()
        assert plain["findings"] == []
        assert client.get(where, headers=A).json()["turns"] == [turn, plain]

    def test_examinations_are_compared(self, client: TestClient) -> None:
        other = client.post(
            "/v1/examinations",
            files={"image": ("other.png", png(photo(3)))},
            data={"rationale": "false"},
            headers=A,
        ).json()["id"]
        where = f"/v1/conversations/{conversing(client)}"
        one = client.post(f"{where}/comparisons", json={"examination": other}, headers=A)
        assert one.status_code == 200, one.text
        assert one.json()["question"] == 'Compare it with the image "other.png".'
        assert "the verdict is real" in one.json()["answer"]
        assert all(claim["verified"] for claim in one.json()["claims"])
        asked = {"examination": other, "stream": True}
        streamed = events(client.post(f"{where}/comparisons", json=asked, headers=A).text)
        assert streamed[-1] == ("done", one.json())
        assert client.get(where, headers=A).json()["turns"] == [one.json()] * 2

    def test_comparisons_that_can_t_be(self, client: TestClient) -> None:
        mine, foreign = conversing(client), examined(client, B)["id"]
        where = f"/v1/conversations/{mine}/comparisons"
        for stream in (False, True):
            for key in (foreign, "0" * 32, ""):
                given = {"examination": key, "stream": stream}
                problem(client.post(where, json=given, headers=A), 404, "not_found")
            given = {"examination": foreign, "stream": stream}
            problem(client.post(where, json=given, headers=B), 404, "not_found")
        for body in ({}, {"examination": 1}, {"examination": foreign, "image": "x"}):
            problem(client.post(where, json=body, headers=A), 422, "invalid_request")
        assert client.get(f"/v1/conversations/{mine}", headers=A).json()["turns"] == []

    def test_they_outlive_the_process(self, examiner: Examiner, tmp_path: Path) -> None:
        known = limits(tmp_path)
        with TestClient(build(examiner, open_store(known), known)) as client:
            where = f"/v1/conversations/{conversing(client)}"
            client.post(f"{where}/messages", json={"content": "Where exactly?"}, headers=A)
        with TestClient(build(examiner, open_store(known), known)) as client:
            client.post(f"{where}/messages", json={"content": "How sure are you?"}, headers=A)
            assert len(client.get(where, headers=A).json()["turns"]) == 2

    def test_deleting_leaves_nothing(self, client: TestClient, tmp_path: Path) -> None:
        word = "zyxwvutsrq"
        said = conversing(client)
        client.post(f"/v1/conversations/{said}/messages", json={"content": word}, headers=A)
        (key,) = {client.get(f"/v1/conversations/{said}", headers=A).json()["examination"]}
        assert client.delete(f"/v1/examinations/{key}", headers=A).status_code == 204
        problem(client.get(f"/v1/conversations/{said}", headers=A), 404, "not_found")
        left = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        assert all(path.name.startswith("sessions.db") for path in left)
        assert not any(word.encode() in path.read_bytes() for path in left)

    def test_an_image_stays_while_another_examination_is_of_it(self, client: TestClient) -> None:
        one, two = examined(client, A)["id"], examined(client, B)["id"]
        client.delete(f"/v1/examinations/{one}", headers=A)
        assert client.get(f"/v1/examinations/{two}/overlay.png", headers=B).status_code == 200

    def test_empty_and_endless_questions(self, client: TestClient) -> None:
        where = f"/v1/conversations/{conversing(client)}/messages"
        for content in ("", "a" * 5000):
            problem(client.post(where, json={"content": content}, headers=A), 422, "invalid_request")
        problem(client.post(where, json={"content": "  "}, headers=A), 422, "usage")


def test_the_store_forgets_what_is_old(tmp_path: Path, examiner: Examiner) -> None:
    store = Store(f"sqlite:///{tmp_path / 's.db'}", tmp_path / "images")
    found = examiner.examine(png(), rationale=False)
    key = store.add_examination("a", png(), found)
    said = store.add_conversation("a", key)
    store.add_turn("a", said, 0, Exchange("q", "a", [], []))
    assert store.delete_older(1000) == 0
    assert store.image(found) == png()
    assert store.delete_older(-1) == 1
    for call in (lambda: store.examination("a", key), lambda: store.conversation("a", said)):
        with pytest.raises(Missing):
            call()
    with pytest.raises(Missing):
        store.image(found)
    store.close()
    assert sqlite3.connect(tmp_path / "s.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with pytest.raises(UsageError, match="FORENSIC_CHAT_DATABASE_URL"):
        Store("nonsense://", tmp_path)


class Held(ScriptedBackend):
    """Writes one word, then nothing until it is let go or stopped."""

    def __init__(self) -> None:
        self.hold, self.writing, self.stopped = False, threading.Event(), threading.Event()
        self.go = threading.Event()

    def generate(self, *args: Any, **options: Any) -> Iterator[str]:
        if self.hold:
            yield "The"
            self.writing.set()
            while not self.go.wait(0.02):
                if options["cancel"].is_set():
                    self.stopped.set()
                    raise cancelled()
        yield from super().generate(*args, **options)


def test_a_full_queue_says_when_to_come_back(examiner: Examiner, tmp_path: Path) -> None:
    backend, known = Held(), limits(tmp_path, queue_limit=1)
    app = build(Examiner(backend=backend), open_store(known), known)
    with TestClient(app, raise_server_exceptions=False) as client:
        where = f"/v1/conversations/{conversing(client)}/messages"
        backend.hold = True
        answers: list[Any] = []
        waiting = threading.Thread(
            target=lambda: answers.append(client.post(where, json={"content": "Where?"}, headers=A))
        )
        waiting.start()
        assert backend.writing.wait(30)
        answer = client.post(where, json={"content": "Where?", "stream": True}, headers=A)
        problem(answer, 429, "busy")
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/ready").status_code == 503
        backend.go.set()
        waiting.join(30)
        assert answers[0].status_code == 200
        assert client.get("/ready").status_code == 200


def test_a_deadline_ends_an_answer(examiner: Examiner, tmp_path: Path) -> None:
    known = limits(tmp_path, request_deadline=1e-6)
    with TestClient(build(examiner, open_store(known), known), raise_server_exceptions=False) as client:
        answer = client.post("/v1/examinations", files={"image": png()}, headers=A)
        problem(answer, 504, "deadline_exceeded")


def test_the_log_tells_no_content(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "forensic_chat.api"):
        key = examined(client)["id"]
        client.get(f"/v1/examinations/{key}", headers=A)
    lines = [json.loads(record.message) for record in caplog.records if record.name == "forensic_chat.api"]
    assert [line["status"] for line in lines] == [201, 200]
    assert lines[1]["route"] == "/v1/examinations/{key}"
    assert "forged" not in caplog.text
    assert "key-a" not in caplog.text
    assert key not in json.dumps(lines)


def test_openapi_describes_it(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    talk = "/v1/conversations/{key}"
    assert {"/v1/examinations", f"{talk}/messages", f"{talk}/comparisons", "/v1/chat/completions"} <= set(
        paths
    )
    assert "multipart/form-data" in paths["/v1/examinations"]["post"]["requestBody"]["content"]
