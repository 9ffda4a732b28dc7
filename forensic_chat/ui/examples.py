"""Pictures to try the app with; `examples/README.md` says whose they are."""

from importlib.resources import files

NAMES = {
    "a photo": "coffee.jpg",
    "a pasted part": "coffee-spliced.jpg",
    "a harder one": "coffee-pasted.jpg",
}
"""What is offered, and the file."""


def read(name: str) -> tuple[str, bytes]:
    """An example's file name and its bytes."""
    file = NAMES[name]
    return file, (files("forensic_chat.ui") / "examples" / file).read_bytes()
