"""Does the verifier reject what is false? True claims are spoiled in known ways, and must not pass.

    python -m eval.corruptions [--claims 600] [--examinations FILE ...] [--seed 0] [--out DIR]

Claims are those that code writes on made-up examinations, or on examinations in the contract's JSON (as
`forensic-chat analyze --json` writes them), and only those that pass as they are. Every way of spoiling gets the same
share of at least `--claims`. Prints how many were rejected, a line a way; with --out also DIR/corruptions.json
with what slipped through. Ends with 1 where fewer than 95 % of all were rejected.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from pydantic import ValidationError

from eval.files import write_json
from forensic_chat.data.case import Case
from forensic_chat.data.examinations import random_examination
from forensic_chat.data.protocol import rare, says_something, suspicious, written
from forensic_chat.data.rationales import rationale
from forensic_chat.data.statements import is_nothing, located, state, wordings
from forensic_chat.errors import UsageError
from forensic_chat.mllm.claims import ParsedClaim, parse_reply
from forensic_chat.mllm.verify import verify
from forensic_chat.schema import Examination, Finding

BAR = 0.95
_NUMBER = re.compile(r"(?<![\w.\"])\d+(?:\.\d+)?(?![\w\"]|\.\d)")
_SCALE = re.compile(r"(?<=\d) of 1(?![.,]?\d)|8x8")
_PLACES = {"upper": "lower", "lower": "upper", "left": "right", "right": "left", "at the top": "at the bottom",
           "at the bottom": "at the top"}  # fmt: skip


@dataclass(frozen=True)
class Spoiled:
    """A claim that is false of the case, and what it was made from."""

    case: Case
    claim: ParsedClaim
    original: str


Spoil = Callable[[Case, ParsedClaim, Case, Random], ParsedClaim | None]
"""A case, a true claim of it, another case -> a claim that is false of the first; None where that can't be made."""


def true_claims(case: Case, rng: Random) -> list[ParsedClaim]:
    """What code says of a case, as far as it passes: its rationale, a sentence on each finding and region."""
    texts = [*rationale(case, rng), *(state(finding, case, rng) for finding in case.findings)]
    texts += [located(region, case, rng) for region in case.regions]
    claims = [c for text in texts for c in parse_reply(text + ".") if isinstance(c, ParsedClaim)]
    return [claim for claim in dict.fromkeys(claims) if holds(case, claim)]


def holds(case: Case, claim: ParsedClaim) -> bool:
    """Whether the verifier calls the claim verified."""
    checked = verify(claim, case.findings, case.regions, case.label, image_size=case.image_size)
    return checked.verified is True


def changed_number(case: Case, claim: ParsedClaim, other: Case, rng: Random) -> ParsedClaim | None:
    """One number of the claim becomes another: a digit off, a tenth, or that of another finding."""
    blanked = _SCALE.sub(lambda m: "#" * len(m.group()), claim.text)
    numbers = list(_NUMBER.finditer(re.sub(r'"[^"]*"|\b[ER]\d+\b', lambda m: "#" * len(m.group()), blanked)))
    if not numbers:
        return None
    spot = rng.choice(numbers)
    decimals = len(spot.group().partition(".")[2])
    value = float(spot.group())
    near = value + rng.choice((-1, 1)) * rng.randint(2, 9) * 10.0**-decimals
    values = [f.value for f in case.findings if isinstance(f.value, float) and abs(f.value - value) > 0.05]
    new = rng.choice([near, 10 * value + 3, *values[:2]])
    text = f"{abs(new):.{decimals}f}"
    if text == spot.group():
        return None
    return replace(claim, text=claim.text[: spot.start()] + text + claim.text[spot.end() :])


def shifted_box(case: Case, claim: ParsedClaim, other: Case, rng: Random) -> ParsedClaim | None:
    """The box of the claim lies elsewhere, or its words for the place say the other side."""
    region = next((region for region in case.regions if region.id == claim.region), None)
    if region is None:
        return None
    box = re.search(r"\[(\d+),(\d+),(\d+),(\d+)\]", claim.text)
    if box:
        x0, y0, x1, y1 = map(int, box.groups())
        dx, dy = rng.randint(1, 60) * rng.choice((-1, 1)), rng.randint(0, 60)
        moved = f"[{max(0, x0 + dx)},{y0 + dy},{max(1, x1 + dx)},{y1 + dy}]"
        return replace(claim, text=claim.text.replace(box.group(), moved)) if moved != box.group() else None
    found = [word for word in _PLACES if re.search(rf"\b{word}\b", claim.text)]
    if not found:
        return None
    text = claim.text
    for word in found:
        text = re.sub(rf"\b{word}\b", f"<{word}>", text)
    for word in found:
        text = text.replace(f"<{word}>", _PLACES[word])
    return replace(claim, text=text)


def other_finding(case: Case, claim: ParsedClaim, other: Case, rng: Random) -> ParsedClaim | None:
    """What another image's finding of that kind showed, under this image's citation."""
    if len(claim.findings) != 1:
        return None
    mine = next((f for f in case.findings if f.id == claim.findings[0]), None)
    theirs = [f for f in other.findings if mine and f.kind == mine.kind]
    if mine is None or not theirs or _reads_alike(mine, theirs[0]):
        return None
    said = parse_reply(state(theirs[0], replace(other, label=case.label), rng) + ".")
    texts = [c.text for c in said if isinstance(c, ParsedClaim)]
    return ParsedClaim(texts[0], claim.findings, None) if texts else None


def other_citation(case: Case, claim: ParsedClaim, other: Case, rng: Random) -> ParsedClaim | None:
    """The claim cites a finding of another kind."""
    kinds = {f.id: f.kind for f in case.findings}
    if len(claim.findings) != 1:
        return None
    foreign = [f.id for f in case.findings if f.kind != kinds[claim.findings[0]]]
    return replace(claim, findings=(rng.choice(foreign),)) if foreign else None


def turned_meaning(case: Case, claim: ParsedClaim, other: Case, rng: Random) -> ParsedClaim | None:
    """The right number with the wrong reading: suspicious said of what is clean, clean of what is suspicious."""
    if len(claim.findings) != 1:
        return None
    mine = next(f for f in case.findings if f.id == claim.findings[0])
    if mine.value is None or isinstance(mine.value, str):
        return None
    accuses = suspicious(mine)
    supports = "neutral" if accuses else "tampered" if mine.kind != "encoder.synthetic" else "synthetic"
    told = mine.model_copy(update={"supports": supports, "strength": 0.0 if accuses else 0.9, "region": None})
    bank = [text for text in wordings(told) if "{v}" in text]
    if not bank:
        return None
    text = rng.choice(bank).format(
        v=written(mine.value),
        how="clearly",
        place="",
        fake="an edited image" if supports == "tampered" else "a generated image",
    )
    return ParsedClaim(text, claim.findings, None)


WAYS: dict[str, Spoil] = {
    "changed number": changed_number,
    "shifted box": shifted_box,
    "another image's finding": other_finding,
    "another citation": other_citation,
    "turned meaning": turned_meaning,
}


def _reads_alike(a: Finding, b: Finding) -> bool:
    """Whether a sentence about one may be true of the other as well."""
    same = a.value == b.value or (
        isinstance(a.value, float) and isinstance(b.value, float) and abs(a.value - b.value) < 0.06
    )
    return same and all(
        reading(a) == reading(b) for reading in (suspicious, says_something, rare, is_nothing)
    )


def spoiled(
    said: Sequence[tuple[Case, list[ParsedClaim]]], name: str, count: int, rng: Random
) -> Iterator[Spoiled]:
    """At most `count` claims spoiled in one way, from the cases and their true claims in turn."""
    made = 0
    for _ in range(40):
        for case, claims in said:
            other = rng.choice(said)[0]
            for claim in rng.sample(claims, len(claims)):
                if (new := WAYS[name](case, claim, other, rng)) and new != claim:
                    yield Spoiled(case, new, claim.text)
                    made += 1
                    break
            if made >= count:
                return


def measured(cases: Sequence[Case], count: int, seed: int) -> dict[str, dict[str, object]]:
    """Way of spoiling -> how many were tried and rejected, and what slipped through."""
    said = [(case, true_claims(case, Random(f"{seed} {k}"))) for k, case in enumerate(cases)]
    found: dict[str, dict[str, object]] = {}
    for name in WAYS:
        tried = list(spoiled(said, name, -(-count // len(WAYS)), Random(f"{seed} {name}")))
        slipped = [s for s in tried if holds(s.case, s.claim)]
        found[name] = {
            "tried": len(tried),
            "rejected": len(tried) - len(slipped),
            "slipped": [_told(s) for s in slipped],
        }
    return found


def _told(slip: Spoiled) -> dict[str, object]:
    cited = [f for f in slip.case.findings if f.id in slip.claim.findings]
    return {
        "claim": slip.claim.text,
        "cites": [*slip.claim.findings, slip.claim.region],
        "was": slip.original,
        "held": [[f.kind, f.value, f.supports, f.strength] for f in cited],
    }


def case_of(path: Path) -> Case:
    """The case of an examination in JSON. Raises UsageError for a file that is none."""
    try:
        said = Examination.model_validate(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, ValidationError):
        raise UsageError(
            f"{path.name} is no examination; write one with `forensic-chat analyze --json`"
        ) from None
    size = (said.image.width, said.image.height)
    return Case(said.findings, said.regions, said.verdict.label, said.verdict.probabilities, size)


def main(argv: list[str] | None = None) -> int:
    """0 when at least 95 % were rejected, 1 when not, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.corruptions", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--claims", type=int, default=600, help="spoiled claims, evenly over the ways")
    parser.add_argument("--examinations", type=Path, nargs="+", default=[], help="in JSON; else made-up ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(argv)
    try:
        cases = [case_of(path) for path in options.examinations]
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    cases = cases or [random_examination(Random(f"{options.seed} {k}")) for k in range(150)]
    found = measured(cases, options.claims, options.seed)
    tried, rejected = (sum(int(str(row[key])) for row in found.values()) for key in ("tried", "rejected"))
    for name, row in found.items():
        print(f"{name:26s} {row['rejected']} of {row['tried']} rejected")
    share = rejected / tried if tried else 0.0
    print(f"{'all':26s} {rejected} of {tried} rejected, {share:.1%}")
    if options.out:
        write_json(options.out / "corruptions.json", {"tried": tried, "rejected": rejected, "ways": found})
    return 0 if share >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
