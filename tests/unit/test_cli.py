"""The command line: what is printed where, exit codes, one line per error, nothing heavy for --help."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from PIL import Image

from forensic_chat.cli.main import main
from forensic_chat.cli.plain import plain
from forensic_chat.errors import BackendUnavailable
from forensic_chat.mllm.backends import choice
from forensic_chat.mllm.backends.choice import BackendName
from forensic_chat.schema import Examination, json_schema
from tests.fakes import FakeExaminer, examiner
from tests.images import photo

__all__ = ["examiner"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    photo().save(path := tmp_path / "photo.jpg")
    return path


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def one_line(text: str) -> str:
    assert text.startswith("forensic-chat: ")
    assert text.count("\n") == 1
    return text


def test_analyze_prints_a_report(
    examiner: FakeExaminer, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("analyze", image) == 0
    out, err = capsys.readouterr()
    for expected in (
        "TAMPERED",
        "likely",
        "70.0%",
        "Provenance",
        "R1",
        "✔",
        "✘ ",
        "E2 says 1.5",
        "probability, not proof",
    ):
        assert expected in out
    assert "\x1b" not in out, "no colours where there is no terminal"
    assert max(map(len, out.splitlines())) <= 100
    assert err == ""


def test_json_is_the_contract_and_nothing_else(
    examiner: FakeExaminer, image: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    mask = tmp_path / "mask.png"
    assert run("analyze", image, "--json", "--mask", mask, "--no-rationale") == 0
    result = Examination.model_validate_json(capsysbinary.readouterr().out)
    assert result.rationale is None
    assert result.mask is not None
    assert result.mask.png == mask.as_posix()
    with Image.open(mask) as written:
        assert (written.mode, written.size) == ("L", (96, 64))
        assert {value for _, value in written.getcolors() or []} == {0, 255}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.png", "photo.jpg"]


@pytest.mark.parametrize("words", [("analyze", "--mask"), ("report", "--out")])
def test_the_examined_image_is_never_written_over(
    examiner: FakeExaminer, image: Path, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before, link = image.read_bytes(), image.with_name("link.jpg")
    link.symlink_to(image)
    command, option = words
    for out in (image, image.parent / "." / image.name, link):
        assert run(command, image, option, out, "--no-rationale") == 2
        assert "stays as it is" in one_line(capsys.readouterr().err)
    assert image.read_bytes() == before


def test_json_without_mask_carries_it_inline(
    examiner: FakeExaminer, image: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run("analyze", image, "--json") == 0
    result = Examination.model_validate_json(capsysbinary.readouterr().out)
    assert result.mask is not None
    assert (result.mask.png or "").startswith("iVBOR")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["analyze"], "missing argument 'IMAGE'"),
        (["analyze", "missing.jpg"], "missing.jpg"),
        (["analyze", "."], "folder"),
        (["analyze", "empty.jpg"], "empty.jpg"),
        (["analyze", "photo.jpg", "--mask", "no/such/folder/m.png"], "no/such/folder"),
        (["analyze", "photo.jpg", "--frobnicate"], "--frobnicate"),
        (["chat", "empty.jpg"], "empty.jpg"),
        (["batch", "missing", "--out", "rows.jsonl"], "missing"),
        (["batch", ".", "--out", "no/folder/rows.jsonl"], "rows.jsonl"),
        (["batch", ".", "--out", "photo.jpg"], "choose another --out"),
        (["batch", "nothing", "--out", "rows.jsonl"], "holds no image"),
        (["batch", "."], "--out"),
        (["frobnicate"], "frobnicate"),
        (
            ["analyze", "photo.jpg", "--backend", "gpt"],
            "'gpt' is not one of 'transformers', 'vllm', 'scripted'",
        ),
        (["chat", "photo.jpg", "--backend", "gpt"], "'gpt' is not one of"),
        (["batch", ".", "--out", "rows.jsonl", "--backend", "gpt"], "'gpt' is not one of"),
        (["serve", "--backend", "gpt"], "'gpt' is not one of"),
        (["weights", "assemble"], "missing argument 'DIR'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    examiner: FakeExaminer,
    image: Path,
    arguments: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(image.parent)
    Path("empty.jpg").touch()
    Path("nothing").mkdir()
    before = image.read_bytes()
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in one_line(err)
    assert image.read_bytes() == before


@pytest.mark.parametrize("name", [*get_args(BackendName), None])
@pytest.mark.parametrize("command", ["analyze", "chat", "batch", "serve"])
def test_the_backend_that_is_named_is_taken(
    image: Path,
    command: str,
    name: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken: list[Any] = []

    def made(*, backend: str | None = None, **_: Any) -> FakeExaminer:
        taken.append(backend)
        return FakeExaminer()

    examiner, server = ModuleType("forensic_chat.examiner"), ModuleType("forensic_chat.api.server")
    examiner.Examiner = made  # type: ignore[attr-defined]
    server.serve = lambda host, port, backend: taken.append(backend)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, examiner.__name__, examiner)
    monkeypatch.setitem(sys.modules, server.__name__, server)
    feed(monkeypatch, "/quit\n")
    given: dict[str, list[str | Path]] = {
        "analyze": [image],
        "chat": [image],
        "batch": [image.parent, "--out", image.parent / "rows.jsonl"],
        "serve": [],
    }
    assert run(command, *given[command], *(["--backend", name] if name else [])) == 0
    assert taken == [name]


@pytest.mark.parametrize("name", get_args(BackendName))
def test_each_backend_name_loads_its_own(name: BackendName, monkeypatch: pytest.MonkeyPatch) -> None:
    from forensic_chat.mllm.backends import scripted, transformers, vllm

    kinds: dict[str, Any] = {
        "transformers": transformers.TransformersBackend,
        "vllm": vllm.VllmBackend,
        "scripted": scripted.ScriptedBackend,
    }
    for kind in (kinds["transformers"], kinds["vllm"]):  # without weights and without a server
        monkeypatch.setattr(kind, "load", classmethod(lambda cls, **_: cls.__new__(cls)))
    assert type(choice.load(name)) is kinds[name]


def test_a_terminated_command_tidies_up() -> None:
    program = (
        "import atexit, time; from forensic_chat.cli import main as cli; atexit.register(print, 'tidied');"
        "cli.app = lambda *_, **__: (print('running', flush=True), time.sleep(60)); cli.main([])"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.terminate()
        assert process.stdout.read() == "tidied\n"
    assert process.returncode == 143


def test_exit_codes_of_what_is_raised(
    examiner: FakeExaminer, image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORENSIC_CHAT_DEBUG", raising=False)

    def raising(error: BaseException) -> int:
        def hook(path: Path) -> None:
            raise error

        examiner.hook = hook
        return run("analyze", image)

    assert raising(BackendUnavailable("no weights\x1b[31m; run weights pull")) == 3
    assert one_line(capsys.readouterr().err) == "forensic-chat: no weights\\x1b[31m; run weights pull\n"
    assert raising(ZeroDivisionError("secret detail")) == 1
    assert "internal error: ZeroDivisionError" in one_line(capsys.readouterr().err)
    assert raising(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""
    assert raising(BrokenPipeError()) == 141
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORENSIC_CHAT_DEBUG", "1")
    examiner.hook = lambda path: [][1]
    with pytest.raises(IndexError):
        main(["analyze", str(image)])


def test_names_and_metadata_do_not_steer_the_terminal(
    examiner: FakeExaminer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo().save(path := tmp_path / "[red]a\x1b[2J\u202egpj.png")
    assert run("analyze", path) == 0
    out = capsys.readouterr().out
    assert "[red]a" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_plain_keeps_what_is_readable() -> None:
    assert (
        plain("Ünïcödé [b] 像\n\t\x07\x9b\u2028\udcff", keep="\n")
        == "Ünïcödé [b] 像\n\\t\\x07\\x9b\\u2028\\udcff"
    )


def test_chat_answers_until_the_input_ends(
    examiner: FakeExaminer, image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, "what is wrong?\n\n/findings\n/what\nand [b]where[/b]?\n/quit\nnever asked\n")
    assert run("chat", image) == 0
    out = capsys.readouterr().out
    for expected in (
        "TAMPERED",
        "You asked: what is wrong?",
        "✔",
        "shortened",
        "E2",
        "/report",
        "and [b]where[/b]?",
    ):
        assert expected in out
    assert "never asked" not in out
    assert examiner.examined == ["photo.jpg"], "examined once, asked many times"


def test_ctrl_c_stops_the_answer_and_not_the_chat(
    examiner: FakeExaminer, image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.fakes import Reply

    words = Reply.__iter__

    def interrupted(reply: Reply) -> object:
        for count, word in enumerate(words(reply)):
            if reply.question.startswith("stop") and count == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield word

    monkeypatch.setattr(Reply, "__iter__", interrupted)
    feed(monkeypatch, "stop before this\ngo on\n")
    assert run("chat", image) == 0
    out = capsys.readouterr().out
    assert "(stopped)" in out
    assert "before this" not in out
    assert "You asked: go on" in out


def test_chat_compares_with_another_file(
    examiner: FakeExaminer,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo(1).save(image.parent / "second.png")
    feed(monkeypatch, f"/compare {image.parent / 'second.png'}\n/compare {image.parent / 'none.png'}\n")
    assert run("chat", image) == 0
    out = capsys.readouterr().out
    assert "You asked: compare with second.png" in out
    assert "none.png" in out
    assert examiner.examined == [image.name, "second.png", "none.png"]


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_batch_reports_on_stderr_and_exits_0(
    examiner: FakeExaminer, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (image.parent / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (image.parent / "notes.txt").write_text("not an image")
    rows = image.parent / "rows.jsonl"
    assert run("batch", image.parent, "--out", rows) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "no images by name or content: 1 files" in err
    assert "broken.png: " in err
    assert "1 examined, 1 could not be, 0 already" in err
    assert len(rows.read_text().splitlines()) == 2


def test_batch_says_how_to_go_on(
    examiner: FakeExaminer, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(1).save(image.parent / "second.png")

    def stop(path: Path) -> None:
        if path.name == "second.png":
            raise KeyboardInterrupt

    examiner.hook = stop
    assert run("batch", image.parent, "--out", image.parent / "rows.jsonl") == 130
    assert "stopped at 1 of 2; the same command goes on" in capsys.readouterr().err


def test_schema_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("forensic-chat ")
    assert run() == 0
    assert "analyze" in capsys.readouterr().out


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, env={**os.environ, **environment}, check=False
    )


@pytest.mark.parametrize(
    "arguments", [[], ["analyze"], ["batch"], ["chat"], ["weights"], ["weights", "pull"]]
)
def test_help_imports_nothing_heavy(arguments: Sequence[str]) -> None:
    probe = (
        "import sys; from forensic_chat.cli.main import main\n"
        f"try: main({[*arguments, '--help']!r})\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'torch', 'transformers', 'cv2', 'numpy', 'PIL', 'scipy', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = python("-c", probe)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Usage" in done.stdout


def test_a_terminal_without_unicode_gets_ascii(image: Path) -> None:
    probe = (
        "import sys; from tests.fakes import examination; from forensic_chat.cli import render\n"
        "sys.stdout.reconfigure(errors='backslashreplace')\n"
        "render.report(examination(), render.console(sys.stdout))"
    )
    done = python("-c", probe, PYTHONIOENCODING="ascii", PYTHONPATH=str(Path(__file__).parents[2]))
    assert done.returncode == 0, done.stderr.decode()
    assert b"TAMPERED" in done.stdout
    assert b"#####" in done.stdout
    assert b"\\u" not in done.stdout
