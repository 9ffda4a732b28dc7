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
import io
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration, PartialState
from accelerate.utils import set_seed
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from forensic_chat.encoder.config import TRACES, EncoderConfig
from forensic_chat.encoder.maskhead import MaskHead, MaskHeads, MaskOutput, ResidualHead
from forensic_chat.encoder.residuals import read_residuals
from forensic_chat.scoring.localisation import overlap
from forensic_chat.weights import shipped
from train.shortcuts import Fed, refuse_shortcuts

TRACE_OF = {
    "copy-move": "copymove", "face-swap": "splice", "regenerate-region": "resynthesis",
    "recolour": "retouch", "regenerate-hole": "inpaint", "removal": "inpaint", "text-edit": "inpaint",
}  # fmt: skip


@dataclass(frozen=True)
class Canvas:
    path: Path
    label: str
    manipulation: str
    source: str

    def read(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """(h, w, D) tokens and (2h, 2w) mask cells, 255 = changed."""
        with np.load(self.path) as stored:
            return tokens_of(stored, np.s_[:]), stored["mask"]

    def windowed(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The same of a window at random."""
        with np.load(self.path) as stored:
            mask = stored["mask"]
            rows, columns = window(mask)
            doubled = tuple(slice(2 * side.start, 2 * side.stop) for side in (rows, columns))
            return tokens_of(stored, (rows, columns)), mask[doubled]

    def pixels(self) -> NDArray[np.uint8]:
        with np.load(self.path) as stored, Image.open(io.BytesIO(stored["pixels"].tobytes())) as image:
            return np.asarray(image)

    def fed(self) -> Fed:
        """A window of its pixels, as training draws them."""
        with np.load(self.path) as stored:
            rows, columns = window(stored["mask"])
        pixels = self.pixels()
        rows, columns = (slice(16 * side.start, 16 * side.stop) for side in (rows, columns))
        return Fed(np.ascontiguousarray(pixels[rows, columns]), self.label, self.source)


def window(cells: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Rows and columns of tokens to train on, 55 to 100 % of each side, at random (torch's generator).

    Sources differ in the aspect of their images; windows of random aspect don't tell them apart. Where cells
    (2h, 2w) of the canvas were changed, the window holds one.
    """
    changed = np.argwhere(cells > 127)
    point = changed[int(torch.randint(len(changed), ()))] // 2 if len(changed) else None
    sides = []
    for axis in (0, 1):
        full = cells.shape[axis] // 2
        length = max(min(4, full), round(full * (0.55 + 0.45 * float(torch.rand(())))))
        first, last = 0, full - length
        if point is not None:
            first, last = max(0, int(point[axis]) - length + 1), min(last, int(point[axis]))
        start = int(torch.randint(first, last + 1, ()))
        sides.append(slice(start, start + length))
    return sides[0], sides[1]


def tokens_of(stored: Any, cells: Any) -> NDArray[np.float32]:
    """Undo the 8 bits of train.canvases, for some rows and columns."""
    return np.asarray(stored["low"] + stored["step"] * stored["tokens"][cells].astype(np.float32), np.float32)


def canvases(folders: list[Path]) -> list[Canvas]:
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*[0-9].npz")):
            found.append(Canvas(path, **json.loads(path.with_suffix(".json").read_text())))
    return found


def few_of_each(every: list[Canvas], seed: int, most: int = 400) -> list[Canvas]:
    """At most `most` canvases of each class, at random."""
    taken: dict[str, list[Canvas]] = defaultdict(list)
    for k in np.random.default_rng(seed).permutation(len(every)):
        taken[every[k].label].append(every[k])
    return [canvas for same in taken.values() for canvas in same[:most]]


class Batch(NamedTuple):
    tokens: Tensor
    """(B, D, h, w); zero where an image is smaller than the batch's largest."""
    inside: Tensor
    """(B, 1, h, w)"""
    mask: Tensor
    """(B, 2h, 2w), 0..1"""
    has_mask: Tensor
    """(B,): 0 for generated images, whose every pixel is fake and none was changed."""
    traces: Tensor
    """(B, len(TRACES))"""

    def mirrored(self) -> "Batch":
        tokens, inside, mask = (t.flip(-1) for t in (self.tokens, self.inside, self.mask))
        return self._replace(tokens=tokens, inside=inside, mask=mask)


def batch_of(chosen: list[Canvas]) -> Batch:
    """Windows of some canvases."""
    read = [canvas.windowed() for canvas in chosen]
    rows, columns = (max(tokens.shape[axis] for tokens, _ in read) for axis in (0, 1))
    count, dim = len(read), read[0][0].shape[-1]
    tokens = np.zeros((count, rows, columns, dim), np.float32)
    inside = np.zeros((count, 1, rows, columns), np.float32)
    mask = np.zeros((count, 2 * rows, 2 * columns), np.float32)
    traces = torch.zeros(count, len(TRACES))
    for k, (canvas, (grid, cells)) in enumerate(zip(chosen, read, strict=True)):
        h, w = grid.shape[:2]
        tokens[k, :h, :w], inside[k, 0, :h, :w], mask[k, : 2 * h, : 2 * w] = grid, 1, cells / np.float32(255)
        if canvas.label == "synthetic":
            traces[k, TRACES.index("generated")] = 1
        elif canvas.label == "tampered":
            name = TRACE_OF.get(canvas.manipulation, canvas.manipulation)
            traces[k, TRACES.index(name)] = 1
    has_mask = torch.tensor([float(canvas.label != "synthetic") for canvas in chosen])
    return Batch(
        torch.from_numpy(tokens).permute(0, 3, 1, 2),
        torch.from_numpy(inside),
        torch.from_numpy(mask),
        has_mask,
        traces,
    )


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


Logits = Callable[[Canvas], Tensor]
"""A canvas -> logits (2h, 2w) of its mask."""


def logits_of(head: MaskHead) -> Logits:
    return lambda canvas: head(planes(canvas.read()[0])).mask[0]


def sharpened(heads: MaskHeads) -> Logits:
    """The mask that is shown; of canvases that hold tokens."""

    def logits(canvas: Canvas) -> Tensor:
        tokens = canvas.read()[0]
        residuals = read_residuals(canvas.pixels(), tokens.shape[0], tokens.shape[1])
        return heads.sharpened(heads(planes(tokens)).mask, planes(residuals))[0]

    return logits


def planes(grid: NDArray[np.float32]) -> Tensor:
    """(h, w, D) -> (1, D, h, w)"""
    return torch.from_numpy(grid).permute(2, 0, 1)[None]


def measure(logits: Logits, chosen: list[Canvas]) -> dict[str, Any]:
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    marked: dict[str, list[float]] = defaultdict(list)
    peaks, tampered = [], []
    for canvas in chosen:
        if canvas.label == "synthetic":
            continue
        with torch.inference_mode():
            mask = logits(canvas).sigmoid().numpy()
        truth = canvas.read()[1] > 127
        peaks.append(float(np.sort(mask, axis=None)[-max(1, mask.size // 50) :].mean()))
        tampered.append(canvas.label == "tampered")
        if canvas.label == "real":
            marked[canvas.source].append(float((mask > 0.5).mean()))
        elif truth.any() and not truth.all():
            scores = overlap(mask > 0.5, truth)
            auc = float(roc_auc_score(truth.ravel(), mask.ravel()))
            rows[f"{canvas.source} {canvas.manipulation}"].append((scores.f1, scores.iou, auc))
    for name, values in sorted(rows.items()):
        f1, iou, auc = np.mean(values, axis=0)
        if len(values) >= 4:
            print(f"  {name:56s} n={len(values):4d} F1={f1:.3f} IoU={iou:.3f} pixel AUC={auc:.3f}")
    every = [row for values in rows.values() for row in values]
    f1, iou, auc = np.mean(every, axis=0)
    areas = [area for values in marked.values() for area in values]
    figures = {
        "f1": float(f1), "iou": float(iou), "pixel_auc": float(auc), "tampered": len(every),
        "marked_of_photos": float(np.mean(areas)), "photos": len(areas),
        "image_auc": float(roc_auc_score(tampered, peaks)),
    }  # fmt: skip
    print("  all", {name: round(value, 3) for name, value in figures.items()}, flush=True)
    return figures


def untrained(residuals: bool) -> MaskHead:
    config = EncoderConfig()
    if residuals:
        return ResidualHead(config.mask_width)
    return MaskHead(768 * len(config.mask_blocks), config.mask_width)


def load(run: Path) -> MaskHead:
    head = untrained(json.loads((run / "run.json").read_text()).get("residuals", False))
    head.load_state_dict(load_file(run / "maskhead.safetensors"))
    return head.eval()


def shipped_heads(fold: int) -> MaskHeads:
    """Those of one fold alone."""
    folder = shipped() / "encoder"
    every = MaskHeads(EncoderConfig.from_pretrained(folder))
    every.load_state_dict(load_file(folder / "maskheads.safetensors"))
    alone = MaskHeads(EncoderConfig(mask_heads=1))
    alone.heads[0], alone.residual_heads[0] = every.heads[fold], every.residual_heads[fold]
    return alone.eval()


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
        for logits in (lambda canvas: heads(planes(canvas.read()[0])).mask[0], sharpened(heads)):
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
