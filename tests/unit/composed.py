"""Claims of what code composes, held against the product's own checks."""

from forensic_chat.data.case import Case
from forensic_chat.mllm.claims import ParsedClaim, parse_reply
from forensic_chat.mllm.verify import verify
from forensic_chat.schema import Claim


def checked(case: Case, claims: list[ParsedClaim]) -> list[Claim]:
    return [
        verify(claim, case.findings, case.regions, case.label, image_size=case.image_size) for claim in claims
    ]


def claims_of(answer: str) -> list[ParsedClaim]:
    return [piece for piece in parse_reply(answer) if isinstance(piece, ParsedClaim)]


def accepted(claim: Claim) -> bool:
    return claim.verified is True or (
        claim.verified is None and claim.check.startswith("a general statement")
    )
