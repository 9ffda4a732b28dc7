"""Train the small autoencoders that make synthetic pairs (forensic_chat.data.forge.autoencoders).

    python -m train.autoencoders --data DIR --out DIR [--family NAME ...] [--minutes N] [--steps N]

DIR of --data holds `manifest.jsonl`; only real photos of split `train` are used, every twentieth of them for the
PSNR. A run that finds its own state goes on from it. Step k sees the same crops whenever it runs, and the saved
weights are a running mean that needs no schedule: on one kind of machine, weights depend on seed and step alone,
and --steps repeats a run exactly. Minutes and samples/s count processor time, so other work on the machine does
not cut training short: use OMP_NUM_THREADS=1.
"""

import argparse
import copy
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from forensic_chat.data.forge.autoencoders import DESIGNS, Autoencoder, Design, save
from forensic_chat.data.forge.mattes import free_shape
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.errors import UsageError

Pixels = NDArray[np.uint8]
CROP, MEASURED_CROP = 96, 128
BATCH = 4
KEPT_SIDE = 512
LEARNING_RATE = 1.2e-3
WARM_UP = 100
MEAN_OVER = 200
"""Steps that the running mean of the weights reaches back, about."""
SAVE_EVERY = 200


def photos_of(data: Path) -> tuple[list[Pixels], list[Pixels]]:
    """The centres (at most 512 px) of the real training photos: to train on, and to measure on."""
    items = [i for i in read_manifest(data / "manifest.jsonl") if i.label == "real" and i.split == "train"]
    kept = []
    for item in items:
        with Image.open(data / item.path) as image:
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        if min(pixels.shape[:2]) >= MEASURED_CROP:
            top, left = (max(0, (side - KEPT_SIDE) // 2) for side in pixels.shape[:2])
            kept.append(pixels[top : top + KEPT_SIDE, left : left + KEPT_SIDE].copy())
    if len(kept) < 2:
        raise UsageError(
            f"{data.name} holds {len(kept)} real training photos of {MEASURED_CROP} px or more; give 2 at least"
        )
    return [p for i, p in enumerate(kept) if i % 20], kept[::20]


def batch_of(photos: list[Pixels], rng: np.random.Generator, size: int, side: int) -> Tensor:
    """(size, 3, side, side) float -1..1: random places of random photos, half of them mirrored."""
    crops = []
    for _ in range(size):
        photo = photos[rng.integers(len(photos))]
        y, x = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
        crop = photo[y : y + side, x : x + side]
        crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def hidden(x: Tensor, rng: np.random.Generator) -> Tensor:
    """(B, 4, H, W): each with a hole of 16 to 60 px, and the channel that says where."""
    mask = torch.zeros(len(x), 1, *x.shape[2:])
    for one in mask:
        height, width = (int(side) for side in rng.integers(16, 61, 2))
        y, x0 = (int(rng.integers(CROP - side + 1)) for side in (height, width))
        shape = cv2.dilate(free_shape(rng, height, width), np.ones((3, 3), np.uint8))
        one[0, y : y + height, x0 : x0 + width] = torch.from_numpy(shape) / 255
    return torch.cat([x * (1 - mask), mask], dim=1)


def loss_of(made: Tensor, wanted: Tensor) -> Tensor:
    """L1, and L1 of the gradients at three scales, so that edges stay where they are."""
    loss = F.l1_loss(made, wanted)
    for scale in (1, 2, 4):
        difference = F.avg_pool2d(made - wanted, scale) if scale > 1 else made - wanted
        loss = loss + difference.diff(dim=2).abs().mean() / 4 + difference.diff(dim=3).abs().mean() / 4
    return loss


def psnr(model: Autoencoder, photos: list[Pixels]) -> float:
    """Mean over fixed crops of 128 px, as many as photos, dB, without holes."""
    x = batch_of(photos, np.random.default_rng(0), len(photos), MEASURED_CROP)
    errors = []
    with torch.inference_mode():
        for part in x.split(16):
            seen = torch.cat([part, torch.zeros_like(part[:, :1])], 1) if model.design.fills_holes else part
            made = model(seen)[0].clamp(-1, 1)
            errors.append(((made - part) / 2).square().flatten(1).mean(1))
    return float((-10 * torch.cat(errors).clamp(min=1e-10).log10()).mean())


class Run:
    """One autoencoder's training: the model, the running mean of its weights, and where it has come to."""

    def __init__(self, design: Design, state: Path) -> None:
        torch.manual_seed(design.seed)
        self.design, self.state_path = design, state
        self.model = Autoencoder(design).to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.model).eval()
        self.optimizer = torch.optim.Adam(self.model.parameters(), LEARNING_RATE, betas=(0.9, 0.99))
        self.step, self.seconds = 0, 0.0
        if state.exists():
            saved = torch.load(state, weights_only=True)
            self.model.load_state_dict(saved["model"])
            self.mean.load_state_dict(saved["mean"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.seconds = saved["step"], saved["seconds"]

    def advance(self, photos: list[Pixels]) -> None:
        self.step += 1
        rng = np.random.default_rng([self.design.seed, self.step])
        torch.manual_seed(int(rng.integers(2**31)))
        wanted = batch_of(photos, rng, BATCH, CROP).contiguous(memory_format=torch.channels_last)
        seen = hidden(wanted, rng) if self.design.fills_holes else wanted
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, self.step / WARM_UP)
        with torch.autocast("cpu", torch.bfloat16):
            made, bottleneck = self.model(seen)
        loss = loss_of(made.float(), wanted) + bottleneck
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        weight = max(1 / MEAN_OVER, 1 / self.step)
        with torch.no_grad():
            for kept, new in zip(self.mean.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(new, weight)

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        part = self.state_path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.state_path)


def train(
    name: str, photos: list[Pixels], measured: list[Pixels], out: Path, minutes: float, steps: int
) -> float:
    """Train one design until `minutes` or `steps` are used up; returns its PSNR in dB."""
    run = Run(DESIGNS[name], out / f"{name}.state")
    started_at, clock = run.step, time.process_time()
    before = run.seconds
    while run.step < steps and run.seconds < 60 * minutes:
        run.advance(photos)
        run.seconds = before + time.process_time() - clock
        if run.step % SAVE_EVERY == 0:
            run.save()
            print(f"{name} step {run.step}: {psnr(run.mean, measured):.2f} dB", flush=True)
    run.save()
    reached = psnr(run.mean, measured)
    save(run.mean, out / f"{name}.safetensors", {"steps": run.step, "psnr": round(reached, 2)})
    rate = (run.step - started_at) * BATCH / max(time.process_time() - clock, 1e-9)
    millions = sum(p.numel() for p in run.model.parameters()) / 1e6
    print(
        f"{name}: {reached:.2f} dB after {run.step} steps, {rate:.1f} samples/s, {millions:.2f} M", flush=True
    )
    return reached


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.jsonl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--minutes", type=float, default=6.0, help="of processor time, for each")
    parser.add_argument("--steps", type=int, default=10**9, help="stop each after so many, to repeat a run")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    photos, measured = photos_of(args.data)
    print(f"{len(photos)} photos to train on, {len(measured)} to measure on", flush=True)
    for name in args.family:
        train(name, photos, measured, args.out, args.minutes, args.steps)


if __name__ == "__main__":
    main()
