"""The judgement put into words: the language model writes claims, code checks them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from forensic_chat.data.rationales import Case, rationale
from forensic_chat.encoder import occlusion
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.errors import AnswerUnparsable, Cancelled
from forensic_chat.imaging.views import trace_map
from forensic_chat.judgement import Judgement
from forensic_chat.mllm.backends.base import Backend, Conversation
from forensic_chat.mllm.claims import ParsedClaim, parse_rationale
from forensic_chat.mllm.prompts import Turn, answer_prefix, opening
from forensic_chat.mllm.verify import RegionTest, verify
from forensic_chat.schema import Claim, Region
from forensic_chat.stopping import Stopping

MOST_TOKENS = 240
FEWEST_CLAIMS = 2
PASSES = 95
"""Percentile of the masking test from which a region counts as a reason for the verdict."""
SHOWN_CROPS = 1
"""Native crops the language model is shown beside the overview and the trace map: 196 tokens each."""


@dataclass(frozen=True, eq=False)
class Told:
    """A rationale and the conversation that it opened."""

    text: str
    claims: list[Claim]
    conversation: Conversation
    masking: "Masking"
    warnings: list[str]
    timings: dict[str, float]


@dataclass(frozen=True, eq=False)
class Masking:
    """The region test of `verify` on one judged image: whether the verdict rests on a region, each looked at
    once."""

    judgement: Judgement
    encoder: Encoder
    tested: dict[str, RegionTest] = field(default_factory=dict)

    def __call__(self, region: Region, check: Callable[[], None]) -> RegionTest:
        """`check` is called before each look; what it raises stops the test."""
        if region.id not in self.tested:
            image, label = self.judgement.image, self.judgement.verdict.label
            share = occlusion.percentile(
                self.encoder, image.pixels, self.judgement.perception, region.box, label, check
            )
            self.tested[region.id] = RegionTest(passed=share >= PASSES, percentile=share)
        return self.tested[region.id]


def tell(judgement: Judgement, backend: Backend, encoder: Encoder, check: Stopping) -> Told:
    """Ask the language model for claims about a judged image, and verify each.

    The verdict word and its probability are given to the model, not asked of it. An answer that can't be
    read as at least two claims is replaced by sentences that code writes from the findings, and a warning
    says so.
    """
    start = time.perf_counter()
    conversation = open_conversation(judgement)
    prefix = answer_prefix(judgement.verdict.label, judgement.verdict.probabilities)
    try:
        pieces = backend.generate(
            conversation,
            prefix=prefix,
            max_new_tokens=MOST_TOKENS,
            cancel=check.cancel,
            deadline=check.remaining,
        )
        answer = "".join(pieces)
    except Cancelled:
        check()  # the deadline that the caller gave, not what was left of it
        raise
    wrote = time.perf_counter()
    check()
    warnings = []
    try:
        parsed = parse_rationale(prefix + answer)
        if len(parsed) < FEWEST_CLAIMS:
            raise AnswerUnparsable("the model's answer holds a single claim")
    except AnswerUnparsable as error:
        reason = str(error).partition(";")[0]
        warnings.append(f"the rationale was written by code from the findings, because {reason}")
        answer = written_by_code(judgement)
        parsed = parse_rationale(prefix + answer)
    masking = Masking(judgement, encoder)
    claims = verified(judgement, masking, parsed, check)
    if failed := sum(claim.verified is False for claim in claims):
        warnings.append(
            f"{failed} of {len(claims)} claims failed their check and are marked; don't rely on them"
        )
    timings = {"language.write": wrote - start, "language.verify": time.perf_counter() - wrote}
    turns = [*conversation.turns, Turn("assistant", prefix + answer)]
    text = "\n".join(claim.text for claim in claims)
    return Told(text, claims, Conversation(conversation.images, turns), masking, warnings, timings)


def open_conversation(judgement: Judgement) -> Conversation:
    """What the model gets: overview, the most suspicious crops, the trace map, findings, regions, the
    question."""
    perception, image = judgement.perception, judgement.image
    views = [*perception.views[: 1 + SHOWN_CROPS], trace_map(perception.changes.mask)]
    turn = opening(views, (image.width, image.height), judgement.findings, judgement.regions)
    return Conversation([view.pixels for view in views], [turn])


def written_by_code(judgement: Judgement) -> str:
    """Claim lines from the findings, the same every time for the same image."""
    image, verdict = judgement.image, judgement.verdict
    size = (image.width, image.height)
    case = Case(judgement.findings, judgement.regions, verdict.label, verdict.probabilities, size, None)
    return "\n".join(f"- {claim}" for claim in rationale(case, Random(image.sha256)))


def verified(
    judgement: Judgement, masking: Masking, parsed: list[ParsedClaim], check: Callable[[], None]
) -> list[Claim]:
    image = judgement.image
    return [
        verify(
            claim,
            judgement.findings,
            judgement.regions,
            judgement.verdict.label,
            image_size=(image.width, image.height),
            region_test=lambda region: masking(region, check),
        )
        for claim in parsed
    ]
