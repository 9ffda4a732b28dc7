"""The README's commands do what they say: every block marked `run` is run."""

import os
import re
import shutil
import subprocess
import sys
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
SCRIPTS = [text for language, text in BLOCKS if language == "python"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "FOLDER" / "sub").mkdir(parents=True)
    photo(0, 320, 240).save(folder / "PHOTO", "JPEG", quality=92)
    photo(1, 320, 240).save(folder / "FOLDER" / "sub" / "a.png")
    return folder


def test_something_is_marked() -> None:
    assert len(COMMANDS) >= 5
    assert SCRIPTS


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


def run(arguments: list[str], place: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        arguments,
        cwd=place,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or "batch" in arguments[-1]
    assert "Traceback" not in done.stderr
