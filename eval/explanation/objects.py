"""Things that an answer may say it sees. Code can't look: only what the item's statements hold is known."""

import re

_NAMES = """
animal arm baby bag ball banner beach bear bench bicycle bike bird boat body book boot bottle bowl boy branch
brick bridge building bus butterfly cake car castle cat chair child cloud coat couple cow crowd cup curtain
desk dog door dress duck ear elephant eye eyebrow eyelash face fence finger fireplace fish flag floor flower
foot forest fountain fruit garden girl glass glasses glove goat grass guitar hair hand hat head helmet hill
horse house insect jacket jewellery jewelry kitchen lake lamp leaf leg letter lip man meadow mirror moon
motorcycle mountain mouth neck necklace nose ocean painting pants paw people person petal plane plant plate
pond poster reflection river road rock roof room rose sand scarf sea shadow sheep ship shirt shoe sign skin
sky smoke snow sofa spoon stairs star statue street sun sunglasses table tail teeth tie tiger tongue tooth
tower toy train tree truck umbrella vase vehicle wall watch water wave wheel window wing woman wood
"""
_WORDS = frozenset(_NAMES.split())
_PLURALS = {"people": "person", "men": "man", "women": "woman", "children": "child", "feet": "foot",
            "leaves": "leaf", "teeth": "tooth"}  # fmt: skip
_PHRASES = re.compile(
    r"by eye|naked eye|on the (?:one|other) hand|at hand|first hand|on the face of it|in the face of|head on"
    r"|sign of|signs of|rules? of thumb|body of|in the eyes? of|letter of|wave(?:let|length)s?|watch(?:ed)? for"
)
"""Sayings in which such a word names no thing."""


def things(text: str) -> set[str]:
    """The things that a text names, in the singular."""
    words = re.findall(r"[a-z]+", _PHRASES.sub(" ", text.lower()))
    return {word for word in map(_singular, words) if word in _WORDS}


def _singular(word: str) -> str:
    if word in _PLURALS:
        return _PLURALS[word]
    for ending in ("es", "s"):
        if word.endswith(ending) and word[: -len(ending)] in _WORDS:
            return word[: -len(ending)]
    return word
