"""The encoder once more, differentiable: its own heads on the tower in float32, for gradients only.

The product runs the tower as an int8 graph. The twin holds the same weights, dequantised (weights.convert), and
repeats `encoder.perceive` in torch; what an attack achieves is always measured on the product itself.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forensic_chat.encoder.perceive import Encoder
from forensic_chat.encoder.tokens import LONGEST, PATCH, SIDE, VIEW, starts
from forensic_chat.encoder.tower import MEAN, STD
from forensic_chat.encoder.verdict import summarise_copy
from forensic_chat.evidence import copymove
from forensic_chat.imaging.views import native_boxes

States = Callable[[Tensor], list[Tensor]]
"""(V, 3, 224, 224) RGB in 0..1 -> the stream (V, 197, 768) after each tapped block."""


class FloatTower(nn.Module):
    """CLIP ViT-B/16's image tower, cut after the last tapped block."""

    def __init__(self, blocks: tuple[int, ...]) -> None:
        super().__init__()
        from transformers import CLIPVisionModelWithProjection

        from forensic_chat.weights import base
        from forensic_chat.weights.convert import quiet

        folder = str(base("clip-vit-b16"))
        with quiet():
            whole = CLIPVisionModelWithProjection.from_pretrained(folder, local_files_only=True)
        self.blocks, self.vision = blocks, whole.vision_model.eval().requires_grad_(False)
        self.vision.encoder.layers = self.vision.encoder.layers[: max(blocks)]
        self.register_buffer("mean", torch.from_numpy(MEAN)[:, None, None])
        self.register_buffer("std", torch.from_numpy(STD)[:, None, None])

    def forward(self, views: Tensor) -> list[Tensor]:
        hidden = self.vision((views - self.mean) / self.std, output_hidden_states=True).hidden_states
        return [hidden[block] for block in self.blocks]


class Twin(nn.Module):
    """A Detector (attacks.py): (N, 3, H, W) -> (N, 3) logits of real, synthetic, tampered.

    Where the encoder clips or counts, gradients pass as if it did not (straight through; Athalye et al. 2018), so
    that a saturated score does not hide which way is down.
    """

    def __init__(self, encoder: Encoder, tower: States | None = None) -> None:
        super().__init__()
        self.tower = FloatTower(encoder.config.tapped_blocks) if tower is None else tower
        self.config, self.heads = encoder.config, encoder.mask_heads
        self.head = {name: torch.tensor(value) for name, value in vars(encoder.head).items()}

    def forward(self, images: Tensor) -> Tensor:
        return self.see(images)[1]

    def see(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) overview features, standardised as for the overview's linear head, and the logits."""
        seen = [self._see(image[None]) for image in images]
        features, logits = (torch.stack(list(part)) for part in zip(*seen, strict=True))
        return features, logits

    def _see(self, x: Tensor) -> tuple[Tensor, Tensor]:
        height, width = x.shape[2:]
        read: dict[tuple[object, ...], list[Tensor]] = {}

        def states(view: Tensor, *place: object) -> list[Tensor]:
            # of an image no larger than a view, overview, crop and tile are the same pixels
            key = ("whole",) if x.shape[2:] == view.shape[2:] else place
            if key not in read:
                read[key] = self.tower(view)
            return read[key]

        mask, reliability = self._locate(x, states)
        size = self.config.view_size
        overview = F.interpolate(x, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
        overview = x if x.shape[2:] == overview.shape[2:] else overview
        boxes = native_boxes(width, height, size, 0)
        stride = self.config.mask_stride

        def suspicion(box: tuple[int, int, int, int]) -> float:
            x0, y0, x1, y1 = (v // stride for v in box)
            return float(mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].detach().mean())

        chosen = sorted(boxes, key=suspicion, reverse=True)[: self.config.max_crops]
        crops = [states(padded(x, box, size, "reflect"), "crop", *box) for box in chosen]
        standard = [
            (pooled(view) - self.head["tower_mean"][k]) / self.head["tower_scale"][k]
            for k, view in [(0, states(overview, "overview")), *((1, crop) for crop in crops)]
        ]
        weight, bias = self.head["tower_weight"], self.head["tower_bias"]
        of_overview = weight[0] @ standard[0] + bias[0]
        of_crops = torch.stack([weight[1] @ each + bias[1] for each in standard[1:]]).mean()
        summary = torch.stack([of_overview, of_crops, *summarise(mask, reliability), copied(x)])
        scaled = bounded((summary - self.head["fusion_mean"]) / self.head["fusion_scale"], -4, 4)
        return standard[0], self.head["fusion_weight"] @ scaled + self.head["fusion_bias"]

    def _locate(self, x: Tensor, states: Callable[..., list[Tensor]]) -> tuple[Tensor, Tensor]:
        """Probabilities on the image's own cells: changed, and reliable."""
        height, width = x.shape[2:]
        scale = min(1.0, LONGEST / max(height, width))
        if scale < 1:
            size = (max(1, round(height * scale)), max(1, round(width * scale)))
            x = F.interpolate(x, size, mode="bilinear", antialias=True)
        rows, columns = (-(-length // PATCH) for length in x.shape[2:])
        below, right = (max(VIEW, cells * PATCH) for cells in (rows, columns))
        x = padded(x, (0, 0, x.shape[3], x.shape[2]), (below, right), "symmetric")
        tall, wide = below // PATCH, right // PATCH
        total: Tensor | float = 0.0
        counts = torch.zeros(1, 1, tall, wide)
        for top in starts(tall):
            for left in starts(wide):
                tile = x[:, :, top * PATCH : top * PATCH + VIEW, left * PATCH : left * PATCH + VIEW]
                seen = states(tile, "tile", top, left)
                tokens = torch.cat([seen[k][0, 1:] for k in self.config.picked], 1)
                grid = tokens.T.reshape(1, -1, SIDE, SIDE)
                around = (left, wide - left - SIDE, top, tall - top - SIDE)
                total = total + F.pad(grid, around)
                counts += F.pad(torch.ones(1, 1, SIDE, SIDE), around)
        said = self.heads((total / counts)[:, :, :rows, :columns])
        maps = torch.stack([said.mask, said.reliability], 1).sigmoid()
        step = PATCH / 2 / scale
        down, across = ((torch.arange(-(-length // 8)) + 0.5) * 8 / step for length in (height, width))
        at = torch.stack(torch.meshgrid(across / columns - 1, down / rows - 1, indexing="xy"), 2)
        cells = F.grid_sample(maps, at[None], padding_mode="border", align_corners=False)[0]
        return cells[0], cells[1]


def padded(x: Tensor, box: tuple[int, int, int, int], size: int | tuple[int, int], mode: str) -> Tensor:
    """`box` of (N, 3, H, W), continued to the right and below as numpy's `mode` does until it is of `size`."""
    x0, y0, x1, y1 = box
    tall, wide = (size, size) if isinstance(size, int) else size
    rows, columns = (
        np.pad(np.arange(low, high), (0, whole - (high - low)), mode=mode)  # type: ignore[call-overload]
        for low, high, whole in ((y0, y1, tall), (x0, x1, wide))
    )
    return x[:, :, torch.from_numpy(rows)][:, :, :, torch.from_numpy(columns)]


def pooled(states: list[Tensor]) -> Tensor:
    """The states of one view -> (D,): CLS tokens of the blocks, then mean patch tokens."""
    return torch.cat([*(state[0, 0] for state in states), *(state[0, 1:].mean(0) for state in states)])


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """Clipped, with the gradient of x."""
    return x + (x.clamp(low, high) - x).detach()


def log_odds(probability: Tensor) -> Tensor:
    """As verdict.logit; beyond its bounds the gradient is that at the bound."""
    return torch.logit(bounded(probability, 1e-4, 1 - 1e-4))


def summarise(mask: Tensor, reliability: Tensor) -> list[Tensor]:
    """As verdict.summarise_mask; the share of marked cells passes the gradient of a steep sigmoid."""
    ordered = mask.flatten().sort().values
    sure = (mask * reliability).flatten().sort().values
    n = len(ordered)
    soft = torch.sigmoid(10 * (mask - 0.5)).mean()
    area = soft + ((mask > 0.5).float().mean() - soft).detach()
    return [
        log_odds(ordered[-max(1, n // 200)]),
        log_odds(ordered[-max(1, n // 50) :].mean()),
        log_odds(area),
        log_odds(sure[-max(1, n // 50) :].mean()),
    ]


def copied(x: Tensor) -> Tensor:
    """As verdict.summarise_copy; without a gradient."""
    copy = copymove.find(as_pixels(x))
    return torch.tensor(summarise_copy(copy.score if copy else 0.0))


def agreement(twin: Twin, encoder: Encoder, pictures: list[np.ndarray]) -> dict[str, float]:
    """How near the twin is to the product on (H, W, 3) uint8 pictures: mean cosine of the overview's features,
    correlation and mean absolute difference of the log odds of a fake."""
    cosines, ours, theirs = [], [], []
    for pixels in pictures:
        seen = encoder.perceive(pixels)
        with torch.no_grad():
            features, logits = twin.see(as_images(pixels))
        mean, scale = encoder.head.tower_mean[0], encoder.head.tower_scale[0]
        known = (seen.features[0] - mean) / scale
        mine = features[0].numpy()
        cosines.append(float(known @ mine / (np.linalg.norm(known) * np.linalg.norm(mine))))
        theirs.append(float(np.logaddexp(*seen.logits[1:]) - seen.logits[0]))
        ours.append(float(torch.logsumexp(logits[0, 1:], 0) - logits[0, 0]))
    return {
        "feature_cosine": float(np.mean(cosines)),
        "odds_correlation": float(np.corrcoef(ours, theirs)[0, 1]) if len(ours) > 1 else float("nan"),
        "odds_difference": float(np.mean(np.abs(np.subtract(ours, theirs)))),
    }


def as_images(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in 0..1."""
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()


def as_pixels(images: Tensor) -> np.ndarray:
    """The first of (N, 3, H, W) in 0..1, rounded -> (H, W, 3) uint8."""
    return (images[0].detach().permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
