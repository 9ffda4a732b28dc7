"""Does the tuned language model still know what its base knew? python -m eval.forgetting --out DIR

The base (SmolLM2 in the untrained assembly) and the model that is shipped (the same with its adapter) read the same
text and answer the same questions, greedily. OUT/forgetting.jsonl keeps every reply, so a stopped run goes on;
OUT/results.json gets the paired differences with bootstrap intervals.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.bars import bar
from eval.provenance import commit, keep
from eval.retention.checks import checks, texts
from eval.retention.figures import figures, show
from eval.retention.replies import complete
from eval.retention.speakers import Speaker, base_and_tuned
from forensic_chat.errors import ForensicChatError, UsageError


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
