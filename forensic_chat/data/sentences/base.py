"""The form in which the sentences of one kind of finding are kept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """Wordings for one kind of finding."""

    name: str
    """How the test is called inside a sentence."""
    supports: str = ""
    """The fake label that a remarkable result usually supports; "" for either."""
    suspect: tuple[str, ...] = ()
    """It supports a fake label."""
    clean: tuple[str, ...] = ()
    """It was checked and says nothing against the image."""
    nothing: tuple[str, ...] = ()
    """As `clean`, where the value says that there is nothing at all: 0 matches, a noise ratio of 1."""
    low: tuple[str, ...] = ()
    """As `clean`, for a learned score that is not near 0 but below what an image has before it is seen, and for a
    familiarity that few known images have."""
    empty: tuple[str, ...] = ()
    """Its value is None: nothing is written there, or nothing could be measured."""
    odd: tuple[str, ...] = ()
    """It supports no label but matters: too weak to count, or it lowers what other findings are worth."""
    limit: tuple[str, ...] = ()
    """What a result that says nothing against the image does not exclude."""
    rule: tuple[str, ...] = ()
    """The rule that an artefact of this kind breaks, and why that means fake."""
    real: tuple[str, ...] = ()
    """What a real photo would look like instead."""
    explain: str = ""
    """What the test is, for "what does that mean?"."""
