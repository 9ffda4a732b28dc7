"""What each stage of training brought: the same examined images, prompts and settings for every stage, one table.

    python -m train.stages --examined DIR --stage NAME=FOLDER [--stage NAME=FOLDER ...] --out DIR

A FOLDER holds a projector, a tower adapter or a language model's adapter, or several of them; `base` is the untuned
assembly. Where a stage rests on the folders of others, they are given in order: `SFT=RUN/align,RUN/tuned`. Each image
is put to each stage as the product puts it (the verdict line forced, greedy), and once more as its views alone.
OUT/answers.jsonl keeps every answer, so a stopped run goes on; OUT/results.json and OUT/table.md get the figures
(train.stage_figures says what each means).
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from forensic_chat.data.protocol import answer_prefix
from forensic_chat.errors import ForensicChatError, UsageError
from forensic_chat.imaging.views import View
from forensic_chat.mllm.asking import asked_for_claims
from forensic_chat.mllm.backends.base import Backend, Conversation
from forensic_chat.mllm.backends.transformers import TransformersBackend
from forensic_chat.mllm.grammar import chosen_pattern
from forensic_chat.mllm.loading import ADAPTER, PROJECTOR, TOWER, assemble
from forensic_chat.mllm.prompts import opening
from forensic_chat.telling import MOST_TOKENS, drafted
from forensic_chat.weights import base, fingerprint
from train.examinations import Examined
from train.examinations import load as load_examinations
from train.stage_figures import Line, compared, markdown
from train.visual import ASKED, alone

UNTUNED = "base"
PARTS = (PROJECTOR, *ADAPTER, *(f"{TOWER}/{name}" for name in ADAPTER))
TRACE_MAP = "trace map"
WEIGHTS = Path(__file__).parents[1] / "configs" / "embedded" / "grpo.yaml"
Images = Sequence[tuple[Examined, list[View]]]


@dataclass(frozen=True)
class Stage:
    """A language model to ask. `load` gives its backend, and how many tokens a text has."""

    name: str
    maker: str
    """What it consists of."""
    load: Callable[[], tuple[Backend, Callable[[str], int]]]


def stage(given: str) -> Stage:
    """Of NAME=FOLDER[,FOLDER...]. Raises UsageError."""
    name, _, places = given.partition("=")
    if not name or not places:
        raise UsageError(f"--stage {given} is not NAME=FOLDER; write for example --stage SFT=RUN/tuned")
    folders = [] if places == UNTUNED else [Path(place) for place in places.split(",")]
    held = [[folder / part for part in PARTS if (folder / part).is_file()] for folder in folders]
    for folder, files in zip(folders, held, strict=True):
        if not files:
            raise UsageError(f"{folder} holds no projector and no adapter; name a folder that a stage wrote")
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for files in held for file in files]
    return Stage(name, json.dumps([fingerprint(base("llava")), *hashes]), partial(_load, folders))


def _load(folders: list[Path]) -> tuple[Backend, Callable[[str], int]]:
    model, processor = assemble(base("llava"), *folders)
    tokenizer = processor.tokenizer
    return TransformersBackend(model, processor, {}), lambda text: len(tokenizer.encode(text))


def views_alone(views: Sequence[View]) -> Conversation:
    """Overview and crops under the one-word question of that stage. No findings, sizes, boxes or trace map: the answer
    depends on the views and on nothing else."""
    seen = [view for view in views if view.name != TRACE_MAP]
    turn = alone([view.name for view in seen], ASKED[0][0])
    return Conversation([view.pixels for view in seen], [turn])


def ask(backend: Backend, record: Examined, views: Sequence[View]) -> dict[str, Any]:
    """The fields of `Line` that the model decides, but for the count of its tokens."""
    turn = opening(views, record.size, record.findings, record.regions)
    conversation = Conversation([view.pixels for view in views], [turn])
    prefix = answer_prefix(record.label, record.probabilities)
    start, worked, first = time.perf_counter(), time.process_time(), None
    likely = drafted(record.case())

    def write(begun: str, pattern: str) -> str:
        nonlocal first
        text = ""
        for piece in backend.generate(
            conversation, prefix=begun, pattern=pattern, likely=likely, max_new_tokens=MOST_TOKENS
        ):
            first = first or time.perf_counter() - start
            text += piece
        return text

    text = asked_for_claims(write, record.case(), prefix, any_words=backend.any_words)
    whole, worked = time.perf_counter() - start, time.process_time() - worked
    return {
        "text": text,
        "first": round(first or whole, 3),
        "whole": round(whole, 3),
        "processor": round(worked, 3),
        "opinion": backend.verdict_probabilities(conversation),
        "alone": backend.verdict_probabilities(views_alone(views)),
    }


def complete(asked: Stage, images: Images, path: Path) -> list[Line]:
    """A line for every image, in order; those that `path` lacks are made and appended. Nothing is loaded if none
    is missing."""
    made = {record.sha256: _maker(asked, record) for record, _ in images}
    known = {line.image: line for line in kept(path) if line.maker == made.get(line.image)}
    missing = [(record, views) for record, views in images if record.sha256 not in known]
    if missing:
        backend, count = asked.load()
        backend.verdict_probabilities(
            views_alone(missing[0][1])
        )  # what is measured next finds the model warm
    for number, (record, views) in enumerate(missing, 1):
        answer = ask(backend, record, views)
        finished = count(answer["text"]) < MOST_TOKENS
        line = Line(asked.name, made[record.sha256], record.sha256, finished=finished, **answer)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(line), ensure_ascii=False) + "\n")
        known[record.sha256] = line
        print(f"{asked.name}: {number} of {len(missing)}, {line.whole:.1f} s", file=sys.stderr, flush=True)
    return [known[record.sha256] for record, _ in images]


def _maker(asked: Stage, record: Examined) -> str:
    content = [asked.name, asked.maker, record.model_dump_json(), ASKED[0][0], str(MOST_TOKENS)]
    content.append(chosen_pattern(record.case()))
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def kept(path: Path) -> list[Line]:
    """The lines of a file; a torn last one is cut off. Raises UsageError for a file with other content."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    os.truncate(path, len(whole))
    try:
        return [Line(**json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError):
        raise UsageError(f"{path} has lines that are no answers of stages; choose another --out") from None


def run(options: argparse.Namespace) -> str:
    """Ask every stage what is missing, write the figures, return them as text."""
    stages = [stage(given) for given in options.stage]
    if len({each.name for each in stages}) < len(stages):
        raise UsageError("two stages have the same name; give each --stage its own")
    images = load_examinations(options.examined, options.split)[: options.images]
    if not images:
        raise UsageError(
            f"{options.examined} holds no examinations of split {options.split}; run train.examinations"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    records = [record for record, _ in images]
    lines = {each.name: complete(each, images, options.out / "answers.jsonl") for each in stages}
    weights = yaml.safe_load(WEIGHTS.read_text("utf-8"))["reward_weights"]
    found = compared(records, lines, weights, options.draws, options.seed)
    about = {
        "split": options.split,
        "images": {
            truth: sum(r.truth == truth for r in records) for truth in ("real", "synthetic", "tampered")
        },
        "seed": options.seed,
        "draws": options.draws,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
    }
    (options.out / "results.json").write_text(json.dumps({"run": about, **found}, indent=1) + "\n", "utf-8")
    text = markdown(found, about)
    (options.out / "table.md").write_text(text, "utf-8")
    return text


def main(argv: list[str] | None = None) -> int:
    """0 when done, otherwise the error's exit code and one line on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examined", type=Path, required=True, help="folder of train.examinations")
    parser.add_argument("--stage", action="append", required=True, help="NAME=FOLDER, in order of training")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, help="at most so many; default: all")
    parser.add_argument("--draws", type=int, default=2000, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and of what is compared")
    try:
        print(run(parser.parse_args(argv)))
    except ForensicChatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
