"""Figures as plain text."""

from collections.abc import Sequence


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their content; the first is text, the others are set to the right."""
    lines = [list(header), *([text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    body = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    ]
    return "\n".join([title, *(f"  {line}" for line in body)])


def text(cell: object) -> str:
    """0.1234 -> .123 as "0.123"; (low, high) -> "[0.100, 0.200]"; None -> "-"."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    if isinstance(cell, tuple | list):
        return f"[{', '.join(map(text, cell))}]"
    return str(cell)
