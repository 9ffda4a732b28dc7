"""Attacks on the encoder, counted on the product: PGD, FPBA, StatAttack, MStatAttack.

`measure` is what `python -m eval.run --suite adversarial` runs; docs/robustness.md explains it to its reader.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from eval import guards
from eval.adversarial import figures
from eval.adversarial.crops import cut
from eval.bars import Step
from eval.examples import Example, sample
from eval.rows import Look, Row, complete, made_by
from forensic_chat.data.laundering import GaussianNoise, Jpeg, Resize
from forensic_chat.errors import UsageError
from forensic_chat.examiner import Examiner

LIMIT = 24
DELIVERIES = {
    figures.PLAIN: (),
    "jpeg-q70": (Jpeg(70),),
    "scaled": (Resize(0.9), Jpeg(90)),
    "noisy": (GaussianNoise(2.0, 0),),
}
"""How an attacked image reaches the product; the plain one is a PNG."""
NAMES = ("pgd", "fpba", "own-head", "noise", "stat", "mstat")
"""noise: random signs of full size, what the budget does without any attack."""
UNBOUNDED = ("stat", "mstat")
"""Bounded by ranges of their own, not by eps."""


def add_options(arguments: ArgumentParser) -> None:
    group = arguments.add_argument_group("adversarial")
    group.add_argument("--attacks", nargs="+", choices=NAMES, default=list(NAMES))
    group.add_argument("--eps", nargs="+", type=int, default=[8, 4], help="largest change, in grey levels")
    group.add_argument("--steps", type=int, default=10, help="of an attack")
    group.add_argument("--fpba-draws", type=int, default=5, help="spectral copies a step; the paper's 20")
    group.add_argument(
        "--side", type=int, default=224, help="cut images to native crops of so many px; 0: whole"
    )
    group.add_argument("--pool", type=int, default=48, help="other images, which the attacker knows")


def victims(chosen: Sequence[Example], options: Namespace) -> list[Example]:
    """The images to attack."""
    guards.not_trained_on(options.split)
    return sample(chosen, options.limit or LIMIT, options.seed)


def others(chosen: Sequence[Example], taken: Sequence[Example], options: Namespace) -> list[Example]:
    """The images that the attacker knows: of other groups than those attacked.

    Raises UsageError unless two of either side are left.
    """
    groups = {example.group for example in taken}
    rest = sample([e for e in chosen if e.group not in groups], options.pool, options.seed)
    if min(sum(e.label == "real" for e in rest), sum(e.label != "real" for e in rest)) < 2:
        raise UsageError(
            "the attacks need at least two real and two fake images besides those attacked; "
            "lower --limit, raise --pool or give more --data"
        )
    return rest


def measure(
    taken: Sequence[Example],
    chosen: Sequence[Example],
    options: Namespace,
    examiner: Examiner,
    look: Look,
    on_step: Step,
) -> dict[str, Any]:
    """Cut, examine, attack what was right, examine again; the figures.

    Writes OUT/adversarial (the attacked images, attacks.jsonl) and OUT/rows.jsonl. Raises UsageError, InputRejected.
    """
    from eval.adversarial.making import Attacker

    folder = options.out / "adversarial"
    threshold, maker = examiner.calibration.mask_threshold, made_by(examiner.models)

    def examined(examples: Sequence[Example]) -> dict[str, list[Row]]:
        rows = complete(
            examples, DELIVERIES.items(), options.out / "rows.jsonl", look, threshold, maker, on_step
        )
        return {name: rows[k * len(examples) : (k + 1) * len(examples)] for k, name in enumerate(DELIVERIES)}

    clean = [cut(e, options.side, folder / "clean") for e in taken]
    before = examined(clean)
    right = [k for k, row in enumerate(before[figures.PLAIN]) if figures.right(clean[k], row)]
    if not right:
        raise UsageError("no image is told right before the attack, so none can be attacked; raise --limit")
    known = [cut(e, options.side, folder / "pool") for e in others(chosen, taken, options)]
    attacker = Attacker(examiner.encoder, known, options, folder, made_by(examiner.models, ("encoder",)))
    found = []
    for name in options.attacks:
        for eps in [None] if name in UNBOUNDED else options.eps:
            mine = [k for k in right if clean[k].label != "real" or name not in UNBOUNDED]
            made = [attacker.attack(name, eps, clean[k]) for k in mine]
            after = examined([example for example, _ in made])
            found.append(figures.Condition(name, eps, mine, [record for _, record in made], after))
    return figures.figures(clean, before, found) | {
        "twin": attacker.agreement([clean[k] for k in right[:3]]),
        "surrogates": attacker.surrogates([clean[k] for k in right]),
    }


show = figures.show
