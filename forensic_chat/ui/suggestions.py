"""Questions that suggest themselves, in the wordings that the language model was trained on."""

from collections.abc import Iterable

from forensic_chat.schema import Examination

COUNT = 4

_BY_LABEL = {
    "real": ("What did you check?", "Could it be edited?", "What speaks against it?"),
    "synthetic": ("Why do you say that?", "What speaks against it?", "Could it be AI?"),
    "tampered": ("Where exactly?", "Why do you say that?", "What speaks against it?"),
    "inconclusive": ("Why do you say that?", "What would change your mind?", "What did you check?"),
}
_ALWAYS = (
    "How sure are you?",
    "Which finding is strongest?",
    "What does the metadata say?",
    "Does it have Content Credentials?",
    "Is this proof?",
    "What would change your mind?",
    "What would a real version look like?",
    "What are you least sure of?",
)


def suggestions(examination: Examination, asked: Iterable[str] = ()) -> list[str]:
    """At most COUNT questions about the examination that were not asked yet, the nearest first."""
    wording = dict.fromkeys((*_BY_LABEL[examination.verdict.label], *_ALWAYS))
    return [question for question in wording if question not in set(asked)][:COUNT]
