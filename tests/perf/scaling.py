"""Draws how time and memory grow with an image's size.

    python -m tests.perf.scaling --out docs/scaling.svg [--megapixels 1 2 4 8 12 24 36 48] [--repeats 3]

Each size in a process of its own: models loaded and a 1-MP photo examined first, then the photo of that size. Needs
the weights in the cache; other load on the machine lengthens times.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from eval import plots
from eval.files import write
from tests.images import photo
from tests.perf.memory import PEAK_OF_PROCESS

SIZES = (1, 2, 4, 8, 12, 24, 36, 48)
TILE = 1000
"""Side in px of what large photos are laid out of."""
LOOK = (
    PEAK_OF_PROCESS
    + """
import json, time
from forensic_chat import Examiner
examiner = Examiner.load()
first, path, repeats = sys.argv[1:]
examiner.examine(first, rationale=False)
loaded, times = peak(), []
for _ in range(int(repeats)):
    start = time.perf_counter()
    examiner.examine(path, rationale=False)
    times.append(time.perf_counter() - start)
print(json.dumps({"seconds": sorted(times)[len(times) // 2], "peak": peak(), "loaded": loaded}))
"""
)


class Point(NamedTuple):
    """One size."""

    megapixels: float
    seconds: float
    """Median of the warm verdict."""
    peak: int
    """Bytes, of the whole process."""
    loaded: int
    """Bytes, before the photo of this size: models and a 1-MP photo."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf.scaling", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--megapixels", type=float, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    found = []
    print("   MP  seconds  s/MP  peak MB  over 1 MP, MB")
    with tempfile.TemporaryDirectory() as folder:
        first = save(Path(folder), 1)
        for size in options.megapixels:
            p = measure(first, save(Path(folder), size), options.repeats)
            found.append(p)
            each, over = p.seconds / p.megapixels, (p.peak - p.loaded) / 1e6
            line = f"{p.megapixels:5.1f}  {p.seconds:7.2f}  {each:4.2f}  {p.peak / 1e6:7.0f}  {over:5.0f}"
            print(line, flush=True)
    write(options.out, draw(found))
    return 0


def save(folder: Path, megapixels: float) -> Path:
    """A photo-like JPEG of so many megapixels, 4 to 3."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(width * 3 / 4)
    tile = np.asarray(photo(1, TILE, TILE))
    rows, columns = -(-height // TILE), -(-width // TILE)
    path = folder / f"{megapixels:g}.jpg"
    Image.fromarray(np.tile(tile, (rows, columns, 1))[:height, :width]).save(path, quality=60)
    return path


def measure(first: Path, path: Path, repeats: int) -> Point:
    words = [sys.executable, "-c", LOOK, str(first), str(path), str(repeats)]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    with Image.open(path) as image:
        return Point(image.width * image.height / 1e6, **json.loads(out.splitlines()[-1]))


def draw(found: Sequence[Point]) -> bytes:
    """SVG: seconds, and memory, against megapixels."""
    whole, (time, memory) = plots.figure(8.4, 3.4, 2)
    sizes = [p.megapixels for p in found]
    time.plot(sizes, [p.seconds for p in found], "o-", color=plots.COLOURS[0])
    time.set(xlabel="megapixels", ylabel="seconds", title="a warm verdict", xlim=(0, None), ylim=(0, None))
    memory.plot(sizes, [p.peak / 1e6 for p in found], "o-", color=plots.COLOURS[0], label="peak")
    memory.plot(
        sizes, [p.loaded / 1e6 for p in found], "--", color=plots.COLOURS[6], label="models and a 1-MP photo"
    )
    memory.set(
        xlabel="megapixels", ylabel="MB", title="memory of the process", xlim=(0, None), ylim=(0, None)
    )
    memory.legend(loc="lower right")
    return plots.svg(whole)


if __name__ == "__main__":
    sys.exit(main())
