"""The judgement put into words: the language model writes claims, code checks them."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random

from forensic_chat.data.case import Case, salience
from forensic_chat.data.protocol import SCORES, suspicious
from forensic_chat.data.rationales import LEADS, rationale, special
from forensic_chat.data.sentences import phrases
from forensic_chat.data.statements import is_nothing, state
from forensic_chat.encoder import occlusion
from forensic_chat.encoder.perceive import Encoder
from forensic_chat.errors import AnswerUnparsable, Cancelled
from forensic_chat.findings import TELLING
from forensic_chat.imaging.views import trace_map
from forensic_chat.judgement import Judgement
from forensic_chat.mllm.asking import FEWEST_CLAIMS, asked_for_claims
from forensic_chat.mllm.backends.base import LIKELY, Backend, Conversation
from forensic_chat.mllm.claims import ParsedClaim, parse_rationale, parse_reply
from forensic_chat.mllm.prompts import Turn, answer_prefix, opening
from forensic_chat.mllm.verify import RegionTest, grounded, passed, verify
from forensic_chat.schema import Claim, Finding, Region
from forensic_chat.stopping import Stopping

MOST_TOKENS = 240
ENOUGH = 4
"""Claims up to which code adds to those of the model that passed their check."""
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
    looking: threading.Lock
    """Held while the encoder looks."""
    tested: dict[str, RegionTest] = field(default_factory=dict)

    def __call__(self, region: Region, check: Callable[[], None]) -> RegionTest:
        """`check` is called before each look; what it raises stops the test."""
        with self.looking:
            if region.id not in self.tested:
                image, label = self.judgement.image, self.judgement.verdict.label
                share = occlusion.percentile(
                    self.encoder, image.pixels, self.judgement.perception, region.box, label, check
                )
                self.tested[region.id] = RegionTest(passed=share >= occlusion.PASSES, percentile=share)
            return self.tested[region.id]


def tell(
    judgement: Judgement,
    backend: Backend,
    encoder: Encoder,
    check: Stopping,
    *,
    looking: threading.Lock,
    owner: str = "",
) -> Told:
    """Ask the language model for claims about a judged image, and verify each.

    looking: what is held while the encoder looks; owner: whose image it is, see `Conversation`.

    The verdict word and its probability are given to the model, not asked of it. A claim that fails its check
    is left out, and the model asked once for others, on findings that it has not spoken of. Code writes claims up to
    four, and where what decides a fake verdict, or leaves one open, is not among them; an answer that can't be read
    as at least two claims is replaced as a whole. A warning says so.
    """
    start = time.perf_counter()
    with check.holding(looking):
        conversation = open_conversation(judgement, encoder, owner)
    prefix = answer_prefix(judgement.verdict.label, judgement.verdict.probabilities)
    case = case_of(judgement)
    likely, free, writing = drafted(case), backend.any_words, 0.0

    def write(begun: str, pattern: str) -> str:
        nonlocal writing
        text, seconds = _written(conversation, backend, begun, pattern, likely, check)
        writing += seconds
        return text

    answer = asked_for_claims(write, case, prefix, any_words=free)
    masking, warnings = Masking(judgement, encoder, looking), []
    try:
        written = _read(judgement, masking, answer, FEWEST_CLAIMS, check)
        kept, failed = _kept(written), sum(not passed(claim) for claim in written)
        told = {name for claim in written for name in (*claim.findings, claim.region) if name}
        if failed and any(finding.id not in told for finding in case.findings):
            begun = prefix + "".join(f"- {_with_citations(claim)}\n" for claim in kept)
            answer = asked_for_claims(write, case, begun, any_words=free, told=told, most=failed)
            with suppress(AnswerUnparsable):
                again = _read(judgement, masking, answer, 1, check)
                kept, failed = kept + _kept(again), failed + sum(not passed(claim) for claim in again)
                written += again
        others = [*written_by_code(judgement, masking, check), *spare(judgement, masking, check)]
        claims = telling_first(judgement, completed(judgement, kept, others))
        if failed:
            warnings.append(
                f"{failed} of the language model's {len(written)} claims did not pass the check and "
                f"{'was' if failed == 1 else 'were'} left out; it was asked once more, and code wrote others from "
                "the findings where they were needed"
            )
    except AnswerUnparsable as error:
        reason = str(error).partition(";")[0]
        warnings.append(f"the rationale was written by code from the findings, because {reason}")
        claims = written_by_code(judgement, masking, check)
    timings = {"language.write": writing, "language.verify": time.perf_counter() - start - writing}
    answer = "\n".join(f"- {_with_citations(claim)}" for claim in claims)
    turns = [*conversation.turns, Turn("assistant", prefix + answer)]
    text = "\n".join(claim.text for claim in claims)
    return Told(text, claims, replace(conversation, turns=turns), masking, warnings, timings)


def _written(
    conversation: Conversation,
    backend: Backend,
    begun: str,
    pattern: str,
    likely: Sequence[str],
    check: Stopping,
) -> tuple[str, float]:
    """What the model writes behind `begun`, and the seconds that it took."""
    start = time.perf_counter()
    pieces = backend.generate(
        conversation,
        prefix=begun,
        pattern=pattern,
        likely=likely,
        max_new_tokens=MOST_TOKENS,
        cancel=check.cancel,
        deadline=check.remaining,
    )
    try:
        answer = "".join(pieces)
    except Cancelled:
        check()  # the deadline that the caller gave, not what was left of it
        raise
    check()
    return answer, time.perf_counter() - start


def _read(
    judgement: Judgement, masking: Masking, answer: str, least: int, check: Callable[[], None]
) -> list[Claim]:
    """The claims of an answer, checked. Raises AnswerUnparsable when there are fewer than `least`."""
    parsed = parse_rationale(answer)
    if len(parsed) < least:
        raise AnswerUnparsable("the model's answer holds a single claim")
    return restated(judgement, masking, verified(judgement, masking, parsed, check), check)


def open_conversation(judgement: Judgement, encoder: Encoder, owner: str = "") -> Conversation:
    """What the model gets: overview, the most suspicious crops, the trace map, findings, regions, the
    question."""
    perception, image = judgement.perception, judgement.image
    seen, traces = perception.views[: 1 + SHOWN_CROPS], trace_map(perception.changes.mask)
    turn = opening([*seen, traces], (image.width, image.height), judgement.findings, judgement.regions)
    tokens = [*perception.tokens[: len(seen)], *encoder.look([traces])[1]]
    return Conversation([view.pixels for view in (*seen, traces)], [turn], owner, tokens)


def drafted(case: Case) -> list[str]:
    """Claims as code may write them, in the form of the model's: of whole rationales, and on each finding."""

    def claims(rng: Random) -> list[str]:
        return rationale(case, rng) + [state(finding, case, rng) for finding in case.findings]

    return ["\n".join(f"- {claim}" for claim in claims(Random(k))) for k in range(LIKELY)]


def written_by_code(judgement: Judgement, masking: Masking, check: Callable[[], None]) -> list[Claim]:
    """Claims from the findings, the same every time for the same image; a region that the verdict does not
    rest on is no reason."""
    image, case = judgement.image, case_of(judgement)

    def checked(lines: str) -> list[Claim]:
        return verified(judgement, masking, parse_rationale(lines), check)

    return checked(grounded(lambda case: "\n".join(rationale(case, Random(image.sha256))), case, checked))


def restated(
    judgement: Judgement, masking: Masking, claims: list[Claim], check: Callable[[], None]
) -> list[Claim]:
    """The claims; those on one clean finding that read badly are said in other words."""
    rng, case = Random(judgement.image.sha256), case_of(judgement)
    found = {finding.id: finding for finding in judgement.findings}
    plainer = []
    for claim in claims:
        finding = found.get(claim.findings[0]) if len(claim.findings) == 1 and not claim.region else None
        if claim.verified and finding and reads_badly(claim.text, finding):
            [claim] = verified(judgement, masking, _parsed([state(finding, case, rng)]), check)
        plainer.append(claim)
    return plainer


def reads_badly(text: str, finding: Finding) -> bool:
    """Whether a sentence on a finding that accuses nobody begins with a bare number, or gives an amount of what is
    not there ("the mask marks 0 %") without saying that it is not there."""
    if suspicious(finding):
        return False
    if re.match(r"At \d", text):
        return True
    denied = re.search(
        r"\b(?:no|not|none|nothing|empty|without|flat|even|uniform|aligned|consistent)\b", text.lower()
    )
    return bool(phrases(finding.kind).nothing) and is_nothing(finding) and not denied


def spare(judgement: Judgement, masking: Masking, check: Callable[[], None]) -> list[Claim]:
    """Further claims by code: on what leaves the verdict open, and, for a rationale that is short, on what this image
    has and others need not."""
    rng, case = Random(f"spare {judgement.image.sha256}"), case_of(judgement)
    open_by = deciding(judgement) if case.label == "inconclusive" else []
    findings = [finding for finding in special(case, rng, len(case.findings)) if salience(finding) > 0.5]
    return verified(
        judgement, masking, _parsed([state(finding, case, rng) for finding in [*open_by, *findings]]), check
    )


def deciding(judgement: Judgement) -> list[Finding]:
    """Findings that a rationale must speak of: the strongest for a fake verdict; for an inconclusive one, that the
    image is unfamiliar or its verdict unstable."""
    case = case_of(judgement)
    if case.label == "inconclusive":
        return [finding for finding in case.doubts() if finding.strength >= TELLING]
    own = [finding for finding in case.findings if suspicious(finding) and finding.supports == case.label]
    return sorted(own, key=lambda finding: -finding.strength)[:1]


def _parsed(sentences: list[str]) -> list[ParsedClaim]:
    return [claim for text in sentences for claim in parse_reply(text) if isinstance(claim, ParsedClaim)]


def case_of(judgement: Judgement) -> Case:
    """What sentences are composed from."""
    image, verdict = judgement.image, judgement.verdict
    size = (image.width, image.height)
    return Case(judgement.findings, judgement.regions, verdict.label, verdict.probabilities, size)


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


def completed(judgement: Judgement, kept: list[Claim], composed: list[Claim]) -> list[Claim]:
    """The model's claims that passed, and before or behind them composed ones on what they leave out: the findings that
    decide, and others until there are four."""
    said = {name for claim in kept for name in claim.findings}
    other = [claim for claim in composed if claim.findings and not said & set(claim.findings)]
    deciders = [finding.id for finding in deciding(judgement)]
    first = [claim for name in deciders if (claim := next((c for c in other if name in c.findings), None))]
    first = [claim for k, claim in enumerate(first) if claim not in first[:k]]
    told = {name for claim in first for name in claim.findings}
    rest = {tuple(claim.findings): claim for claim in reversed(other) if not told & set(claim.findings)}
    return [*first, *kept, *list(rest.values())[::-1][: max(0, ENOUGH - len(first) - len(kept))]]


def telling_first(judgement: Judgement, claims: list[Claim]) -> list[Claim]:
    """The claims; on a verdict that is not fake, one on a score, on what speaks against the image or on what leaves the
    verdict open leads them."""
    if judgement.verdict.label in ("synthetic", "tampered"):
        return claims
    tell = {f.id for f in judgement.findings if f.kind in SCORES or suspicious(f)}
    tell |= {finding.id for finding in deciding(judgement)}
    leading = next((c for c in claims if tell & set(c.findings) and not c.text.startswith(LEADS)), None)
    return claims if leading is None else [leading, *(claim for claim in claims if claim is not leading)]


def _kept(claims: list[Claim]) -> list[Claim]:
    """Those that passed: one for each set of findings and region."""
    passing = {(tuple(claim.findings), claim.region): claim for claim in reversed(claims) if passed(claim)}
    return list(passing.values())[::-1]


def _with_citations(claim: Claim) -> str:
    ids = f"[{', '.join(claim.findings)}]" if claim.findings else ""
    return f"{claim.text} {ids}" + (f"[{claim.region}]" if claim.region else "")
