"""Stage 1: train a mask head on canvases (train.canvases), frozen tower: on a CPU in minutes, or on many GPUs.

    accelerate launch -m train.mask_head --canvases DIR [DIR ...] --out RUN [--fold 0/2] [--deal SOURCE ...]
    accelerate launch -m train.mask_head --residuals --canvases DIR [DIR ...] --out RUN [--fold 0/2] [--deal SOURCE ...]
    python -m train.mask_head --measure RUN --canvases DIR
    python -m train.mask_head --shipped 0 --canvases DIR

With --residuals it trains a head that reads residuals, on canvases that hold those.
--fold leaves out half of the sources, and two such heads ship together: each photo has one that never saw its source.
The few sources of photos that others tampered with are dealt first (--deal), so that every head learns from some.
It refuses to start where the canvases' delivery tells their classes apart (train.shortcuts).
--without keeps manipulations out of training, to measure the transfer to them. --measure prints, at the fixed threshold
0.5, mean F1, foreground IoU and pixel AUC over tampered canvases by source and manipulation, and the marked area
of the others. --shipped measures the heads of one fold that ship: those that read tokens alone, then the mask that is
shown, for which residuals are read off the canvases' own pixels.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration, PartialState
from accelerate.utils import set_seed
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from forensic_chat.encoder.maskhead import MaskHead, MaskOutput
from train.mask_batches import Batch, Canvas, batch_of, canvases, few_of_each
from train.mask_figures import load, logits_of, measure, sharpened, shipped_heads, untrained
from train.shortcuts import refuse_shortcuts


def loss_of(output: MaskOutput, batch: Batch) -> Tensor:
    """BCE + Dice for the mask, BCE for where it was right, BCE for the trace types."""
    cells = F.interpolate(batch.inside, scale_factor=2.0)[:, 0] * batch.has_mask[:, None, None]
    target = batch.mask
    bce = F.binary_cross_entropy_with_logits(output.mask, target, reduction="none") * (1 + 2 * target)
    probability = output.mask.sigmoid() * cells
    changed = (target.sum((1, 2)) > 0).float() * batch.has_mask
    both = 2 * (probability * target).sum((1, 2)) + 1
    dice = 1 - both / (probability.sum((1, 2)) + target.sum((1, 2)) + 1)
    right = 1 - (output.mask.detach().sigmoid() - target).abs()
    reliability = F.binary_cross_entropy_with_logits(output.reliability, right, reduction="none")
    area = cells.sum().clamp(min=1)
    return (
        (bce * cells).sum() / area
        + 0.5 * (dice * changed).sum() / changed.sum().clamp(min=1)
        + 0.2 * (reliability * cells).sum() / area
        + 0.3 * F.binary_cross_entropy_with_logits(output.traces, batch.traces)
    )


def standardise(head: MaskHead, chosen: list[Canvas]) -> None:
    """Set the head's mean and scale from the tokens of some canvases."""
    grids = [canvas.read()[0].reshape(-1, len(head.mean)) for canvas in chosen]
    tokens = np.concatenate([grid[:: max(1, len(grid) // 100)] for grid in grids])
    head.mean.copy_(torch.from_numpy(tokens.mean(0))[:, None, None])
    head.scale.copy_(torch.from_numpy(tokens.std(0) + 1e-2)[:, None, None])


def train(chosen: list[Canvas], args: argparse.Namespace) -> MaskHead:
    """One-cycle AdamW, mirrored in half of the batches, by accelerate: on whatever it was launched on.

    Its state is kept after every epoch, in `checkpoint` of the run's folder; the same command goes on from there.
    """
    set_seed(args.seed)
    accelerator = Accelerator(
        mixed_precision="bf16" if args.bf16 else "no",
        gradient_accumulation_steps=args.accumulate,
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True),
        log_with="tensorboard" if args.log else None,
        project_dir=args.out,
    )
    head = untrained(args.residuals)
    few = np.random.default_rng(args.seed).permutation(len(chosen))[:300]
    standardise(head, [chosen[k] for k in few])
    optimizer = torch.optim.AdamW(head.parameters(), args.learning_rate, weight_decay=args.weight_decay)
    batches: DataLoader[Any] = DataLoader(
        chosen,
        args.batch_size,
        shuffle=True,
        drop_last=True,
        collate_fn=batch_of,  # type: ignore[arg-type]
    )
    if not len(batches):
        raise SystemExit(f"{len(chosen)} canvases are less than a batch of {args.batch_size}; draw more")
    steps = args.epochs * math.ceil(len(batches) / args.accumulate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.learning_rate, steps + 1, pct_start=0.1)
    head, optimizer, batches, schedule = accelerator.prepare(head, optimizer, batches, schedule)
    accelerator.init_trackers("mask_head")
    state, done = args.out / "checkpoint", args.out / "checkpoint" / "done.json"
    run = {"canvases": len(chosen), "steps": steps, "seed": args.seed, "learning_rate": args.learning_rate}
    first = 0
    if done.exists():
        kept = json.loads(done.read_text())
        first = kept.pop("epochs")
        if kept != run:
            raise SystemExit(
                f"{state} is of another run ({kept}, now {run}); remove it or name another --out"
            )
        accelerator.load_state(str(state))
    start, seen, running = time.monotonic(), 0, math.nan
    for epoch in range(first, args.epochs):
        batches.set_epoch(epoch)
        for number, batch in enumerate(batches, 1):
            if torch.rand(()) < 0.5:
                batch = batch.mirrored()
            with accelerator.accumulate(head):
                loss = loss_of(head(batch.tokens, batch.inside), batch)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(head.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            seen += len(batch.tokens) * accelerator.num_processes
            running = loss.item() if math.isnan(running) else 0.98 * running + 0.02 * loss.item()
            if number % 50 == 0 or number == len(batches):
                rate = seen / (time.monotonic() - start)
                accelerator.print(
                    f"epoch {epoch + 1} of {args.epochs}, batch {number} of {len(batches)}: "
                    f"loss {running:.3f}, {rate:.1f} canvases/s",
                    flush=True,
                )
                accelerator.log({"loss": running, "samples_per_second": rate}, epoch * len(batches) + number)
        accelerator.save_state(str(state))
        if accelerator.is_main_process:
            done.write_text(json.dumps({"epochs": epoch + 1} | run))
    accelerator.end_training()
    return accelerator.unwrap_model(head).cpu().eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--canvases", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", type=Path, metavar="RUN")
    parser.add_argument("--shipped", type=int, metavar="FOLD", help="measure the shipped heads of a fold")
    parser.add_argument("--fold", default="", help="i/n: leave out every n-th source, from the i-th on")
    parser.add_argument(
        "--deal", nargs="*", default=[], metavar="SOURCE", help="first in the order of --fold"
    )
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="SOURCE")
    parser.add_argument("--without", nargs="*", default=[], metavar="KIND")
    parser.add_argument("--residuals", action="store_true", help="train a head that reads residuals")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--accumulate", type=int, default=1, help="batches a step")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--log", action="store_true", help="keep a tensorboard log in the run's folder")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    every = canvases(args.canvases)
    left_out = set(args.leave_out)
    if args.fold:
        fold, folds = map(int, args.fold.split("/"))
        sources = sorted({c.source for c in every} - set(args.deal))
        left_out |= set([*args.deal, *sources][fold::folds])
    chosen = [c for c in every if c.source not in left_out]
    if args.measure:
        measure(logits_of(load(args.measure)), chosen)
        return
    if args.shipped is not None:
        heads = shipped_heads(args.shipped)
        for logits in (logits_of(heads), sharpened(heads)):
            measure(logits, chosen)
        return
    fit = [c for c in chosen if c.manipulation not in args.without or c.label != "tampered"]
    if not args.out:
        parser.error("name a folder for the run with --out")
    set_seed(args.seed)
    refuse_shortcuts([canvas.fed() for canvas in few_of_each(fit, args.seed)], args.seed)
    head = train(fit, args)
    if not PartialState().is_main_process:
        return
    args.out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in head.state_dict().items()}, args.out / "maskhead.safetensors")
    (args.out / "run.json").write_text(
        json.dumps(
            {
                "canvases": len(fit),
                "without": args.without,
                "residuals": args.residuals,
                "seen": sorted({c.source for c in fit}),
            },
            indent=1,
        )
    )
    if kept := [c for c in every if c.source in left_out or c.manipulation in args.without]:
        measure(logits_of(head), kept)


if __name__ == "__main__":
    main()
