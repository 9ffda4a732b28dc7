"""Does the tuned language model still know what its base knew? python -m eval.forgetting --out DIR

The base (SmolLM2 in the untrained assembly) and the model that is shipped (the same with its adapter) read the same
text and answer the same questions, greedily. OUT/forgetting.jsonl keeps every reply, so a stopped run goes on;
OUT/results.json gets the paired differences with bootstrap intervals.
"""

import argparse
import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml
from numpy.typing import NDArray

from eval.bars import Step, bar
from eval.rows import complete_lines
from eval.table import table
from forensic_chat.errors import ForensicChatError, UsageError
from forensic_chat.scoring.detection import group_intervals

FOLDER = Path(__file__).parent / "retention"
TOPICS = (
    "assert", "attribute-access", "booleans", "break", "class", "comparisons", "context-managers", "del", "exceptions",
    "execmodel", "for", "formatstrings", "function", "global", "if", "import", "lambda", "numbers", "return", "while",
)  # fmt: skip
"""Chapters of the language reference that come with every CPython (`pydoc_data.topics`, PSF licence)."""
CHAPTER = 1500
"""Characters read of each."""
LONGEST_REPLY = 64
"""Tokens."""
VERDICT = re.compile(r"\A\W*(real|synthetic|tampered|inconclusive)\s+[01]\.\d", re.IGNORECASE)
"""How the product answers an examination, which none of the questions asks for."""


class Speaker(Protocol):
    """A language model, text only."""

    name: str

    @property
    def maker(self) -> str:
        """A hash of what it consists of."""

    def surprise(self, text: str) -> tuple[float, int]:
        """Nats of a text after its first token, and how many tokens these were."""

    def reply(self, turns: Sequence[dict[str, str]]) -> str:
        """The greedy answer to a conversation of `role` and `content`."""


@dataclass(frozen=True)
class Check:
    """A conversation and what its last reply must be like."""

    id: str
    turns: tuple[str, ...]
    """The user's; what is between them the model says itself."""
    any: tuple[str, ...] = ()
    """At least one of these words, whole, in any case."""
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    matches: str = ""
    words: tuple[int, int] = (1, 10**6)
    """From and to how many."""

    def holds(self, reply: str) -> bool:
        def said(word: str) -> bool:
            return re.search(rf"(?<![\w.]){re.escape(word)}(?!\w|\.\d)", reply, re.IGNORECASE) is not None

        low, high = self.words
        return (
            low <= len(reply.split()) <= high
            and (not self.any or any(map(said, self.any)))
            and all(map(said, self.all))
            and not any(map(said, self.none))
            and re.search(self.matches, reply, re.IGNORECASE) is not None
        )


@dataclass(frozen=True)
class Line:
    """What one speaker made of one text or check."""

    speaker: str
    maker: str
    """SHA-256 of the speaker and of the text or check."""
    id: str
    nats: float = 0.0
    tokens: int = 0
    replies: list[str] = field(default_factory=list)


def checks() -> list[Check]:
    """Those of checks.yaml."""
    stored = yaml.safe_load((FOLDER / "checks.yaml").read_text("utf-8"))
    return [Check(**{k: tuple(v) if isinstance(v, list) else v for k, v in each.items()}) for each in stored]


def texts() -> dict[str, str]:
    """By id: our own passages, the same on every machine, and chapters of Python's reference."""
    from pydoc_data.topics import topics

    passages = yaml.safe_load((FOLDER / "passages.yaml").read_text("utf-8"))
    own = {f"passage-{k:02d}-{p['kind']}": " ".join(p["text"].split()) for k, p in enumerate(passages, 1)}
    return own | {f"python-{name}": topics[name][:CHAPTER] for name in TOPICS if name in topics}


class Causal:
    """A LlavaForConditionalGeneration without images.

    models: names to fingerprints.
    """

    def __init__(self, name: str, model: Any, processor: Any, models: dict[str, str]) -> None:
        self.name, self.model, self.processor, self.models = name, model, processor, models

    @cached_property
    def maker(self) -> str:
        return json.dumps([self.models, str(self.model.dtype)], sort_keys=True)

    def surprise(self, text: str) -> tuple[float, int]:
        import torch

        ids = self.processor.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        ids = ids.to(self.model.device)
        with torch.inference_mode():
            logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, :-1].float()
            nats = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")
        return float(nats), ids.shape[1] - 1

    def reply(self, turns: Sequence[dict[str, str]]) -> str:
        import torch

        tokenizer = self.processor.tokenizer
        told = [{"role": t["role"], "content": [{"type": "text", "text": t["content"]}]} for t in turns]
        prompt = self.processor.apply_chat_template(told, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids.to(self.model.device)
        with torch.inference_mode():
            written = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=LONGEST_REPLY,
            )
        return str(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)).strip()


def base_and_tuned() -> tuple[Causal, Causal]:
    """The base without its adapter, and the model that is shipped, in the same precision.

    Raises WeightsUnavailable, WeightsCorrupted, BackendUnavailable.
    """
    from transformers import LlavaForConditionalGeneration

    from forensic_chat.mllm.loading import load
    from forensic_chat.weights import base, fingerprint
    from forensic_chat.weights.convert import quiet

    model, processor, names = load()
    folder = base("llava")
    with quiet():
        plain = LlavaForConditionalGeneration.from_pretrained(
            str(folder), dtype=model.dtype, local_files_only=True
        )
    plain = plain.eval().to(model.device)
    return Causal("base", plain, processor, {"language": fingerprint(folder)}), Causal(
        "tuned", model, processor, names
    )


def complete(
    speaker: Speaker,
    asked: Sequence[Check],
    read: dict[str, str],
    path: Path,
    on_step: Step,
) -> dict[str, Line]:
    """A line for every text and check, by id; those that `path` lacks are made and appended."""
    lines, length = complete_lines(path, _line, "lines of eval.forgetting")
    if path.exists():
        os.truncate(path, length)
    known = {(line.speaker, line.id): line for line in lines}
    found: dict[str, Line] = {}
    total = len(read) + len(asked)
    for item in [*read.items(), *((check.id, check) for check in asked)]:
        name, content = item
        maker = hashlib.sha256(f"{speaker.maker}{content!r}{LONGEST_REPLY}".encode()).hexdigest()
        line = known.get((speaker.name, name))
        if line is None or line.maker != maker:
            line = _made(speaker, name, content, maker)
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(line), ensure_ascii=False) + "\n")
            on_step(len(found) + 1, total)
        found[name] = line
    return found


def _made(speaker: Speaker, name: str, content: str | Check, maker: str) -> Line:
    if isinstance(content, str):
        nats, tokens = speaker.surprise(content)
        return Line(speaker.name, maker, name, nats=nats, tokens=tokens)
    turns: list[dict[str, str]] = []
    for question in content.turns:
        turns.append({"role": "user", "content": question})
        turns.append({"role": "assistant", "content": speaker.reply(turns)})
    return Line(speaker.name, maker, name, replies=[turn["content"] for turn in turns[1::2]])


def _line(stored: dict[str, Any]) -> Line:
    return Line(**stored)


def figures(
    base: dict[str, Line],
    tuned: dict[str, Line],
    asked: Sequence[Check],
    read: dict[str, str],
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """Perplexities and pass rates of both, and what the tuning changed, with 95 % intervals over texts and checks.

    forgotten: the interval of the perplexities' ratio lies above 1, or that of the difference of the pass rates
    below 0.
    """
    parts = {"all": list(read)}
    for kind in ("passage", "python"):
        parts[kind] = [name for name in read if name.startswith(kind)]
    text = {part: _perplexities(base, tuned, names, seed, draws) for part, names in parts.items() if names}
    kinds = {check.id.rsplit("-", 1)[0] for check in asked}
    dialogue = _passed(base, tuned, asked, seed, draws)
    ratio, gap = text["all"]["interval"], dialogue["interval"]
    return {
        "perplexity": text,
        "checks": dialogue,
        "by_kind": {
            kind: _passed(base, tuned, [c for c in asked if c.id.rsplit("-", 1)[0] == kind], seed, draws)
            for kind in sorted(kinds)
        },
        "lost": [c.id for c in asked if _ok(base, c) and not _ok(tuned, c)],
        "gained": [c.id for c in asked if _ok(tuned, c) and not _ok(base, c)],
        "verdicts_nobody_asked_for": {
            name: sum(VERDICT.match(lines[c.id].replies[-1]) is not None for c in asked)
            for name, lines in (("base", base), ("tuned", tuned))
        },
        "forgotten": bool((ratio and ratio[0] > 1) or (gap and gap[1] < 0)),
    }


def _ok(lines: dict[str, Line], check: Check) -> bool:
    return check.holds(lines[check.id].replies[-1])


def _perplexities(
    base: dict[str, Line], tuned: dict[str, Line], names: Sequence[str], seed: int, draws: int
) -> dict[str, Any]:
    nats = np.array([[lines[name].nats for name in names] for lines in (base, tuned)])
    tokens = np.array([base[name].tokens for name in names])

    def ratio(index: NDArray[np.intp]) -> dict[str, float]:
        change = nats[1, index].sum() - nats[0, index].sum()
        return {"ratio": math.exp(change / tokens[index].sum())}

    return {
        "texts": len(names),
        "tokens": int(tokens.sum()),
        "base": math.exp(nats[0].sum() / tokens.sum()),
        "tuned": math.exp(nats[1].sum() / tokens.sum()),
        **ratio(np.arange(len(names))),
        "interval": group_intervals(ratio, list(names), draws, seed).get("ratio"),
    }


def _passed(
    base: dict[str, Line], tuned: dict[str, Line], asked: Sequence[Check], seed: int, draws: int
) -> dict[str, Any]:
    passed = np.array([[_ok(lines, check) for check in asked] for lines in (base, tuned)], float)

    def gap(index: NDArray[np.intp]) -> dict[str, float]:
        return {"difference": float((passed[1, index] - passed[0, index]).mean())}

    return {
        "checks": len(asked),
        "base": float(passed[0].mean()),
        "tuned": float(passed[1].mean()),
        **gap(np.arange(len(asked))),
        "interval": group_intervals(gap, [check.id for check in asked], draws, seed).get("difference"),
    }


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    text = [
        [part, f["texts"], f["tokens"], f["base"], f["tuned"], f["ratio"], f["interval"]]
        for part, f in found["perplexity"].items()
    ]
    parts = {"all": found["checks"], **found["by_kind"]}
    said = [[p, f["checks"], f["base"], f["tuned"], f["difference"], f["interval"]] for p, f in parts.items()]
    intrusions = found["verdicts_nobody_asked_for"]
    return "\n\n".join(
        [
            table("perplexity", ["", "texts", "tokens", "base", "tuned", "ratio", "95 %"], text),
            table("checks passed", ["", "n", "base", "tuned", "difference", "95 %"], said),
            f"verdicts that nobody asked for: base {intrusions['base']}, tuned {intrusions['tuned']}",
            f"forgotten: {'yes' if found['forgotten'] else 'not shown'}",
        ]
    )


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m eval.forgetting", description=__doc__.partition("\n")[0]
    )
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--limit", type=int, help="at most so many checks and texts, evenly; default: all")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--draws", type=int, default=2000, help="of the bootstrap")
    arguments.add_argument(
        "--export",
        type=Path,
        help="only write both models there, as eval/retention/lmms_eval.yaml needs them",
    )
    return arguments


def main(argv: list[str] | None = None) -> int:
    """0 when done, otherwise the error's exit code and one line on stderr."""
    options = parser().parse_args(argv)
    try:
        if options.limit is not None and options.limit < 2:
            raise UsageError("--limit must be at least 2")
        speakers = base_and_tuned()
        if options.export:
            for speaker in speakers:
                speaker.model.save_pretrained(options.export / speaker.name)
                speaker.processor.save_pretrained(options.export / speaker.name)
            return 0
        print(show(run(options, *speakers)))
    except ForensicChatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run(options: argparse.Namespace, base: Speaker, tuned: Speaker) -> dict[str, Any]:
    """Ask both, write OUT/results.json, return the figures."""
    from eval.run import commit, keep

    options.out.mkdir(parents=True, exist_ok=True)
    asked, read = checks(), texts()
    if options.limit is not None:
        asked = asked[:: -(-len(asked) // options.limit)]
        read = {name: read[name] for name in list(read)[:: -(-len(read) // options.limit)]}
    path = options.out / "forgetting.jsonl"
    said = []
    for speaker in (base, tuned):
        with bar(speaker.name) as on_step:
            said.append(complete(speaker, asked, read, path, on_step))
    found = figures(said[0], said[1], asked, read, options.seed, options.draws)
    data = hashlib.sha256(json.dumps([read, [asdict(c) for c in asked]]).encode()).hexdigest()
    about = {
        "options": {"limit": options.limit, "seed": options.seed, "draws": options.draws},
        "data": {"sha256": data, "texts": len(read), "checks": len(asked), "python": sys.version.split()[0]},
        "models": {"base": base.maker, "tuned": tuned.maker},
        "commit": commit(),
    }
    keep(options.out / "results.json", "forgetting", {"run": about, "figures": found})
    return found


if __name__ == "__main__":
    sys.exit(main())
