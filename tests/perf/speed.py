"""Measures the product's speed and memory against its bars, as ratios within one run.

    python -m tests.perf.speed [--repeats 7]

Needs the weights in the cache. Other load on the machine moves single times; the two sides of each ratio take
turns, so that it moves both. Exits with 1 if a bar is missed.
"""

import argparse
import json
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forensic_chat import Examiner, batch
from forensic_chat.encoder.tower import planes
from forensic_chat.evidence import collect
from forensic_chat.imaging.intake import take_in
from forensic_chat.imaging.views import crop, native_boxes, overview
from forensic_chat.weights import base
from tests.images import photo
from tests.perf.memory import PEAK_OF_PROCESS

MEGABYTE = 2**20
PEAK = (
    PEAK_OF_PROCESS
    + """
import json
from forensic_chat import Examiner, InputRejected
examiner = Examiner.load()
told = []
first, *others = sys.argv[1:]
examiner.examine(first, rationale=False)
loaded = peak()
for name in others:
    try:
        examiner.examine(name, rationale=False)
        told.append("examined")
    except InputRejected as error:
        told.append("refused")
print(json.dumps({"loaded": loaded, "peak": peak(), "told": told}))
"""
)
"""Peak memory in bytes after the first file, and after the others."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf.speed", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    missed = 0
    print(f"{'':58s}  measured  bar")
    with tempfile.TemporaryDirectory() as folder:
        for what, measured, bar in measure(Path(folder), repeats):
            over = measured > bar
            missed += over
            print(f"{what:58s}  {measured:8.2f}  {bar:g}{'  MISSED' if over else ''}", flush=True)
    return 1 if missed else 0


def measure(folder: Path, repeats: int) -> Iterator[tuple[str, float, float]]:
    """What, its figure, and the most it may be."""
    command = shutil.which("forensic-chat", path=str(Path(sys.executable).parent)) or "forensic-chat"
    small, large = folder / "1.jpg", folder / "12.jpg"
    photo(1, 1152, 864).save(small, quality=92)
    photo(2, 4000, 3000).save(large, quality=92)

    yield "--help, s", median(repeats, lambda: run([command, "--help"])), 0.5
    analyze = [command, "analyze", str(small), "--json", "--no-rationale"]
    yield "cold analyze --no-rationale of 1 MP, s", median(3, lambda: run(analyze)), 10

    examiner = Examiner.load()
    examiner.examine(small, rationale=False)
    yield from warm(examiner, small, repeats)
    yield from whole_folder(examiner, folder / "many", repeats)
    del examiner

    one, twelve = (peaks(path)["peak"] for path in (small, large))
    print(f"  peak {one / MEGABYTE:.0f} MB for 1 MP, {twelve / MEGABYTE:.0f} MB for 12 MP")
    yield "peak memory, 12 MP / 1 MP", twelve / one, 1.3
    yield from hostile(small, folder / "bad")


def warm(examiner: Examiner, path: Path, repeats: int) -> Iterator[tuple[str, float, float]]:
    pixels = take_in(path).pixels
    whole, once = alternating(
        repeats,
        lambda: examiner.examine(path, rationale=False),
        lambda: examiner.encoder.perceive(pixels),
    )
    found = examiner.examine(path, rationale=False)
    stages = ", ".join(f"{stage} {1000 * seconds:.0f}" for stage, seconds in found.timings.items())
    print(f"  warm verdict {1000 * whole:.0f} ms, encoder once {1000 * once:.0f} ms; of one in ms: {stages}")
    yield "warm verdict / encoder once over the same 1 MP", whole / once, 3
    height, width = pixels.shape[:2]
    crops = [crop(pixels, box, "") for box in native_boxes(width, height, 224, 0)[:8]]
    views = [view.pixels for view in (overview(pixels), *crops)]
    encoder = examiner.encoder
    once, tower, plain = alternating(
        repeats, lambda: encoder.perceive(pixels), lambda: encoder.tower.read(views), plain_clip(views)
    )
    print(
        f"  encoder once {1000 * once:.0f} ms; an overview and 8 crops: its own int8 tower, cut after block 10, "
        f"{1000 * tower:.0f} ms (encoder once is {once / tower:.2f} times that), plain CLIP {1000 * plain:.0f} ms"
    )
    yield "encoder once / plain CLIP ViT-B/16 over an overview and 8 crops", once / plain, 2


def plain_clip(views: Sequence[NDArray[np.uint8]]) -> Callable[[], object]:
    """One forward pass of CLIP's whole image tower over all views at once, in float32 by PyTorch."""
    import torch
    from transformers import CLIPVisionModelWithProjection

    model = CLIPVisionModelWithProjection.from_pretrained(base("clip-vit-b16"), dtype=torch.float32).eval()
    pixels = torch.from_numpy(planes(views))

    @torch.inference_mode()
    def forward() -> object:
        return model(pixel_values=pixels).image_embeds

    return forward


def whole_folder(examiner: Examiner, folder: Path, repeats: int) -> Iterator[tuple[str, float, float]]:
    """A batch against its parts on the same files, a file at a time so that both sides take turns."""
    folder.mkdir()
    batches, parts = [], []
    for k in range(repeats):
        path = folder / f"{k}.jpg"
        photo(10 + k, 1152, 864).save(path, quality=92)
        alone, out = batch.Folder(folder, (Path(path.name),), 0, ()), folder.with_suffix(".jsonl")
        batches.append(timed(partial(batch.run, examiner, alone, out, rationale=False)))
        parts.append(apart(examiner, path))
    sums = {name: statistics.median(one[name] for one in parts) for name in parts[0]}
    stages = ", ".join(f"{name} {1000 * seconds:.0f}" for name, seconds in sums.items())
    print(f"  batch {1000 * statistics.median(batches):.0f} ms a file; its parts: {stages}")
    ratios = [whole / sum(one.values()) for whole, one in zip(batches, parts, strict=True)]
    yield "batch / (decode + encoder + evidence)", statistics.median(ratios), 1.2


def apart(examiner: Examiner, path: Path) -> dict[str, float]:
    """Seconds of what a verdict is made of, each called by itself."""
    image = take_in(path)
    return {
        "decode": timed(partial(take_in, path)),
        "encoder": timed(partial(examiner.encoder.perceive, image.pixels)),
        "evidence": timed(partial(collect, image, None)),
    }


def hostile(good: Path, folder: Path) -> Iterator[tuple[str, float, float]]:
    """Memory over the loaded models for input that is bad, and for the largest that is examined."""
    folder.mkdir()
    files = {
        "empty.jpg": b"",
        "noise.jpg": bytes(range(256)) * 4000,
        "cut.jpg": good.read_bytes()[:2000],
        "bomb.png": png(40_000, 40_000),
        "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='99999' height='99999'/>",
        "page.pdf": b"%PDF-1.7\n" + bytes(5000),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    bad = [*sorted(map(str, folder.iterdir())), str(folder), str(folder / "missing.jpg")]
    found = peaks(good, *bad)
    assert found["told"] == ["refused"] * len(bad), "a bad file was examined"
    yield "bad input: GB over the loaded models", (found["peak"] - found["loaded"]) / 1e9, 1.5
    largest = folder / "largest.jpg"
    Image.fromarray(np.tile(np.asarray(photo(3, 1000, 1000)), (8, 8, 1))).save(largest, quality=60)
    found = peaks(good, str(largest))
    yield (
        "64 MP, the largest examined: GB over the loaded models",
        (found["peak"] - found["loaded"]) / 1e9,
        1.5,
    )


def png(width: int, height: int) -> bytes:
    """A one-bit PNG of black, as small as it gets."""
    packer = zlib.compressobj(9)
    row = bytes(1 + -(-width // 8))
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def peaks(first: Path, *others: str) -> dict[str, object]:
    out = subprocess.run(
        [sys.executable, "-c", PEAK, str(first), *others], capture_output=True, text=True, check=True
    ).stdout
    return json.loads(out.splitlines()[-1])


def run(words: list[str]) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(repeats: int, work: Callable[[], object]) -> float:
    return statistics.median(timed(work) for _ in range(repeats))


def alternating(repeats: int, *sides: Callable[[], object]) -> list[float]:
    """Medians of some that take turns."""
    times = [[timed(side) for side in sides] for _ in range(repeats)]
    return [statistics.median(each) for each in zip(*times, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
