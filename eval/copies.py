"""The search for copies alone, on any images: python -m eval.copies --data DATA --split all [--limit 400]

Prints, for photos and tampered images and for each of their sources, how many show a copy whose score opens the mask
(the shipped copy gate). A fraction of a second an image; the suites of eval.run measure the whole product.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from eval.examples import Example, read, sample
from forensic_chat.encoder.calibration import Calibration
from forensic_chat.encoder.verdict import summarise_copy
from forensic_chat.evidence import copymove
from forensic_chat.imaging.intake import take_in
from forensic_chat.weights import shipped


def shows_copy(example: Example, gate: float) -> bool:
    copy = copymove.find(take_in(example.path).pixels)
    return copy is not None and summarise_copy(copy.score) >= gate


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val", help="of a manifest; `all` for every image")
    parser.add_argument("--limit", type=int, help="images, evenly over classes and sources")
    parser.add_argument("--source", nargs="*", default=[], help="these alone")
    args = parser.parse_args(argv)
    every = read(args.data, None if args.split == "all" else args.split)
    chosen = [e for e in every if e.label != "synthetic" and (not args.source or e.source in args.source)]
    gate = Calibration.load(shipped() / "encoder" / "calibration.json").copy_gate
    found: dict[str, list[bool]] = defaultdict(list)
    for example in sample(chosen, args.limit, 0):
        told = shows_copy(example, gate)
        for name in (example.label, f"{example.label}, {example.source}"):
            found[name].append(told)
    for name, told_of in sorted(found.items(), key=lambda pair: -len(pair[1])):
        print(f"{name:64s} {sum(told_of)} of {len(told_of)} ({sum(told_of) / len(told_of):.1%})")


if __name__ == "__main__":
    main()
