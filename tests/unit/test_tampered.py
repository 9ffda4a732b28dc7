"""Rebuilding the tampered images, on repositories made here: masks read and computed, refusals, admission."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from forensic_chat.data.manifest import read
from tests.unit.test_gather import encoded, git, manifest, picture
from train import tampered
from train.packing import RefusedError

BOX = (60, 40, 160, 120)
REPO, RESERVED = "someone/edits", "someone/reserved"


def edited(image: Image.Image) -> Image.Image:
    """The image with another one pasted into BOX."""
    copy = image.copy()
    copy.paste(picture(BOX[2] - BOX[0], BOX[3] - BOX[1], 99), BOX[:2])
    return copy


def box_mask() -> Image.Image:
    mask = Image.new("L", (300, 220))
    mask.paste(255, BOX)
    return mask


def files() -> dict[str, bytes]:
    """A pair with a mask, one without, one shifted against its original, a figure of two panels."""
    first, second, third, fourth = (picture(300, 220, seed) for seed in (1, 2, 3, 4))
    shifted = Image.fromarray(np.roll(np.asarray(edited(third)), 30, axis=1))
    figure = Image.new("RGB", (600, 220))
    figure.paste(edited(fourth), (0, 0))
    figure.paste(fourth, (300, 0))
    return {
        "a_edit.jpg": encoded(edited(first), "JPEG", quality=95),
        "a.jpg": encoded(first, "JPEG", quality=95),
        "a_kept.png": encoded(Image.eval(box_mask(), lambda value: 255 - value)),
        "b_edit.png": encoded(edited(second)),
        "b.png": encoded(second),
        "c_edit.png": encoded(shifted),
        "c.png": encoded(third),
        "c_mask.png": encoded(box_mask()),
        "figure.png": encoded(figure),
    }


def lines(commit: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = [
        {"tampered": "a_edit.jpg", "original": "a.jpg", "mask": "a_kept.png", "invert": True},
        {"tampered": "b_edit.png", "original": "b.png", "mask": None, "real": False, "what": "paste"},
        {"tampered": "c_edit.png", "original": "c.png", "mask": "c_mask.png"},
        {"tampered": "figure.png", "original": "figure.png", "mask": None,
         "box": [0, 0, 300, 220], "original_box": [300, 0, 600, 220]},
    ]  # fmt: skip
    made = files()
    common = {"repo": REPO, "commit": commit, "manipulation": "splice"}
    return [{**common, "sha256": hashlib.sha256(made[line["tampered"]]).hexdigest(), **line} for line in told]


@pytest.fixture
def args(tmp_path: Path) -> argparse.Namespace:
    """Two clones of the same content, the second of a reserved source, and both listed."""
    listed = []
    for repo in (REPO, RESERVED):
        work = tmp_path / "mirror" / repo.replace("/", "+")
        work.mkdir(parents=True)
        git(work, "init", "-q")
        for name, data in files().items():
            (work / name).write_bytes(data)
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", "images")
        listed += [{**line, "repo": repo} for line in lines(git(work, "rev-parse", "HEAD"))]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in listed))
    (tmp_path / "admit.py").write_text(
        f"import sys\nsys.exit(int(sys.argv[1:] == ['source', {RESERVED!r}]))\n"
    )
    return argparse.Namespace(
        out=tmp_path / "out", mirror=tmp_path / "mirror", pairs=tmp_path / "pairs.jsonl",
        admit=tmp_path / "admit.py", known=[], clone=False,
    )  # fmt: skip


def by_path(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    return {row["orig_path"]: row for row in manifest(args.out) if row["label"] == "tampered"}


def test_pairs_are_rebuilt_byte_for_byte(args: argparse.Namespace) -> None:
    tampered.run(args)
    assert len(read(args.out / "manifest.jsonl")) == 5
    row = by_path(args)["a_edit.jpg"]
    assert (args.out / row["path"]).read_bytes() == files()["a_edit.jpg"]
    assert (args.out / row["authentic"]).read_bytes() == files()["a.jpg"]
    for row in manifest(args.out):
        assert hashlib.sha256((args.out / row["path"]).read_bytes()).hexdigest() == row["sha256"]
        with Image.open(args.out / row["path"]) as image:
            assert (*image.size, image.format) == (row["width"], row["height"], row["format"])


def test_a_mask_is_read_as_the_line_says(args: argparse.Namespace) -> None:
    tampered.run(args)
    with Image.open(args.out / by_path(args)["a_edit.jpg"]["mask"]) as mask:
        assert np.array_equal(np.asarray(mask), np.asarray(box_mask()))


@pytest.mark.parametrize("name", ["b_edit.png", "figure.png"])
def test_without_a_mask_the_difference_is_it(args: argparse.Namespace, name: str) -> None:
    tampered.run(args)
    with Image.open(args.out / by_path(args)[name]["mask"]) as image:
        mask, pasted = np.asarray(image) > 0, np.asarray(box_mask()) > 0
    assert mask.shape == pasted.shape
    assert (mask & pasted).sum() > 0.9 * (mask | pasted).sum()


def test_only_a_genuine_original_is_kept_as_real(args: argparse.Namespace) -> None:
    tampered.run(args)
    assert by_path(args)["b_edit.png"]["authentic"] is None
    real = {row["path"]: row for row in manifest(args.out) if row["label"] == "real"}
    assert {row["orig_path"] for row in real.values()} == {"a.jpg", "figure.png"}
    for row in by_path(args).values():
        assert row["authentic"] is None or real[row["authentic"]]["group"] == row["group"]


def test_a_misaligned_pair_is_refused_and_counted(
    args: argparse.Namespace, capsys: pytest.CaptureFixture[str]
) -> None:
    tampered.run(args)
    assert set(by_path(args)) == {"a_edit.jpg", "b_edit.png", "figure.png"}
    assert f"{REPO}: 3 of 4 kept (1 differs outside the mask)" in capsys.readouterr().out


def test_a_reserved_source_is_skipped(args: argparse.Namespace, capsys: pytest.CaptureFixture[str]) -> None:
    tampered.run(args)
    assert {row["source"] for row in manifest(args.out)} == {REPO}
    assert f"{RESERVED}: refused by" in capsys.readouterr().out


def test_a_pair_near_a_reserved_image_goes_as_a_whole(args: argparse.Namespace) -> None:
    args.admit.write_text(
        "import pathlib, sys\n"
        f"if sys.argv[1:] == ['source', {RESERVED!r}]: sys.exit(1)\n"
        "if sys.argv[1] == 'images':\n"
        "    print(*pathlib.Path(sys.argv[2]).glob('real/*/a_*'), sep='\\n'); sys.exit(1)\n"
    )
    tampered.run(args)
    rows = manifest(args.out)
    assert set(by_path(args)) == {"b_edit.png", "figure.png"}
    on_disk = {p.relative_to(args.out).as_posix() for p in args.out.rglob("*.*") if p.suffix != ".jsonl"}
    assert on_disk == {row[key] for row in rows for key in ("path", "mask") if row[key]}


def test_known_images_are_not_met_again(args: argparse.Namespace, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.mkdir()
    (known / "k.jpg").write_bytes(encoded(picture(300, 220, 1).resize((240, 176)), "JPEG"))
    (known / "manifest.jsonl").write_text(json.dumps({"path": "k.jpg", "sha256": "0"}) + "\n")
    args.known = [known]
    tampered.run(args)
    assert set(by_path(args)) == {"b_edit.png", "figure.png"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sha256": "0" * 64}, "another file"),
        ({"mask": "nowhere.png"}, "missing file"),
        ({"original": "figure.png"}, "original of another size"),
        ({"mask": None, "original": None}, "neither mask nor original"),
        ({"threshold": 255}, "mask covers too little or too much"),
    ],
)
def test_refusals_name_their_reason(change: dict[str, Any], reason: str) -> None:
    pair = tampered.Pair(**{**lines("c")[0], **change})
    with pytest.raises(RefusedError, match=reason):
        tampered.read_pair(pair, files())


def without_commit(args: argparse.Namespace) -> None:
    text = args.pairs.read_text()
    args.pairs.write_text(re.sub(r'"commit": "\w+"', f'"commit": "{"0" * 40}"', text))


def without_clones(args: argparse.Namespace) -> None:
    args.mirror = args.mirror / "empty"


@pytest.mark.parametrize(
    ("spoil", "told"), [(without_commit, "is not in"), (without_clones, "no git directory")]
)
def test_what_a_clone_lacks_is_told(
    args: argparse.Namespace,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[argparse.Namespace], None],
    told: str,
) -> None:
    spoil(args)
    tampered.run(args)
    assert manifest(args.out) == []
    assert f"{REPO}: " in (out := capsys.readouterr().out)
    assert told in out


def test_a_full_folder_is_left_alone(args: argparse.Namespace) -> None:
    args.out.mkdir()
    (args.out / "manifest.jsonl").write_text("mine")
    with pytest.raises(SystemExit, match="not empty"):
        tampered.run(args)
    assert (args.out / "manifest.jsonl").read_text() == "mine"


def test_the_shipped_list_is_sound() -> None:
    pairs = tampered.read_pairs(Path(tampered.__file__).with_name("tampered.jsonl"))
    assert len({(pair.repo, pair.tampered) for pair in pairs}) == len(pairs) == 278
    assert len({(pair.repo, pair.commit) for pair in pairs}) == len({pair.repo for pair in pairs})
    assert [pair.repo for pair in pairs] == sorted((pair.repo for pair in pairs), key=str.lower)
    for pair in pairs:
        assert re.fullmatch(r"[0-9a-f]{40}", pair.commit)
        assert re.fullmatch(r"[0-9a-f]{64}", pair.sha256)
        assert pair.mask or pair.original
