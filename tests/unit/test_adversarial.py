"""Attacks on detectors whose optimum is known; their bounds; the differentiable twin; what is counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from eval.adversarial import attacks, degradations, figures, others, quality, surrogates
from eval.adversarial.attacks import fake_odds, fpba, pgd, spectral
from eval.adversarial.crops import cut
from eval.adversarial.degradations import Degradation, mmd, stat_attack
from eval.adversarial.figures import Record
from eval.adversarial.twin import Twin, as_images, as_pixels
from eval.examples import Example
from eval.rows import Row
from forensic_chat.encoder.tower import Tower
from forensic_chat.errors import UsageError
from tests.factories import tiny_encoder, verdict_head
from tests.images import photo

EPS = 8 / 255


class Linear(torch.nn.Module):
    """Log odds w . x + b of images of 3 x 12 x 16."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.weight = torch.randn(3 * 12 * 16, generator=torch.Generator().manual_seed(seed))

    def forward(self, images: Tensor) -> Tensor:
        odds = images.flatten(1) @ self.weight
        return torch.stack([torch.zeros_like(odds), odds], 1)


def images(n: int = 2, low: float = 0.2, high: float = 0.8) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return low + (high - low) * torch.rand((n, 3, 12, 16), generator=generator)


FAKE = torch.tensor([True, False])


def test_pgd_reaches_the_optimum_of_a_linear_detector() -> None:
    """Farthest in the ball: every pixel by eps, against the sign of its weight for a fake, along it for a real."""
    x, detector = images(), Linear()
    best = x + EPS * torch.tensor([-1.0, 1.0])[:, None, None, None] * detector.weight.sign().view(
        1, 3, 12, 16
    )
    found = pgd(detector, x, FAKE, EPS, EPS / 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, best)
    assert (
        fake_odds(detector(found))[0] < fake_odds(detector(x))[0] - 0.99 * EPS * detector.weight.abs().sum()
    )


def test_pgd_is_the_toolboxs() -> None:
    pytest.importorskip("art")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.attacks.evasion import ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier

        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(560, 2)
        )
        x = images(2, 0.0, 1.0)
        theirs = ProjectedGradientDescentPyTorch(
            PyTorchClassifier(net, torch.nn.CrossEntropyLoss(), (3, 12, 16), 2, clip_values=(0, 1), device_type="cpu"),
            eps=EPS, eps_step=EPS / 4, max_iter=7, num_random_init=0, verbose=False,
        ).generate(x.numpy(), y=np.eye(2)[FAKE.int().numpy()])  # fmt: skip
    ours = pgd(net, x, FAKE, EPS, EPS / 4, steps=7)
    torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=1e-5, rtol=0)


def test_fpba_moves_as_far_as_it_may_and_no_farther() -> None:
    x, detector = images(2, 0.0, 1.0), Linear()
    found = fpba(detector, x, FAKE, EPS, EPS / 4, 6, 3, torch.Generator().manual_seed(0))
    assert (found - x).abs().max() == pytest.approx(EPS, abs=1e-6)
    assert found.min() >= 0
    assert found.max() <= 1
    before, after = fake_odds(detector(x)), fake_odds(detector(found))
    assert after[0] < before[0]
    assert after[1] > before[1]


def test_spectral_copies_scale_each_coefficient() -> None:
    x = images(1)
    rows, columns = attacks.basis(12), attacks.basis(16)
    torch.testing.assert_close(rows @ rows.T, torch.eye(12), atol=1e-5, rtol=0)
    made = spectral(x, 0.0, torch.Generator().manual_seed(1))
    ratio = (rows @ made @ columns.T) / (rows @ x @ columns.T)
    assert 0.49 < ratio.min() < 0.6
    assert 1.4 < ratio.max() < 1.51


def test_an_mmd_is_zero_for_the_same_and_grows_with_distance() -> None:
    a, scale = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.tensor(8.0)
    assert float(mmd(a, a, scale)) == pytest.approx(0, abs=1e-5)
    assert 0.1 < float(mmd(a, a + 1, scale)) < float(mmd(a, a + 4, scale))


@pytest.mark.parametrize("layers", [1, degradations.LAYERS])
def test_degradations_stay_in_their_ranges_and_draw_features_near(
    layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Degradation] = []
    original = Degradation.__init__

    def kept(self: Degradation, *given: Any) -> None:
        original(self, *given)
        made.append(self)

    monkeypatch.setattr(Degradation, "__init__", kept)

    def features(x: Tensor) -> Tensor:
        return torch.cat([x.mean((2, 3)), 10 * x.diff(dim=3).abs().mean((2, 3))], 1)

    x = images(1)
    real = features(images(6).mean(0, keepdim=True).expand(6, -1, -1, -1) * 1.1)  # smoother and brighter
    found = stat_attack(features, x, real, layers, steps=30)
    scale = degradations.squared_distances(torch.cat([features(x), real])).mean()
    assert float(mmd(features(found), real, scale)) < 0.7 * float(mmd(features(x), real, scale))
    assert (found - x).abs().max() <= degradations.LARGEST_CHANGE + 1e-6
    assert len(made) == layers
    moved = set()
    for layer in made:
        for name, value in layer.named_parameters():
            low, high = degradations.RANGES[name]
            share = layers if name == "noise" else 1
            assert value.min() >= low / share - 1e-7
            assert value.max() <= high / share + 1e-7
            moved |= {name} if len(value.unique()) > 1 else set()
    assert {"exposure", "sigma", "noise"} <= moved
    assert ("weights" in moved) == (layers > 1)


def test_a_blur_keeps_a_flat_image_and_follows_its_map() -> None:
    flat = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(degradations.blurred(flat, torch.full((1, 1, 8, 8), 1.0)), flat)
    sigma = torch.full((1, 1, 12, 16), 0.1)
    sigma[..., 8:] = 1.5
    x = images(1)
    made = degradations.blurred(x, sigma)
    torch.testing.assert_close(made[..., :8], x[..., :8])
    assert made[..., 9:].std() < 0.8 * x[..., 9:].std()


def test_appended_networks_learn_and_leave_the_detector_alone() -> None:
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    fake, logits = features[:, 0] > 0, torch.zeros(40, 2)
    see = lambda x: (features[: len(x)], logits[: len(x)])  # noqa: E731
    bayesian = surrogates.Bayesian(see, 6).fit(features, logits, fake, epochs=200)
    odds = bayesian(torch.zeros(40, 3, 1, 1))[:, 0]
    assert ((odds > 0) == fake).float().mean() > 0.9
    members = bayesian.odds(features, logits)
    assert len(members) == 3
    assert members.std(0).mean() > 0.01
    own = surrogates.OwnHead(see, features, fake)
    assert ((own(torch.zeros(40, 3, 1, 1))[:, 0] > 0) == fake).float().mean() > 0.8


class PatchTower(Tower):
    """Stands for Tower: patches' pixels through fixed random matrices, one a block, CLS = their mean."""

    def __init__(self, blocks: int) -> None:
        rng = np.random.default_rng(0)
        self.matrices = [rng.normal(size=(768, 768)).astype(np.float32) / 30 for _ in range(blocks)]

    def _states(self, view: np.ndarray) -> list[np.ndarray]:
        return [state.numpy() for state in self(as_images(view))]

    def __call__(self, views: Tensor) -> list[Tensor]:
        n = len(views)
        cells = views.view(n, 3, 14, 16, 14, 16).permute(0, 2, 4, 1, 3, 5).reshape(n, 196, 768) - 0.5
        found = []
        for matrix in self.matrices:
            tokens = torch.tanh(cells @ torch.from_numpy(matrix))
            found.append(torch.cat([tokens.mean(1, keepdim=True), tokens], 1))
        return found


@pytest.mark.parametrize(("size", "tolerance"), [((224, 224), 0.01), ((90, 70), 0.1), ((300, 250), 0.2)])
def test_the_twin_says_what_the_encoder_says(size: tuple[int, int], tolerance: float) -> None:
    encoder = tiny_encoder()
    tower = PatchTower(len(encoder.config.tapped_blocks))
    encoder.tower, encoder.head = tower, verdict_head(2 * 5 * 768)
    encoder.head.tower_weight[:] *= 0.01
    encoder.head.fusion_scale[:] = 8  # inside the bounds, so that nothing is clipped to agreement
    pixels = np.array(photo(3, *size))
    with torch.no_grad():
        features, logits = Twin(encoder, tower).see(as_images(pixels))
    seen = encoder.perceive(pixels)
    known = (seen.features[0] - encoder.head.tower_mean[0]) / encoder.head.tower_scale[0]
    np.testing.assert_allclose(features[0].numpy(), known, rtol=0, atol=0.5)
    np.testing.assert_allclose(logits[0].numpy(), seen.logits, rtol=0, atol=tolerance)
    found = attacks.gradient(Twin(encoder, tower), as_images(pixels), torch.tensor([True]))
    assert (found != 0).float().mean() > 0.9


def test_pictures_survive_the_way_to_tensors_and_back() -> None:
    pixels = np.array(photo(0, 40, 30))
    np.testing.assert_array_equal(as_pixels(as_images(pixels)), pixels)


def test_quality_is_measured() -> None:
    a = np.array(photo(0, 64, 48))
    assert quality.psnr(a, a) == float("inf")
    assert quality.ssim(a, a) == pytest.approx(1)
    worse = (a.astype(int) + 16 * (np.indices(a.shape).sum(0) % 2)).clip(0, 255).astype(np.uint8)
    assert quality.psnr(np.zeros_like(a), np.full_like(a, 255)) == pytest.approx(0)
    assert quality.psnr(a, worse) == pytest.approx(10 * np.log10(255**2 / (16**2 / 2)), abs=0.3)
    assert quality.ssim(a, worse) < 0.8


@pytest.mark.weights
def test_features_are_near_for_like_pictures() -> None:
    distance = quality.FeatureDistance()
    a, b = np.array(photo(0, 96, 80)), np.array(photo(1, 96, 80))
    slightly = (a.astype(int) + 1).clip(0, 255).astype(np.uint8)
    assert distance(a, a) == 0
    assert distance(a, slightly) < distance(a, b) < distance(a, 255 - a) < 4


@pytest.mark.weights
@pytest.mark.slow
def test_the_twin_is_near_the_shipped_encoder() -> None:
    from eval.adversarial.twin import agreement
    from forensic_chat.examiner import Examiner

    encoder = Examiner.load().encoder
    found = agreement(Twin(encoder), encoder, [np.array(photo(k, 224, 224)) for k in range(2)])
    assert found["feature_cosine"] > 0.9
    assert found["odds_difference"] < 2


def example(name: str, label: Any, path: Path = Path("x"), **changes: Any) -> Example:
    return Example(name, path, label, "kind", "source", changes.pop("group", name), **changes)


def test_a_crop_is_native_and_holds_what_was_changed(tmp_path: Path) -> None:
    photo(0, 400, 300).save(tmp_path / "a.png")
    mask = np.zeros((300, 400), np.uint8)
    mask[10:60, 330:390] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    pixels = np.array(photo(0, 400, 300))
    made = cut(
        example("t/a.png", "tampered", tmp_path / "a.png", mask=tmp_path / "m.png"), 224, tmp_path / "out"
    )
    assert made.mask is not None
    assert (np.array(Image.open(made.mask)) > 0).sum() == 50 * 60
    shown = np.array(Image.open(made.path))
    assert shown.shape == (224, 224, 3)
    middle = cut(example("r/a.png", "real", tmp_path / "a.png"), 224, tmp_path / "out")
    np.testing.assert_array_equal(np.array(Image.open(middle.path)), pixels[38:262, 88:312])
    whole = cut(example("w/a.png", "real", tmp_path / "a.png"), 0, tmp_path / "out")
    np.testing.assert_array_equal(np.array(Image.open(whole.path)), pixels)


def test_the_attacker_knows_only_images_of_other_groups() -> None:
    from argparse import Namespace

    many = [example(f"{label}{k}", label, group=f"{k}") for label in ("real", "synthetic") for k in range(6)]
    options = Namespace(pool=100, seed=0)
    known = others(many, many[:3], options)
    assert {e.group for e in known} == {"3", "4", "5"}
    with pytest.raises(UsageError, match="lower --limit"):
        others(many, many[:5], options)


def row(fake: float, verdict: str, stability: float = 0.0) -> Row:
    return Row(
        "i",
        "png",
        "",
        "",
        fake=fake,
        verdict=verdict,
        findings=[["encoder.stability", "neutral", stability, 0.0]],
    )


def test_success_is_counted_on_images_told_right_before() -> None:
    clean = [example("a", "real"), example("b", "synthetic"), example("c", "synthetic"), example("d", "real")]
    before = {
        "png": [row(0.1, "real"), row(0.9, "synthetic"), row(0.2, "real"), row(0.3, "real")],
        "jpeg-q70": [row(0.1, "real"), row(0.4, "inconclusive"), row(0.2, "real"), row(0.6, "synthetic")],
    }
    after = {
        "png": [row(0.9, "synthetic"), row(0.3, "inconclusive", 0.8), row(0.4, "real")],
        "jpeg-q70": [row(0.2, "real"), row(0.1, "real"), row(0.1, "real")],
    }
    records = [
        Record(name, "", b, a, 8, 35, 0.9, 0.1, 1)
        for name, b, a in [("a", -2, 3), ("b", 2, -1), ("d", -1, -2)]
    ]
    found = figures.figures(clean, before, [figures.Condition("pgd", 8, [0, 1, 3], records, after)])
    attack = found["attacks"]["pgd, 8/255"]
    plain, jpeg = attack["deliveries"]["png"], attack["deliveries"]["jpeg-q70"]
    assert (plain["success"]["hits"], plain["success"]["n"]) == (2, 3)
    assert (plain["told_wrong"]["hits"], plain["inconclusive"]["hits"]) == (1, 1)
    assert (jpeg["success"]["hits"], jpeg["success"]["n"]) == (
        0,
        1,
    )  # only "a" is right after JPEG without attack
    assert (plain["success_on_real"]["n"], plain["success_on_fake"]["n"]) == (2, 1)
    assert attack["twin"]["hits"] == 2
    assert attack["from_twin_to_product"] == {"hits": 2, "n": 2, "rate": 1.0, "upper_95": 1.0}
    assert found["right_before"]["synthetic"]["hits"] == 1
    defences = found["defences"]
    assert defences["redelivery"]["pgd, 8/255"]["flagged"]["hits"] == 1
    assert defences["redelivery"]["clean"]["n"] == 3
    assert defences["averaging"]["clean_right"]["n"] == 4
    text = figures.show(found | {"twin": {}, "surrogates": {}})
    assert "pgd, 8/255" in text
    json.dumps(found)
