"""The table of training's stages: what its figures count, that a run goes on, and what a model is shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.schema import CLASSES
from tests.factories import tiny_llava
from tests.unit.test_rewards import examined
from tests.unit.test_training import record
from train import stage_figures, stages
from train.examinations import Examined, save
from train.models import lora, ship
from train.rewards import REWARDS
from train.stage_figures import Line, compared
from train.stages import Stage, complete, views_alone

WEIGHTS = [1.0] * len(REWARDS)


def line(about: Examined, text: str, synthetic: float = 0.4, opinion: str = "real", **more: Any) -> Line:
    fields: dict[str, Any] = {"finished": True, "first": 1.0, "whole": 4.0, "processor": 3.0} | more
    alone = {"real": 0.8 - synthetic, "synthetic": synthetic, "tampered": 0.2}
    said = {name: float(name == opinion) for name in CLASSES}
    return Line("SFT", "m", about.sha256, text, opinion=said, alone=alone, **fields)


def numbered(every: list[Examined]) -> list[Examined]:
    return [about.model_copy(update={"sha256": f"{k:064x}"}) for k, about in enumerate(every)]


def figures(records: list[Examined], lines: list[Line], draws: int = 50) -> dict[str, Any]:
    found = compared(records, {"SFT": lines}, WEIGHTS, draws, 0)
    return {name: figure["value"] for name, figure in found["stages"]["SFT"].items()}


def test_claims_are_counted_as_the_model_wrote_them() -> None:
    fake, real = numbered([examined(), examined("real", "real")])
    texts = [
        "- The encoder scores a local edit at 0.80 [E1]\n- The score for a local edit is 0.31 [E1]\n"
        "- The noise differs in nine places [E9]",
        "- The mask shows clear traces of a local edit [E1]\n- JPEG quality is 90 [E2]",
    ]
    found = figures([fake, real], [line(a, t) for a, t in zip((fake, real), texts, strict=True)])
    assert found["invented findings or numbers"] == pytest.approx(2 / 5)  # 0.31 and E9
    assert found["claims verified by code"] == pytest.approx(2 / 5)
    assert found["artefact claims on real verdicts"] == 0.5
    assert found["claims a rationale"] == 2.5
    assert found["parse failures"] == 0.0


def test_what_cannot_be_read_is_a_failure_and_no_guess() -> None:
    every = numbered([examined(), examined()])
    found = figures(every, [line(a, t) for a, t in zip(every, ("nothing cited.", ""), strict=True)])
    assert found["parse failures"] == 1.0
    assert found["claims verified by code"] is None
    assert found["IoU of claimed boxes, tampered"] == 0.0
    assert found["IoU, where a box is claimed"] is None
    assert found["reward: evidence"] == -1.0


def test_boxes_are_held_against_the_mask() -> None:
    right, wrong = numbered([examined(), examined()])
    claims = ("- The mask marks R1 [E2][R1]", "- The mask marks [600,600,800,800] [E2]")
    found = figures([right, wrong], [line(right, claims[0]), line(wrong, claims[1])])
    assert found["IoU of claimed boxes, tampered"] == pytest.approx(0.5)


def test_rationales_are_compared_between_different_images_only() -> None:
    every = numbered([examined(), examined(), examined()])
    same = figures(every, [line(about, "- the same words for every image [E1]") for about in every])
    texts = ("- alpha beta [E1]", "- gamma delta [E2]", "- epsilon zeta [E3]")
    other = figures(every, [line(a, t) for a, t in zip(every, texts, strict=True)])
    assert same["ROUGE-L between images"] == 1.0
    assert other["ROUGE-L between images"] == 0.0
    assert same["reward: specificity"] == 0.0
    assert other["reward: specificity"] == 1.0
    measure = stage_figures.similarity(list(texts))
    with pytest.raises(ValueError, match="single image"):
        measure(np.array([1, 1]))


def test_the_views_alone_are_scored_and_swapped() -> None:
    truths = ["real", "synthetic"] * 40 + ["tampered"] * 5
    every = numbered([examined("inconclusive", truth) for truth in truths])  # type: ignore[arg-type]
    seeing = [line(a, "", synthetic=0.7 if a.truth == "synthetic" else 0.1) for a in every]
    found = figures(every, seeing, draws=10)
    assert found["views alone: balanced accuracy"] == 1.0
    assert found["views alone: AUROC"] == 1.0
    assert 0.3 < found["views alone: of another image"] < 0.7
    blind = figures(every, [line(a, "", synthetic=0.7) for a in every], draws=10)
    assert blind["views alone: balanced accuracy"] == 0.5
    assert blind["views alone: AUROC"] == 0.5


def test_nothing_but_views_is_shown_alone() -> None:
    about, views = record(3)
    shown = views_alone(views)
    text = json.dumps(shown.turns[0].content)
    assert len(shown.images) == len(views) - 1
    assert "race map" not in text
    assert "E1" not in text
    assert not any(str(side) in text for side in about.size)
    assert stages.ASKED[0][0] in text


def test_the_reward_takes_the_verdict_from_the_first_word() -> None:
    [about] = numbered([examined("tampered", "tampered")])
    right, wrong = (figures([about], [line(about, "", opinion=word)]) for word in ("tampered", "real"))
    assert (right["reward: verdict"], wrong["reward: verdict"]) == (1.0, 0.0)
    assert right["reward"] - wrong["reward"] == pytest.approx(1.0)


def test_differences_are_paired() -> None:
    every = numbered([examined() for _ in range(12)])
    hard = [line(a, "", first=1.0 + k) for k, a in enumerate(every)]
    faster = [line(a, "", first=0.5 + k) for k, a in enumerate(every)]
    found = compared(every, {"base": hard, "SFT": faster}, WEIGHTS, 100, 0)
    change = found["differences"]["base -> SFT"]["seconds to first token"]
    assert change["value"] == pytest.approx(-0.5)
    assert change["interval"] == pytest.approx((-0.5, -0.5))
    low, high = found["stages"]["base"]["seconds to first token"]["interval"]
    assert low < 6 < 7 < high
    about = {"split": "val", "images": {"tampered": 12}}
    text = stage_figures.markdown(found, about)
    assert "| seconds to first token | **-0.500** [-0.500, -0.500] |" in text


def test_a_run_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    images, path, loaded = [record(k) for k in range(1, 5)], tmp_path / "answers.jsonl", []

    def load() -> Any:
        loaded.append(1)
        return ScriptedBackend(), lambda text: len(text.split())

    asked = Stage("scripted", "code", load)
    complete(asked, images[:2], path)
    path.write_text(path.read_text() + '{"stage": "scripted", "torn', "utf-8")
    whole = complete(asked, images, path)
    assert [each.image for each in whole] == [about.sha256 for about, _ in images]
    assert complete(asked, images, path) == whole
    assert len(loaded) == 2
    complete(Stage("scripted", "other code", load), images, path)
    assert len(loaded) == 3
    found = figures([about for about, _ in images], whole)
    assert found["claims verified, or general"] == 1.0
    assert found["invented findings or numbers"] == 0.0
    assert found["parse failures"] == 0.0


def test_a_file_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "base", lambda _: tmp_path)
    save(tmp_path, *record(1, "val"))
    given = ["--examined", str(tmp_path), "--out", str(tmp_path), "--stage"]
    assert stages.main([*given, "SFT"]) != 0
    assert stages.main([*given, f"SFT={tmp_path / 'nowhere'}"]) != 0
    assert stages.main([*given, "a=base", "--stage", "a=base"]) != 0
    assert stages.main([*given, "a=base", "--split", "test"]) != 0
    (tmp_path / "answers.jsonl").write_text('{"rows": 1}\n')
    assert stages.main([*given, "a=base"]) != 0
    said = capsys.readouterr().err.splitlines()
    wanted = [
        "NAME=FOLDER",
        "no projector and no adapter",
        "same name",
        "run train.examinations",
        "another --out",
    ]
    assert len(said) == len(wanted)
    assert all(part in text for part, text in zip(wanted, said, strict=True))


def test_the_command_compares_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The untuned assembly, a projector alone, and projector and adapter over it, of a tiny model."""
    place = tmp_path / "llava"
    model, processor = tiny_llava()
    model.save_pretrained(place)
    processor.save_pretrained(place)
    for name, seed in (("aligned", 1), ("tuned", 2)):
        other, _ = tiny_llava(seed)
        ship(lora_of(other), tmp_path / name)
    for part in stages.ADAPTER:
        (tmp_path / "aligned" / part).unlink()
    for k, truth in enumerate(("real", "synthetic", "tampered"), 1):
        about, views = record(k, "val", truth)  # type: ignore[arg-type]
        save(tmp_path, about.model_copy(update={"sha256": f"{k}" * 64}), views)
    monkeypatch.setattr(stages, "base", lambda _: place)
    monkeypatch.setattr(stages, "MOST_TOKENS", 6)
    given = ["--examined", tmp_path, "--out", tmp_path / "out", "--draws", 20, "--stage", "base=base"]
    given += ["--stage", f"aligned={tmp_path / 'aligned'}"]
    given += ["--stage", f"SFT={tmp_path / 'aligned'},{tmp_path / 'tuned'}"]
    assert stages.main([str(value) for value in given]) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(found["stages"]) == ["base", "aligned", "SFT"]
    assert list(found["differences"]) == ["base -> aligned", "aligned -> SFT"]
    assert found["run"]["images"] == {"real": 1, "synthetic": 1, "tampered": 1}
    assert "| reward | " in (tmp_path / "out" / "table.md").read_text()
    lines = [json.loads(text) for text in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    alone = {(each["stage"], each["alone"]["real"]) for each in lines}
    assert len(alone) == 9  # other weights, other opinions
    sizes = (tmp_path / "out" / "answers.jsonl").stat().st_size
    assert stages.main([str(value) for value in given]) == 0
    assert (tmp_path / "out" / "answers.jsonl").stat().st_size == sizes


def test_a_share_of_the_adapter_is_shipped_and_the_whole_projector(tmp_path: Path) -> None:
    model = lora_of(tiny_llava()[0])
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.ones_(value)
    ship(model, tmp_path / "whole")
    ship(model, tmp_path / "half", share=0.5)
    whole, half = (load_file(tmp_path / name / stages.ADAPTER[1]) for name in ("whole", "half"))
    assert all(half[name].equal(value * (0.5 if "lora_B" in name else 1)) for name, value in whole.items())
    assert len({(tmp_path / name / stages.PROJECTOR).read_bytes() for name in ("whole", "half")}) == 1


def lora_of(model: Any) -> Any:
    from peft import get_peft_model

    return get_peft_model(model, lora(model, 4))
