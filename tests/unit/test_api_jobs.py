"""Jobs and batches over HTTP, and what bounds one key's use."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("sqlalchemy", reason="needs the extra `serve`")

from starlette.testclient import TestClient

from forensic_chat.api.server import build, open_store
from forensic_chat.errors import UsageError
from tests.images import photo
from tests.serving import StubExaminer, until
from tests.unit.test_api import A, B, limits, png, problem

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def stub() -> StubExaminer:
    return StubExaminer()


@pytest.fixture
def client(stub: StubExaminer, tmp_path: Path) -> Iterator[TestClient]:
    with started(stub, tmp_path) as client:
        yield client


def started(stub: StubExaminer, folder: Path, **changes: Any) -> TestClient:
    known = limits(folder / "data", **changes)
    return TestClient(build(stub, open_store(known), known), raise_server_exceptions=False)


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def batch(client: TestClient, *files: tuple[str, bytes], **form: str) -> Any:
    given = [("files", file) for file in files]
    return client.post("/v1/batches", files=given, data={"rationale": "false"} | form, headers=A)


def done(client: TestClient, where: str) -> dict[str, Any]:
    return dict(
        until(lambda: (s := client.get(where, headers=A).json())["state"] in ("done", "cancelled") and s)
    )


def test_an_examination_later(client: TestClient) -> None:
    answer = client.post(
        "/v1/examinations",
        files={"image": ("a.png", png())},
        data={"rationale": "false"},
        headers=A | {"Prefer": "respond-async, wait=0"},
    )
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    where = answer.headers["location"]
    state = done(client, where)
    (file,) = state["files"]
    found = client.get(f"/v1/examinations/{file['examination']}", headers=A).json()
    assert found["image"]["name"] == "a.png"
    assert found["rationale"] is None
    problem(client.get(where, headers=B), 404, "not_found")
    problem(client.post(f"{where}/cancel", headers=B), 404, "not_found")
    for table in ("json", "csv", "html"):
        problem(client.get(f"{where}/results.{table}", headers=B), 404, "not_found")
    problem(client.delete(where, headers=B), 404, "not_found")
    assert client.delete(where, headers=A).status_code == 204
    problem(client.get(f"/v1/examinations/{file['examination']}", headers=A), 404, "not_found")


def test_a_batch_of_files_and_archives(client: TestClient, tmp_path: Path) -> None:
    archive = packed(
        {
            "a/=1+1.png": png(),
            "../../evil.png": png(photo(3)),
            "__MACOSX/a/._x.png": b"x",
            "notes.txt": b"not an image",
            "broken.jpg": b"\xff\xd8\xff nothing",
            "without_ending": png(photo(4)),
        }
    )
    answer = batch(client, ("set.zip", archive), ("<b>.png", png()))
    assert answer.status_code == 202, answer.text
    where = answer.headers["location"]
    state = done(client, where)
    assert [file["file"] for file in state["files"]] == [
        *("a/=1+1.png", "evil.png", "broken.jpg", "without_ending", "<b>.png"),
    ]
    assert (state["total"], state["finished"], state["failed"]) == (5, 5, 1)
    rows = client.get(f"{where}/results.json", headers=A).json()
    assert [row["file"] for row in rows] == [file["file"] for file in state["files"]]
    assert rows[2]["error"]["code"] == "input_rejected"
    table = list(csv.DictReader(io.StringIO(client.get(f"{where}/results.csv", headers=A).text)))
    assert table[0]["file"] == "a/=1+1.png"
    assert (table[0]["verdict"], table[2]["error"]) == ("tampered", "input_rejected")
    assert table[0]["examination"] == state["files"][0]["examination"]
    page = client.get(f"{where}/results.html", headers=A).text
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page
    assert not list(tmp_path.rglob("*evil*"))


def test_batches_at_a_time_each_get_their_own(stub: StubExaminer, tmp_path: Path) -> None:
    """Eight clients, two keys, a batch each: every image is examined once, every row is in its own job, and
    what clients wait for is not held up."""
    with started(stub, tmp_path, queue_limit=16) as client:
        stub.seconds = 0.01

        def send(number: int) -> tuple[dict[str, str], Any]:
            owner = A if number % 2 else B
            files = [("files", (f"{number}-{k}.png", png(photo(3 * number + k)))) for k in range(3)]
            answer = client.post("/v1/batches", files=files, data={"rationale": "false"}, headers=owner)
            return owner, answer

        with ThreadPoolExecutor(8) as pool:
            sent = list(pool.map(send, range(8)))
        assert [answer.status_code for _, answer in sent] == [202] * 8
        now = client.post("/v1/examinations", files={"image": png()}, data={"rationale": "false"}, headers=A)
        assert now.status_code == 201
        kept = set[str]()
        for number, (owner, answer) in enumerate(sent):
            where = answer.headers["location"]
            state = until(lambda: (s := client.get(where, headers=owner).json())["state"] == "done" and s)  # noqa: B023
            names = [f"{number}-{k}.png" for k in range(3)]
            assert [file["file"] for file in state["files"]] == names
            assert state["failed"] == 0
            rows = client.get(f"{where}/results.json", headers=owner).json()
            assert [row["file"] for row in rows] == names
            kept |= {file["examination"] for file in state["files"]}
            problem(client.get(where, headers=B if owner is A else A), 404, "not_found")
        assert len(kept) == 24
        assert sorted(name for name in stub.examined if "-" in name) == sorted(
            f"{number}-{k}.png" for number in range(8) for k in range(3)
        )


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_name_is_a_formula(client: TestClient, start: str) -> None:
    where = batch(client, (f"{start}cmd.png", png())).headers["location"]
    done(client, where)
    assert f"\r\n'{start}cmd.png," in client.get(f"{where}/results.csv", headers=A).text


@pytest.mark.parametrize(
    ("files", "status", "code", "says"),
    [
        ([("a.zip", b"PK\x03\x04 nothing")], 422, "input_rejected", "a.zip is not an intact zip"),
        ([("a.zip", packed({"notes.txt": b"x"}))], 422, "usage", "no image"),
        ([("a.zip", packed({f"{k}.png": b"x" for k in range(9)}))], 422, "input_rejected", "at most 5"),
        ([(f"{k}.png", b"x") for k in range(9)], 400, "bad_request", "5"),
        (
            [("a.zip", packed({"a.png": bytes(900_000), "b.png": bytes(900_000)}))],
            422,
            "input_rejected",
            "1 MB",
        ),
        ([], 422, "cant_be_processed", "files: give images"),
    ],
)
def test_batches_that_are_not_taken(
    tmp_path: Path, files: list[tuple[str, bytes]], status: int, code: str, says: str
) -> None:
    with started(StubExaminer(), tmp_path, max_batch_files=5, max_batch_bytes=1_000_000) as client:
        given: Any = [("files", file) for file in files] or {"rationale": (None, "false")}
        answer = client.post("/v1/batches", files=given, headers=A)
        assert says in problem(answer, status, code)["detail"]
        assert not [path for path in (tmp_path / "data" / "images").rglob("*") if path.is_file()]


def test_a_member_that_unpacks_too_large_or_is_encrypted_gets_a_row(tmp_path: Path) -> None:
    plain = packed({"a.png": b"x"}, zipfile.ZIP_STORED)
    encrypted = plain.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    )
    with started(StubExaminer(), tmp_path, max_file_bytes=100_000) as client:
        bomb = packed({"bomb.png": bytes(50_000_000)})
        assert len(bomb) < 100_000
        where = batch(client, ("b.zip", bomb), ("e.zip", encrypted)).headers["location"]
        messages = [file["error"]["message"] for file in done(client, where)["files"]]
        assert "larger than 0.1 MB" in messages[0]
        assert "encrypted" in messages[1]


def test_cancelling_stops_it(stub: StubExaminer, client: TestClient) -> None:
    stub.seconds = 60
    where = batch(client, ("1.png", png()), ("2.png", png(photo(2)))).headers["location"]
    until(lambda: client.get(where, headers=A).json()["state"] == "running")
    assert client.get(where, headers=A).headers["retry-after"]
    assert client.post(f"{where}/cancel", headers=A).json()["state"] == "cancelled"
    stub.seconds = 0
    other = batch(client, ("3.png", png())).headers["location"]
    assert done(client, other)["failed"] == 0
    assert stub.examined == ["3.png"]
    assert client.get(where, headers=A).json()["failed"] == 2


def test_a_deadline_of_a_job_and_of_a_request(stub: StubExaminer, client: TestClient) -> None:
    stub.seconds = 60
    where = batch(client, ("1.png", png()), deadline="1").headers["location"]
    (file,) = done(client, where)["files"]
    assert file["error"]["code"] == "deadline_exceeded"
    form = {"rationale": "false", "deadline": "1"}
    answer = client.post("/v1/examinations", files={"image": png()}, data=form, headers=A)
    problem(answer, 504, "deadline_exceeded")
    for wrong in ("0", "0.5", "-1", "nan", "soon", "1e9"):
        answer = client.post("/v1/examinations", files={"image": png()}, data={"deadline": wrong}, headers=A)
        assert "deadline" in problem(answer, 422, "cant_be_processed")["detail"]


def test_the_worker_goes_on_where_a_stopped_one_was(stub: StubExaminer, tmp_path: Path) -> None:
    stub.seconds = 60
    with started(stub, tmp_path) as client:
        where = batch(client, ("1.png", png()), ("2.png", png(photo(2)))).headers["location"]
        until(lambda: client.get(where, headers=A).json()["state"] == "running")
    assert stub.examined == []
    stub.seconds = 0
    with started(stub, tmp_path) as client:
        assert done(client, where)["failed"] == 0
    assert stub.examined == ["1.png", "2.png"]


def test_too_many_waiting_images_are_told_to_come_back(tmp_path: Path) -> None:
    with started(StubExaminer(60), tmp_path, job_limit=2) as client:
        assert batch(client, *((f"{k}.png", png(photo(k))) for k in range(3))).status_code == 202
        answer = batch(client, ("x.png", png()))
        problem(answer, 429, "busy")
        assert answer.headers["retry-after"]


def test_a_quota_is_each_key_s_own(tmp_path: Path) -> None:
    with started(StubExaminer(), tmp_path, quota_per_hour=2) as client:
        form, image = {"rationale": "false"}, {"image": png()}
        for _ in range(2):
            assert client.post("/v1/examinations", files=image, data=form, headers=A).status_code == 201
        answer = client.post("/v1/examinations", files=image, data=form, headers=A)
        assert "2 times an hour" in problem(answer, 429, "over_quota")["detail"]
        assert 0 < int(answer.headers["retry-after"]) <= 3600
        assert client.post("/v1/examinations", files=image, data=form, headers=B).status_code == 201
        files = [("files", (f"{k}.png", png())) for k in range(2)]
        problem(client.post("/v1/batches", files=files, headers=B), 429, "over_quota")
        assert client.get("/metrics").text.count("forensic_chat_waiting_images 0.0") == 1


def test_keys_may_be_given_by_their_hashes(tmp_path: Path) -> None:
    hashed = f"sha256:{hashlib.sha256(b'key-a').hexdigest()}"
    with started(StubExaminer(), tmp_path, api_keys=hashed) as client:
        assert client.get("/v1/models", headers=A).status_code == 200
        problem(
            client.get("/v1/models", headers={"Authorization": f"Bearer {hashed}"}), 401, "not_authenticated"
        )
    with pytest.raises(UsageError, match="a hash that is none"):
        started(StubExaminer(), tmp_path / "x", api_keys="sha256:abc")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_without_keys_foreign_pages_get_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    with started(StubExaminer(), tmp_path, api_keys="") as client:
        client.base_url = "http://127.0.0.1:8000"  # type: ignore[assignment]
        assert client.get("/v1/models").status_code == 200
        assert client.get("/v1/models", headers={"Origin": "http://localhost:3000"}).status_code == 200
        problem(client.get("/v1/models", headers=headers), 403, "forbidden")


def test_ids_metrics_and_mistakes(
    stub: StubExaminer, client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/health", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert "\n" not in client.get("/health", headers={"X-Request-ID": "a b"}).headers["x-request-id"]
    assert client.get("/health", headers={"X-Request-ID": "a b"}).headers["x-request-id"] != "a b"

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret in its text")

    with monkeypatch.context() as patch:
        patch.setattr(stub, "examine", broken)
        answer = client.post(
            "/v1/examinations", files={"image": png()}, data={"rationale": "false"}, headers=A
        )
    assert "secret" not in answer.text
    told = problem(answer, 500, "internal")
    (line,) = [json.loads(r.message) for r in caplog.records if "trace" in r.message]
    assert line["request_id"] == told["request_id"]
    assert "secret" not in caplog.text
    text = client.get("/metrics").text
    for expected in (
        'forensic_chat_requests_total{method="GET",route="/health",status="200"} 3.0',
        'forensic_chat_requests_total{method="POST",route="/v1/examinations",status="500"} 1.0',
        "forensic_chat_free_places 2.0",
        "process_resident_memory_bytes",
    ):
        assert expected in text, text
    client.get("/" + "x" * 50)
    assert 'route="other"' in client.get("/metrics").text
    assert "xxx" not in client.get("/metrics").text
