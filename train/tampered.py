"""Rebuilds the tampered images of train/tampered.jsonl from public repositories, by commit and path.

    python -m train.tampered --out DIR --mirror CLONES --admit ADMIT.py [--known CORPUS ...] [--clone]

CLONES, ADMIT.py, `--known` and `--clone` are those of train.gather: nothing that is reserved is read or
kept, and nothing that is known is met again; a pair goes as a whole. DIR is new: images/tampered,
images/real (the originals that are genuine photos), masks and manifest.jsonl. Files are the repository's
own bytes, except panels cut out of a figure. Where a line names no mask, it is where the image differs
from its original; a pair that differs outside its mask too is refused. Images never enter the repository.
"""

import argparse
import hashlib
import io
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from train.clones import git_dir, list_blobs, read_blobs
from train.gather import Seen, admitted, remember_known
from train.packing import Pixels, RefusedError, dhash, phash
from train.sources import Source

Mask = npt.NDArray[np.bool_]
Row = dict[str, Any]

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}
COVER = (0.003, 0.60)  # share of the image a mask may mark
OUTSIDE = 12.0  # mean grey levels by which an image may differ from its original outside its mask


@dataclass(frozen=True)
class Pair:
    """One line of tampered.jsonl: a tampered image, what belongs to it and how that is read."""

    repo: str
    commit: str
    tampered: str
    sha256: str  # of the file in the repository
    original: str | None
    mask: str | None  # None: where the image differs from its original
    manipulation: str
    licence: str = "none stated"
    what: str = ""
    note: str = ""
    group: str = ""  # "": named by the original, or by the image itself
    modern: bool = False
    real: bool = True  # the original is a genuine photo and kept as one
    threshold: int = 127  # the mask marks what is brighter
    invert: bool = False  # the mask marks what is darker
    alpha: bool = False  # the mask is the file's alpha channel
    box: list[int] | None = None  # the panel of a figure: left, top, right, bottom
    original_box: list[int] | None = None

    @property
    def folder(self) -> str:
        return self.repo.replace("/", "+")


@dataclass(frozen=True)
class Picture:
    data: bytes
    format: str
    pixels: Pixels

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def name(self, orig_path: str) -> str:
        stem = re.sub(r"[^A-Za-z0-9]+", "_", str(PurePosixPath(orig_path).with_suffix(""))).strip("_")[-60:]
        return f"{stem}_{self.digest[:6]}{SUFFIXES[self.format]}"


def read_pairs(path: Path) -> list[Pair]:
    return [Pair(**json.loads(line)) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _open(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception as error:  # Pillow raises many types for a broken file
        raise RefusedError("unreadable") from error
    return image


def read_picture(data: bytes, box: list[int] | None) -> Picture:
    """The image as stored, EXIF orientation not applied, for its mask fits it so; `box` is cut out as PNG."""
    image = _open(data)
    container, image = image.format or "", image.convert("RGB")
    if container not in SUFFIXES:
        raise RefusedError("other format")
    if box:
        buffer = io.BytesIO()
        image = image.crop((box[0], box[1], box[2], box[3]))
        image.save(buffer, "PNG")
        container, data = "PNG", buffer.getvalue()
    return Picture(data, container, np.asarray(image))


def read_mask(data: bytes, pair: Pair, height: int, width: int) -> Mask:
    """What the mask file marks, as the line says to read it, in the size of the image."""
    image = _open(data)
    values = np.asarray(image.convert("RGBA"))[..., 3] if pair.alpha else np.asarray(image.convert("L"))
    if values.shape != (height, width):
        if abs(values.shape[0] / values.shape[1] / (height / width) - 1) > 0.01:
            raise RefusedError("mask of another shape")
        values = cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray((values > pair.threshold) != pair.invert)


def difference(tampered: Pixels, original: Pixels) -> Pixels:
    return np.asarray(np.abs(tampered.astype(np.int16) - original).max(-1), np.uint8)


def changed(tampered: Pixels, original: Pixels) -> Mask:
    """Where two images differ by more than the noise of a last compression: closed, no specks, no pinholes."""
    apart = cv2.blur(difference(tampered, original), (5, 5))
    half, most = np.percentile(apart, (50, 75))
    mask = (apart > min(max(10, half + 6 * max(most - half, 1)), 40)).astype(np.uint8)
    for step, width in ((cv2.MORPH_CLOSE, 9), (cv2.MORPH_OPEN, 3)):
        size = max(3, int(width * max(mask.shape) / 1024) | 1)
        mask = cv2.morphologyEx(mask, step, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= max(0.0006 * mask.size, 0.02 * areas[1:].max(initial=0))
    keep[0] = False
    filled = keep[labels]
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~filled).astype(np.uint8))
    holes = stats[:, cv2.CC_STAT_AREA] < 0.004 * mask.size
    holes[0] = False
    return np.asarray(filled | holes[labels])


def check_alignment(tampered: Pixels, original: Pixels, mask: Mask) -> None:
    """Refuses a pair that is not one image edited in one place: scaled, shifted, or harmonised all over."""
    apart = difference(tampered, original)
    around = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    outside = float(apart[~around].mean()) if not around.all() else np.inf
    if outside >= OUTSIDE:
        raise RefusedError("differs outside the mask")
    if apart[mask].mean() < max(2 * outside, outside + 3, 4):
        raise RefusedError("differs no more inside the mask")


def read_files(git: Path, commit: str, pairs: list[Pair]) -> dict[str, bytes]:
    wanted = {path for p in pairs for path in (p.tampered, p.original, p.mask) if path}
    blobs = [blob for blob in list_blobs(git, commit) if blob.path in wanted]
    return {blob.path: data for blob, data in read_blobs(git, blobs)}


def read_pair(pair: Pair, files: dict[str, bytes]) -> tuple[Picture, Picture | None, Mask]:
    """The tampered image, its original and its mask; raises RefusedError with the reason."""
    if not {p for p in (pair.tampered, pair.original, pair.mask) if p} <= files.keys():
        raise RefusedError("missing file")
    if hashlib.sha256(files[pair.tampered]).hexdigest() != pair.sha256:
        raise RefusedError("another file")
    tampered, original = read_picture(files[pair.tampered], pair.box), None
    if pair.original:
        original = read_picture(files[pair.original], pair.original_box)
        if original.pixels.shape != tampered.pixels.shape:
            raise RefusedError("original of another size")
    if pair.mask:
        mask = read_mask(files[pair.mask], pair, *tampered.pixels.shape[:2])
    elif original:
        mask = changed(tampered.pixels, original.pixels)
    else:
        raise RefusedError("neither mask nor original")
    if not COVER[0] <= mask.mean() <= COVER[1]:
        raise RefusedError("mask covers too little or too much")
    if original:
        check_alignment(tampered.pixels, original.pixels, mask)
    return tampered, original, mask


def _row(pair: Pair, path: str, picture: Picture, **told: Any) -> Row:
    """A row of the manifest, its fields in the corpus' order; `told` sets those that differ by label."""
    row = {
        "path": path,
        "sha256": picture.digest,
        "label": "real",
        "generator": None,
        "manipulation": None,
        "mask": None,
        "authentic": None,
        "source": pair.repo,
        "commit": pair.commit,
        "orig_path": pair.original,
        "licence": pair.licence,
        "width": picture.pixels.shape[1],
        "height": picture.pixels.shape[0],
        "format": picture.format,
        "group": pair.group or f"{pair.folder}:{pair.original or pair.tampered}",
        "split": "train",
        "modern": False,
        "note": "; ".join(filter(None, (pair.what, "original of an edited pair"))),
    }
    return row | told


def write_pair(pair: Pair, files: dict[str, bytes], out: Path, seen: Seen) -> list[Row]:
    """Writes one pair; returns the row of its original, if that is kept, and its own."""
    tampered, original, mask = read_pair(pair, files)
    kept = original if pair.real else None
    for image in (Image.fromarray(picture.pixels) for picture in (tampered, kept) if picture):
        if seen.near(phash(image), dhash(image)):
            raise RefusedError("near a known image")
    name = tampered.name(pair.tampered)
    path = f"images/tampered/{pair.folder}/{name}"
    mask_path = f"masks/{pair.folder}/{PurePosixPath(name).stem}.png"
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    written, rows = {path: tampered.data, mask_path: buffer.getvalue()}, []
    if kept and pair.original:
        authentic = f"images/real/{pair.folder}/{kept.name(pair.original)}"
        rows.append(_row(pair, authentic, kept))
        written[authentic] = kept.data
    for place, data in written.items():
        (out / place).parent.mkdir(parents=True, exist_ok=True)
        (out / place).write_bytes(data)
    told: Row = {
        "label": "tampered",
        "manipulation": pair.manipulation,
        "mask": mask_path,
        "authentic": rows[0]["path"] if rows else None,
        "orig_path": pair.tampered,
        "modern": pair.modern,
        "note": "; ".join(filter(None, (pair.what, pair.note))) or None,
    }
    return [*rows, _row(pair, path, tampered, **told)]


def drop_reserved(admit: Path | None, out: Path, rows: list[Row]) -> list[Row]:
    """Drops pairs of which an image is near a reserved one, and originals no pair is left of."""
    if not admit or not rows:
        return rows
    told = subprocess.run(
        [sys.executable, str(admit), "images", str(out / "images")], capture_output=True, text=True
    )
    if told.returncode not in (0, 1):
        raise SystemExit(f"{admit} could not check {out / 'images'}: {told.stderr.strip()[:300]}")
    near = {line.strip() for line in told.stdout.splitlines()} if told.returncode == 1 else set()
    bad = {row["path"] for row in rows if str(out / row["path"]) in near}
    pairs = [r for r in rows if r["label"] == "tampered" and not {r["path"], r["authentic"]} & bad]
    keep = {path for r in pairs for path in (r["path"], r["authentic"])}
    for row in rows:
        if row["path"] not in keep:
            for path in filter(None, (row["path"], row["mask"])):
                (out / path).unlink()
    return [row for row in rows if row["path"] in keep]


def run(args: argparse.Namespace) -> None:
    out: Path = args.out
    if any(path.name != "known.json" for path in out.glob("*")):
        raise SystemExit(f"{out} is not empty; name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    seen = Seen()
    remember_known(args.known, out, seen)
    rows: dict[str, Row] = {}
    for (repo, commit), lines in itertools.groupby(read_pairs(args.pairs), lambda p: (p.repo, p.commit)):
        if not admitted(args.admit, Source(repo, commit, "tampered", [])):
            print(f"{repo}: refused by {args.admit}")
            continue
        git = git_dir(args.mirror, repo, args.clone)
        if git is None:
            print(f"{repo}: no git directory under {args.mirror}")
            continue
        pairs = list(lines)
        try:
            files = read_files(git, commit, pairs)
        except subprocess.CalledProcessError:
            print(f"{repo}: {commit} is not in {git}")
            continue
        tally: Counter[str] = Counter()
        for pair in pairs:
            try:
                rows |= {row["path"]: row for row in write_pair(pair, files, out, seen)}
                tally["kept"] += 1
            except RefusedError as reason:
                tally[str(reason)] += 1
        why = ", ".join(f"{n} {reason}" for reason, n in tally.most_common() if reason != "kept")
        print(f"{repo}: {tally['kept']} of {len(pairs)} kept ({why or 'none refused'})", flush=True)
    kept = drop_reserved(args.admit, out, list(rows.values()))
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
    (out / "manifest.jsonl").write_text(text, "utf-8")
    print(f"{len(kept)} rows in {out / 'manifest.jsonl'} ({len(rows) - len(kept)} near reserved, dropped)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, default=Path(__file__).with_name("tampered.jsonl"))
    parser.add_argument("--admit", type=Path)
    parser.add_argument("--known", type=Path, nargs="*", default=[])
    parser.add_argument("--clone", action="store_true")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
