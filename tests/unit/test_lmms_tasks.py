"""The lmms-eval task files: every function they name is there, and works on what a run of the suite writes."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from eval.explanation import items, pictures
from eval.explanation.aspects import ASPECTS

FOLDER = Path(__file__).parents[2] / "eval" / "lmms_eval"
TASKS = sorted(FOLDER.glob("*.yaml"))


class Loader(yaml.SafeLoader):
    """Leaves `!function name` as the name."""


Loader.add_constructor("!function", lambda loader, node: f"!{node.value}")


def task(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text("utf-8"), Loader)
    return found


@pytest.fixture
def functions() -> ModuleType:
    """Loaded by path, as lmms-eval does."""
    spec = importlib.util.spec_from_file_location("functions", FOLDER / "functions.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    datasets = pytest.importorskip("datasets")
    chosen = items.build(pictures.write(tmp_path / "pictures", 3, 0), None, None)
    items.write(chosen, tmp_path / "items.jsonl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    given = task(TASKS[0])["dataset_kwargs"]
    return datasets.load_dataset("json", **given, cache_dir=str(tmp_path / "cache"))["test"]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_task_names_what_is_there(path: Path, functions: ModuleType) -> None:
    config = task(path)
    assert config["task"] == path.stem
    assert config["output_type"] == "generate_until"
    named = [v for v in config.values() if isinstance(v, str) and v.startswith("!")]
    named += [metric["aggregation"] for metric in config["metric_list"]]
    assert len(named) >= 6
    for name in named:
        file, _, function = name.removeprefix("!").partition(".")
        assert file == "functions"
        assert callable(getattr(functions, function))


def test_verdicts_are_counted(docs: Any, functions: ModuleType) -> None:
    once = functions.once_each(docs)
    assert len(docs) == 9
    assert [functions.target(doc) for doc in once] == ["real", "synthetic", "tampered"]
    assert functions.visual(once[0])[0].size == (pictures.WIDTH, pictures.HEIGHT)
    assert "one word" in functions.verdict_text(once[0])
    said = ["real", "Tampered.", "hm"]
    results = [functions.verdict_results(doc, [text]) for doc, text in zip(once, said, strict=True)]
    assert functions.accuracy([r["accuracy"] for r in results]) == pytest.approx(1 / 3)
    assert functions.balanced_accuracy([r["balanced_accuracy"] for r in results]) == pytest.approx(1 / 3)
    assert functions.unparsable([r["unparsable"] for r in results]) == pytest.approx(1 / 3)
    assert set(results[0]) == {
        m["metric"] for m in task(FOLDER / "forensic_chat_verdict.yaml")["metric_list"]
    }


def test_explanations_are_scored_like_the_suite_does(docs: Any, functions: ModuleType) -> None:
    once = functions.once_each(docs)
    said = [f"{functions.target(doc)} 0.9\n- The image is what it is." for doc in once]
    results = [functions.explanation_results(doc, [text]) for doc, text in zip(once, said, strict=True)]
    assert set(results[0]) == set(ASPECTS)
    scores = {name: getattr(functions, name)([r[name] for r in results]) for name in ASPECTS}
    assert scores["correctness"] == pytest.approx((100 + 100 + 50) / 3, abs=0.01)  # no place was named
    assert scores["specificity"] == 0.0
    assert "functions" not in sys.modules
