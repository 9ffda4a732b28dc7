"""Measure the shipped product: python -m eval.run --suite detection --data DIR --out DIR

Examines every image as a user would, without a rationale, and keeps each result in OUT/rows.jsonl: a stopped
run goes on where it was. Figures go to OUT/results.json and, readable, to stdout. The suite `explanation` asks
and keeps answers in OUT/answers.jsonl; without --data it makes its pictures itself.
"""

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from eval import adversarial, detection, evidence, explanation, forged, guards, localisation, robustness
from eval.examples import Example, read, sample
from eval.rows import Look, Row, complete, made_by
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
    "evidence": evidence,
    "explanation": explanation,
    "adversarial": adversarial,
}
WITH_FORGED = ("detection", "localisation")
_LIBRARIES = ("forensic-chat", "numpy", "opencv-python-headless", "pillow", "scipy", "scikit-learn", "torch",
              "onnxruntime", "transformers")  # fmt: skip


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m eval.run", description=__doc__.partition("\n")[0])
    arguments.add_argument("--suite", nargs="+", choices=SUITES, required=True)
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
    return arguments


def main(argv: list[str] | None = None) -> int:
    """0 when done, otherwise the error's exit code and one line on stderr."""
    options = parser().parse_args(argv)
    try:
        for part in run(options, Examiner.load()):
            print(part, flush=True)
    except ForensicChatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run(options: argparse.Namespace, examiner: Examiner) -> Any:
    """Yields text, suite by suite, after writing results.json."""
    if options.limit is not None and options.limit < 1:
        raise UsageError("--limit must be at least 1")
    if options.data is None and options.suite != ["explanation"]:
        raise UsageError("--data is needed: a manifest, or a folder real/ fake/ tampered/ mask/")
    options.out.mkdir(parents=True, exist_ok=True)
    split = None if options.split == "all" else options.split or "val"
    chosen = read(options.data, split, options.view) if options.data else None
    if "explanation" in options.suite:
        yield from explained(options, chosen, examiner)
    if chosen is not None and "adversarial" in options.suite:
        yield from attacked(options, chosen, examiner)
    suites = [suite for suite in options.suite if suite not in ("explanation", "adversarial")]
    if chosen is None or not suites:
        return
    examples = sample(chosen, options.limit, options.seed)
    if options.forged:
        examples += forged.write(chosen, options.out / "forged", options.forged, options.seed)
    threshold, maker = examiner.calibration.mask_threshold, made_by(examiner.models)
    about = provenance(options, examples, examiner.models, maker, threshold)
    yield headline(about)
    for suite in suites:
        chains = PLATFORMS if suite == "robustness" else {"clean": ()}
        kept = [e for e in examples if suite in WITH_FORGED or not e.forged]
        rows = complete(
            kept, chains.items(), options.out / "rows.jsonl", looker(examiner), threshold, maker, progress()
        )
        found = measured(suite, list(zip(kept * len(chains), rows, strict=True)), options)
        keep(options.out / "results.json", suite, {"run": about, "figures": found})
        yield f"\n== {suite}\n{SUITES[suite].show(found)}"


def explained(options: argparse.Namespace, chosen: list[Example] | None, examiner: Examiner) -> Any:
    """The suite that asks; yields text after writing results.json."""
    examples = explanation.images(chosen, options)
    about = provenance(
        options, examples, examiner.models, made_by(examiner.models), examiner.calibration.mask_threshold
    )
    about["thresholds"] = guards.frozen_thresholds(examiner.calibration)
    yield headline(about)
    asked, found = explanation.measure(examples, options, lambda: examiner, progress)
    keep(options.out / "results.json", "explanation", {"run": about | asked, "figures": found})
    yield f"\n== explanation\n{explanation.show(found)}"


def attacked(options: argparse.Namespace, chosen: list[Example], examiner: Examiner) -> Any:
    """The suite that attacks; yields text after writing results.json."""
    taken = adversarial.victims(chosen, options)
    maker, threshold = made_by(examiner.models), examiner.calibration.mask_threshold
    about = provenance(options, taken, examiner.models, maker, threshold)
    about["thresholds"] = guards.frozen_thresholds(examiner.calibration)
    yield headline(about)
    found = adversarial.measure(taken, chosen, options, examiner, looker(examiner), progress)
    keep(options.out / "results.json", "adversarial", {"run": about, "figures": found})
    yield f"\n== adversarial\n{adversarial.show(found)}"


def measured(suite: str, pairs: list[tuple[Example, Row]], options: argparse.Namespace) -> dict[str, Any]:
    match suite:
        case "detection":
            return detection.figures(pairs, options.seed, options.draws)
        case "localisation":
            return localisation.figures(pairs, options.seed, options.draws)
        case "robustness":
            return robustness.figures(pairs)
    return evidence.figures(pairs)


def looker(examiner: Examiner) -> Look:
    """What `Examiner.examine(rationale=False)` does, with the perception kept."""
    return lambda data, name: judge(
        take_in(data, name=name), examiner.encoder, examiner.calibration, Stopping()
    )


def provenance(
    options: argparse.Namespace, examples: list[Example], models: dict[str, str], maker: str, threshold: float
) -> dict[str, Any]:
    """What made the figures: options, versions, hashes."""
    digest = hashlib.sha256()
    for e in sorted(examples, key=lambda e: e.id):
        parts = [e.path.read_bytes(), e.mask.read_bytes() if e.mask else b""]
        digest.update(
            "\0".join([e.id, e.label, *(hashlib.sha256(part).hexdigest() for part in parts)]).encode()
        )
    return {
        "options": {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(options).items()
            if name != "out"
        },
        "data": {
            "sha256": digest.hexdigest(),
            "images": dict(Counter(e.label for e in examples)),
            "forged": sum(e.forged and e.label == "tampered" for e in examples),
            "of_sources_in_training": sum(e.in_training for e in examples),
        },
        "models": models,
        "models_and_code": maker,
        "mask_threshold": threshold,
        "commit": commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "machine": f"{platform.system()} {platform.machine()}",
    }


def commit() -> str | None:
    """Of the checkout; "+" when files differ from it."""
    try:
        words = [
            "git",
            "-C",
            str(Path(__file__).parent),
            "describe",
            "--always",
            "--dirty=+",
            "--abbrev=40",
            "--exclude=*",
        ]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def headline(about: dict[str, Any]) -> str:
    data = about["data"]
    images = ", ".join(f"{count} {label}" for label, count in data["images"].items())
    made = f"models and code {about['models_and_code'][:12]}, commit {about['commit']}"
    line = f"{images}; data {data['sha256'][:12]}, {made}"
    if shared := data["of_sources_in_training"]:
        line += f"\n{shared} are of sources that the split `train` has too: unseen sources come out worse"
    return line


def progress() -> Any:
    start = time.monotonic()
    made = 0

    def on_step(done: int, total: int) -> None:
        nonlocal made
        made += 1
        if made % 25 == 0:
            left = (total - done) * (time.monotonic() - start) / made
            print(f"{done} of {total}, {left / 60:.0f} min left at most", file=sys.stderr, flush=True)

    return on_step


def keep(path: Path, suite: str, result: dict[str, Any]) -> None:
    """Put one suite's result into `path`; those of other suites stay."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(known | {suite: result}, indent=1, ensure_ascii=False), encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
