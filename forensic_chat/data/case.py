"""What a conversation is about: the findings of one examination, sorted by what they say."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from forensic_chat.data.protocol import FLOOR, SCORES, says_something, suspicious
from forensic_chat.data.sentences import phrases
from forensic_chat.schema import Box, Finding, ImageInfo, Label, Probabilities, Region


@dataclass(frozen=True)
class Case:
    """What a conversation is about.

    `image_size` is (width, height); `truth` the true label, where it is known; `reasons` why the verdict is
    inconclusive; `questions` and `earlier` the follow-ups asked so far and all answers, the first included;
    `looked` what a second look found that the question asked for, ids as in `findings`; `file` what is known of the
    image's file.
    """

    findings: Sequence[Finding]
    regions: Sequence[Region]
    label: Label
    probabilities: Probabilities
    image_size: tuple[int, int]
    truth: str | None = None
    reasons: Sequence[str] = ()
    questions: Sequence[str] = ()
    earlier: Sequence[str] = ()
    looked: Sequence[Finding] = ()
    file: ImageInfo | None = None

    @property
    def certainty(self) -> float:
        """The probability of the label; for `inconclusive`, of the likeliest class."""
        p = self.probabilities
        likeliest = max(p.real, p.synthetic, p.tampered)
        return likeliest if self.label == "inconclusive" else float(getattr(p, self.label))

    def against_image(self) -> list[Finding]:
        """Suspicious findings: those that support the verdict first, then by strength."""
        found = [finding for finding in self.findings if suspicious(finding)]
        return sorted(found, key=lambda finding: (finding.supports != self.label, -finding.strength))

    def for_image(self) -> list[Finding]:
        """Findings that say nothing against the image: those that support "real" and the encoder's first."""
        found = [
            finding for finding in self.findings if not suspicious(finding) and not lowers_trust(finding)
        ]
        return sorted(
            found, key=lambda finding: (finding.supports != "real", not finding.kind.startswith("encoder."))
        )

    def doubts(self) -> list[Finding]:
        """Findings that support no label but matter, the strongest first."""
        return sorted(filter(lowers_trust, self.findings), key=lambda finding: -finding.strength)

    def of(self, *kinds: str) -> list[Finding]:
        """Findings whose kind begins so, in the order of the kinds."""
        return [finding for kind in kinds for finding in self.findings if finding.kind.startswith(kind)]

    def marked(self) -> bool:
        """Whether the mask speaks for a changed place."""
        return any(map(suspicious, self.of("encoder.mask")))

    def box(self, region: str | None) -> Box | None:
        return next((place.box for place in self.regions if place.id == region), None)

    def without_reasons(self, regions: Collection[str]) -> "Case":
        """The same case, in which these regions are no reason for the verdict: no finding is placed there."""
        findings = [
            finding.model_copy(update={"region": None}) if finding.region in regions else finding
            for finding in self.findings
        ]
        return replace(self, findings=findings)


def lowers_trust(finding: Finding) -> bool:
    """A finding that supports no label but matters: an unfamiliar image, a score that is not low."""
    return odd(finding) and not finding.kind.startswith("container.")


def odd(finding: Finding) -> bool:
    """Whether it supports no label and yet says something."""
    return finding.supports == "neutral" and says_something(finding) and bool(phrases(finding.kind).odd)


def salience(finding: Finding) -> float:
    """How much a finding that says nothing against the image tells about this very image; at least 0.3."""
    if finding.supports == "real":
        return 4.0
    if isinstance(finding.value, str) and finding.kind != "provenance.c2pa":
        return 2.5
    if finding.kind in SCORES or finding.kind == "encoder.mask":
        return 2.0
    if finding.value is None or finding.value == "absent" or finding.kind == "jpeg.quality":
        return 0.3
    return 0.8 + 10 * min(finding.strength, FLOOR)
