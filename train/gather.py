"""Rebuilds the gathered training set from the public repositories of train/sources.jsonl, by commit and path.

    python -m train.gather --out DIR --mirror CLONES --admit ADMIT.py [--known CORPUS ...] [--clone] [--workers 2]

CLONES holds git directories named owner+name (bare, or a clone with .git); `--clone` makes the missing
ones. ADMIT.py is run as `ADMIT.py source OWNER/NAME` and `ADMIT.py images FOLDER`. It exits 1 if the
source is reserved or, with their paths as output, if images are near a reserved one: nothing it refuses
is kept. `--known` are folders with manifest.jsonl whose images must not be met again: a corpus, lots
gathered before. A source that is done is not read again; take its line out, or change it, and its files
go. Images never enter the repository.
"""

import argparse
import hashlib
import json
import multiprocessing
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from train.clones import git_dir, list_blobs, read_blobs
from train.packing import Packed, RefusedError, Require, dhash, near, pack, phash
from train.sources import Source, choose, read_sources, rows_of

VIEWS = ("whole", "crop1", "crop2")


class Seen:
    """Digests and hashes of everything kept so far: what the next image must not repeat."""

    def __init__(self) -> None:
        self.digests: set[str] = set()
        self._p = np.zeros(0, np.uint64)
        self._d = np.zeros(0, np.uint64)

    def add(self, digest: str, p: int, d: int) -> None:
        self.digests.add(digest)
        self._p, self._d = np.append(self._p, np.uint64(p)), np.append(self._d, np.uint64(d))

    def near(self, p: int, d: int) -> bool:
        return bool(near(p, d, self._p, self._d).any())


def _pack_job(job: tuple[str, bytes, Require, tuple[int, int]]) -> tuple[str, list[Packed] | str]:
    path, data, require, grid = job
    try:
        return path, pack(data, require, grid)
    except RefusedError as reason:
        return path, str(reason)


def gather_source(
    source: Source, git: Path, out: Path, seen: Seen, pool: ProcessPoolExecutor | None
) -> Counter[str]:
    """Packs one source into `out`/parts; returns how many images were kept and why others were not."""
    tally: Counter[str] = Counter()
    part = out / "parts" / f"{source.key}.jsonl"
    for view in VIEWS:
        (out / source.folder / view).mkdir(parents=True, exist_ok=True)
    chosen = choose(source, list_blobs(git, source.commit))
    grid = (source.grid[0], source.grid[1])
    lines: list[str] = []

    def jobs() -> Iterator[tuple[str, bytes, Require, tuple[int, int]]]:
        for blob, data in read_blobs(git, chosen):
            if source.max and tally["kept"] >= source.max:
                return
            if hashlib.sha256(data).hexdigest() in seen.digests:
                tally["same file"] += 1
            else:
                yield blob.path, data, source.require, grid

    for path, result in _map(pool, jobs()):
        if isinstance(result, str):
            tally[result] += 1
            continue
        for packed in result:
            if source.max and tally["kept"] >= source.max:
                break
            if seen.near(packed.phash, packed.dhash):
                tally["near duplicate"] += 1
                continue
            tally["kept"] += 1
            seen.add(packed.orig_sha256, packed.phash, packed.dhash)
            for row, file in rows_of(source, path, packed):
                (out / row["path"]).write_bytes(file)
                lines.append(json.dumps(row, ensure_ascii=False))
    part.with_suffix(".new").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return tally


def _map(
    pool: ProcessPoolExecutor | None, jobs: Iterator[tuple[str, bytes, Require, tuple[int, int]]]
) -> Iterator[tuple[str, list[Packed] | str]]:
    """Results in the order of the jobs, at most 16 files in memory ahead."""
    if pool is None:
        yield from map(_pack_job, jobs)
        return
    ahead = []
    for job in jobs:
        ahead.append(pool.submit(_pack_job, job))
        if len(ahead) >= 16:
            yield ahead.pop(0).result()
    for future in ahead:
        yield future.result()


def admitted(admit: Path | None, source: Source) -> bool:
    return (
        admit is None
        or subprocess.run([sys.executable, str(admit), "source", source.repo], capture_output=True).returncode
        == 0
    )


def admit_images(admit: Path | None, source: Source, out: Path) -> int:
    """Drops images whose whole view is near a reserved one; the part is final then. Returns how many."""
    part = out / "parts" / f"{source.key}.jsonl"
    rows = [json.loads(line) for line in part.with_suffix(".new").read_text("utf-8").splitlines()]
    gone: set[tuple[str, int]] = set()
    if admit and rows:
        told = subprocess.run(
            [sys.executable, str(admit), "images", str(out / source.folder / "whole")],
            capture_output=True,
            text=True,
        )
        if told.returncode not in (0, 1):
            raise SystemExit(f"{admit} could not check {source.folder}: {told.stderr.strip()[:300]}")
        near_paths = {line.strip() for line in told.stdout.splitlines()} if told.returncode == 1 else set()
        gone = {(r["original_sha256"], r["tile"]) for r in rows if str(out / r["path"]) in near_paths}
    for row in rows:
        if (row["original_sha256"], row["tile"]) in gone:
            (out / row["path"]).unlink(missing_ok=True)
    kept = [r for r in rows if (r["original_sha256"], r["tile"]) not in gone]
    part.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in kept), "utf-8")
    part.with_suffix(".new").unlink()
    return len(gone)


def read_part(out: Path, source: Source) -> list[dict[str, Any]] | None:
    part = out / "parts" / f"{source.key}.jsonl"
    return [json.loads(line) for line in part.read_text("utf-8").splitlines()] if part.is_file() else None


def remember_known(known: Sequence[Path], out: Path, seen: Seen) -> None:
    """Hashes of the images of other manifests, cached beside the output."""
    cache = out / "known.json"
    hashes: dict[str, list[int]] = json.loads(cache.read_text()) if cache.is_file() else {}
    for folder in known:
        for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            if row.get("view", "whole") != "whole":
                continue
            digest = row.get("original_sha256", row["sha256"])
            if digest not in hashes:
                with Image.open(folder / row["path"]) as image:
                    rgb = image.convert("RGB")
                hashes[digest] = [phash(rgb), dhash(rgb)]
            seen.add(digest, *hashes[digest])
    if known:
        cache.write_text(json.dumps(hashes))


def drop_stale(out: Path, sources: list[Source]) -> None:
    """Files of sources that are no longer listed, or listed otherwise, or were left half done."""
    keep = {s.folder for s in sources if (out / "parts" / f"{s.key}.jsonl").is_file()}
    for folder in out.glob("images/*/*"):
        if folder.relative_to(out).as_posix() not in keep:
            shutil.rmtree(folder)
    keys = {s.key for s in sources}
    for part in (out / "parts").glob("*"):
        if part.suffix == ".new" or part.stem not in keys:
            part.unlink()


def write_manifest(out: Path, sources: list[Source]) -> int:
    """manifest.jsonl from all parts, a row a view, each source's rows together; returns how many rows."""
    rows = [row for source in sources for row in read_part(out, source) or []]
    new = out / "manifest.new"
    new.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    new.replace(out / "manifest.jsonl")
    return len(rows)


def run(args: argparse.Namespace) -> None:
    out: Path = args.out
    (out / "parts").mkdir(parents=True, exist_ok=True)
    sources = [source.at_most(args.most) for source in read_sources(args.sources)]
    drop_stale(out, sources)
    seen = Seen()
    remember_known(args.known, out, seen)
    waiting: list[tuple[int, Source, Path]] = []
    for source in sources:
        done = read_part(out, source)
        if done is not None:
            for row in done:
                if row["view"] == "whole":
                    seen.add(row["original_sha256"], int(row["phash"], 16), int(row["dhash"], 16))
            continue
        if not admitted(args.admit, source):
            print(f"{source.repo}: refused by {args.admit}")
            continue
        git = git_dir(args.mirror, source.repo, args.clone)
        if git is None:
            print(f"{source.repo}: no git directory under {args.mirror}")
            continue
        size = sum(blob.size for blob in choose(source, list_blobs(git, source.commit)))
        waiting.append((size, source, git))
    start, total = time.monotonic(), 0
    # Spawned, not forked: a forked worker would hold git's pipes open, and git would never end.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(args.workers, mp_context=spawn) if args.workers > 1 else None
    for number, (_, source, git) in enumerate(sorted(waiting, key=lambda w: -w[0]), 1):
        tally = gather_source(source, git, out, seen, pool)
        near_reserved = admit_images(args.admit, source, out)
        total += tally["kept"] - near_reserved
        why = ", ".join(f"{n} {reason}" for reason, n in tally.most_common() if reason != "kept")
        kept = tally["kept"] - near_reserved
        print(
            f"[{number}/{len(waiting)} {time.monotonic() - start:.0f} s] {source.label} {source.repo}: "
            f"{kept} kept ({near_reserved} near reserved; {why or 'none refused'}); {total} in all",
            flush=True,
        )
        write_manifest(out, sources)
    if pool:
        pool.shutdown()
    print(f"{write_manifest(out, sources)} rows in {out / 'manifest.jsonl'}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--sources", type=Path, default=Path(__file__).with_name("sources.jsonl"))
    parser.add_argument("--admit", type=Path)
    parser.add_argument("--most", type=int, default=0, help="images of a source, where it allows more")
    parser.add_argument("--known", type=Path, nargs="*", default=[])
    parser.add_argument("--clone", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
