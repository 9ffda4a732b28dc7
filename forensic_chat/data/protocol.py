"""What the text of every conversation agrees on, in training and in use.

The verdict question, the first line of its answer, and how findings' values, strengths and untrusted strings
are written. Whoever builds a prompt, writes training text or checks a claim takes it from here, so the three
can't drift.
"""

import re
import unicodedata

from forensic_chat.evidence.calibration import calibration
from forensic_chat.schema import Box, Finding, Label, Probabilities

VERDICT_QUESTION = "Real, synthetic or tampered? Give the verdict, then claims."
QUESTION_LIMIT = 600
"""Characters of a user's question that reach the model."""
STRING_LIMIT = 52
"""Characters of a metadata string that reach the model: what the longest remark on dates takes."""
FLOOR = 0.1
"""A finding below this strength says nothing, whatever its kind: its strength word is "none"."""
PRIOR = {"encoder.synthetic": 0.22, "encoder.tampered": 0.11}
"""The learned scores of an image that nobody has looked at: the share of the class in the fit of the verdict
(`train.fit_verdict.PRIOR`). A score below it fell by what was seen, so it is low, and speaks for nothing."""
SCORES = tuple(PRIOR)
RARE = 0.09
"""Strength of a neutral test from the threshold on that few real photos reach (`evidence/calibration.json`)."""
SELDOM = 0.1
"""Familiarity that a tenth of the known images have, or less."""

_TOKENS = re.compile(r"<\|[^<>\n]{0,40}\|>|</?[A-Za-z][\w .:/-]{0,40}/?>|<\||\|>")


def without_tokens(text: str) -> str:
    """`text` without anything a tokenizer reads as special; white space becomes blanks, line ends stay.

    Control, format and private characters go first (they could hide a token from the pattern), then all
    of the form <|...|> or <...>, again until nothing changes, because a removal can join two halves.
    """
    text = "".join(
        char if char == "\n" else " " if char.isspace() else char
        for char in text
        if char.isspace() or _plain(char)
    )
    while (stripped := _TOKENS.sub("", text)) != text:
        text = stripped
    return text


def clean(text: str, limit: int) -> str:
    """Untrusted `text` as one line of at most `limit` characters without special tokens. Idempotent."""
    return " ".join(without_tokens(text[: 8 * limit]).split())[:limit].strip()


def _plain(char: str) -> bool:
    return unicodedata.category(char)[0] != "C"


def quotable(value: str) -> str:
    """A metadata string as it may stand between double quotes: cleaned, capped at a word's end where there is
    one, no quote and no backslash. Idempotent."""
    text = clean(value.replace('"', "'").replace("\\", "/"), 2 * STRING_LIMIT)
    if len(text) <= STRING_LIMIT:
        return text
    cut = text[:STRING_LIMIT].strip()
    whole = cut if text[STRING_LIMIT] == " " else cut.rpartition(" ")[0]
    return whole if 2 * len(whole) >= STRING_LIMIT else cut


def written(value: float | int | str | bool | None) -> str:
    """A finding's value as prompts and sentences write it: 0.42, 12, "Adobe Photoshop 24.1", yes, none."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f'"{quotable(value)}"'
    if isinstance(value, int):
        return str(value)
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(share: float) -> str:
    """A share of the image, 0 to 1, in percent: 4%, and 0.4% below one."""
    return f"{100 * share:.1f}%" if share < 0.01 else f"{100 * share:.0f}%"


def strength_word(strength: float) -> str:
    """none (< 0.1), weak (< 0.4), moderate (< 0.7) or strong."""
    if strength < FLOOR:
        return "none"
    return "weak" if strength < 0.4 else "moderate" if strength < 0.7 else "strong"


def says_something(finding: Finding) -> bool:
    """Whether a sentence may lean on the finding: its strength reaches FLOOR, a learned score is above its
    class's PRIOR."""
    prior = PRIOR.get(finding.kind)
    return finding.strength >= FLOOR if prior is None else finding.strength > prior


def low(finding: Finding) -> bool:
    """Whether it is a learned score that must be called low, and never open."""
    return finding.kind in SCORES and not says_something(finding)


def rare(finding: Finding) -> bool:
    """Whether a neutral test reads what few real photos reach: no sign of a fake, and not ordinary either."""
    neutral = finding.supports == "neutral" and RARE <= finding.strength < FLOOR
    return neutral and finding.kind in calibration().kinds


def seldom(finding: Finding) -> bool:
    """Whether it is a familiarity that few known images have, and yet enough for the verdict."""
    counts = finding.kind == "encoder.familiarity" and finding.strength < FLOOR
    return counts and isinstance(finding.value, int | float) and finding.value < SELDOM


def suspicious(finding: Finding) -> bool:
    """Whether the finding supports a fake label strongly enough for a sentence to say so."""
    return finding.supports in ("synthetic", "tampered") and says_something(finding)


def answer_prefix(label: Label, probabilities: Probabilities) -> str:
    """The first line of the answer to the verdict question, newline included: "synthetic 0.94".

    Its first word is the fused verdict and the number its calibrated probability (for inconclusive: that of
    being fake). Both are forced on the model, never written by it; follow-ups can then quote the measured
    figure.
    """
    fake = 1.0 - probabilities.real
    figure = fake if label == "inconclusive" else getattr(probabilities, label)
    return f"{label} {figure:.2f}\n"


def place(box: Box, image_size: tuple[int, int]) -> str:
    """Where a box lies, by thirds of the image: "in the upper left", "at the top", "in the centre", ..."""
    column = 3 * (box[0] + box[2]) / (2 * image_size[0])
    row = 3 * (box[1] + box[3]) / (2 * image_size[1])
    side = "left" if column < 1 else "right" if column > 2 else ""
    if row < 1:
        return f"in the upper {side}" if side else "at the top"
    if row > 2:
        return f"in the lower {side}" if side else "at the bottom"
    return f"on the {side}" if side else "in the centre"
