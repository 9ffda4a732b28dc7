"""The suite from its images to results.json: a scripted language model answers, and an encoder that sees one
spot decides.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval import run
from eval.examples import Example
from eval.explanation import answers, figures, items, pictures, systems, truth
from eval.explanation.aspects import ASPECTS
from eval.explanation.endpoint import Endpoint, EndpointConfig, picture
from eval.explanation.kinds import KINDS
from eval.explanation.systems import BY_CODE, ExaminerSystem, Recorded, named
from forensic_chat.encoder.calibration import Calibration
from forensic_chat.errors import BackendUnavailable, UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.schema import CLASSES
from forensic_chat.weights import shipped
from tests import planted
from tests.factories import SpotEncoder
from tests.images import photo


@pytest.fixture
def examiner(monkeypatch: pytest.MonkeyPatch) -> Examiner:
    frozen = Calibration.load(shipped() / "encoder" / "calibration.json")
    monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), frozen))
    monkeypatch.setattr(Examiner, "models", {"encoder": "spot"})
    return Examiner(backend=ScriptedBackend())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two images of each class; the left half of the tampered ones is marked."""
    root = tmp_path / "data"
    for k, name in enumerate(
        ["real/a.jpg", "real/b.png", "fake/c.jpg", "fake/d.jpg", "tampered/e.png", "tampered/f.jpg"]
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photo(k, 128, 96).save(root / name)
    (root / "mask").mkdir()
    mask = np.zeros((96, 128), np.uint8)
    mask[:, :64] = 255
    for name in ("e", "f"):
        Image.fromarray(mask).save(root / f"mask/{name}.png")
    return root


def measure(out: Path, examiner: Examiner, *more: str) -> dict[str, Any]:
    words = ["--suite", "explanation", "--out", str(out), "--draws", "20", *more]
    list(run.run(run.parser().parse_args(words), examiner))
    found: dict[str, Any] = json.loads((out / "results.json").read_text("utf-8"))["explanation"]
    return found


def test_the_smoke_run_needs_no_data_and_repeats_itself(tmp_path: Path, examiner: Examiner) -> None:
    first, again = (measure(tmp_path / name, examiner, "--limit", "9") for name in ("a", "b"))
    assert first == again == measure(tmp_path / "a", examiner, "--limit", "9")
    figures = first["figures"]["systems"]["embedded"]
    assert set(figures["aspects"]) == {*ASPECTS, "mean"}
    assert all(0 <= aspect["score"] <= 100 for aspect in figures["aspects"].values())
    about = first["run"]
    assert about["items"]["count"] == 9
    assert about["items"]["made_by_code"]
    assert about["data"]["images"] == dict.fromkeys(CLASSES, 1)
    assert about["thresholds"]["mask_threshold"] == examiner.calibration.mask_threshold
    assert about["systems"]["embedded"]["models"] == {"encoder": "spot", "language": "scripted"}
    assert len(about["rules"]) == len(about["items"]["sha256"]) == 64
    assert about["options"]["seed"] == 0
    assert "out" not in about["options"]


def test_systems_stand_in_one_table(data: Path, tmp_path: Path, examiner: Examiner) -> None:
    out = tmp_path / "out"
    measure(out, examiner, "--data", str(data), "--system", "template")
    rival = tmp_path / "rival.jsonl"
    lines = [json.loads(line) for line in (out / "items.jsonl").read_text("utf-8").splitlines()]
    assert all((out / line["image"]).is_file() for line in lines)
    said = [{"id": line["id"], "answers": ["real", "real"]} for line in lines[1:]]
    rival.write_text("\n".join(map(json.dumps, said)), "utf-8")
    found = measure(out, examiner, "--data", str(data), "--system", "embedded", "template", str(rival))[
        "figures"
    ]
    assert list(found["systems"]) == ["embedded", "template", "rival"]
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [
        ("embedded", "template"),
        ("embedded", "rival"),
    ]
    gap = found["pairs"][0]["by"]["mean"]
    means = [found["systems"][name]["aspects"]["mean"]["score"] for name in ("embedded", "template")]
    assert gap["difference"] == pytest.approx(means[0] - means[1], abs=0.011)
    assert found["systems"]["rival"]["unparsable"][0] == {
        "item": lines[0]["id"], "why": "the file holds no answer to this item",
    }  # fmt: skip
    assert found["systems"]["rival"]["classes"]["real"]["correctness"]["score"] > 0
    text = (out / "scores.jsonl").read_text("utf-8").splitlines()
    assert len(text) == 3 * len(lines)


def test_a_stopped_run_goes_on_and_asks_nothing_twice(tmp_path: Path, examiner: Examiner) -> None:
    class Counts(planted.Sound):
        asked = 0

        def answer(self, item: items.Item) -> answers.Given:
            if self.asked == 4:
                raise KeyboardInterrupt
            self.asked += 1
            return super().answer(item)

    chosen = items.build(pictures.write(tmp_path, 3, 0), None, None)
    path, system = tmp_path / "answers.jsonl", Counts()
    with pytest.raises(KeyboardInterrupt):
        answers.complete(chosen, [system], path)
    path.write_bytes(path.read_bytes() + b'{"item": "torn')
    system.asked = -5
    found, _ = answers.complete(chosen, [system], path)
    assert system.asked == 0
    assert [answer.item for answer in found["sound"]] == [item.id for item in chosen]
    assert answers.complete(chosen, [system], path) == (found, 0.0)
    system.maker, system.asked = "2", -9  # another version answers anew
    answers.complete(chosen, [system], path)
    assert system.asked == 0
    path.write_text("notes\n")
    with pytest.raises(UsageError, match="choose another --out"):
        answers.read(path)


def test_a_third_of_each_and_every_kind_for_every_class() -> None:
    many = [
        Example(f"{label}{k}", Path("x"), label, "", f"s{k % 7}", f"{label}{k}")
        for label in CLASSES
        for k in range(90)
    ]
    chosen = items.choose(many, None, 0)
    assert [e.label for e in chosen] == [*CLASSES] * 80
    assert items.choose(many[:-60], None, 0)[-1].label == "tampered"
    assert len(items.choose(many[:-60], None, 0)) == 90  # as many of each as the rarest class has
    chosen_for_24 = items.choose(many, 24, 0)
    assert [e.label for e in chosen_for_24].count("tampered") == 2
    assert len(chosen_for_24) == 8
    asked = [
        (item.example.label, item.kind)
        for number, example in enumerate(chosen)
        for item in items.build_for(example, truth.Truth(example.label, (9, 9), "JPEG"), number)
    ]
    assert len(asked) == 720
    counts = [asked.count((label, kind)) for label in CLASSES for kind in KINDS]
    assert max(counts) - min(counts) <= 2
    with pytest.raises(UsageError, match="a third each"):
        items.choose(many[:100], 720, 0)
    with pytest.raises(UsageError, match="real, synthetic and tampered"):
        items.choose(many[:100], None, 0)


def test_the_truth_survives_its_file(data: Path, tmp_path: Path) -> None:
    from eval.examples import read

    (data / truth.FILE).write_text('{"path": "real/a.jpg", "true": ["A dog."], "false": ["A cat."]}\n')
    chosen = items.build(items.choose(read(data, None), None, 0), None, data)
    items.write(chosen, tmp_path / "items.jsonl")
    for item, line in zip(chosen, (tmp_path / "items.jsonl").read_text("utf-8").splitlines(), strict=True):
        assert items.truth_of(json.loads(line)) == item.truth
    mine = next(item.truth for item in chosen if item.example.id == "real/a.jpg")
    assert [s.text for s in mine.statements if not s.words] == ["A dog.", "A cat."]
    marked = next(item.truth for item in chosen if item.example.label == "tampered")
    assert marked.boxes == ((0, 0, 64, 96),)
    (data / truth.FILE).write_text('{"path": "real/a.jpg", "true": "A dog."}\n')
    with pytest.raises(UsageError, match="line 1"):
        truth.stated(data)


def test_each_item_is_a_conversation_of_its_own(data: Path, examiner: Examiner) -> None:
    asked: list[int] = []

    class Counts(ScriptedBackend):
        def generate(self, conversation: Any, **options: Any) -> Iterator[str]:
            asked.append(len(conversation.turns))
            return super().generate(conversation, **options)

    system = ExaminerSystem(Examiner(backend=Counts()))
    example = Example("a", data / "real/a.jpg", "real", "", "s", "g")
    for item in items.build_for(example, truth.of(example), 0):
        system.answer(item)
    assert asked[0] == 1  # examined once
    assert set(asked[1:]) == {3}  # no question hears of another


def test_an_image_is_looked_at_once_by_all_systems(
    data: Path, tmp_path: Path, examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, read = [], dict[str, list[str]]()

    class Counts(SpotEncoder):
        def perceive(self, pixels: np.ndarray) -> Any:
            looks.append(pixels.shape)
            return super().perceive(pixels)

    class Reads(ScriptedBackend):
        def __init__(self, name: str) -> None:
            self.name = name

        def generate(self, conversation: Any, **options: Any) -> Iterator[str]:
            image = str(conversation.images[0].tobytes())
            if image not in read.setdefault(self.name, [])[-1:]:
                read[self.name].append(image)
            return super().generate(conversation, **options)

    monkeypatch.setattr(Examiner, "_seeing", (Counts(), examiner.calibration))
    monkeypatch.setattr(Counts, "look_again", lambda *_: 0.5)
    monkeypatch.setattr(systems, "untuned", lambda: Reads("base"))
    out = tmp_path / "out"
    words = ["--data", str(data), "--system", "embedded", "embedded-base", "template"]
    measure(out, Examiner(backend=Reads("shipped")), *words)
    images = len(list(data.glob("[!m]*/*")))
    assert len(looks) == images
    assert {name: len(seen) for name, seen in read.items()} == {"shipped": images, "base": images}
    timings = json.loads((out / "timings.json").read_text("utf-8"))
    assert timings["benchmark"] > 0
    assert list(timings["answering"]) == ["embedded", "embedded-base", "template"]


def test_a_rationale_by_code_is_not_the_models(data: Path, examiner: Examiner) -> None:
    class Rambles(ScriptedBackend):
        def generate(self, conversation: Any, **options: Any) -> Iterator[str]:
            yield "It looks fine to me."

    example = Example("a", data / "real/a.jpg", "real", "", "s", "g")
    given = ExaminerSystem(Examiner(backend=Rambles())).answer(
        items.build_for(example, truth.of(example), 0)[0]
    )
    assert given.note
    assert given.note.startswith(BY_CODE)
    assert len(given.answers[0].splitlines()) == 1


def test_artefacts_on_real_images_are_counted() -> None:
    class Accuses(planted.Sound):
        def answer(self, item: items.Item) -> answers.Given:
            given = super().answer(item)
            return answers.Given([f"{text}\n- The noise looks unnatural." for text in given.answers])

    chosen = planted.items(9)
    for system, share in ((planted.Sound(), 0.0), (Accuses(), 1.0)):
        lines = figures.lines(chosen, [answers.ask(item, system, "", "") for item in chosen])
        found = figures.figures(lines, 0, 2)
        assert found["reals_given_artefacts"] == share
        assert found["places"]["f1"] >= found["places"]["iou"]


def test_scores_do_not_hang_on_the_seed_of_the_bootstrap() -> None:
    chosen = planted.items(60)
    lines = figures.lines(chosen, [answers.ask(item, planted.Invents(), "", "") for item in chosen])
    found = [figures.figures(lines, seed, 500)["aspects"] for seed in (0, 1)]
    for name in ASPECTS:
        assert found[0][name]["score"] == found[1][name]["score"]
        for a, b in zip(found[0][name]["interval"], found[1][name]["interval"], strict=True):
            assert abs(a - b) < 1.0
    other = figures.lines(chosen, [answers.ask(item, planted.Sound(), "", "") for item in chosen])
    by = figures.paired(other, lines, 0, 200)
    assert by["factual_accuracy"]["difference"] > 50
    assert by["factual_accuracy"]["p"] < 0.001
    assert by["correctness"] == {"difference": 0.0, "interval": [0.0, 0.0], "p": 1.0}
    with pytest.raises(ValueError, match="same items"):
        figures.paired(other[:-1], lines, 0, 10)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--system", "nobody"], "no system 'nobody'"),
        (["--system", "none.jsonl"], "can't be read"),
        (["--system", "none.yaml"], "can't be read as YAML"),
        (["--system", "template", "template"], "called alike"),
        (["--split", "train"], "training images"),
        (["--limit", "0"], "at least 1"),
    ],
)
def test_bad_use_is_one_clear_line(
    words: list[str], message: str, tmp_path: Path, examiner: Examiner, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(run.Examiner, "load", lambda: examiner)
    out = ["--suite", "explanation", "--out", str(tmp_path / "out")]
    limit = [] if "--limit" in words else ["--limit", "3"]
    assert run.main([*out, *limit, *words]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_other_suites_still_need_data(tmp_path: Path, examiner: Examiner) -> None:
    options = run.parser().parse_args(["--suite", "detection", "--out", str(tmp_path)])
    with pytest.raises(UsageError, match="--data is needed"):
        list(run.run(options, examiner))


def test_a_file_of_answers_that_is_not_right_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rival.jsonl"
    path.write_text('{"id": "a", "answers": ["real"]}\n\n{"id": "b", "answers": [3]}\n')
    with pytest.raises(UsageError, match="line 3"):
        Recorded(path)


class Server:
    """An OpenAI-compatible endpoint on the loopback; keeps what it was asked."""

    def __init__(self, text: str, model: str) -> None:
        asked = self.asked = list[dict[str, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                message = {"role": "assistant", "content": text}
                body = {
                    "id": "1", "object": "chat.completion", "created": 0, "model": model,
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                }  # fmt: skip
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "Server":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_any_model_behind_an_endpoint_is_asked_the_same(data: Path, tmp_path: Path) -> None:
    example = Example("a", data / "real/b.png", "real", "", "s", "g")
    chosen = items.build_for(example, truth.of(example), 0)
    with Server("real", "rival-7b-2026") as server:
        path = tmp_path / "rival.yaml"
        path.write_text(f"base_url: {server.url}\nmodel: rival-7b\nfamily: Rival\n")
        system = named(str(path), lambda: pytest.fail("no Examiner is needed"))
        given = [system.answer(item) for item in chosen]
        with pytest.raises(BackendUnavailable, match="answered as rival-7b-2026"):
            Endpoint(EndpointConfig(server.url, "other", "Other")).answer(chosen[0])
    assert [len(g.answers) for g in given] == [1, 2, 2]
    first, second = server.asked[:2]
    assert len(server.asked) == 4  # the opening once, one question for each of two items, and the stranger
    image, text = first["messages"][1]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert text["text"] == chosen[0].turns[0]
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "user"]
    assert first["temperature"] == 0
    with pytest.raises(BackendUnavailable, match="did not answer"):
        Endpoint(EndpointConfig("http://127.0.0.1:9/v1", "x", "X", timeout=1.0)).answer(chosen[0])


def test_a_server_gets_upright_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(0, 96, 64).save(tmp_path / "a.jpg", exif=exif)
    assert picture(tmp_path / "a.jpg")["image_url"]["url"].startswith("data:image/png")


def test_a_config_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "rival.yaml"
    path.write_text("base_url: here\nmodell: x\n")
    with pytest.raises(UsageError, match="must have base_url, family, model"):
        EndpointConfig.load(path)
    path.write_text("base_url: here\nmodel: x\nfamily: y\nmax_tokens: many\n")
    with pytest.raises(UsageError, match="max_tokens is 'many'"):
        EndpointConfig.load(path)
