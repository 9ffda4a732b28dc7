"""Makes untrusted text safe to print: file names, metadata and models must not steer the terminal."""

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Categories that are not seen or act on what is: controls, direction overrides, surrogates, separators."""


def plain(text: str, *, keep: str = "") -> str:
    """`text` with invisible and steering characters spelled out (`\\x1b`), except those in `keep`."""
    return "".join(
        char
        if char in keep or unicodedata.category(char) not in _HIDDEN
        else char.encode("unicode_escape").decode()
        for char in text
    )
