"""The gathering script on a repository made here: what is taken, cut, deduplicated, split and resumed."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train import gather
from train.packing import CROP, WHOLE, RefusedError, crop_boxes, decode, dhash, near, pack, phash, tiles
from train.sources import Source, generator_of, group_of, split_of


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Smooth random colour fields with fine noise: distinct seeds hash far apart."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse, np.int16) + rng.integers(-9, 10, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def git(folder: Path, *args: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder of clones with one repository: two photos, a copy, a re-compression, an icon, a logo."""
    base = tmp_path / "mirror"
    work = base / "someone+photos"
    (work / "photos").mkdir(parents=True)
    git(work, "init", "-q")
    first = picture(1000, 700, 1)
    files = {
        "photos/a.jpg": encoded(first, "JPEG", quality=95),
        "photos/copy-of-a.jpg": encoded(first, "JPEG", quality=95),
        "photos/a-again.jpg": encoded(first.resize((500, 350)), "JPEG", quality=60),
        "photos/b.png": encoded(picture(300, 260, 2)),
        "photos/thumb.png": encoded(picture(120, 120, 3)),
        "photos/site-logo.png": encoded(picture(400, 400, 4)),
        "photos/notes.txt": b"x" * 9000,
    }
    for name, data in files.items():
        (work / name).write_bytes(data)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "photos")
    return base


def settings(tmp_path: Path, mirror: Path, **source: Any) -> argparse.Namespace:
    commit = git(mirror / "someone+photos", "rev-parse", "HEAD")
    line = {"repo": "someone/photos", "commit": commit, "label": "real", "include": ["photos/*"], **source}
    (tmp_path / "sources.jsonl").write_text(json.dumps(line) + "\n")
    return argparse.Namespace(
        out=tmp_path / "out", mirror=mirror, sources=tmp_path / "sources.jsonl",
        admit=None, most=0, known=[], clone=False, workers=1,
    )  # fmt: skip


def manifest(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_takes_each_picture_once_and_no_icons(tmp_path: Path, mirror: Path) -> None:
    args = settings(tmp_path, mirror)
    gather.run(args)
    rows = manifest(args.out)
    whole = [row for row in rows if row["view"] == "whole"]
    assert len(whole) == 2
    assert {row["orig_path"].split("/")[1][0] for row in whole} <= {"a", "b", "c"}
    assert not any("logo" in row["orig_path"] or "thumb" in row["orig_path"] for row in rows)


def test_files_are_what_the_manifest_says(tmp_path: Path, mirror: Path) -> None:
    args = settings(tmp_path, mirror)
    gather.run(args)
    for row in manifest(args.out):
        with Image.open(args.out / row["path"]) as image:
            assert image.size == (row["width"], row["height"])
        x0, y0, x1, y1 = row["box"]
        assert max(row["width"], row["height"]) <= (WHOLE if row["view"] == "whole" else CROP)
        if not row["resized"]:
            assert (x1 - x0, y1 - y0) == (row["width"], row["height"])
        assert row["resized"] == (
            row["view"] == "whole" and max(row["original_width"], row["original_height"]) > WHOLE
        )


def test_crops_hold_the_native_pixels(tmp_path: Path, mirror: Path) -> None:
    args = settings(tmp_path, mirror)
    gather.run(args)
    crops = [row for row in manifest(args.out) if row["view"] != "whole"]
    assert crops
    for row in crops:
        with Image.open(mirror / "someone+photos" / row["orig_path"]) as original:
            expected = np.asarray(original.convert("RGB").crop(row["box"]))
        with Image.open(args.out / row["path"]) as stored:
            assert np.array_equal(np.asarray(stored), expected)


def test_a_second_run_reads_nothing_again_and_a_changed_line_starts_anew(
    tmp_path: Path, mirror: Path
) -> None:
    args = settings(tmp_path, mirror)
    gather.run(args)
    before = manifest(args.out)
    args.mirror = tmp_path / "gone"
    gather.run(args)
    assert manifest(args.out) == before
    args = settings(tmp_path, mirror, max=1)
    gather.run(args)
    assert len({row["original_sha256"] for row in manifest(args.out)}) == 1
    assert len(list(args.out.glob("images/real/*"))) == 1


@pytest.mark.parametrize(("allowed", "most", "kept"), [(0, 0, 2), (0, 1, 1), (1, 9, 1), (2, 1, 1)])
def test_of_a_source_no_more_is_taken_than_its_line_and_the_command_allow(
    tmp_path: Path, mirror: Path, allowed: int, most: int, kept: int
) -> None:
    args = settings(tmp_path, mirror, max=allowed)
    args.most = most
    gather.run(args)
    assert len({row["original_sha256"] for row in manifest(args.out)}) == kept


def test_what_admission_refuses_is_not_kept(tmp_path: Path, mirror: Path) -> None:
    args = settings(tmp_path, mirror)
    args.admit = tmp_path / "admit.py"
    args.admit.write_text("import sys; sys.exit(int(sys.argv[1] == 'source'))")
    gather.run(args)
    assert manifest(args.out) == []
    args.admit.write_text(
        "import pathlib, sys\n"
        "if sys.argv[1] == 'images':\n"
        "    print(*pathlib.Path(sys.argv[2]).glob('*.webp'), sep='\\n'); sys.exit(1)\n"
    )
    gather.run(args)
    assert manifest(args.out) == []
    assert not list(args.out.rglob("*.webp"))


def test_known_images_are_not_met_again(tmp_path: Path, mirror: Path) -> None:
    args = settings(tmp_path, mirror)
    known = tmp_path / "known"
    args.known = [known]
    known.mkdir()
    (known / "k.jpg").write_bytes(encoded(picture(1000, 700, 1).resize((640, 448)), "JPEG"))
    (known / "manifest.jsonl").write_text(json.dumps({"path": "k.jpg", "sha256": "0"}) + "\n")
    gather.run(args)
    assert {row["orig_path"] for row in manifest(args.out)} == {"photos/b.png"}


def test_a_group_is_in_one_split_and_held_out_sources_in_neither() -> None:
    source = Source("o/n", "c", "real", ["*"], group=r"scene\d+")
    groups = [group_of(source, f"x/scene{i}/{j}.jpg") for i in range(200) for j in range(2)]
    assert groups[0] == groups[1] != groups[2]
    splits = [split_of(source, group) for group in groups]
    assert 0.05 < splits.count("val") / len(splits) < 0.25
    held = Source("o/n", "c", "real", ["*"], holdout=True)
    assert {split_of(held, group) for group in groups} == {"holdout"}


def test_generator_from_the_path() -> None:
    source = Source("o/n", "c", "synthetic", ["*"], generator="SD: ", generator_in_path=r"show/([^/]+)/")
    assert generator_of(source, "show/dream/1.webp") == "SD: dream"
    assert generator_of(source, "else/1.webp") == "SD: "


@pytest.mark.parametrize(
    ("data", "require", "reason"),
    [
        (encoded(picture(190, 400, 1)), "", "too small"),
        (encoded(picture(1300, 300, 1)), "", "too long"),
        (b"no image", "", "unreadable"),
        (encoded(Image.new("RGB", (400, 400), "red")), "", "flat graphic"),
        (encoded(picture(400, 400, 1)), "camera", "no camera in EXIF"),
        (encoded(picture(400, 400, 1)), "generation", "no generation record"),
        (
            encoded(Image.merge("RGBA", (*picture(300, 300, 1).split(), Image.new("L", (300, 300), 9)))),
            "",
            "transparent",
        ),
    ],
)
def test_refusals_name_their_reason(data: bytes, require: Any, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        decode(data, require)


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    image, container = decode(encoded(picture(400, 300, 1), "JPEG", exif=exif.tobytes()), "camera")
    assert (image.size, container) == ((300, 400), "JPEG")


def test_animations_are_refused() -> None:
    frames = [picture(300, 300, seed) for seed in (1, 2)]
    with pytest.raises(RefusedError, match="animated"):
        decode(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))


def test_crop_boxes_fit_repeat_and_keep_the_jpeg_grid() -> None:
    for width, height, expected in [(384, 384, 0), (300, 200, 0), (700, 384, 1), (2000, 1500, 2)]:
        boxes = crop_boxes(width, height, b"seedseed")
        assert len(boxes) == expected
        assert boxes == crop_boxes(width, height, b"seedseed")
        for x0, y0, x1, y1 in boxes:
            assert x0 % 8 == y0 % 8 == 0
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height


def test_collages_are_cut_apart() -> None:
    sheet = Image.new("RGB", (1200, 1200))
    for index in range(4):
        sheet.paste(picture(600, 600, index), (600 * (index % 2), 600 * (index // 2)))
    packed = pack(encoded(sheet), grid=(2, 2))
    assert [one.tile for one in packed] == [0, 1, 2, 3]
    assert tiles(sheet, (2, 2))[0].size == packed[0].original
    assert len({one.phash for one in packed}) == 4


def test_hashes_hold_through_recompression_and_part_pictures() -> None:
    one, other = picture(800, 600, 1), picture(800, 600, 2)
    again = Image.open(io.BytesIO(encoded(one.resize((400, 300)), "JPEG", quality=50)))
    p, d = (np.array([f(image) for image in (one, other)], np.uint64) for f in (phash, dhash))
    assert near(phash(again), dhash(again), p, d).tolist() == [True, False]
