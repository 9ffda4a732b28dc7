"""The low-level branch: shapes, folding, its pretrained backbone, its fixed filters."""

import pytest
import torch

from forensic_chat.encoder.config import TRACES, EncoderConfig
from forensic_chat.encoder.lowlevel import LowLevelBranch, LowLevelOutput, residual_filters

LITE0 = (
    (1, 16, 1, 3),
    (6, 24, 2, 3),
    (6, 40, 2, 5),
    (6, 80, 3, 3),
    (6, 112, 3, 5),
    (6, 192, 4, 5),
    (6, 320, 1, 3),
)
"""Expansion, channels, repeats, kernel of the stages of EfficientNet-Lite0."""


def branch(seed: int = 0) -> LowLevelBranch:
    torch.manual_seed(seed)
    return LowLevelBranch(EncoderConfig(mask_width=8))


def trained(seed: int = 0) -> LowLevelBranch:
    """A branch whose batch norms have seen something."""
    made = branch(seed).train()
    torch.nn.init.ones_(made.residual_stem[1].weight)
    with torch.no_grad():
        for _ in range(3):
            made(255 * torch.rand(2, 3, 64, 64))
    return made.eval()


def tensors(output: LowLevelOutput) -> list[torch.Tensor]:
    return [output.verdict, output.traces, output.mask, output.reliability, output.embedding]


def lite0() -> dict[str, torch.Tensor]:
    """A state dict with the names and shapes of EfficientNet-Lite0; every tensor has values of its own."""
    state = {"_conv_stem.weight": torch.zeros(32, 3, 3, 3), "_fc.weight": torch.zeros(10, 1280)}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{part}"] = torch.zeros(channels)
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)

    norm("_bn0", 32)
    index, cin = 0, 32
    for expansion, cout, repeats, kernel in LITE0:
        for _ in range(repeats):
            block, wide = f"_blocks.{index}", cin * expansion
            if expansion > 1:
                state[f"{block}._expand_conv.weight"] = torch.zeros(wide, cin, 1, 1)
                norm(f"{block}._bn0", wide)
            state[f"{block}._depthwise_conv.weight"] = torch.zeros(wide, 1, kernel, kernel)
            norm(f"{block}._bn1", wide)
            state[f"{block}._project_conv.weight"] = torch.zeros(cout, wide, 1, 1)
            norm(f"{block}._bn2", cout)
            index, cin = index + 1, cout
    for k, tensor in enumerate(state.values(), 1):
        if tensor.is_floating_point():
            tensor.fill_(k)
    return state


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 336), (112, 48), (208, 80)])
def test_output_has_a_cell_per_eight_pixels(height: int, width: int) -> None:
    output = branch().eval()(255 * torch.rand(2, 3, height, width))
    assert [tuple(t.shape) for t in tensors(output)] == [
        (2, 3),
        (2, len(TRACES)),
        (2, height // 8, width // 8),
        (2, height // 8, width // 8),
        (2, 264),
    ]
    assert all(t.isfinite().all() for t in tensors(output))


def test_folding_batch_norms_changes_nothing() -> None:
    tiles = 255 * torch.rand(2, 3, 80, 112)
    whole = trained()
    with torch.inference_mode():
        before = tensors(whole(tiles))
        folded = whole.fused()
        after = tensors(folded(tiles))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old, new, rtol=1e-3, atol=1e-3)


def test_the_backbone_takes_every_stem_and_block_tensor() -> None:
    made, state = branch(), lite0()
    heads = {k: v.clone() for k, v in made.state_dict().items() if not k.startswith(("stem.", "blocks."))}
    made.load_backbone(state)
    own = made.state_dict()
    taken = [own[name] for name in own if name.startswith(("stem.", "blocks.")) and "tracked" not in name]
    values = [float(tensor.flatten()[0]) for tensor in taken]
    assert all((tensor == value).all() for tensor, value in zip(taken, values, strict=True))
    eleven_blocks = {
        float(tensor.flatten()[0])
        for name, tensor in state.items()
        if "tracked" not in name and not name.startswith(("_fc", *(f"_blocks.{k}." for k in range(11, 16))))
    }
    assert len(values) == len(set(values))
    assert set(values) == eleven_blocks
    assert all(torch.equal(own[name], tensor) for name, tensor in heads.items())


def test_a_backbone_without_a_block_is_refused() -> None:
    state = {name: tensor for name, tensor in lite0().items() if not name.startswith("_blocks.7.")}
    with pytest.raises(KeyError, match=r"_blocks\.7"):
        branch().load_backbone(state)


def test_at_the_start_the_branch_is_the_pretrained_network() -> None:
    """The residuals come in as the new stem's scale grows from zero."""
    made = branch().eval()
    flat = torch.full((1, 3, 48, 48), 90.0)
    noisy = flat + torch.randn(flat.shape)
    made.stem[0].weight.data.zero_()  # only the residuals are left to tell the two apart
    assert torch.equal(made(flat).verdict, made(noisy).verdict)
    torch.nn.init.ones_(made.residual_stem[1].weight)
    assert not torch.equal(made(flat).verdict, made(noisy).verdict)


def test_residual_filters_see_no_flat_surface() -> None:
    filters = residual_filters()
    assert filters.shape == (3, 1, 5, 5)
    torch.testing.assert_close(filters.sum((1, 2, 3)), torch.zeros(3))
    torch.testing.assert_close(filters[:, 0, 2, 2].abs(), torch.ones(3))
