"""`weights assemble`: the embedded model as a checkpoint that a server of stock models takes."""

from pathlib import Path
from typing import Any

import pytest

from forensic_chat.cli.main import main
from forensic_chat.errors import UsageError
from forensic_chat.mllm import export, loading
from tests.factories import tiny_llava

torch = pytest.importorskip("torch")


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Base and trained folders of a tiny model, which `assemble` finds."""
    from peft import LoraConfig, get_peft_model

    base, trained = tmp_path / "base", tmp_path / "trained"
    model, processor = tiny_llava(1)
    model.save_pretrained(base)
    processor.save_pretrained(base)
    (base / "complete.json").write_text("{}")
    targets = r".*language_model.*\.(q|v)_proj"
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules=targets, init_lora_weights=False))
    tuned.save_pretrained(trained)
    loading.save_projector(tuned.get_base_model(), trained / loading.PROJECTOR)
    monkeypatch.setattr(loading, "trained_folder", lambda: trained)
    monkeypatch.setattr(export, "base", lambda name, progress=None: base)
    return base, trained


def test_it_is_the_model_that_the_embedded_backend_runs(
    parts: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    with pytest.raises(SystemExit, match="0"):
        main(["weights", "assemble", str(out := tmp_path / "model")])
    assert capsys.readouterr().out == f"{out}\n"
    expected, _ = loading.assemble(*parts)
    written = LlavaForConditionalGeneration.from_pretrained(str(out), dtype=expected.dtype)
    assert same(written.state_dict(), expected.state_dict())
    plain, _ = loading.assemble(parts[0])
    assert not same(written.state_dict(), plain.state_dict()), "the adapter is in it"
    LlavaProcessor.from_pretrained(str(out))
    names = [name for name in load_file(out / "model.safetensors") if name.startswith("vision_tower.")]
    assert names
    assert all(name.startswith("vision_tower.vision_model.") for name in names), "as vLLM reads them"
    assert {"config.json", "tokenizer.json"} <= {path.name for path in out.iterdir()}
    assert not (out / "complete.json").exists(), "a mark of the weights' cache"


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_folder_that_is_there_is_left_alone(parts: tuple[Path, Path], tmp_path: Path) -> None:
    (out := tmp_path / "model").mkdir()
    with pytest.raises(UsageError, match="model is already there; give a folder that does not exist"):
        export.assemble(out)
    assert not list(out.iterdir())


def test_one_that_can_t_be_written_leaves_nothing(
    parts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.shutil, "copyfile", full)
    with pytest.raises(UsageError, match=r"can't be written to model .No space left on device"):
        export.assemble(tmp_path / "new" / "model")
    assert not list((tmp_path / "new").iterdir())
