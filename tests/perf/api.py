"""Measures what the HTTP API costs over the engine under it, and whether a server's memory stays.

    python -m tests.perf.api [--repeats 15] [--soak MINUTES] [--stub]

Needs the weights in the cache; with `--stub` it only shows that it runs. The two sides of each ratio take turns,
so that other load on the machine moves both. Exits with 1 if a bar is missed.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from forensic_chat.api.server import build, open_store
from forensic_chat.examiner import Examiner
from forensic_chat.listening import listen
from forensic_chat.sessions.store import Exchange, Store
from forensic_chat.settings import Settings
from tests.fakes import CLAIMS, examination
from tests.images import photo
from tests.serving import StubExaminer, serving

QUESTION = "Which finding weighs most?"
Measured = tuple[str, float, float, bool]
"""What, its figure, the bar, and whether the bar is the least it must be."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.perf.api", description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--stub", action="store_true", help="no weights: an examiner that only waits")
    given, missed = parser.parse_args(), 0
    print(f"{'':58s}  measured  bar")
    with tempfile.TemporaryDirectory() as folder:
        for what, figure, bar, least in measure(Path(folder), given.repeats, given.soak, given.stub):
            over = figure < bar if least else figure > bar
            missed += over
            sign = ">=" if least else "<="
            print(f"{what:58s}  {figure:8.3f}  {sign} {bar:g}{'  MISSED' if over else ''}", flush=True)
    return 1 if missed else 0


def measure(folder: Path, repeats: int, soak: float, stub: bool) -> Iterator[Measured]:
    picture = folder / "photo.jpg"
    photo(1, 1152, 864).save(picture, quality=92)
    data = picture.read_bytes()
    yield turns(folder / "turns")
    examiner = StubExaminer(0.3, 0.02) if stub else Examiner.load()
    with served(examiner, folder / "served") as address, client(address) as http:
        yield overhead(examiner, http, data, repeats)
        yield first_byte(examiner, http, data, repeats)
    del examiner
    if soak:
        yield soaked(folder / "soak", data, 60 * soak, stub)


def turns(folder: Path) -> Measured:
    """Turns a second, each on the disk before the next."""
    store = Store(f"sqlite:///{folder / 's.db'}", folder / "images")
    said = store.add_conversation("a", store.add_examination("a", b"file", examination()))
    turn = Exchange(QUESTION, "a" * 400, [claim.model_dump(mode="json") for claim in CLAIMS], [])
    start = time.perf_counter()
    for k in range(1500):
        store.add_turn("a", said, k, turn)
    figure = 1500 / (time.perf_counter() - start)
    store.close()
    return "kept turns a second", figure, 500, True


def overhead(examiner: Examiner, http: httpx.Client, data: bytes, repeats: int) -> Measured:
    """An examination over HTTP, kept, against the same one in the process."""

    def over_http() -> float:
        start = time.perf_counter()
        answer = http.post("/v1/examinations", files={"image": data}, data={"rationale": "false"})
        seconds = time.perf_counter() - start
        assert answer.status_code == 201, answer.text
        return seconds

    def bare() -> float:
        start = time.perf_counter()
        examiner.examine(data, rationale=False)
        return time.perf_counter() - start

    over_http(), bare()
    pairs = [(over_http(), bare()) for _ in range(repeats)]
    theirs, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"  an examination {1000 * theirs:.1f} ms over HTTP, {1000 * ours:.1f} ms bare")
    ratio = statistics.median(one / other for one, other in pairs)
    return "examination over HTTP / bare, median", ratio, 1.05, False


def first_byte(examiner: Examiner, http: httpx.Client, data: bytes, repeats: int) -> Measured:
    """From the question to the answer's first piece: server-sent events against the engine."""
    key = http.post("/v1/examinations", files={"image": data}).json()["id"]
    dialogue = examiner.open(data)

    def over_http() -> float:
        said = http.post("/v1/conversations", json={"examination": key}).json()["id"]
        asked = {"content": QUESTION, "stream": True}
        start = time.perf_counter()
        with http.stream("POST", f"/v1/conversations/{said}/messages", json=asked) as answer:
            pieces = answer.iter_raw()
            next(pieces)
            seconds = time.perf_counter() - start
            for _ in pieces:
                pass
        return seconds

    def bare() -> float:
        start = time.perf_counter()
        pieces = iter(dialogue.with_history([]).ask(QUESTION, cancel=threading.Event()))
        next(pieces)
        seconds = time.perf_counter() - start
        for _ in pieces:
            pass
        return seconds

    over_http(), bare()
    pairs = [(over_http(), bare()) for _ in range(repeats)]
    theirs, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"  a first piece after {1000 * theirs:.1f} ms over HTTP, {1000 * ours:.1f} ms bare")
    later = statistics.median(one - other for one, other in pairs)
    return "first byte over HTTP later than the engine's, ms, median", 1000 * later, 50, False


def soaked(folder: Path, data: bytes, seconds: float, stub: bool) -> Measured:
    """A server's memory in the last quarter of a soak against the second, at 70 % of what it can do."""
    folder.mkdir()
    with (
        serving(folder, seconds=0.1) if stub else shipped(folder) as address,
        client(getattr(address, "address", address)) as http,
    ):
        visit(http, data)
        start, done = time.monotonic(), 0
        while done < 5 or time.monotonic() - start < min(20, seconds / 4):
            visit(http, data)
            done += 1
        every = (time.monotonic() - start) / done / 0.7
        sizes, sent = [], 0
        start = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            running = []
            while (now := time.monotonic() - start) < seconds:
                running = [one for one in running if not (one.done() and one.result())]
                running.append(pool.submit(visit, http, data))
                sent += 1
                sizes.append((now / seconds, resident(http)))
                time.sleep(max(0.0, start + sent * every - time.monotonic()))
            assert all(one.result() for one in running)
    second, last = ([size for at, size in sizes if a <= at < a + 0.25] for a in (0.25, 0.75))
    print(
        f"  {sent} visits in {seconds / 60:g} min, one each {every:.2f} s; "
        f"{statistics.median(second) / 1e6:.0f} MB, then {statistics.median(last) / 1e6:.0f} MB"
    )
    ratio = statistics.median(last) / statistics.median(second)
    return "soak: memory in the last quarter / in the second", ratio, 1.05, False


def visit(http: httpx.Client, data: bytes) -> bool:
    """One image examined, looked at, asked about and deleted. False never comes: what fails raises."""
    answer = http.post("/v1/examinations", files={"image": data})
    assert answer.status_code == 201, answer.text
    where = answer.headers["location"]
    said = http.post("/v1/conversations", json={"examination": answer.json()["id"]}).headers["location"]
    assert http.post(f"{said}/messages", json={"content": QUESTION}).status_code == 200
    assert http.get(f"{where}/mask.png").status_code == 200
    assert http.delete(where).status_code == 204
    return True


def resident(http: httpx.Client) -> float:
    found = re.search(r"^process_resident_memory_bytes (\S+)$", http.get("/metrics").text, re.M)
    assert found, "this system tells no resident memory"
    return float(found[1])


@contextmanager
def served(examiner: Examiner, folder: Path) -> Iterator[str]:
    """The API over `examiner`, in a thread of this process; its address."""
    limits = Settings(data_dir=folder, api_keys="")
    store = open_store(limits)
    with listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(build(examiner, store, limits), log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
    store.close()


@contextmanager
def shipped(folder: Path) -> Iterator[str]:
    """`forensic-chat serve` in a process of its own; its address."""
    command = shutil.which("forensic-chat", path=str(Path(sys.executable).parent)) or "forensic-chat"
    environment = {**os.environ, "FORENSIC_CHAT_DATA_DIR": str(folder)}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [command, "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield line[line.index("http://") :].strip()
        finally:
            process.terminate()


def client(address: str) -> httpx.Client:
    return httpx.Client(base_url=address, timeout=300, trust_env=False)


if __name__ == "__main__":
    sys.exit(main())
