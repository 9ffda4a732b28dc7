"""How well mask heads place what was changed: those of a run of train.mask_head, and those that ship."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import Tensor

from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.maskhead import MaskHead, MaskHeads, ResidualHead
from forensic_chat.encoder.residuals import read_residuals
from forensic_chat.scoring.localisation import overlap
from forensic_chat.weights import shipped
from train.mask_batches import Canvas

Logits = Callable[[Canvas], Tensor]
"""A canvas -> logits (2h, 2w) of its mask."""


def logits_of(head: MaskHead | MaskHeads) -> Logits:
    """Of one head, and of heads that read tokens alone."""
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
    every = MaskHeads(EncoderConfig.load(folder))
    every.load_state_dict(load_file(folder / "maskheads.safetensors"))
    alone = MaskHeads(EncoderConfig(mask_heads=1))
    alone.heads[0], alone.residual_heads[0] = every.heads[fold], every.residual_heads[fold]
    return alone.eval()
