"""An ExplainFake-style benchmark: five aspects of what a system says about an image, 0 to 100, by code.

`measure` is what `python -m eval.run --suite explanation` runs; docs/benchmark.md explains it to its reader.
"""

import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import forensic_chat
from eval import guards
from eval.bars import Step
from eval.examples import Example
from eval.explanation import answers, figures, items, pictures
from eval.explanation.answers import Answer, System
from eval.explanation.endpoint import Chat
from eval.explanation.figures import Line
from eval.explanation.items import Item
from eval.explanation.judge import Judge, JudgeConfig, judged, require_other_family
from eval.explanation.sheet import ANSWERS, ITEMS, JUDGED, SCORES
from eval.explanation.systems import named
from eval.files import of_shard
from eval.files import write as write_file
from eval.models import Once
from eval.shortcuts import size_format
from forensic_chat.errors import UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.schema import CLASSES

Bar = Callable[[str], AbstractContextManager[Step]]
TIMINGS = "timings.json"


def lacking(examples: list[Example] | None) -> str:
    """The classes without an image that can be asked about; "" where none lacks, or pictures are made."""
    if examples is None:
        return ""
    return " and no ".join(label for label in CLASSES if label not in items.countable(examples))


def most(examples: list[Example]) -> int:
    """As many items as the rarest class allows."""
    return items.PER_IMAGE * len(CLASSES) * min(items.countable(examples).values())


def images(examples: list[Example] | None, options: Namespace) -> list[Example]:
    """The images to ask about: of the data or, without any, made by code under OUT/pictures."""
    if examples is not None:
        return items.choose(examples, options.limit, options.seed)
    wanted = -(-(options.limit or items.ITEMS) // items.PER_IMAGE)
    return pictures.write(options.out / "pictures", wanted, options.seed)


def measure(
    chosen: list[Example], options: Namespace, examiner: Callable[[], Examiner], bar: Bar
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Ask, score and compare the systems; what made the figures, and the figures. A shard only asks.

    Writes OUT/items.jsonl, answers.jsonl, scores.jsonl, timings.json and, with a judge, its replies and
    grades. Raises UsageError, InputRejected, BackendUnavailable.
    """
    guards.not_trained_on(options.split)
    start = time.perf_counter()
    folder = options.data.parent if options.data and options.data.is_file() else options.data
    asked = items.build(chosen, options.limit, folder)
    items.write(asked, options.out / ITEMS)
    product = cache(lambda: Once(examiner()))
    systems = [named(name, product) for name in options.system]
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise UsageError(f"two systems are called alike: {', '.join(names)}; rename one")
    config = JudgeConfig.load(options.judge) if options.judge else None
    if config:
        require_other_family(config, systems)
    mine = asked if options.shard is None else _part(asked, chosen, options.shard)
    with bar("explanation") as on_step:
        kept = of_shard(options.out / ANSWERS, options.shard)
        said, waited = answers.complete(mine, systems, kept, on_step)
    if options.shard is not None:
        return None
    found = {name: figures.lines(asked, mine) for name, mine in said.items()}
    write_scores(found, options.out / SCORES)
    first = names[0]
    result: dict[str, Any] = {
        "size_format": _size_format(asked, options.seed),
        "systems": {
            name: figures.figures(lines, options.seed, options.draws) for name, lines in found.items()
        },
        "pairs": [
            {
                "a": first,
                "b": name,
                "by": figures.paired(found[first], found[name], options.seed, options.draws),
            }
            for name in names[1:]
        ],
    }
    write_timings(time.perf_counter() - start - waited, said, options.out / TIMINGS)
    if config:
        result["judge"] = _judge(config, found, options.out)
    return about(asked, systems, options), result


def _part(asked: list[Item], chosen: list[Example], shard: tuple[int, int]) -> list[Item]:
    """A shard's items: all of an image, so that it is examined once."""
    mine = {example.id for example in chosen[shard[0] - 1 :: shard[1]]}
    return [item for item in asked if item.example.id in mine]


def _size_format(asked: list[Item], seed: int) -> dict[str, Any]:
    """Of real against fake images, each once."""
    images = list({item.example.id: item for item in asked}.values())
    return size_format(
        [(*item.truth.size, item.truth.format) for item in images],
        [item.truth.label != "real" for item in images],
        [item.example.source for item in images],
        seed,
    )


def about(asked: list[Item], systems: list[System], options: Namespace) -> dict[str, Any]:
    """What made the figures, beside what every suite states."""
    return {
        "items": {
            "count": len(asked),
            "images": len({item.example.id for item in asked}),
            "kinds": len({item.kind for item in asked}),
            "sha256": items.digest(asked),
            "made_by_code": options.data is None,
        },
        "systems": {s.name: {"family": s.family, "models": s.models, "maker": s.maker} for s in systems},
        "rules": rules(),
    }


def rules() -> str:
    """SHA-256 of the code that scores: figures of different rules are not to be compared."""
    package = Path(forensic_chat.__file__).parent
    return guards.rules([*Path(__file__).parent.glob("*.py"), *(package / "mllm").glob("*.py")])


def write_scores(found: dict[str, list[Line]], path: Path) -> None:
    """Every score with what it rests on, one object a line."""
    _write(
        path,
        (
            {
                "item": line.item.id,
                "system": name,
                "group": line.item.example.group,
                "truth": line.item.truth.label,
                "verdict": line.scored.verdict,
                "aspects": line.scored.aspects,
                "iou": line.scored.iou,
                "facts": [asdict(fact) for fact in line.scored.facts],
                "contradictions": line.scored.contradictions,
                "failed": line.scored.failed,
            }
            for name, lines in found.items()
            for line in lines
        ),
    )


def write_timings(own: float, said: dict[str, list[Answer]], path: Path) -> None:
    """Seconds that the answers took when they were given (what systems share, the first one's hold), and `own`, those
    of the benchmark itself in this run. Kept apart from the figures, which are the same every time."""
    answering = {name: round(sum(answer.seconds for answer in mine), 2) for name, mine in said.items()}
    total = sum(answering.values())
    share = round(own / total, 4) if total else None
    text = json.dumps({"answering": answering, "benchmark": round(own, 2), "overhead": share}, indent=1)
    path.write_text(text, encoding="utf-8")


def _judge(config: JudgeConfig, found: dict[str, list[Line]], out: Path) -> dict[str, Any]:
    judge = Judge(Chat(config), config.model, out / "judge_replies.jsonl")
    result, grades = judged(judge, config, found)
    _write(out / JUDGED, ({"item": i, "system": s, "aspects": by} for (i, s), by in grades.items()))
    return result


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write_file(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def show(found: dict[str, Any]) -> str:
    """The figures as text."""
    text = figures.show(found["systems"], found["pairs"])
    alone, note = found["size_format"].values()
    text += f"\n\nAUC of size and format alone on these images: {figures.number(alone)}, {note}"
    if "judge" in found:
        graded = {k: v for k, v in found["judge"].items() if k in ("systems", "bias", "agreement")}
        text += f"\n\njudged by {found['judge']['model']}: {json.dumps(graded)}"
    return text
