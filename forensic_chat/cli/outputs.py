"""Where a command may write what it was asked for."""

from pathlib import Path

from forensic_chat.errors import UsageError


def check_output(option: str, out: Path, image: Path) -> None:
    """Raises UsageError where the folder of `out` does not exist, or `out` is the examined image itself, which is
    evidence."""
    if not out.parent.is_dir():
        raise UsageError(f"{option} {out}: there is no folder {out.parent}; create it first")
    if out.exists() and image.exists() and out.samefile(image):
        raise UsageError(f"{option} {out} is the examined image, which stays as it is; choose another place")
