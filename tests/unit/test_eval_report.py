"""The one report, its shards and the comparison: made-up images, an encoder that sees one spot, a scripted
language model.
"""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image

from eval import cluster, comparison, models, plots, run
from eval.degradation import CHAINS
from eval.explanation.aspects import ASPECTS
from forensic_chat.data.laundering import PLATFORMS
from forensic_chat.encoder.calibration import Calibration
from forensic_chat.errors import UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.weights import shipped
from tests.factories import SpotEncoder
from tests.images import grainy, photo
from tests.perf import scaling

BASE = ["--draws", "10", "--limit", "9"]
HOSTILE = "<img src=x onerror=alert(1)>.jpg"


class Spot(Examiner):
    """Knows noise when it sees it."""

    def __init__(self) -> None:
        super().__init__(backend=ScriptedBackend())
        frozen = Calibration.load(shipped() / "encoder" / "calibration.json")
        self.__dict__ |= {"_seeing": (SpotEncoder(), frozen), "models": {"encoder": "spot"}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three images of each class, one with a name that is markup."""
    root = tmp_path / "data"
    names = ["a.jpg", HOSTILE, "b.png"]
    for k, (folder, name) in enumerate(
        (f, n) for f in ("real", "fake/sdxl", "tampered/splice") for n in names
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        picture = photo(k, 128, 96) if folder == "real" else grainy((0, 0, 64, 96), k, 128, 96)
        picture.save(root / folder / name)
    mask = np.zeros((96, 128), np.uint8)
    mask[:, :64] = 255
    (root / "mask/splice").mkdir(parents=True)
    for name in names:
        Image.fromarray(mask).save(root / "mask/splice" / f"{name}.png")
    return root


def evaluate(data: Path, out: Path, *more: str) -> str:
    words = ["--data", str(data), "--out", str(out), *BASE, *more]
    return "\n".join(run.run(run.parser().parse_args(words), Spot()))


class Page(HTMLParser):
    """What is on the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def pictures(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]


def test_one_command_makes_one_report(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = evaluate(data, out, "--suite", "all", "--system", "embedded", "template")
    assert str(out / "report.html") in told
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert set(results) == set(run.SUITES) - set(run.BY_NAME)
    for part in results.values():
        about = part["run"]
        assert about["options"]["seed"] == 0
        assert about["versions"]["scikit-learn"]
        assert len(about["data"]["sha256"]) == 64

    page = Page(out / "report.html")
    text = "".join(page.words)
    shown = {picture["alt"] for picture in page.pictures}
    assert {"ROC curves", "reliability diagram", "risk against coverage", "as one damage grows"} <= shown
    assert "share with a fake probability over 0.5, by generator" in shown
    assert "data: mean IoU by manipulation" in shown
    assert {"the mask, soft", "ELA", "noise map", "JPEG ghost", "copy-move"} <= shown
    for words in (
        "AUC, real vs synthetic",
        "worst single chain",
        "verdict flips among answered",
        "too few sources",
    ):
        assert words in text
    assert "embedded: one of the best answers" in text
    assert "template: one of the worst answers" in text
    assert HOSTILE in text  # as text: no tag came of it
    assert all((picture["src"] or "").startswith("data:image/") for picture in page.pictures)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}

    rows = list(csv.DictReader(io.StringIO((out / "figures.csv").read_text("utf-8"))))
    auc = next(r for r in rows if r["figure"] == "pairs/real vs fake/auc")
    assert float(auc["value"]) == results["detection"]["figures"]["pairs"]["real vs fake"]["auc"]
    images = list(csv.DictReader(io.StringIO((out / "images.csv").read_text("utf-8"))))
    assert len(images) == 9 * len(PLATFORMS.keys() | CHAINS)

    kept = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file() and p.name != "timings.json"}
    evaluate(data, out, "--suite", "all", "--system", "embedded", "template")
    assert kept == {p.name: p.read_bytes() for p in out.iterdir() if p.is_file() and p.name != "timings.json"}


def test_a_folder_without_tampered_images_is_reported_too(data: Path, tmp_path: Path) -> None:
    for path in (data / "tampered").rglob("*.*"):
        path.unlink()
    told = evaluate(data, tmp_path / "out", "--suite", "all")
    assert "explanation is left out: the data has no tampered images" in told
    assert "ROC curves" in (tmp_path / "out/report.html").read_text("utf-8")


def test_the_gallery_goes_from_the_best_mask_to_the_worst(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(data, out, "--suite", "localisation")
    stored = sorted((out / "maps").iterdir())
    assert len(stored) == 3
    levels = cv2.imdecode(np.frombuffer(stored[0].read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert levels.shape == (96, 128)
    stored[0].unlink()  # a lost map leaves its image out, and nothing else
    evaluate(data, out, "--suite", "localisation")
    captions = [w for w in Page(out / "report.html").words if "IoU: shipped" in w]
    assert len(captions) == 2
    ious = [float(re.search(r"the mask at 0.5 (\d\.\d\d)", c)[1]) for c in captions]  # type: ignore[index]
    assert ious == sorted(ious, reverse=True)


def test_shards_make_what_one_run_makes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suites = ("--suite", "detection", "localisation", "explanation", "--forged", "1")
    evaluate(data, tmp_path / "one", *suites)
    many = tmp_path / "many"
    for k in (1, 2):
        assert evaluate(data, many, *suites, "--shard", f"{k}/2") == ""
        assert not (many / "results.json").exists()
    counts = [len((many / f"rows.{k}-of-2.jsonl").read_bytes().splitlines()) for k in (1, 2)]
    assert counts == [6, 5]  # nine images, a forgery and its original
    with monkeypatch.context() as only:
        only.setattr(run, "looker", lambda _: lambda *_: pytest.fail("a shard has looked already"))
        only.setattr(Examiner, "open", lambda *_: pytest.fail("a shard has asked already"))
        evaluate(data, many, *suites)
    for name in ("results.json", "figures.csv", "scores.jsonl", "items.jsonl"):
        assert (many / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    (many / "rows.1-of-2.jsonl").unlink()  # what was merged stands by itself
    evaluate(data, many, *suites)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "-1/2"])
def test_a_shard_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run.parser().parse_args(["--suite", "detection", "--out", "x", f"--shard={text}"])
    assert stop.value.code == 2
    assert "write for example 2/5" in capsys.readouterr().err


KILLED = """
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from tests.unit.test_eval_report import evaluate
evaluate(Path(sys.argv[1]), Path(sys.argv[2]), "--suite", "degradation")
"""


@pytest.mark.slow
def test_a_killed_run_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = out / "rows.jsonl"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(data), str(out)])
    while not (rows.exists() and rows.read_bytes().count(b"\n") >= 5):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows.read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    evaluate(data, out, "--suite", "degradation")
    assert rows.read_bytes().startswith(before)
    assert len(rows.read_bytes().splitlines()) == 9 * len(CHAINS)


BY_RAY = """
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from tests.unit.test_eval_report import by_ray
by_ray(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_ray_runs_the_shards_in_processes_of_their_own(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason='Ray is not installed: pip install "forensic-chat[ray]"')
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    words = [sys.executable, "-c", BY_RAY, str(data), str(tmp_path)]
    done = subprocess.run(words, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "pids").iterdir())) == 2
    assert sorted(path.name for path in (tmp_path / "out").glob("rows.*")) == [
        "rows.1-of-2.jsonl", "rows.2-of-2.jsonl", "rows.jsonl",
    ]  # fmt: skip
    assert json.loads((tmp_path / "out/results.json").read_text("utf-8"))["detection"]


def by_ray(data: Path, folder: Path) -> None:
    """A run and its merge; in a process of its own, as Ray leaves things open."""
    words = ["--suite", "detection", "--data", str(data), "--out", str(folder / "out"), *BASE, "--ray", "2"]
    options = run.parser().parse_args(words)
    run.distribute(options, partial(_spot, folder / "pids"))
    assert str(os.getpid()) not in {path.name for path in (folder / "pids").iterdir()}
    list(run.run(options, Spot()))


def _spot(pids: Path) -> Examiner:
    pids.mkdir(exist_ok=True)
    (pids / str(os.getpid())).touch()
    return Spot()


def test_what_a_shard_raised_is_raised_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "forensic-chat[ray]"')
    stopped: list[str] = []

    def get(ready: list[Any]) -> None:
        cause = UsageError("the data holds no images")
        raise ray.exceptions.RayTaskError("_call", "Traceback", cause).as_instanceof_cause()

    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "remote", lambda **_: lambda call: SimpleNamespace(remote=lambda task: task))
    monkeypatch.setattr(ray, "wait", lambda running: (running[:1], running[1:]))
    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(ray, "shutdown", lambda: stopped.append("shutdown"))
    with pytest.raises(UsageError) as raised:
        cluster.run([lambda: None, lambda: None], lambda done, total: None)
    assert str(raised.value) == "the data holds no images"
    assert stopped == ["shutdown"]


def test_without_ray_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    options = run.parser().parse_args(["--suite", "detection", "--out", str(tmp_path), "--ray", "2"])
    with pytest.raises(UsageError, match="pip install"):
        run.distribute(options, Spot)
    options.shard = (1, 2)
    with pytest.raises(UsageError, match="leave --shard out"):
        run.distribute(options, Spot)


def test_a_model_is_a_name_or_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no calibration\.json"):
        models.load(str(tmp_path))
    monkeypatch.setattr(models, "load_encoder", lambda folder, graph, threads: (folder, graph))
    monkeypatch.setattr(models, "base", lambda name: Path(name))
    monkeypatch.setattr("forensic_chat.examiner.base", lambda name, progress=None: shipped())
    (tmp_path / "calibration.json").write_text("{}")
    mine, theirs = models.load(str(tmp_path)), Examiner()
    assert mine.encoder == tmp_path
    assert mine.models["encoder"] != theirs.models["encoder"]
    assert mine.models["tower"] == theirs.models["tower"]


def test_systems_are_compared_on_one_page(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [tmp_path / "a", tmp_path / "b"]
    rival = tmp_path / "rival.jsonl"
    rival.write_text("")
    evaluate(data, runs[0], "--suite", "explanation", "--system", "embedded", "template")
    evaluate(data, runs[1], "--suite", "explanation", "--system", str(rival))
    out = tmp_path / "docs"
    assert comparison.main([*map(str, runs), "--out", str(out)]) == 0
    content = json.loads((out / "results.json").read_text("utf-8"))
    assert [(p["a"], p["b"]) for p in content["pairs"]] == [
        ("embedded", "template"), ("embedded", "rival"), ("template", "rival"),
    ]  # fmt: skip
    one = json.loads((runs[0] / "results.json").read_text("utf-8"))["explanation"]["figures"]
    assert content["pairs"][0]["by"] == one["pairs"][0]["by"]
    assert content["systems"]["rival"]["unparsable_count"] == 9
    assert set(content["systems"]["embedded"]["aspects"]) == {*ASPECTS, "mean"}
    page = (out / "README.md").read_text("utf-8")
    assert "| embedded − rival | " in page
    assert "too few sources" in page
    for file in (out / "README.md", out / "results.json", out / "aspects.svg"):
        published = file.read_text("utf-8")
        assert "real/a.jpg" not in published
        assert str(tmp_path) not in published
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    comparison.main([*map(str, runs), "--out", str(out)])
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}

    capsys.readouterr()
    evaluate(data, runs[1], "--suite", "explanation", "--system", str(rival), "--seed", "1")
    for wrong, message in (
        ([runs[0], runs[1]], "has other"),
        ([runs[0], runs[0]], "is in two runs"),
        ([runs[1]], "two systems at least"),
        ([tmp_path], "holds no explanation results"),
    ):
        assert comparison.main([*map(str, wrong), "--out", str(tmp_path / "no")]) == 2
        shown = capsys.readouterr().err
        assert message in shown
        assert shown.count("\n") == 1


def test_plots_repeat_themselves_and_keep_names_as_they_are() -> None:
    rows = [("a$b_c$ <x>", 0.5, (0.2, 0.7)), ("none", 0.0, None)]
    first, again = (plots.svg(plots.shares("shares", rows)) for _ in range(2))
    assert first == again
    words = "".join(ElementTree.fromstring(first).itertext())
    assert "a$b_c$ <x>" in words
    low, high = plots.errors(np.array([0.5, 0.0]), [(0.2, 0.7), None])
    np.testing.assert_allclose([low, high], [[0.3, 0], [0.2, 0]])


def test_scaling_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        scaling, "LOOK", 'print(\'{"seconds": 0.5, "peak": 900000000, "loaded": 700000000}\')'
    )
    out = tmp_path / "scaling.svg"
    assert scaling.main(["--out", str(out), "--megapixels", "1", "2.5"]) == 0
    words = "".join(ElementTree.fromstring(out.read_bytes()).itertext())
    assert "megapixels" in words
    assert "memory of the process" in words
    with Image.open(scaling.save(tmp_path, 2.5)) as image:
        assert abs(image.width * image.height / 2.5e6 - 1) < 0.01
