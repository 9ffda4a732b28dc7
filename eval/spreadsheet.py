"""The results as CSV, for spreadsheets and other plotting programs."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eval.examples import Example
from eval.rows import Row


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """A CSV file. A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([list(header), *([_harmless(cell) for cell in row] for row in rows)])
    return out.getvalue().encode()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell


def figures(suites: Mapping[str, Any]) -> bytes:
    """The figures of each suite: suite, the figure's path inside it, value."""
    rows = [
        [suite, "/".join(path), value] for suite, found in suites.items() for path, value in _leaves(found)
    ]
    return table(["suite", "figure", "value"], rows)


def _leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(value, (*path, str(name)))
    elif isinstance(node, list | tuple):
        for k, value in enumerate(node):
            yield from _leaves(value, (*path, str(k)))
    else:
        yield path, node


def images(pairs: Sequence[tuple[Example, Row]]) -> bytes:
    """One line for every image and chain: what is true of it and what was said."""
    header = ["id", "chain", "label", "kind", "source", "group", "in_training", "format", "width", "height"]
    header += ["verdict", "fake_probability", "p_real", "p_synthetic", "p_tampered", "seconds"]
    header += ["f1", "iou", "pixel_auc", "error"]
    rows = []
    for e, r in pairs:
        chances = [r.probabilities.get(label) for label in ("real", "synthetic", "tampered")]
        fit = [r.masks.get("shipped", {}).get(name) for name in ("f1", "iou", "auc")]
        about = [
            e.id,
            r.chain,
            e.label,
            e.kind,
            e.source,
            e.group,
            e.in_training,
            r.format,
            r.width,
            r.height,
        ]
        said = [r.verdict, r.fake] if r.error is None else ["", None]
        rows.append([*about, *said, *chances, r.seconds, *fit, r.error])
    return table(header, rows)
