"""Making attacked images, once each: kept under OUT/adversarial with a line of what was done."""

import hashlib
import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eval import guards
from eval.adversarial.attacks import Detector, fake_odds, fpba, pgd, uniform, within
from eval.adversarial.crops import save
from eval.adversarial.degradations import LAYERS, stat_attack
from eval.adversarial.figures import Record
from eval.adversarial.quality import FeatureDistance, psnr, ssim
from eval.adversarial.surrogates import Bayesian, OwnHead
from eval.adversarial.twin import Twin, agreement, as_images, as_pixels
from eval.examples import Example
from eval.rows import complete_lines
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.imaging.intake import take_in


class Attacker:
    """Knows the twin and some other labelled images; attacks with either.

    known: those images, cut like the ones attacked.
    """

    def __init__(
        self, encoder: Encoder, known: Sequence[Example], options: Namespace, folder: Path, maker: str
    ) -> None:
        self._encoder, self._known, self._options, self._folder = encoder, known, options, folder
        code = guards.rules(Path(__file__).parent.glob("*.py"))
        settings = [options.seed, options.steps, options.fpba_draws]
        pool = [hashlib.sha256(e.path.read_bytes()).hexdigest() for e in known]
        self._key = json.dumps([maker, code, settings, pool])
        self._log = folder / "attacks.jsonl"
        records, length = complete_lines(self._log, _record, "records of attacks")
        if self._log.exists():
            os.truncate(self._log, length)
        self._records = {record.id: record for record in records}

    @cached_property
    def _twin(self) -> Twin:
        return Twin(self._encoder)

    @cached_property
    def _distance(self) -> FeatureDistance:
        return FeatureDistance()

    @cached_property
    def _pool(self) -> tuple[Tensor, Tensor, Tensor]:
        """Features, logits and whether they are fake, of the known images."""
        path, key = self._folder / "pool.npz", hashlib.sha256(self._key.encode()).hexdigest()
        if path.exists():
            with np.load(path) as stored:
                if str(stored["key"]) == key:
                    return (
                        torch.from_numpy(stored["f"]),
                        torch.from_numpy(stored["l"]),
                        self._fake(self._known),
                    )
        with torch.no_grad():
            seen = [self._twin.see(_images(e)) for e in self._known]
        features, logits = (torch.cat(list(part)) for part in zip(*seen, strict=True))
        np.savez(path, key=key, f=features.numpy(), l=logits.numpy())
        return features, logits, self._fake(self._known)

    @cached_property
    def _bayesian(self) -> Detector:
        features, logits, fake = self._pool
        return Bayesian(self._twin.see, features.shape[1], seed=self._options.seed).fit(
            features, logits, fake
        )

    @cached_property
    def _own_head(self) -> Detector:
        features, _, fake = self._pool
        return OwnHead(self._twin.see, features, fake)

    def attack(self, name: str, eps: int | None, clean: Example) -> tuple[Example, Record]:
        """The attacked image as an example of its own, and its record; made unless it is there already."""
        folder = name if eps is None else f"{name}-{eps}"
        path = self._folder / folder / clean.path.name
        content = hashlib.sha256(clean.path.read_bytes()).hexdigest()
        attacked = replace(clean, id=f"{folder}/{clean.id}", path=path)
        key = hashlib.sha256(f"{self._key}{content}{folder}".encode()).hexdigest()
        record = self._records.get(attacked.id)
        if record is None or record.key != key or not path.exists():
            record = self._make(name, eps, clean, attacked, key)
            with self._log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(record)) + "\n")
            self._records[attacked.id] = record
            print(
                f"{attacked.id}: odds {record.before:+.2f} -> {record.after:+.2f}",
                file=sys.stderr,
                flush=True,
            )
        return attacked, record

    def _make(self, name: str, eps: int | None, clean: Example, attacked: Example, key: str) -> Record:
        start = time.perf_counter()
        images = _images(clean)
        seed = int(hashlib.sha256(f"{self._options.seed}{attacked.id}".encode()).hexdigest()[:8], 16)
        made = self._attacked(
            name, eps or 0, images, self._fake([clean]), torch.Generator().manual_seed(seed)
        )
        old, new = as_pixels(images), as_pixels(made)
        save(new, attacked.path)
        seconds = time.perf_counter() - start
        with torch.no_grad():
            odds = [float(fake_odds(self._twin(as_images(pixels)))) for pixels in (old, new)]
        change = int(np.abs(old.astype(int) - new).max())
        return Record(
            attacked.id, key, odds[0], odds[1], change, psnr(old, new), ssim(old, new),
            self._distance(old, new), round(seconds, 2),
        )  # fmt: skip

    def _attacked(self, name: str, eps: int, x: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        steps, size, alpha = self._options.steps, eps / 255, eps / 4 / 255
        match name:
            case "pgd":
                return pgd(self._twin, x, fake, size, alpha, steps, generator)
            case "fpba":
                draws = self._options.fpba_draws
                return fpba(self._bayesian, x, fake, size, alpha, steps, draws, generator)
            case "own-head":
                return pgd(self._own_head, x, fake, size, alpha, steps, generator)
            case "noise":
                return within(x + size * uniform(x, -1, 1, generator).sign(), x, size)
        features, _, known_fake = self._pool
        layers = LAYERS if name == "mstat" else 1
        return stat_attack(lambda y: self._twin.see(y)[0], x, features[~known_fake], layers, steps)

    def agreement(self, examples: Sequence[Example]) -> dict[str, float]:
        """Of the twin with the product; see twin.agreement."""
        return agreement(self._twin, self._encoder, [take_in(e.path).pixels for e in examples])

    def surrogates(self, examples: Sequence[Example]) -> dict[str, float]:
        """Share of the clean images attacked that each surrogate tells right: a wrong one attacks nothing."""
        with torch.no_grad():
            odds = torch.cat([self._own_head(_images(e)) for e in examples])[:, 0]
        return {"own-head": float(((odds > 0) == self._fake(examples)).float().mean())}

    @staticmethod
    def _fake(examples: Sequence[Example]) -> Tensor:
        return torch.tensor([example.label != "real" for example in examples])


def _images(example: Example) -> Tensor:
    return as_images(take_in(example.path).pixels)


def _record(stored: dict[str, object]) -> Record:
    return Record(**stored)  # type: ignore[arg-type]
