"""Files of a commit out of a local clone, bare or not, or of a snapshot that lacks some."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Blob:
    path: str
    sha: str
    size: int


def git_dir(mirror: Path, repo: str, clone: bool) -> Path | None:
    """Where the repository's git directory is under `mirror`, or None."""
    base = mirror / repo.replace("/", "+")
    for place in (base / "repo" / ".git", base / "repo", base / ".git", base):
        if (place / "HEAD").is_file():
            return place
    if (
        clone
        and subprocess.run(
            ["git", "clone", "-q", "--bare", f"https://github.com/{repo}", str(base)]
        ).returncode
        == 0
    ):
        return base
    return None


def list_blobs(git: Path, commit: str) -> list[Blob]:
    """Files of a commit with a size: a snapshot may lack blobs, which have none."""
    out = subprocess.run(
        ["git", "-C", str(git), "ls-tree", "-rlz", commit], capture_output=True, check=True
    ).stdout
    blobs = []
    for entry in filter(None, out.split(b"\0")):
        head, _, name = entry.partition(b"\t")
        _, kind, sha, size = head.split()
        if kind == b"blob" and size.isdigit():
            blobs.append(Blob(name.decode("utf-8", "replace"), sha.decode(), int(size)))
    return blobs


def read_blobs(git: Path, blobs: list[Blob]) -> Iterator[tuple[Blob, bytes]]:
    """Contents through one `git cat-file --batch`; blobs the snapshot lacks are passed over."""
    with subprocess.Popen(
        ["git", "-C", str(git), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for blob in blobs:
            process.stdin.write(f"{blob.sha}\n".encode())
            process.stdin.flush()
            head = process.stdout.readline().split()
            if len(head) == 3:
                yield blob, process.stdout.read(int(head[2]))
                process.stdout.read(1)
        process.stdin.close()
