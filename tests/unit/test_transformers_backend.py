import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forensic_chat.errors import BackendUnavailable, Cancelled, WeightsCorrupted
from forensic_chat.mllm import loading
from forensic_chat.mllm.backends.base import Conversation
from forensic_chat.mllm.backends.transformers import TransformersBackend, _Read, shared
from forensic_chat.mllm.prompts import Turn, follow_up
from tests.factories import case, conversation, tiny_llava


@pytest.fixture(scope="module")
def backend() -> TransformersBackend:
    return TransformersBackend(*tiny_llava(), {})


def test_verdict_words_that_begin_alike_are_refused(backend: TransformersBackend) -> None:
    class Tokenizer:
        def encode(self, text: str, add_special_tokens: bool) -> list[int]:
            return [7]

    class Processor:
        tokenizer = Tokenizer()

    with pytest.raises(BackendUnavailable, match="verdict words"):
        TransformersBackend(backend._model, Processor(), {})


def follow_ups() -> list[Conversation]:
    """Conversations that share more or less with the first of them."""
    first = conversation(case(3), 3)
    second = replace(first, turns=[*first.turns, Turn("assistant", "real 0.90\n- a [E1]"), follow_up("Why?")])
    zoom = Turn("user", [{"type": "text", "text": "Look here:"}, {"type": "image"}])
    extra = np.full((224, 224, 3), 200, np.uint8)
    third = Conversation([*first.images, extra], [*second.turns, Turn("assistant", "Yes."), zoom])
    swapped = replace(third, images=[first.images[0], extra, *first.images[2:], extra])
    other = conversation(case(4), 2, seed=5)
    return [first, second, third, swapped, first, other, Conversation([], [Turn("user", "Hello")]), second]


def test_what_was_read_before_changes_no_probability(backend: TransformersBackend) -> None:
    for asked in follow_ups():
        fresh = TransformersBackend(backend._model, backend._processor, {}).verdict_probabilities(asked)
        assert backend.verdict_probabilities(asked) == pytest.approx(fresh, abs=1e-5)


def with_tokens(backend: TransformersBackend, asked: Conversation) -> Conversation:
    """The conversation with what the model's own tower reads in its images."""
    import torch

    model = backend._model
    pixels = backend._processor.image_processor(list(asked.images), return_tensors="pt").pixel_values
    with torch.inference_mode():
        states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    return replace(asked, tokens=list(states[model.config.vision_feature_layer][:, 1:].numpy()))


@pytest.mark.parametrize("shares_tower", [True, False])
def test_a_model_that_shares_the_encoders_tower_does_not_look_again(
    backend: TransformersBackend, shares_tower: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, other = with_tokens(backend, conversation(case(3), 3)), conversation(case(3), 3, seed=7)
    plain = backend.verdict_probabilities(asked)
    shares = TransformersBackend(backend._model, backend._processor, {}, shares_tower=shares_tower)
    looked, tower = [], backend._model.model.vision_tower.forward

    def counted(*args: object, **kwargs: object) -> object:
        looked.append(1)
        return tower(*args, **kwargs)

    monkeypatch.setattr(backend._model.model.vision_tower, "forward", counted)
    assert shares.verdict_probabilities(asked) == pytest.approx(plain, abs=1e-5)
    assert len(looked) == (0 if shares_tower else 3)
    swapped = shares.verdict_probabilities(replace(other, tokens=asked.tokens))
    assert (swapped == pytest.approx(plain, abs=1e-5)) is shares_tower, "what it sees are the tokens"
    second = replace(asked, turns=[*asked.turns, Turn("assistant", "real 0.90"), follow_up("Why?")])
    fresh = TransformersBackend(backend._model, backend._processor, {}, shares_tower=shares_tower)
    assert shares.verdict_probabilities(second) == pytest.approx(
        fresh.verdict_probabilities(second), abs=1e-5
    )


def test_tokens_are_of_all_images_or_of_none() -> None:
    asked = conversation(case(3), 3)
    with pytest.raises(ValueError, match="3 images, tokens of 1"):
        replace(asked, tokens=[np.zeros((196, 8), np.float32)])


def test_a_second_turn_reads_only_what_is_new(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = follow_ups()[:2]
    lengths: list[int] = []
    views: list[bool] = []
    forward = backend._model.forward

    def counted(*args: object, **kwargs: object) -> object:
        lengths.append(kwargs["input_ids"].shape[1])  # type: ignore[attr-defined]
        views.append(kwargs.get("pixel_values") is not None)
        return forward(*args, **kwargs)

    backend.verdict_probabilities(first)
    monkeypatch.setattr(backend._model, "forward", counted)
    backend.verdict_probabilities(second)
    assert sum(lengths) < 100
    assert not any(views)


def test_reading_a_long_prompt_can_be_stopped_and_resumed(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = conversation(case(6), 5, seed=3)
    cancel, forward, calls = threading.Event(), backend._model.forward, []

    def counted(*args: object, **kwargs: object) -> object:
        calls.append(kwargs.get("pixel_values") is not None)
        if len(calls) == 2:
            cancel.set()
        return forward(*args, **kwargs)

    monkeypatch.setattr(backend._model, "forward", counted)
    with pytest.raises(Cancelled):
        list(backend.generate(asked, max_new_tokens=9, cancel=cancel))
    assert calls == [True, True]
    resumed = "".join(backend.generate(asked, max_new_tokens=9))
    assert sum(calls) == 5
    monkeypatch.undo()
    fresh = TransformersBackend(backend._model, backend._processor, {})
    assert "".join(fresh.generate(asked, max_new_tokens=9)) == resumed


def test_a_model_that_fails_is_reported(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory at 0x0")

    monkeypatch.setattr(backend._model, "forward", broken)
    with pytest.raises(BackendUnavailable, match="failed while writing") as caught:
        list(backend.generate(conversation(case(1)), max_new_tokens=4))
    assert "0x0" not in str(caught.value)


def test_what_a_model_read_when_it_failed_is_not_kept(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, forward = conversation(case(1)), backend._model.forward
    whole = "".join(backend.generate(asked, max_new_tokens=6))

    def failing(*given: object, past_key_values: object, **options: object) -> object:
        output = forward(*given, past_key_values=past_key_values, **options)
        if options["input_ids"].shape[1] == 1:  # type: ignore[attr-defined]
            raise RuntimeError("out of memory")
        return output

    monkeypatch.setattr(backend._model, "forward", failing)
    with pytest.raises(BackendUnavailable):
        list(backend.generate(asked, max_new_tokens=6))
    assert backend._read is None
    monkeypatch.undo()
    assert "".join(backend.generate(asked, max_new_tokens=6)) == whole


@pytest.mark.parametrize(
    ("old", "new", "old_images", "images", "expected"),
    [
        ([1, 2, 3], [1, 2, 3, 4], [], [], (3, 0)),
        ([1, 2, 3], [1, 2, 3], [], [], (2, 0)),
        ([1, 9, 9, 2], [1, 9, 9, 2, 5], ["a"], ["a"], (4, 1)),
        ([1, 9, 9, 2], [1, 9, 9, 2, 5], ["a"], ["b"], (1, 0)),
        ([1, 9, 9, 2], [1, 9, 9, 3, 9, 9, 4], ["a"], ["a", "b"], (3, 1)),
        ([1, 9], [1, 9, 9, 3], ["a"], ["a"], (1, 0)),
        ([], [1, 9, 9, 3], [], ["a"], (0, 0)),
    ],
)
def test_what_two_conversations_share(
    old: list[int], new: list[int], old_images: list[str], images: list[str], expected: tuple[int, int]
) -> None:
    assert shared(_Read(old, old_images, None), new, images, image_token=9) == expected


def test_a_saved_projector_comes_back(tmp_path: Path) -> None:
    import torch

    model, other = tiny_llava(1)[0], tiny_llava(2)[0]
    loading.save_projector(model, tmp_path / "p.safetensors")
    loading.load_projector(other, tmp_path / "p.safetensors")
    left, right = (m.model.multi_modal_projector.linear_1.weight for m in (model, other))
    assert torch.equal(left.bfloat16(), right.bfloat16())


def test_a_projector_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"linear_1.weight": torch.zeros(2, 2)}, tmp_path / "p.safetensors")
    with pytest.raises(WeightsCorrupted, match="does not fit"):
        loading.load_projector(tiny_llava()[0], tmp_path / "p.safetensors")


def test_without_trained_weights_there_is_no_language_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "shipped", lambda: tmp_path)
    with pytest.raises(BackendUnavailable, match="no trained language model"):
        TransformersBackend.load()


def test_base_projector_and_adapter_become_one_model(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    model, processor = tiny_llava(1)
    model.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    trained = tmp_path / "trained"
    tuned = get_peft_model(
        model,
        LoraConfig(r=2, target_modules=r".*language_model.*\.(q|v)_proj", init_lora_weights=False),
    )
    tuned.save_pretrained(trained)
    loading.save_projector(tuned.get_base_model(), trained / loading.PROJECTOR)
    whole, processor = loading.assemble(tmp_path / "base", trained)
    asked = conversation(case(1))
    expected = TransformersBackend(tuned.merge_and_unload(), processor, {})
    assert TransformersBackend(whole, processor, {}).verdict_probabilities(asked) == pytest.approx(
        expected.verdict_probabilities(asked), abs=0.02
    )
    assert whole.dtype in (torch.float32, torch.bfloat16)
