"""Write forgeries of a folder of photos: `python -m forensic_chat.data.forge PHOTOS --out DIR --n 100
--seed 0 [--autoencoders DIR] [--faces FILE] [--kind NAME ...]`.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from forensic_chat.data.forge import MANIPULATIONS, ForgeFailed, Forgery, Manipulation, Pixels, forge
from forensic_chat.data.manifest import Item
from forensic_chat.errors import InputRejected, UsageError
from forensic_chat.imaging.intake import take_in

_LONGEST_SIDE = 1024
"""Larger photos are cropped to this at a random place: native pixels, never a resized whole."""
_DONORS = 8
_EXTRA = {
    "regenerate": "--autoencoders",
    "regenerate-region": "--autoencoders",
    "regenerate-hole": "--autoencoders with one that fills holes",
    "face-swap": "--faces",
}
"""Kind -> the option it needs."""


def main(argv: list[str] | None = None) -> int:
    """Write PNG images, their originals and masks, and `manifest.jsonl`; 0 when done, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m forensic_chat.data.forge", description=main.__doc__)
    parser.add_argument("photos", type=Path, help="folder of real photos, read with its sub-folders")
    parser.add_argument("--out", type=Path, required=True, help="new or empty folder")
    parser.add_argument("--n", type=int, required=True, help="number of forgeries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--autoencoders", type=Path, help="folder of train.autoencoders")
    parser.add_argument("--faces", type=Path, help="ONNX file of CenterFace, for face swaps")
    parser.add_argument(
        "--kind", nargs="+", choices=[*MANIPULATIONS, *_EXTRA], help="only these; else all that can be made"
    )
    options = parser.parse_args(argv)
    try:
        kinds = available(options.autoencoders, options.faces)
        for kind in options.kind or []:
            if kind not in kinds:
                raise UsageError(f"{kind} needs {_EXTRA[kind]}")
        chosen = {kind: kinds[kind] for kind in options.kind or kinds}
        written = write(options.photos, options.out, options.n, options.seed, chosen)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{written} forgeries in {options.out}")
    return 0


def available(autoencoders: Path | None, faces: Path | None) -> dict[str, Manipulation]:
    """Everything that can be made with these networks; each is loaded once. Raises UsageError for wrong ones."""
    kinds = dict(MANIPULATIONS)
    if autoencoders is not None:
        from forensic_chat.data.forge.autoencoders import load
        from forensic_chat.data.forge.regeneration import manipulations, regenerate

        loaded = load(autoencoders)
        kinds["regenerate"] = lambda photo, _donor, rng: regenerate(photo, loaded, rng)
        kinds |= manipulations(loaded)
    if faces is not None:
        from forensic_chat.data.forge.faces import face_swap, load_finder

        find = load_finder(faces)
        kinds["face-swap"] = lambda photo, donor, rng: face_swap(photo, donor, find, rng)
    return kinds


def write(
    photos: Path, out: Path, n: int, seed: int, kinds: Mapping[str, Manipulation] = MANIPULATIONS
) -> int:
    """Make `n` forgeries of the photos in rotation; returns how many. Raises UsageError for unusable
    folders.
    """
    names = sorted(p.relative_to(photos).as_posix() for p in photos.rglob("*") if p.is_file())
    if not names:
        raise UsageError(f"{photos.name} holds no files; give a folder of photos")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out.name} is not empty; give a new folder")
    for part in ("images", "originals", "masks"):
        (out / part).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    names = [names[index] for index in rng.permutation(len(names))]
    donors: list[Pixels] = []
    written = failures = turn = 0
    with (out / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        while written < n:
            name = names[turn % len(names)]
            turn += 1
            others = donors
            try:
                photo = _crop(take_in(photos / name).pixels, rng)
                donors = [*donors, photo][-_DONORS:]
                forgery = forge(photo, others, rng, None, kinds)
            except (InputRejected, ForgeFailed):
                failures += 1
                if failures > 10 * len(names):
                    raise UsageError(f"{photos.name} holds too few photos that can be forged") from None
                continue
            item = _save(forgery, photo, out, f"{written:06d}.png", source=photos.resolve().name, origin=name)
            manifest.write(json.dumps(asdict(item), ensure_ascii=False) + "\n")
            written += 1
    return written


def _crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = (min(side, _LONGEST_SIDE) for side in pixels.shape[:2])
    y = int(rng.integers(0, pixels.shape[0] - height + 1))
    x = int(rng.integers(0, pixels.shape[1] - width + 1))
    return np.ascontiguousarray(pixels[y : y + height, x : x + width])


def _save(forgery: Forgery, photo: Pixels, out: Path, file: str, *, source: str, origin: str) -> Item:
    pictures = {"images": forgery.pixels, "originals": photo}
    if forgery.generator is None:
        pictures["masks"] = forgery.mask
    for folder, pixels in pictures.items():
        Image.fromarray(pixels).save(out / folder / file, compress_level=1)
    return Item(
        path=f"images/{file}",
        sha256=hashlib.sha256((out / "images" / file).read_bytes()).hexdigest(),
        label="synthetic" if forgery.generator else "tampered",
        generator=forgery.generator,
        manipulation=None if forgery.generator else forgery.manipulation,
        mask=None if forgery.generator else f"masks/{file}",
        authentic=f"originals/{file}",
        source=source,
        commit=None,
        orig_path=origin,
        licence="that of the photos",
        width=int(photo.shape[1]),
        height=int(photo.shape[0]),
        format="PNG",
        group=f"{source}/{origin}",
        split="train",
        modern=False,
        note=forgery.truth,
    )


if __name__ == "__main__":
    sys.exit(main())
