"""Tiny models and examinations, built offline."""

from collections.abc import Sequence
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from forensic_chat.data.dialogues import Case, random_examination
from forensic_chat.mllm.backends.base import Conversation
from forensic_chat.mllm.prompts import opening
from forensic_chat.schema import Box, Finding, Supports

if TYPE_CHECKING:
    from forensic_chat.encoder.calibration import Calibration
    from forensic_chat.encoder.perceive import ChangeMap, Encoder, Perception
    from forensic_chat.encoder.verdict import VerdictHead


def tiny_llava(seed: int = 0) -> tuple[Any, Any]:
    """A random LlavaForConditionalGeneration with a byte-level tokenizer, and its processor."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    from forensic_chat.weights.assemble import CHAT_TEMPLATE, IMAGE_TOKEN

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", IMAGE_TOKEN]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: k for k, token in enumerate([*specials, *alphabet])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[IMAGE_TOKEN],
    )
    torch.manual_seed(seed)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=224,
            patch_size=32,
            projection_dim=32,
        ),
        text_config=LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=8192,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        ),
        image_token_index=3,
        image_seq_length=49,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    model = LlavaForConditionalGeneration(config).eval()
    model.generation_config.update(
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        suppress_tokens=[0, 1, 2, 3, *_unprintable(vocabulary)],
    )
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"height": 224, "width": 224}, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=32,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE_TOKEN,
        chat_template=CHAT_TEMPLATE,
    )
    return model, processor


def tiny_qwen(version: str, seed: int = 0) -> tuple[Any, Any]:
    """A random Qwen2.5-VL ("2.5") or Qwen3-VL ("3") of the real classes, and a processor for images alone (the
    one for videos needs torchvision)."""
    import torch
    from transformers import (
        ProcessorMixin,
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
    )
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    class Images(Qwen2_5_VLProcessor):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, **more: Any) -> None:
            self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
            self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
            self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
            ProcessorMixin.__init__(self, image_processor, tokenizer, **more)

    _, llava = tiny_llava()
    tokenizer = llava.tokenizer
    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    ids = dict(zip(marks, tokenizer.convert_tokens_to_ids(marks), strict=True))
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]},
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    vision = {"depth": 2, "hidden_size": 64, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 64}
    special = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    torch.manual_seed(seed)
    if version == "2.5":
        vision |= {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1]}
        config: Any = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **special)
        model = Qwen2_5_VLForConditionalGeneration(config)
    else:
        vision |= {"patch_size": 16, "deepstack_visual_indexes": [0], "num_position_embeddings": 256}
        config = Qwen3VLConfig(text_config=text, vision_config=vision, **special)
        model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.update(bos_token_id=1, eos_token_id=2, pad_token_id=0)
    pixels = Qwen2VLImageProcessorPil(patch_size=vision["patch_size"], min_pixels=56 * 56, max_pixels=64 * 64)
    return model.eval(), Images(pixels, tokenizer, chat_template=llava.chat_template)


def _unprintable(vocabulary: dict[str, int]) -> list[int]:
    """Tokens that are not one printable ASCII character: a random model shall write readable nonsense."""
    return [
        k for token, k in vocabulary.items() if len(token) == 1 and not ("!" <= token <= "~" or token == "Ġ")
    ]


def conversation(case: Case, images: int = 3, seed: int = 0) -> Conversation:
    """A conversation that asks the verdict question about a case, with so many noise images."""
    names = ["overview", *(f"crop {chr(65 + k)}" for k in range(images - 2)), "trace map"][:images]
    views = [SimpleNamespace(name=name, box=(0, 0, 224, 224)) for name in names]
    pixels = np.random.default_rng(seed).integers(0, 256, (len(views), 224, 224, 3), dtype=np.uint8)
    return Conversation(list(pixels), [opening(views, case.image_size, case.findings, case.regions)])


def case(seed: int) -> Case:
    return random_examination(Random(seed))


def calibration(**changes: Any) -> "Calibration":
    """Plain operating points."""
    from forensic_chat.encoder.calibration import Calibration

    points: dict[str, Any] = {
        "undecided": (0.4, 0.6),
        "unfamiliar_below": 0.01,
        "unstable_above": 0.2,
        "mask_threshold": 0.5,
        "mask_gate": 0.3,
        "copy_gate": 1.0,
        "false_alarm_rates": {"encoder.synthetic": 0.03, "encoder.tampered": 0.04, "encoder.mask": 0.04},
    }
    return Calibration(**points | changes)


def finding(
    kind: str, supports: Supports = "neutral", strength: float = 0.0, k: int = 1, **changes: Any
) -> Finding:
    plain = {"summary": f"The test {kind} reads 1.", "value": 1, "false_alarm_rate": 0.0}
    told = {"id": f"E{k}", "kind": kind, "supports": supports, "strength": strength}
    return Finding.model_validate(plain | told | changes)


def change_map(mask: np.ndarray) -> "ChangeMap":
    """What the mask heads might have said, given the mask's cells."""
    from forensic_chat.encoder.config import TRACES
    from forensic_chat.encoder.perceive import ChangeMap
    from forensic_chat.encoder.tokens import TokenMap
    from forensic_chat.encoder.verdict import summarise_mask

    mask = mask.astype(np.float32)
    unread = TokenMap(np.zeros((1, 1, 1), np.float32), 1.0, {})
    reliability = np.full_like(mask, 0.7)
    summary = np.append(summarise_mask(mask, reliability), np.float32(0))
    return ChangeMap(mask, reliability, np.full(len(TRACES), 0.1, np.float32), unread, None, summary)


def perception(
    real: float = 0.9,
    synthetic: float = 0.05,
    tampered: float = 0.05,
    *,
    familiarity: float = 0.5,
    mask: np.ndarray | None = None,
    changed: float | None = None,
) -> "Perception":
    """What an encoder might have seen in an image of 96 x 64 px, or of 8 times the mask's size.

    changed: by the mask alone; as `tampered` unless given.
    """
    from forensic_chat.encoder.perceive import Perception

    changes = change_map(np.zeros((8, 12)) if mask is None else mask)
    logits = np.log(np.array([real, synthetic, tampered], np.float32))
    by_mask = tampered if changed is None else changed
    features, tokens = np.zeros((2, 6), np.float32), np.zeros((2, 196, 768), np.float32)
    return Perception(logits, by_mask, changes, [], {}, features, tokens, familiarity, {})


class ColourTower:
    """Stands for `Tower`: reads a view's mean and spread of each colour, as if of 1 block of width 3."""

    def read(self, views: Sequence[np.ndarray]) -> np.ndarray:
        planes = np.stack(views).astype(np.float32) / 255
        return np.stack([planes.mean((1, 2)), planes.std((1, 2))], axis=1)[:, :, None]

    def look(self, views: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return self.read(views), np.stack([self.patches(view, [0]) for view in views])

    def patches(self, view: np.ndarray, picked: Sequence[int]) -> np.ndarray:
        """(196, 768 a block): the mean colour and spread of each patch, over and over."""
        cells = view.reshape(14, 16, 14, 16, 3).astype(np.float32) / 255
        told = np.concatenate([cells.mean((1, 3)), cells.std((1, 3))], axis=-1).reshape(196, 6)
        return np.tile(told, (1, 128 * len(picked)))


def verdict_head(width: int = 6, seed: int = 0) -> "VerdictHead":
    """Random parameters for features of that width."""
    from forensic_chat.encoder.verdict import CHANGE, SUMMARY, VerdictHead

    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    summary = len(SUMMARY)
    return VerdictHead(
        tower_mean=normal(2, width),
        tower_scale=np.abs(normal(2, width)) + 0.5,
        tower_weight=normal(2, width),
        tower_bias=normal(2),
        fusion_mean=normal(summary),
        fusion_scale=np.abs(normal(summary)) + 0.5,
        fusion_weight=normal(3, summary),
        fusion_bias=normal(3),
        change_weight=normal(CHANGE),
        change_bias=normal(1),
        density_basis=normal(4, width),
        density_quantiles=np.sort(np.abs(normal(101))) * 20,
    )


def tiny_encoder(seed: int = 0, **config: Any) -> "Encoder":
    """Narrow mask heads with random weights, a tower that reads colours, a random verdict head."""
    import torch

    from forensic_chat.encoder.config import EncoderConfig
    from forensic_chat.encoder.maskhead import MaskHeads
    from forensic_chat.encoder.perceive import Encoder

    shape = EncoderConfig(**{"mask_width": 8} | config)
    torch.manual_seed(seed)
    return Encoder(shape, MaskHeads(shape).eval(), ColourTower(), verdict_head(seed=seed))  # type: ignore[arg-type]


class SpotEncoder:
    """Stands for `Encoder`: calls an image tampered when one spot is much grainier than a photo.

    spot: the box, as shares of width and height.
    """

    def __init__(self, spot: tuple[float, float, float, float] = (0.25, 0.25, 0.5, 0.5)) -> None:
        from forensic_chat.encoder.config import EncoderConfig

        self.spot, self.config = spot, EncoderConfig()
        self.head = SimpleNamespace(fuse=lambda summary: summary)

    def box(self, width: int, height: int) -> Box:
        x0, y0, x1, y1 = self.spot
        return round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)

    def perceive(self, pixels: np.ndarray) -> "Perception":
        from forensic_chat.encoder.perceive import Perception
        from forensic_chat.imaging.views import crop, overview

        changes = self.locate(pixels)
        views = [overview(pixels), crop(pixels, self.box(pixels.shape[1], pixels.shape[0]), "crop A")]
        features, tokens = self.look(views)
        changed = float(changes.mask.max())
        return Perception(
            self.summary(features, changes),
            changed,
            changes,
            views,
            {},
            features,
            tokens,
            0.5,
            {"encoder.mask": 0.01},
        )

    def look_again(self, pixels: np.ndarray, before: Any) -> float:
        return self.perceive(pixels).fake_probability

    def locate(self, pixels: np.ndarray, before: Any = None, changed: Box | None = None) -> "ChangeMap":
        height, width = pixels.shape[:2]
        x0, y0, x1, y1 = self.box(width, height)
        grain = np.diff(pixels[y0:y1, x0:x1].astype(np.float32), axis=1)
        suspicion = float(np.clip((grain.std() - 15) / 5, -4, 4)) if grain.size else -4.0
        mask = np.full((-(-height // 8), -(-width // 8)), 0.02, np.float32)
        mask[y0 // 8 : -(-y1 // 8), x0 // 8 : -(-x1 // 8)] = 1 / (1 + np.exp(-suspicion))
        changes = change_map(mask)
        changes.traces[0] = suspicion
        return changes

    def features(self, views: Sequence[Any]) -> np.ndarray:
        return self.look(views)[0]

    def look(self, views: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(views), 4), np.float32), np.zeros((len(views), 196, 768), np.float32)

    def summary(self, features: np.ndarray, changes: "ChangeMap") -> np.ndarray:
        return np.array([0, -4, changes.traces[0]], np.float32)
