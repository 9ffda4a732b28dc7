"""Stage 1: train the mask head on canvases (train.canvases), frozen tower, on CPU in minutes.

    python -m train.mask_head --canvases DIR [DIR ...] --out RUN [--fold 0/2] [--without KIND ...]
    python -m train.mask_head --measure RUN --canvases DIR

--fold leaves out half of the sources, and two such heads ship together: each photo has one that never saw its source.
It refuses to start where the canvases' delivery tells their classes apart (train.shortcuts).
--without keeps manipulations out of training, to measure the transfer to them. --measure prints, at the fixed threshold
0.5, mean F1, foreground IoU and pixel AUC over tampered canvases by source and manipulation, and the marked area
of the others.
"""

import argparse
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from forensic_chat.encoder.config import TRACES, EncoderConfig
from forensic_chat.encoder.maskhead import MaskHead, MaskOutput
from forensic_chat.scoring.localisation import overlap
from train.shortcuts import Fed, refuse_shortcuts

TRACE_OF = {
    "copy-move": "copymove", "face-swap": "splice", "regenerate-region": "resynthesis",
    "regenerate-hole": "inpaint", "removal": "inpaint", "text-edit": "inpaint",
}  # fmt: skip


@dataclass(frozen=True)
class Canvas:
    path: Path
    label: str
    manipulation: str
    source: str

    def read(self) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        """(h, w, D) tokens and (2h, 2w) mask cells, 255 = changed."""
        with np.load(self.path) as stored:
            return stored["tokens"], stored["mask"]

    def fed(self) -> Fed:
        """Its pixels, as the tower read them."""
        with np.load(self.path) as stored:
            return Fed(stored["pixels"], self.label, self.source)


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


@dataclass
class Batch:
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


def batch_of(chosen: list[Canvas]) -> Batch:
    read = [canvas.read() for canvas in chosen]
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
    grids = [canvas.read()[0].astype(np.float32).reshape(-1, len(head.mean)) for canvas in chosen]
    tokens = np.concatenate([grid[:: max(1, len(grid) // 100)] for grid in grids])
    head.mean.copy_(torch.from_numpy(tokens.mean(0))[:, None, None])
    head.scale.copy_(torch.from_numpy(tokens.std(0) + 1e-2)[:, None, None])


def train(chosen: list[Canvas], args: argparse.Namespace) -> MaskHead:
    """One-cycle AdamW, mirrored in half of the batches."""
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    head = MaskHead(EncoderConfig())
    standardise(head, [chosen[k] for k in rng.permutation(len(chosen))[:300]])
    steps = args.epochs * len(chosen) // args.batch_size
    optimizer = torch.optim.AdamW(head.parameters(), args.learning_rate, weight_decay=args.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.learning_rate, steps + 1, pct_start=0.1)
    order = np.concatenate([rng.permutation(len(chosen)) for _ in range(args.epochs)])
    start, running = time.monotonic(), 0.0
    for step in range(steps):
        picked = [chosen[k] for k in order[step * args.batch_size : (step + 1) * args.batch_size]]
        batch = batch_of(picked)
        if rng.random() < 0.5:
            batch.tokens, batch.inside, batch.mask = (
                t.flip(-1) for t in (batch.tokens, batch.inside, batch.mask)
            )
        loss = loss_of(head(batch.tokens, batch.inside), batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        running = 0.98 * running + 0.02 * loss.item() if step else loss.item()
        if step % 50 == 49:
            rate = (step + 1) * args.batch_size / (time.monotonic() - start)
            print(f"step {step + 1} of {steps}: loss {running:.3f}, {rate:.1f} canvases/s", flush=True)
    return head.eval()


def masks_of(heads: list[MaskHead], canvas: Canvas) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(2h, 2w) mask probabilities, the mean of the heads' logits, and the truth's cells."""
    tokens, cells = canvas.read()
    grid = torch.from_numpy(tokens.astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        logits = torch.stack([head(grid).mask[0] for head in heads]).mean(0)
    return logits.sigmoid().numpy(), cells


def measure(heads: list[MaskHead], chosen: list[Canvas]) -> dict[str, Any]:
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    marked: dict[str, list[float]] = defaultdict(list)
    peaks, tampered = [], []
    for canvas in chosen:
        if canvas.label == "synthetic":
            continue
        mask, cells = masks_of(heads, canvas)
        truth = cells > 127
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


def load(run: Path) -> MaskHead:
    head = MaskHead(EncoderConfig())
    head.load_state_dict(load_file(run / "maskhead.safetensors"))
    return head.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--canvases", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", type=Path, nargs="*", default=[], metavar="RUN")
    parser.add_argument("--fold", default="", help="i/n: leave out every n-th source, from the i-th on")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="SOURCE")
    parser.add_argument("--without", nargs="*", default=[], metavar="KIND")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    every = canvases(args.canvases)
    left_out = set(args.leave_out)
    if args.fold:
        fold, folds = map(int, args.fold.split("/"))
        left_out |= set(sorted({c.source for c in every})[fold::folds])
    chosen = [c for c in every if c.source not in left_out]
    if args.measure:
        measure([load(run) for run in args.measure], chosen)
        return
    fit = [c for c in chosen if c.manipulation not in args.without or c.label != "tampered"]
    refuse_shortcuts([canvas.fed() for canvas in few_of_each(fit, args.seed)], args.seed)
    head = train(fit, args)
    args.out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in head.state_dict().items()}, args.out / "maskhead.safetensors")
    (args.out / "run.json").write_text(
        json.dumps(
            {"canvases": len(fit), "without": args.without, "seen": sorted({c.source for c in fit})}, indent=1
        )
    )
    if kept := [c for c in every if c.source in left_out or c.manipulation in args.without]:
        measure([head], kept)


if __name__ == "__main__":
    main()
