"""ZIP archives that were dropped: what is read of them, and what is refused."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from forensic_chat.errors import InputRejected
from forensic_chat.settings import settings
from forensic_chat.ui import archives
from tests.images import photo


def png(seed: int = 0) -> bytes:
    photo(seed).save(out := io.BytesIO(), "PNG")
    return out.getvalue()


def archive(path: Path, entries: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return path


def names(*paths: Path) -> list[str]:
    with archives.opened(paths) as members:
        return [member.name for member in members]


def test_images_by_name_or_content_and_nothing_else(tmp_path: Path) -> None:
    (single := tmp_path / "single.png").write_bytes(png())
    entries = {
        "a/b.png": png(1),
        "no ending": png(2),
        "notes.txt": b"text",
        "__MACOSX/a/._b.png": b"x",
        ".hidden.png": png(),
        "../../up.png": png(3),
        "C:\\x\\y.png": png(4),
        "inner.zip": archive(tmp_path / "inner.zip", {"c.png": png()}).read_bytes(),
    }
    found = names(single, archive(tmp_path / "pile.zip", entries))
    assert found == [
        "single.png",
        "pile.zip/a/b.png",
        "pile.zip/no ending",
        "pile.zip/up.png",
        "pile.zip/C:/x/y.png",
    ]


def test_what_is_read_is_what_was_packed(tmp_path: Path) -> None:
    with archives.opened([archive(tmp_path / "p.zip", {"a.png": png(1)})]) as (member,):
        assert member.read() == png(1)
        assert member.size == len(png(1))


def refused(path: Path, match: str) -> None:
    with pytest.raises(InputRejected, match=match), archives.opened([path]):
        pass


def test_bombs_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = bytes(10_000_000)
    refused(
        archive(tmp_path / "sum.zip", {f"{k}.png": zeros for k in range(41)}),
        "410 MB unpacked; at most 400 MB",
    )
    refused(archive(tmp_path / "many.zip", {f"{k}.png": b"" for k in range(201)}), "201 images are too many")
    monkeypatch.setattr(archives, "_MOST_ENTRIES", 100)
    refused(archive(tmp_path / "list.zip", {f"{k}": b"" for k in range(101)}), "more than 100 entries")


def test_one_large_image_costs_itself_only(tmp_path: Path) -> None:
    large = bytes(settings().max_file_bytes + 1)
    path = archive(tmp_path / "p.zip", {"large.png": large, "small.png": png()})
    with archives.opened([path]) as (first, second):
        with pytest.raises(InputRejected, match="at most 20 MB"):
            first.read()
        assert second.read() == png()


def lying(data: bytearray) -> None:
    """Every entry says it has 9 bytes: once at the entry, once in the list."""
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(mark) + at
        data[start : start + 4] = (9).to_bytes(4, "little")


def flipped(data: bytearray) -> None:
    data[len(data) // 3] ^= 255


def encrypted(data: bytearray) -> None:
    data[data.index(b"PK\x01\x02") + 8] |= 1


@pytest.mark.parametrize("spoil", [lying, flipped, encrypted])
def test_a_spoiled_entry_is_an_error_not_a_crash(tmp_path: Path, spoil: Callable[[bytearray], None]) -> None:
    data = bytearray(archive(tmp_path / "p.zip", {"a.png": png() * 50}).read_bytes())
    spoil(data)
    (path := tmp_path / "spoiled.zip").write_bytes(data)
    with archives.opened([path]) as (member,), pytest.raises(InputRejected, match="pack it"):
        member.read()


def test_other_compressions_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "p.zip", {"a.png": png()}, zipfile.ZIP_LZMA)
    with archives.opened([path]) as (member,), pytest.raises(InputRejected, match="ordinary ZIP"):
        member.read()


def test_no_archive_and_no_image(tmp_path: Path) -> None:
    (torn := tmp_path / "torn.zip").write_bytes(b"PK\x03\x04" + os.urandom(200))
    refused(torn, "torn.zip is not an intact ZIP archive")
    refused(archive(tmp_path / "empty.zip", {}), "there is no image in it")
    refused(archive(tmp_path / "text.zip", {"a.txt": b"x"}), "there is no image in it")
