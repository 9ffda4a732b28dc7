"""What the verdict is fitted on and how: the looks at an image, folds over sources, frozen operating points."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from forensic_chat.data.forge.autoencoders import DESIGNS, Autoencoder
from forensic_chat.data.manifest import Item
from forensic_chat.encoder.verdict import SUMMARY, VerdictHead
from forensic_chat.errors import UsageError
from forensic_chat.schema import CLASSES
from tests.images import photo
from train.features import AUTOENCODER, examples, forgeries, look, on_cells, twins
from train.fit_verdict import PRIOR, cross_answered, fit_change, fuse, guard
from train.operating_points import COPIED_PHOTOS, MARKED_PHOTOS, Points, freeze
from train.tower_heads import Table, balanced
from train.transfer import from_sources


def row(path: str, label: str = "real", source: str = "a/one", **more: object) -> dict[str, object]:
    plain = {
        "path": path, "sha256": "0" * 64, "label": label, "generator": None, "manipulation": None, "mask": None,
        "authentic": None, "source": source, "commit": None, "orig_path": None, "licence": "CC0", "width": 320,
        "height": 256, "format": "PNG", "group": path, "split": "train", "modern": False, "note": None,
    }  # fmt: skip
    return plain | more


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rows = [row(f"{k}.png", source=f"a/{k % 2}") for k in range(4)] + [row("4.png", "synthetic", "b/one")]
    for k in range(5):
        photo(k, 320, 256).save(folder / f"{k}.png")
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


class TestLooks:
    def test_photos_are_forged_and_keep_their_source(self, corpus: Path) -> None:
        made = forgeries(examples(corpus), 1)
        assert sorted(e.item.source for e in made) == ["a/0", "a/1"]
        assert {(e.item.label, e.item.manipulation, e.file[5:]) for e in made} == {
            ("tampered", "forged", "-forged.npz")
        }

    @pytest.mark.parametrize("variant", [0, 1])
    def test_a_look_is_the_same_whenever_it_is_asked_for(self, corpus: Path, variant: int) -> None:
        (example, *_) = forgeries(examples(corpus), 1)
        first, second = (look(example, variant, {}) for _ in range(2))
        np.testing.assert_array_equal(first.pixels, second.pixels)
        assert first.truth is not None
        assert second.truth is not None
        np.testing.assert_array_equal(first.truth, second.truth)
        assert first.truth.shape == first.pixels.shape[:2]

    def test_only_what_the_truth_marks_was_changed(self, corpus: Path) -> None:
        for example in forgeries(examples(corpus), 9):
            seen = look(example, 0, {})
            with Image.open(example.path) as image:
                changed = (np.asarray(image.convert("RGB")) != seen.pixels).any(2)
            assert seen.truth is not None
            assert changed.any()
            around = cv2.dilate(
                seen.truth, np.ones((25, 25), np.uint8)
            )  # a soft edge fades out beyond the mask
            assert not changed[around == 0].any()

    @pytest.mark.parametrize("variant", [0, 1])
    def test_twins_differ_in_nothing_but_the_autoencoder(self, corpus: Path, variant: int) -> None:
        models = {name: Autoencoder(design).eval() for name, design in DESIGNS.items()}
        window, remade = twins(examples(corpus), 1)[:2]
        assert (window.item.label, remade.item.label) == ("real", "synthetic")
        assert (remade.item.generator or "").removeprefix(AUTOENCODER) in DESIGNS
        plain, made = (look(example, variant, models).pixels for example in (window, remade))
        assert plain.shape == made.shape
        assert (plain != made).any()
        if variant == 0:  # colours are put back at scales above a few pixels
            assert abs(plain.astype(float).mean() - made.astype(float).mean()) < 2

    def test_a_twins_autoencoder_does_not_hang_on_how_many_are_made(self, corpus: Path) -> None:
        few, many = ({e.file: e.item.generator for e in twins(examples(corpus), most)} for most in (1, 9))
        assert few.items() < many.items()

    def test_a_mask_on_cells_is_where_most_of_a_cell_was_changed(self) -> None:
        mask = np.zeros((20, 30), np.uint8)
        mask[:, 5:] = 255
        assert on_cells(mask, (3, 4)).tolist() == [[False, True, True, True]] * 3


def table(seed: int = 0) -> Table:
    """Sources whose fakes differ from photos in what the summary tells, tampered ones by the mask alone."""
    rng = np.random.default_rng(seed)
    rows = [
        (kind, f"{kind[0]}/{k % 4}")
        for kind in ("real", "synthetic", "tampered", "forged")
        for k in range(60)
    ]
    label = {"forged": "tampered"}
    items = [Item(**row(str(k), label.get(kind, kind), s)) for k, (kind, s) in enumerate(rows)]  # type: ignore[arg-type]
    kinds = np.array([kind for kind, _ in rows])
    x = rng.normal(size=(len(rows), 2, len(SUMMARY))).astype(np.float32)
    x[kinds == "synthetic", :, :2] += 4
    x[np.isin(kinds, ["tampered", "forged"]), :, 2:] += 3
    masks = [[np.full((4, 4), 200 if kind == "tampered" else 20, np.uint8)] * 2 for kind in kinds]
    truths = [np.ones((4, 4), bool) if kind == "tampered" else None for kind in kinds]
    labels = np.array([CLASSES.index(item.label) for item in items])
    whole = np.ones(len(rows), bool)
    return Table(items, kinds, whole, labels, x[:, :, None], x[..., 2:], masks, truths)


def test_kinds_weigh_as_the_prior_and_sources_as_their_sizes_root() -> None:
    kinds = np.array(["real"] * 5 + ["forged"] * 4)
    sources = np.array(["a"] * 4 + ["b"] + ["a"] * 4)
    weights = balanced(kinds, sources, PRIOR)
    assert weights.mean() == pytest.approx(1)
    real, forged = weights[:5].sum(), weights[5:].sum()
    assert real / forged == pytest.approx(PRIOR["real"] / PRIOR["forged"])
    assert weights[:4].sum() / weights[4] == pytest.approx(2)


def test_a_share_of_the_sources_holds_them_whole() -> None:
    data = table()
    known = from_sources(data, 0.5)
    assert len(set(data.sources[known])) == 8
    assert not set(data.sources[known]) & set(data.sources[~known])


@pytest.mark.parametrize("leaking", [True, False])
def test_no_fit_on_crops_whose_compression_tells_the_class(leaking: bool, tmp_path: Path) -> None:
    corpus, rows = tmp_path / "corpus", []
    read = tmp_path / "tower" / "corpus" / "variant0"
    corpus.mkdir()
    read.mkdir(parents=True)
    for k in range(40):
        label = ("real", "synthetic")[k % 2]
        quality = 40 if leaking and k % 2 else 90
        photo(k, 320, 256).save(corpus / f"{k}.jpg", quality=quality)
        rows.append(row(f"{k}.jpg", label, f"{label}/{k // 2 % 4}"))
        (read / f"{k:05d}.npz").touch()
    (corpus / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    if leaking:
        with pytest.raises(UsageError, match="synthetic from real"):
            guard([corpus], tmp_path / "tower", 0)
    else:
        guard([corpus], tmp_path / "tower", 0)


def test_answers_come_from_fits_that_did_not_see_the_source() -> None:
    data = table()
    x = data.features[:, :, 0]
    use = np.ones(len(data.items), bool)
    logits, changed = cross_answered(data, x, use, 0.05, 4)
    assert (logits.argmax(-1) == data.labels[:, None]).mean() > 0.9
    assert ((changed > 0) == (data.labels == 2)[:, None])[data.labels != 1].mean() > 0.9
    # one source's labels turned about: what answers for it never learnt them
    turned = np.array([s == "r/0" for s in data.sources])
    data.kinds[turned], data.labels[turned] = "synthetic", 1
    again, _ = cross_answered(data, x, use, 0.05, 4)
    assert (again[turned].argmax(-1) == 0).mean() > 0.9


def test_images_that_are_not_used_are_not_answered() -> None:
    data = table()
    use = data.kinds != "forged"
    logits, changed = cross_answered(data, data.features[:, :, 0], use, 0.05, 4)
    assert np.isnan(logits[~use]).all()
    assert np.isnan(changed[~use]).all()
    assert np.isfinite(logits[use]).all()


def test_the_mask_alone_leaves_the_towers_odds_out() -> None:
    data = table()
    x = data.features[:, :, 0]
    use = np.ones(len(x), bool)
    fusion = fuse(data, x, use, 0.05)
    *_, weight, bias = fit_change(data, x, use, fusion)
    head = VerdictHead(
        *(np.zeros((2, 1), np.float32),) * 3, np.zeros(2, np.float32), *fusion, weight, np.atleast_1d(bias),
        np.zeros((1, 1), np.float32), np.zeros(101, np.float32),
    )  # fmt: skip
    moved = x.copy()
    moved[..., :2] += 9
    np.testing.assert_array_equal(head.changed(x), head.changed(moved))
    assert (head.changed(x)[data.kinds == "forged"] > 0).mean() > 0.9


def test_operating_points_keep_photos_from_being_accused_and_marked() -> None:
    data = table()
    use = np.ones(len(data.items), bool)
    logits, changed = cross_answered(data, data.features[:, :, 0], use, 0.05, 4)
    copied = np.zeros(changed.shape, np.float32)
    copied[data.kinds == "forged"] = 1.5
    copied[np.flatnonzero(data.kinds == "real")[:1]] = 0.5
    points = freeze(Points(data.labels, logits, changed, copied, data.masks, data.truths, data.kinds, use))
    low, high = points["undecided"]  # type: ignore[misc]
    assert 0.3 <= low <= 0.5 <= high <= 0.8
    photos = changed[data.kinds == "real"]
    gate = points["mask_gate"]
    assert isinstance(gate, float)
    assert ((1 / (1 + np.exp(-photos))) >= gate).mean(0).max() <= MARKED_PHOTOS
    copy_gate = points["copy_gate"]
    assert isinstance(copy_gate, float)
    assert (copied[data.kinds == "real"] >= copy_gate).mean(0).max() <= COPIED_PHOTOS
    assert (copied[data.kinds == "forged"] >= copy_gate).all()
    assert points["mask_threshold"] == 0.2  # every threshold below 200 of 255 marks the truth: the first wins
    rates = points["false_alarm_rates"]
    assert isinstance(rates, dict)
    assert set(rates) == {"encoder.synthetic", "encoder.tampered", "encoder.mask"}
    assert all(0 < rate < 0.2 for rate in rates.values())
