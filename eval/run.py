"""Measure the product: python -m eval.run --suite all --data DIR --out DIR

Examines every image as a user would, without a rationale, and keeps each result in OUT/rows.jsonl: a stopped
run goes on where it was. The suite `explanation` asks and keeps answers in OUT/answers.jsonl; without --data it
makes its pictures itself. Figures go to OUT/results.json and figures.csv, what was said of each image to
images.csv, and all of it with plots to OUT/report.html, which shows the suites of the last command.

--shard 2/5 does a fifth of the work and makes no figures; the same command without --shard takes what shards
left in OUT and finishes. --ray 5 runs five shards as tasks of Ray, then finishes.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from eval import (
    adversarial,
    degradation,
    detection,
    evidence,
    explanation,
    forged,
    guards,
    localisation,
    models,
    report,
    robustness,
    spreadsheet,
)  # fmt: skip
from eval.bars import bar
from eval.examples import Example, read, sample
from eval.files import Shard, of_shard, write
from eval.provenance import headline, keep, provenance
from eval.rows import Look, complete, made_by
from eval.verdicts import Pairs
from forensic_chat.data.laundering import PLATFORMS
from forensic_chat.errors import ForensicChatError, UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.imaging.intake import take_in
from forensic_chat.judgement import judge
from forensic_chat.stopping import Stopping

SUITES: dict[str, ModuleType] = {
    "detection": detection,
    "localisation": localisation,
    "robustness": robustness,
    "degradation": degradation,
    "evidence": evidence,
    "explanation": explanation,
    "adversarial": adversarial,
}
BY_NAME = ("adversarial",)
"""Suites that take hours, so that `all` leaves them out."""
CHAINS = {"robustness": PLATFORMS, "degradation": degradation.CHAINS}
"""Of the suites that don't measure the images as they are alone."""
WITH_FORGED = ("detection", "localisation")
ROWS = "rows.jsonl"


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m eval.run", description=__doc__.partition("\n")[0])
    arguments.add_argument("--suite", nargs="+", choices=[*SUITES, "all"], required=True)
    arguments.add_argument(
        "--model",
        default=models.SHIPPED,
        help="embedded (default), or a folder with an encoder that train.fit_verdict wrote",
    )
    arguments.add_argument("--data", type=Path, help="manifest, or folder real/ fake/ tampered/ mask/")
    arguments.add_argument("--split", help="of a manifest; default: val. `all` for every image")
    arguments.add_argument("--view", default="whole", help="of gathered images: whole, crop1 or crop2")
    arguments.add_argument(
        "--limit",
        type=int,
        help="at most so many images, evenly over classes and sources; for explanation: items, default 720",
    )
    arguments.add_argument("--forged", type=int, default=0, help="also forge so many of the real photos")
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--draws", type=int, default=500, help="of the bootstrap")
    arguments.add_argument(
        "--system",
        nargs="+",
        default=["embedded"],
        help="for explanation: embedded, embedded-base, template, a .jsonl of answers, a .yaml of an endpoint",
    )
    arguments.add_argument("--judge", type=Path, help="for explanation: a .yaml of an endpoint that grades")
    adversarial.add_options(arguments)
    arguments.add_argument("--shard", type=shard, help="i/n: do the i-th of n parts, and make no figures yet")
    arguments.add_argument("--ray", type=int, help="run so many shards as Ray tasks, then finish")
    return arguments


def shard(text: str) -> Shard:
    """The words 2/5 become (2, 5)."""
    if not (found := re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)) or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; write for example 2/5")
    return int(found[1]), int(found[2])


def main(argv: list[str] | None = None) -> int:
    """0 when done, otherwise the error's exit code and one line on stderr."""
    options = parser().parse_args(argv)
    try:
        if options.ray is not None:
            distribute(options, partial(models.load, options.model))
        for part in run(options, models.load(options.model)):
            print(part, flush=True)
    except ForensicChatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def distribute(options: argparse.Namespace, load: Callable[[], Examiner]) -> None:
    """All shards by Ray; `run` finds what they wrote. Raises UsageError, and what a shard raised."""
    from eval import cluster

    if options.shard is not None or options.ray < 1:
        raise UsageError("--ray N makes N shards itself; leave --shard out, and let N be at least 1")
    parts = [
        argparse.Namespace(**vars(options) | {"shard": (k, options.ray)}) for k in range(1, options.ray + 1)
    ]
    with bar("shards") as on_step:
        cluster.run([partial(work, part, load) for part in parts], on_step)


def work(options: argparse.Namespace, load: Callable[[], Examiner]) -> None:
    """One shard, from loading the models on."""
    for _ in run(options, load()):
        pass


@dataclass(frozen=True)
class Measured:
    """One suite's outcome."""

    run: dict[str, Any]
    figures: dict[str, Any]
    pairs: Pairs = ()


def run(options: argparse.Namespace, examiner: Examiner) -> Iterator[str]:
    """Yields text, suite by suite, after writing results.json; the report comes last."""
    chosen, suites = prepared(options)
    measuring = [suite for suite in suites if suite not in ("explanation", "adversarial")]
    found: dict[str, Measured] = {}
    if "explanation" in suites and (lacking := explanation.lacking(chosen)) and measuring:
        yield f"explanation is left out: the data has no {lacking} images"
    elif "explanation" in suites:
        part = explained(options, chosen, examiner)
        if part is not None:
            found["explanation"] = part
            yield from told(options.out, "explanation", part)
    if chosen is not None and "adversarial" in suites:
        found["adversarial"] = attacked(options, chosen, examiner)
        yield from told(options.out, "adversarial", found["adversarial"])
    if chosen is not None and measuring:
        examples = sample(chosen, options.limit, options.seed)
        if options.forged:
            examples += forged.write(chosen, options.out / "forged", options.forged, options.seed)
        maker = made_by(examiner.models)
        threshold = examiner.calibration.mask_threshold
        about = provenance(options, examples, examiner.models, maker, threshold)
        for suite in measuring:
            pairs = examined(suite, options, examples, examiner, maker)
            if options.shard is None:
                found[suite] = Measured(about, measured(suite, pairs, options), pairs)
                yield from told(options.out, suite, found[suite])
    if options.shard is None:
        yield finished(found, options.out)


def prepared(options: argparse.Namespace) -> tuple[list[Example] | None, list[str]]:
    """The images and the suites; raises UsageError for options that don't fit."""
    named = [suite for suite in SUITES if suite not in BY_NAME] if "all" in options.suite else []
    suites = list(dict.fromkeys([*named, *(suite for suite in options.suite if suite != "all")]))
    if options.limit is not None and options.limit < 1:
        raise UsageError("--limit must be at least 1")
    if options.data is None and suites != ["explanation"]:
        raise UsageError("--data is needed: a manifest, or a folder real/ fake/ tampered/ mask/")
    if "adversarial" in suites and (options.shard is not None or options.ray is not None):
        raise UsageError("the adversarial suite can't be split; run it without --shard and --ray")
    if "explanation" in suites:
        guards.not_trained_on(options.split)
    options.out.mkdir(parents=True, exist_ok=True)
    split = None if options.split == "all" else options.split or "val"
    return read(options.data, split, options.view) if options.data else None, suites


def told(out: Path, suite: str, part: Measured) -> Iterator[str]:
    """Keep one suite's result and yield it as text."""
    keep(out / "results.json", suite, {"run": part.run, "figures": part.figures})
    yield headline(part.run)
    yield f"\n== {suite}\n{SUITES[suite].show(part.figures)}"


def finished(found: dict[str, Measured], out: Path) -> str:
    """Write the CSV files and the report; where it is."""
    every = {(r.id, r.chain): (e, r) for part in found.values() for e, r in part.pairs}
    write(out / "figures.csv", spreadsheet.figures({name: part.figures for name, part in found.items()}))
    if every:
        write(out / "images.csv", spreadsheet.images(list(every.values())))
    sections = [
        report.Suite(name, part.run, part.figures, part.pairs, SUITES[name].show(part.figures))
        for name, part in found.items()
    ]
    write(out / report.FILE, report.page(sections, out).encode())
    return f"\nreport: {out / report.FILE}"


def explained(
    options: argparse.Namespace, chosen: list[Example] | None, examiner: Examiner
) -> Measured | None:
    """The suite that asks; None for a shard."""
    if "all" in options.suite and options.limit and chosen:
        most = min(options.limit, explanation.most(chosen))
        options = argparse.Namespace(**vars(options) | {"limit": most})
    examples = explanation.images(chosen, options)
    maker, threshold = made_by(examiner.models), examiner.calibration.mask_threshold
    about = provenance(options, examples, examiner.models, maker, threshold)
    about["thresholds"] = guards.frozen_thresholds(examiner.calibration, models.encoder_folder(options.model))
    outcome = explanation.measure(examples, options, lambda: examiner, bar)
    return Measured(about | outcome[0], outcome[1]) if outcome else None


def attacked(options: argparse.Namespace, chosen: list[Example], examiner: Examiner) -> Measured:
    """The suite that attacks."""
    taken = adversarial.victims(chosen, options)
    maker, threshold = made_by(examiner.models), examiner.calibration.mask_threshold
    about = provenance(options, taken, examiner.models, maker, threshold)
    about["thresholds"] = guards.frozen_thresholds(examiner.calibration, models.encoder_folder(options.model))
    with bar("adversarial") as on_step:
        figures = adversarial.measure(taken, chosen, options, examiner, looker(examiner), on_step)
    return Measured(about, figures)


def examined(
    suite: str, options: argparse.Namespace, examples: list[Example], examiner: Examiner, maker: str
) -> Pairs:
    """Every image through every chain of a suite that looks at images; of a shard its own."""
    kept = [e for e in examples if suite in WITH_FORGED or not e.forged]
    if options.shard is not None:
        kept = kept[options.shard[0] - 1 :: options.shard[1]]
    chains = CHAINS.get(suite, {"clean": ()})
    path, threshold = of_shard(options.out / ROWS, options.shard), examiner.calibration.mask_threshold
    with bar(suite) as on_step:
        rows = complete(kept, chains.items(), path, looker(examiner), threshold, maker, on_step)
    return list(zip(kept * len(chains), rows, strict=True))


def measured(suite: str, pairs: Pairs, options: argparse.Namespace) -> dict[str, Any]:
    match suite:
        case "detection":
            return detection.figures(pairs, options.seed, options.draws)
        case "localisation":
            return localisation.figures(pairs, options.seed, options.draws)
        case "robustness":
            return robustness.figures(pairs, options.seed)
        case "degradation":
            return degradation.figures(pairs)
    return evidence.figures(pairs)


def looker(examiner: Examiner) -> Look:
    """What `Examiner.examine(rationale=False)` does, with the perception kept."""
    return lambda data, name: judge(
        take_in(data, name=name), examiner.encoder, examiner.calibration, Stopping()
    )


if __name__ == "__main__":
    sys.exit(main())
