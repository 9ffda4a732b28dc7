"""The whole embedded recipe in one resumable command.

    python -m train.recipe --corpus DIR --out DIR [--minutes 110] [--stop-after STAGE]

Examines training images, checks the training text, lets the untuned language model write the text that SFT is held to,
aligns the projector, fine-tunes, teaches the projector to carry what the tower sees, the model held to what it said,
and ends with GRPO; each stage starts from what the one before wrote. The command stops in time (exit code 75) and goes
on when it is run again; what each stage took is kept in OUT/recipe.json and printed with the total. The last stage
leaves OUT/shipped, the folder that `forensic_chat/weights/embedded/mllm` holds.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from train.chunks import UNFINISHED

CONFIGS = Path(__file__).parents[1] / "configs" / "embedded"


@dataclass(frozen=True)
class Stage:
    """One command. It is run until it ends with 0, with what is left of the minutes."""

    name: str
    command: list[str]
    stops: bool = True
    """Whether it takes --minutes."""


def stages(corpus: Path, out: Path) -> list[Stage]:
    """All stages in order; `out` is the folder of the whole recipe."""

    def trainer(name: str, *given: str) -> Stage:
        config = ["--config", str(CONFIGS / f"{name}.yaml"), "--output_dir", str(out / name)]
        return Stage(name, ["-m", f"train.{name}", *config, *given])

    examined = ["--examined", str(out / "examined")]
    return [
        Stage(
            "examinations",
            ["-m", "train.examinations", "--corpus", str(corpus), "--out", str(out / "examined")],
        ),
        Stage("lint", ["-m", "train.lint", *examined], stops=False),
        Stage("replay", ["-m", "train.replay", "--out", str(out / "own.jsonl")], stops=False),
        trainer("align", *examined),
        trainer(
            "sft",
            *(*examined, "--own", str(out / "own.jsonl")),
            *("--start", str(out / "align"), "--shipped", str(out / "tuned")),
        ),
        Stage(
            "seeing",
            [
                *("-m", "train.seeing", "--corpus", str(corpus), "--out", str(out / "seeing")),
                *("--start", str(out / "tuned"), "--held", str(out / "examined")),
            ],
        ),
        trainer("grpo", *examined, *("--adapter", str(out / "seeing"), "--shipped", str(out / "shipped"))),
    ]


def run(every: list[Stage], out: Path, minutes: float) -> int:
    """Run what is not done yet; the exit code: 0 when all is, 75 when the time is up, else that of a failed stage."""
    log = out / "recipe.json"
    state = json.loads(log.read_text()) if log.exists() else {"done": [], "seconds": {}}
    end = time.monotonic() + 60 * minutes
    code = 0
    for stage in every:
        if stage.name in state["done"]:
            continue
        left = (end - time.monotonic()) / 60
        if left <= 0:
            code = UNFINISHED
            break
        print(f"== {stage.name}", flush=True)
        start = time.monotonic()
        command = [sys.executable, *stage.command, *(["--minutes", f"{left:.2f}"] if stage.stops else [])]
        code = subprocess.run(command, check=False, env=os.environ).returncode
        state["seconds"][stage.name] = state["seconds"].get(stage.name, 0) + time.monotonic() - start
        if code == 0:
            state["done"].append(stage.name)
        log.write_text(json.dumps(state, indent=1) + "\n")
        if code:
            break
    for name, seconds in state["seconds"].items():
        print(f"{name}: {seconds / 60:.1f} min{'' if name in state['done'] else ', not finished'}")
    print(f"total: {sum(state['seconds'].values()) / 60:.1f} min")
    return code


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=110, help="stop after so many, and go on next time")
    parser.add_argument("--stop-after", help="name of the last stage to run")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    every = stages(args.corpus, args.out)
    if args.stop_after:
        names = [stage.name for stage in every]
        if args.stop_after not in names:
            parser.error(f"there is no stage {args.stop_after}; choose one of {', '.join(names)}")
        every = every[: names.index(args.stop_after) + 1]
    code = run(every, args.out, args.minutes)
    if code == UNFINISHED:
        print("the time is up; the same command goes on")
    if code == 0 and not args.stop_after:
        print(f"the trained language model is in {args.out.name}/shipped")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
