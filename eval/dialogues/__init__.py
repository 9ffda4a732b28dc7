"""Does a conversation keep to its image? Scripted five-turn dialogues with checks, asked of the product.

    python -m eval.dialogues --images DIR --out DIR [--dialogues 60] [--seed 0]

Every image is opened once and gone through with the scripts in turn, each in a conversation of its own. Checked is
that it remembers the image, its verdict, its regions and its answers, does not turn its verdict under pressure, cites
only what exists, and keeps to formats and refusals. Answers are kept in OUT/dialogues.jsonl, so that a stopped
run goes on where it was; OUT/results.json holds the figures. Ends with 1 where fewer than 90 % of the checks pass.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from scipy.stats import binomtest

from eval.dialogues.checks import ALWAYS, Talk
from eval.dialogues.scripts import SCRIPTS, STILL, TRUE, Turn
from eval.explanation.systems import SPEAKS
from eval.files import write_json
from eval.rows import DECIDES, made_by
from forensic_chat.batch import SUFFIXES
from forensic_chat.dialogue import Dialogue
from forensic_chat.errors import ForensicChatError, InputRejected, UsageError
from forensic_chat.examiner import Examiner
from forensic_chat.schema import CLASSES

BAR = 0.9


def filled(turn: Turn, talk: Talk, rng: Random) -> str:
    """One wording, with the verdict and another in it."""
    other = rng.choice([label for label in CLASSES if label != talk.label])
    return rng.choice(turn[0]).format(
        label=talk.label if talk.label in CLASSES else "inconclusive", other=other
    )


def held(name: str, opened: Dialogue, rng: Random) -> tuple[Talk, list[tuple[str, bool]]]:
    """One dialogue by its script, and what came of each check."""
    talk, results = Talk(opened.examination), list[tuple[str, bool]]()
    dialogue = opened.with_history([])
    for turn in SCRIPTS[name]:
        if TRUE is turn and talk.label == "inconclusive":
            turn = STILL  # nobody quotes "inconclusive"
        question = filled(turn, talk, rng)
        reply = dialogue.ask(question)
        for _ in reply:
            pass
        talk.questions.append(question)
        talk.answers.append(reply.text)
        talk.claims.append(reply.claims)
        talk.found.append(reply.findings)
        results += [(check.__name__, check(talk)) for check in (*ALWAYS, *turn[1])]
    return talk, results


def rows(path: Path, maker: str) -> Iterator[dict[str, object]]:
    """What an earlier run kept, as far as the same code and models made it; a torn last line is passed over."""
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row.get("maker") == maker:
            yield row


def run(examiner: Examiner, images: Sequence[Path], out: Path, count: int, seed: int) -> dict[str, object]:
    """Hold the dialogues that are missing and return the figures. Raises UsageError without images."""
    pairs = [(image, name) for name in SCRIPTS for image in images][:count]
    if not pairs:
        raise UsageError("there are no images in --images; name a folder that holds some")
    out.mkdir(parents=True, exist_ok=True)
    kept, maker = (
        out / "dialogues.jsonl",
        made_by(examiner.models | examiner.backend.models, (*DECIDES, *SPEAKS)),
    )
    done = {(row["image"], row["script"], row["seed"]): row for row in rows(kept, maker)}
    every, refused = [], Counter[str]()
    for image in images:
        wanted = [name for path, name in pairs if path == image]
        opened = None
        for name in wanted:
            key = (image.name, name, seed)
            if key not in done:
                try:
                    opened = opened or examiner.open(image)
                except InputRejected as error:
                    refused[f"{image.name}: {error}"] += 1
                    break
                talk, results = held(name, opened, Random(f"{seed} {image.name} {name}"))
                turns = [list(pair) for pair in zip(talk.questions, talk.answers, strict=True)]
                done[key] = {
                    "image": image.name, "script": name, "seed": seed, "maker": maker, "verdict": talk.label,
                    "checks": results, "turns": turns,
                }  # fmt: skip
                with kept.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(done[key], ensure_ascii=False) + "\n")
                print(f"{image.name} {name}: {sum(ok for _, ok in results)} of {len(results)}", flush=True)
            every.append(done[key])
    return figures(every) | {"refused": sorted(refused), "maker": maker}


def figures(every: Sequence[dict[str, object]]) -> dict[str, object]:
    """Checks passed of all, by kind of check and by script, with the interval of 95 % (Wilson)."""
    tried, right = Counter[str](), Counter[str]()
    by_script, failed = Counter[str](), list[dict[str, object]]()
    scripts = Counter[str]()
    for row in every:
        for check, ok in row["checks"]:  # type: ignore[attr-defined]
            for count, key in ((tried, check), (scripts, str(row["script"]))):
                count[key] += 1
            right[check] += ok
            by_script[str(row["script"])] += ok
            if not ok:
                failed.append({"image": row["image"], "script": row["script"], "check": check})
    total, good = tried.total(), right.total()
    interval = binomtest(good, total).proportion_ci(0.95, "wilson") if total else (0.0, 0.0)
    return {
        "dialogues": len(every),
        "checks": total,
        "passed": good,
        "share": round(good / total, 4) if total else 0.0,
        "interval": [round(float(end), 4) for end in interval],
        "by_check": {name: [right[name], tried[name]] for name in sorted(tried)},
        "by_script": {name: [by_script[name], scripts[name]] for name in sorted(scripts)},
        "failed": failed,
    }


def main(argv: list[str] | None = None) -> int:
    """0 when at least 90 % of the checks pass, 1 when not, otherwise the error's exit code."""
    parser = argparse.ArgumentParser(prog="python -m eval.dialogues", description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dialogues", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    try:
        images = sorted(p for p in options.images.glob("*") if p.suffix.lower() in SUFFIXES)
        found = run(Examiner(), images, options.out, options.dialogues, options.seed)
    except ForensicChatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    write_json(options.out / "results.json", found)
    print(
        f"{found['passed']} of {found['checks']} checks in {found['dialogues']} dialogues: {found['share']:.1%}"
    )
    return 0 if float(str(found["share"])) >= BAR else 1
