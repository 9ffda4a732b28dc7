"""Text of the untuned language model's own, on which SFT holds the tuned model to its base, so that it forgets less.

    python -m train.replay --out FILE [--conversations 240]

The base is sampled from with nothing but the mark that opens a user's turn: it writes a question and then the answer
to it (Xu et al. 2024, Magpie, arXiv 2406.08464), at temperature 1: this is where the base's distribution has its mass,
whether it makes sense or not. One JSON line a conversation; a stopped run goes on. `Remembering` adds to each step's
loss the KL divergence from the base on one of these texts.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from transformers import set_seed
from trl import SFTTrainer

from train.models import ModelArguments, load

ASKED, SAID = 48, 96
"""Tokens at most, of a question and of an answer."""
TOGETHER = 64
SHORTEST = 12
"""Characters of a question, and of an answer."""


@torch.inference_mode()
def continued(model: Any, tokenizer: Any, texts: list[str], tokens: int) -> list[tuple[str, bool]]:
    """What the model writes after each text until its turn ends, and whether it ended within `tokens`."""
    inputs = tokenizer(
        texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
    )
    ends = tokenizer.convert_tokens_to_ids("<|im_end|>")
    written = model.generate(
        **inputs,
        max_new_tokens=tokens,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
    )[:, inputs.input_ids.shape[1] :]
    return [(tokenizer.decode(row, skip_special_tokens=True), ends in row) for row in written]


def conversations(model: Any, processor: Any) -> Iterator[dict[str, Any]]:
    """Pairs of question and answer, without end, in TRL's conversational form; an answer that did not end is cut at
    its last whole sentence."""
    while True:
        asked = continued(model, processor.tokenizer, ["<|im_start|>user\n"] * TOGETHER, ASKED)
        questions = [text.strip() for text, ended in asked if ended and len(text.strip()) >= SHORTEST]
        if not questions:
            continue
        turns = [[{"role": "user", "content": question}] for question in questions]
        opened = [
            processor.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            for turn in turns
        ]
        for turn, (text, ended) in zip(
            turns, continued(model, processor.tokenizer, opened, SAID), strict=True
        ):
            answer = text.strip() if ended else text[: text.rfind(".") + 1].strip()
            if len(answer) >= SHORTEST:
                yield {"messages": [*turn, {"role": "assistant", "content": answer}]}


class Remembering(SFTTrainer):
    """SFT with a LoRA adapter that stays near its base on `own` text: `weight` times the mean KL divergence of a token,
    from the base (the adapter off) to the model. One text, drawn at random, a batch."""

    def __init__(self, *args: Any, own: list[str], weight: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tokenizer = getattr(self.processing_class, "tokenizer", self.processing_class)
        self.own = [tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids for text in own]
        self.weight = weight

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        computed = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if not model.training:
            return computed
        forgot = self.forgot(model, self.own[int(torch.randint(len(self.own), ()))])
        self._metrics["train"]["forgot"].append(float(forgot.detach()))
        return computed + self.weight * forgot / self.args.gradient_accumulation_steps

    def forgot(self, model: Any, ids: torch.Tensor) -> torch.Tensor:
        """Nats a token, of token ids (1, T)."""
        ids = ids.to(self.accelerator.device)
        said = model(input_ids=ids).logits[0].float().log_softmax(-1)
        with torch.no_grad(), self.accelerator.unwrap_model(model).disable_adapter():
            base = model(input_ids=ids).logits[0].float().log_softmax(-1)
        return F.kl_div(said, base, reduction="batchmean", log_target=True)


def read(file: Path, processor: Any) -> list[str]:
    """The conversations of a file, as the model reads them."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [processor.tokenizer.apply_chat_template(row["messages"], tokenize=False) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--conversations", type=int, default=240)
    parser.add_argument("--base-model", default=ModelArguments.base_model)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    done = args.out.read_text("utf-8").count("\n") if args.out.exists() else 0
    set_seed(args.seed + done)
    model, processor = load(ModelArguments(base_model=args.base_model, bfloat16=True))
    start = time.monotonic()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("a", encoding="utf-8") as out:
        for k, row in zip(
            range(done, args.conversations), conversations(model.eval(), processor), strict=False
        ):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            out.flush()
            if k % 40 == 0:
                print(f"{k} of {args.conversations} after {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
