"""Holds a built wheel to what may be shipped: the package, all of it, nothing else, within its size."""

import sys
import zipfile
from pathlib import Path

WEIGHTS_LIMIT = 40 * 2**20
KINDS = {".py", ".typed", ".json", ".txt", ".pem", ".md", ".safetensors", ".html", ".css", ".js", ".jpg", ""}


def main(wheel: Path) -> list[str]:
    """What is wrong, a line each."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {item.filename: item.file_size for item in archive.infolist() if not item.is_dir()}
    package = {name: size for name, size in sizes.items() if name.startswith("forensic_chat/")}
    strange = [name for name in sizes if name not in package and ".dist-info/" not in name]
    strange += [name for name in package if Path(name).suffix not in KINDS]
    tree = {
        path.as_posix()
        for path in Path("forensic_chat").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    weights = sum(size for name, size in package.items() if name.endswith(".safetensors"))
    total = sum(sizes.values())
    print(f"{wheel.name}: {len(sizes)} files, {total / 2**20:.1f} MiB, weights {weights / 2**20:.1f} MiB")
    problems = [f"does not belong into the wheel: {name}" for name in strange]
    problems += [f"is missing from the wheel: {name}" for name in sorted(tree - package.keys())]
    problems += [f"is not in the tree: {name}" for name in sorted(package.keys() - tree)]
    if weights > WEIGHTS_LIMIT:
        problems.append(f"weights are larger than {WEIGHTS_LIMIT / 2**20:.0f} MiB")
    return problems


if __name__ == "__main__":
    if found := main(Path(sys.argv[1])):
        sys.exit("\n".join(found))
