"""Manifests: one clear error for a broken line, folds of whole sources."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat.data.manifest import Item, folds, read
from forensic_chat.errors import UsageError


def record(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "path": "images/a.jpg", "sha256": "0" * 64, "label": "real", "generator": None, "manipulation": None,
        "mask": None, "authentic": None, "source": "somebody/photos", "commit": None, "orig_path": None,
        "licence": "CC0", "width": 640, "height": 480, "format": "JPEG", "group": "a", "split": "train",
        "modern": False, "note": None,
    }  # fmt: skip
    return base | changes


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_lines_become_items(tmp_path: Path) -> None:
    lines = [json.dumps(record()), "", json.dumps(record(label="tampered", mask="masks/a.png", extra=1))]
    items = read(write(tmp_path, *lines))
    assert [item.label for item in items] == ["real", "tampered"]
    assert items[1].mask == "masks/a.png"


@pytest.mark.parametrize(
    ("changes", "field", "advice"),
    [
        ({"label": "fake"}, "label", "'real' or 'synthetic' or 'tampered'"),
        ({"width": "640"}, "width", "a whole number above 0"),
        ({"width": 0}, "width", "a whole number above 0"),
        ({"width": True}, "width", "a whole number above 0"),
        ({"modern": 1}, "modern", "true or false"),
        ({"source": None}, "source", "a string"),
        ({"commit": 3}, "commit", "a string or null"),
        ({"split": ["train"]}, "split", "'train' or 'val' or 'holdout'"),
        ({"label": "tampered"}, "mask", "needs its mask"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(
    tmp_path: Path, changes: dict[str, object], field: str, advice: str
) -> None:
    with pytest.raises(UsageError, match=r"manifest\.jsonl line 2: field") as caught:
        read(write(tmp_path, json.dumps(record()), json.dumps(record(**changes))))
    assert repr(field) in str(caught.value)
    assert advice in str(caught.value)


def test_missing_fields_and_broken_lines(tmp_path: Path) -> None:
    without = record()
    del without["group"]
    for line, message in (
        (json.dumps(without), "'group' is missing"),
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
    ):
        with pytest.raises(UsageError, match=message):
            read(write(tmp_path, line))
    with pytest.raises(UsageError, match="can't be read"):
        read(tmp_path / "none.jsonl")


def items_of(table: dict[str, dict[str, int]]) -> list[Item]:
    return [
        Item(**record(source=source, label=label, mask="m.png"))  # type: ignore[arg-type]
        for source, counts in table.items()
        for label, count in counts.items()
        for _ in range(count)
    ]


@given(st.integers(2, 5), st.integers(0, 100), st.lists(st.integers(1, 30), min_size=6, max_size=12))
def test_folds_keep_sources_whole(k: int, seed: int, sizes: list[int]) -> None:
    labels = ["real", "synthetic", "tampered"]
    items = items_of({f"s{i}": {labels[i % 3]: size} for i, size in enumerate(sizes)})
    result = folds(items, k, seed)
    assert len(result) == k
    assert all(result)
    assert sorted(source for fold in result for source in fold) == sorted({item.source for item in items})
    assert result == folds(items, k, seed)


def test_folds_balance_each_class() -> None:
    table = {f"r{i}": {"real": 10 + i} for i in range(8)} | {
        f"s{i}": {"synthetic": 5 + 3 * i} for i in range(8)
    }
    items = items_of(table)
    for label in ("real", "synthetic"):
        shares = [
            sum(item.label == label and item.source in fold for item in items) for fold in folds(items, 4, 3)
        ]
        assert max(shares) <= 1.35 * min(shares)


@pytest.mark.parametrize("k", [0, 1, 3])
def test_folds_need_enough_sources(k: int) -> None:
    with pytest.raises(UsageError, match="2 sources"):
        folds(items_of({"a": {"real": 3}, "b": {"synthetic": 3}}), k, 0)
