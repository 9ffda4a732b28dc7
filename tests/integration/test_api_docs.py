"""The examples of docs/api.md do what they say: every block marked `run` is run, against a live server."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("openai", reason="needs the extra `endpoint`")

from tests.images import grainy
from tests.serving import serving

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```(sh|python) run\n(.*?)^```$", (ROOT / "docs/api.md").read_text("utf-8"), re.M | re.S
)


@pytest.mark.slow
def test_the_examples(tmp_path: Path) -> None:
    grainy((160, 120, 320, 240), 0, 640, 480).save(tmp_path / "photo.jpg", quality=95)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "photo.jpg", "folder/photo.jpg")
    script = "".join(text for language, text in BLOCKS if language == "sh")
    programs = [text for language, text in BLOCKS if language == "python"]
    assert script.count("curl") >= 9
    (program,) = programs
    with serving(tmp_path, api_keys="secret") as server:
        environment = {
            **os.environ,
            "API": server.address,
            "KEY": "secret",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "no_proxy": "*",
        }
        for command in (
            [shutil.which("bash") or "sh", "-ec", script],
            [sys.executable, "-c", program],
        ):
            done = subprocess.run(
                command,
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert "tampered" in done.stdout
    assert (tmp_path / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert "forensic-chat-record" in (tmp_path / "report.html").read_text("utf-8")
