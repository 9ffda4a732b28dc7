"""The README's commands do what they say: every block marked `run` is run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import photo

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(sh|python) run\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
COMMANDS = [
    # installing would change the environment that runs this test; .ci/run does it in a fresh one
    line.removeprefix("pip install . && ").partition("   #")[0]
    for language, text in BLOCKS
    if language == "sh"
    for line in text.splitlines()
]
SERVERS = [
    [line.partition("   #")[0] for line in text.splitlines()]
    for text in re.findall(r"^```sh serve\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
]
"""A server's command, and what is asked of it."""
SCRIPTS = [text for language, text in BLOCKS if language == "python"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder, patch = tmp_path_factory.mktemp("readme"), pytest.MonkeyPatch()
    (folder / "FOLDER" / "sub").mkdir(parents=True)
    patch.setenv("FORENSIC_CHAT_SIGNING_KEY", os.fspath(folder / "key.pem"))
    photo(0, 320, 240).save(folder / "PHOTO", "JPEG", quality=92)
    photo(1, 320, 240).save(folder / "FOLDER" / "sub" / "a.png")
    yield folder
    patch.undo()


def test_something_is_marked() -> None:
    assert len(COMMANDS) >= 5
    assert SCRIPTS
    assert len(SERVERS) == 2


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, place: Path) -> None:
    shell = shutil.which("bash") or "sh"
    run([shell, "-ec", command], place)


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts(script: str, place: Path) -> None:
    run([sys.executable, "-c", script], place)


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("commands", SERVERS, ids=lambda commands: commands[0])
def test_servers(commands: list[str], place: Path) -> None:
    """Ports are those of the README, but free ones."""
    extra = {"ui": "gradio", "serve": "fastapi"}[commands[0].split()[1]]
    pytest.importorskip(extra, reason="needs the extra of that command")
    command = re.sub(r" --port \d+", "", commands[0]) + " --port 0"
    if extra == "gradio":
        command += " --no-open"
    environment = {**os.environ, "PATH": _path(), "FORENSIC_CHAT_DATA_DIR": os.fspath(place / "data")}
    with subprocess.Popen(
        command.split(), cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
            assert found, server.communicate(timeout=10)[1]
            curl = [
                "curl",
                "--noproxy",
                "*",
                "-sf",
                "--retry",
                "20",
                "--retry-connrefused",
                "--retry-delay",
                "1",
            ]
            asked = (
                [[*curl, "-o", os.devnull, "-w", "%{http_code}", f"{found[0]}/"]]
                if len(commands) == 1
                else []
            )
            for line in commands[1:]:
                line = re.sub(r"http://127\.0\.0\.1:\d+", found[0], line.removeprefix("curl -sf "))
                asked.append([*curl, *line.split()])
            for arguments in asked:
                run(arguments, place)
        finally:
            server.terminate()
            server.communicate(timeout=30)


def _path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def run(arguments: list[str], place: Path) -> None:
    done = subprocess.run(
        arguments,
        cwd=place,
        env={**os.environ, "PATH": _path()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or "batch" in arguments[-1]
    assert "Traceback" not in done.stderr
