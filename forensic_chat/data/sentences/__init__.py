"""Sentences for each kind of finding, in several wordings: the vocabulary of training conversations, and of
the answers that code writes.

Fields: {v} the value as written, {how} slightly/clearly/strongly, {place} " in the upper left" or nothing,
{fake} "a generated image" or "an edited image", by what the finding supports. Every sentence passes the
checks of `mllm.verify` for a finding in the state it is meant for; a test holds the two together.
"""

from forensic_chat.data.sentences.base import Phrases
from forensic_chat.data.sentences.container import CONTAINER
from forensic_chat.data.sentences.encoder import ENCODER
from forensic_chat.data.sentences.jpeg import JPEG
from forensic_chat.data.sentences.metadata import C2PA_GENERATED, C2PA_STATES, METADATA
from forensic_chat.data.sentences.pixels import PIXELS
from forensic_chat.data.sentences.second_look import SECOND_LOOK

__all__ = ["C2PA_GENERATED", "C2PA_STATES", "FAKE", "HOW", "NOTHING", "PHRASES", "Phrases", "phrases"]

PHRASES: dict[str, Phrases] = METADATA | JPEG | PIXELS | CONTAINER | ENCODER | SECOND_LOOK
NOTHING = {"noise.inconsistency": 1.0}
"""Kinds whose value is not 0 where there is nothing at all."""
FAKE: dict[str, tuple[str, ...]] = {
    "synthetic": ("a generated image", "a synthetic image", "a fully generated picture"),
    "tampered": ("an edited image", "a local edit", "tampering", "an edited picture"),
}
HOW = {"none": "slightly", "weak": "slightly", "moderate": "clearly", "strong": "strongly"}


def phrases(kind: str) -> Phrases:
    """The wordings of a kind; a kind without an entry gets generic ones from its name."""
    if kind in PHRASES:
        return PHRASES[kind]
    name = kind.replace(".", " ").replace("_", " ")
    return Phrases(
        name=f"the {name} test",
        suspect=(
            f"The {name} test gives {{v}}, which points to {{fake}}",
            f"The {name} test stands out {{how}}{{place}}, at {{v}}",
            f"At {{v}}, the {name} test is {{how}} unusual{{place}}",
            f"A suspicious {name} test: {{v}}",
        ),
        clean=(
            f"The {name} test gives {{v}}, which is unremarkable",
            f"At {{v}}, the {name} test shows nothing unusual",
            f"The {name} test was made and is ordinary: {{v}}",
            f"Nothing suspicious in the {name} test ({{v}})",
        ),
        odd=(
            f"The {name} test gives {{v}}, which decides nothing by itself",
            f"The {name} test reads {{v}}",
            f"At {{v}}, the {name} test supports no side",
            f"The value of the {name} test is {{v}}",
        ),
        rule=(f"Real photos usually give an unremarkable {name} test",),
        real=(f"A real photo would give an unremarkable {name} test",),
        explain=(
            f"The {name} test is one of the measurements made on this image; its value is listed "
            f"with the findings."
        ),
    )
