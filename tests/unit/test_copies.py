"""The search for copies on a folder: counted by class and source."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval import copies
from tests.unit.evidence_images import scene


def test_copies_are_counted_by_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("real", "tampered", "mask"):
        (tmp_path / name).mkdir()
    for seed in range(2):
        pixels = scene(480, 400, seed=seed)
        Image.fromarray(pixels).save(tmp_path / "real" / f"{seed}.png")
        pixels[200:300, 240:360] = pixels[40:140, 40:160]
        Image.fromarray(pixels).save(tmp_path / "tampered" / f"{seed}.png")
        Image.fromarray(np.full((400, 480), 255, np.uint8)).save(tmp_path / "mask" / f"{seed}.png")
    copies.main(["--data", str(tmp_path), "--split", "all"])
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["real", "0", "of", "2", "(0.0%)"] in told
    assert ["tampered,", "tampered/tampered", "2", "of", "2", "(100.0%)"] in told
