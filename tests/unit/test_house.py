"""What holds for the tree as a whole."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import forensic_chat
from forensic_chat import errors

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "forensic_chat"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FACES = {
    "api": "serve",
    "mllm/backends": "vllm-client",
    "report": "pdf",
    "sessions": "serve",
    "ui": "ui",
}
"""Packages that need an extra, and which."""
TEXTS = sorted(
    path
    for pattern in (
        "*.*",
        "LICENSE",
        ".ci/*",
        *(f"{top}/**/*" for top in ["forensic_chat", "train", "eval", "configs", "docs", "tests"]),
    )
    for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix in {".py", ".md", ".toml", ".json", ".yaml", ".yml", ".sh", ""}
    if not {"__pycache__", ".git"} & set(path.relative_to(ROOT).parts)
)


def test_every_package_is_declared() -> None:
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_data_file_is_declared() -> None:
    declared = PROJECT["tool"]["setuptools"]["package-data"]
    shipped = {
        path
        for package, patterns in declared.items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    found = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert found == shipped


def test_every_import_is_a_declared_dependency() -> None:
    """Of the product itself, so that a plain `pip install` has all it needs."""
    owners = packages_distributions()
    declared = distributions(PROJECT["project"]["dependencies"])
    of_face = {
        PACKAGE / face: declared | distributions(PROJECT["project"]["optional-dependencies"][extra])
        for face, extra in FACES.items()
    }
    undeclared = {
        (name, path.name)
        for path in PACKAGE.rglob("*.py")
        for name in imported(path)
        if name not in sys.stdlib_module_names and name != "forensic_chat"
        if not of_face.get(path.parent, declared) & {normal(owner) for owner in owners.get(name, [name])}
    }
    # installed by a declared one, whose interface they are
    undeclared = {
        (name, file) for name, file in undeclared if name not in {"httpx", "starlette", "tokenizers"}
    }
    assert not undeclared


def distributions(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~; ]", line)[0]) for line in requirements}


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("top", ["train", "eval"])
def test_training_and_evaluation_do_not_know_each_other(top: str) -> None:
    other = {"train": "eval", "eval": "train"}[top]
    assert not [path.name for path in (ROOT / top).rglob("*.py") if other in imported(path)]
    assert not [path.name for path in PACKAGE.rglob("*.py") if {"train", "eval", "tests"} & imported(path)]


def test_nothing_points_outside_the_tree() -> None:
    homes = re.compile(r"(?<![\w.])/(" + "|".join(["work", "home", "root", "tmp", "Users"]) + ")/")
    hosts = re.compile(
        "|".join(rf"\b{name}\.{end}\b" for name, end in [("pypi", "org"), ("pythonhosted", "org")])
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in TEXTS
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if homes.search(line) or hosts.search(line)
    ]
    assert not found


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawing = (errors.__doc__ or "").split("\n\n")[1]
    drawn: dict[str, tuple[str, int | None]] = {}
    above: list[str] = []
    for line in drawing.splitlines():
        marks, name, rest = re.fullmatch(r"([|`\- ]*)(\w+)\s*(.*)", line).groups()  # type: ignore[union-attr]
        depth = len(marks) // 4
        above[depth:] = [name]
        code = re.match(r"(?:exit code )?(\d)[:;]", rest)
        drawn[name] = (above[depth - 1] if depth else "Exception", int(code[1]) if code else None)
    classes = dict(inspect.getmembers(errors, inspect.isclass))
    assert drawn.keys() == classes.keys()
    for name, (parent, code) in drawn.items():
        assert classes[name].__base__.__name__ == parent
        assert classes[name].exit_code == (code or 1)
    codes = [kind.code for kind in classes.values()]
    assert len(set(codes)) == len(codes)


def test_the_public_names_are_there() -> None:
    assert forensic_chat.__all__ == sorted(forensic_chat.__all__)
    for name in forensic_chat.__all__:
        assert getattr(forensic_chat, name) is not None
    assert set(forensic_chat.__all__) <= set(dir(forensic_chat))
    raised = {name for name, _ in inspect.getmembers(errors, inspect.isclass)}
    assert raised <= set(forensic_chat.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Frobnicator'"):
        forensic_chat.Frobnicator  # noqa: B018


def test_importing_the_package_is_light() -> None:
    heavy = {"torch", "transformers", "numpy", "pydantic"}
    probe = f"import sys, forensic_chat; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", probe], check=True)


def test_the_changelog_knows_the_version() -> None:
    assert f"[{PROJECT['project']['version']}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_links_in_the_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)} -> {target}"
        for path in TEXTS
        if path.suffix == ".md"
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]
    assert not broken
