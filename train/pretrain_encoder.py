"""Stage 1: pretrain the encoder's low-level branch on forgery traces.

    accelerate launch -m train.pretrain_encoder --config configs/embedded/encoder.yaml --corpus DIR --out DIR

DIR holds `manifest.jsonl` and the images it names. Checkpoints every `save_every` steps; a run that finds
one goes on from it. `train.fit_verdict` then fits what gathers both branches into a verdict.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from trl import TrlParser

from forensic_chat.data.manifest import folds
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.lowlevel import LowLevelBranch, LowLevelOutput
from forensic_chat.weights import base
from train.tiles import Tiles, read


@dataclass
class PretrainArguments:
    """Arguments of stage 1; the YAML of `--config` gives them, the command line overrides."""

    corpus: Path = field(metadata={"help": "folder with manifest.jsonl"})
    out: Path = field(metadata={"help": "run folder for checkpoints and the result"})
    steps: int = 1200
    batch_size: int = 16
    tile: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    shares: dict[str, float] = field(
        default_factory=lambda: {"real": 0.38, "synthetic": 0.3, "tampered": 0.14, "forged": 0.18}
    )
    mask_weight: float = 1.0
    trace_weight: float = 0.3
    reliability_weight: float = 0.2
    fold: int = field(default=-1, metadata={"help": "leave this fold of whole sources out; -1 trains on all"})
    folds: int = 5
    save_every: int = 200
    log_every: int = 20
    workers: int = 1
    init: Path | None = field(default=None, metadata={"help": "run folder whose weights to start from"})
    compile: bool = field(default=False, metadata={"help": "torch.compile: pays after about a minute on CPU"})
    seed: int = 0


def losses(output: LowLevelOutput, batch: dict[str, Tensor], args: PretrainArguments) -> dict[str, Tensor]:
    """The parts of the loss, unweighted.

    Masks: BCE + Dice; reliability: was the mask right, cell by cell.
    """
    has_mask, target = batch["has_mask"][:, None, None], batch["mask"]
    bce = (
        F.binary_cross_entropy_with_logits(output.mask, target, reduction="none")
        * (1 + 3 * target)
        * has_mask
    ).mean()
    probability = output.mask.sigmoid()
    changed = (target.flatten(1).sum(1) > 0).float() * batch["has_mask"]
    overlap = 2 * (probability * target).flatten(1).sum(1) + 1
    dice = 1 - overlap / (probability.flatten(1).sum(1) + target.flatten(1).sum(1) + 1)
    right = 1 - (probability.detach() - target).abs()
    reliability = (
        F.binary_cross_entropy_with_logits(output.reliability, right, reduction="none") * has_mask
    ).mean()
    return {
        "verdict": F.cross_entropy(output.verdict, batch["label"]),
        "mask": bce + (dice * changed).sum() / changed.sum().clamp(min=1) * 0.5,
        "traces": F.binary_cross_entropy_with_logits(output.traces, batch["traces"]),
        "reliability": reliability,
    }


def total(parts: dict[str, Tensor], args: PretrainArguments) -> Tensor:
    return (
        parts["verdict"]
        + args.mask_weight * parts["mask"]
        + args.trace_weight * parts["traces"]
        + args.reliability_weight * parts["reliability"]
    )


def training_items(args: PretrainArguments) -> tuple[list, set[str]]:
    """Items of split `train` without the fold's sources and without screenshots, and the sources left
    out."""
    items = [i for i in read_manifest(args.corpus / "manifest.jsonl") if i.split == "train"]
    out = folds(items, args.folds, args.seed)[args.fold] if args.fold >= 0 else set()
    return [i for i in items if i.source not in out], out


def main() -> None:
    (args,) = TrlParser(PretrainArguments).parse_args_and_config()
    accelerator = Accelerator()
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    items, left_out = training_items(args)
    rng = np.random.default_rng(args.seed)
    kept = [read(item, args.corpus, rng) for item in items]
    accelerator.print(f"{len(kept)} images; left out: {sorted(left_out) or 'none'}")

    config = EncoderConfig()
    model = LowLevelBranch(config)
    model.load_backbone(load_file(base("efficientnet-lite0") / "efficientnet_lite0.safetensors"))
    if args.init is not None:
        model.load_state_dict(load_file(args.init / "lowlevel.safetensors"))
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), args.learning_rate, weight_decay=args.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.learning_rate, args.steps + 1, pct_start=0.1
    )
    start = 0
    if (args.out / "state").exists():
        state = torch.load(args.out / "state", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    tiles = Tiles(kept, args.tile, args.shares, args.seed + 1000 * start)
    loader = torch.utils.data.DataLoader(
        tiles, args.batch_size, num_workers=args.workers, prefetch_factor=4 if args.workers else None
    )
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    model.train()
    look = torch.compile(model) if args.compile else model
    running: dict[str, float] = {}
    clock = time.monotonic()
    for step, batch in zip(range(start + 1, args.steps + 1), loader, strict=False):
        tiles_in = batch["pixels"].float().contiguous(memory_format=torch.channels_last)
        parts = losses(look(tiles_in), batch, args)
        accelerator.backward(total(parts, args))
        accelerator.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        for name, value in parts.items():
            running[name] = 0.95 * running.get(name, value.item()) + 0.05 * value.item()
        if step % args.log_every == 0:
            rate = args.log_every * args.batch_size / (time.monotonic() - clock)
            clock = time.monotonic()
            accelerator.print(
                step, {k: round(v, 3) for k, v in running.items()}, f"{rate:.1f} tiles/s", flush=True
            )
        if step % args.save_every == 0 or step == args.steps:
            plain = accelerator.unwrap_model(model)
            state = {
                "model": plain.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step,
            }
            torch.save(state, args.out / "state.part")
            (args.out / "state.part").replace(args.out / "state")
            save_file(
                {k: v.contiguous() for k, v in plain.state_dict().items()}, args.out / "lowlevel.safetensors"
            )
    (args.out / "run.json").write_text(
        json.dumps({"left_out": sorted(left_out), "steps": args.steps, "images": len(kept)}, indent=1)
    )


if __name__ == "__main__":
    main()
