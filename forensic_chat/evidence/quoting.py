"""Text found in a file, made safe to quote: it is evidence, never an instruction.

Whoever made the file chose the text, so it may try to speak to a language model or to a terminal.
"""

import re
import unicodedata

MAX_QUOTE = 80
"""Characters of a quotation, an ellipsis included."""

_MAX_READ = 4096
_TOKENS = re.compile(
    r"<\|.{0,64}?\|>"  # <|im_start|>, <|vision_pad|>, <|endoftext|>
    r"|</?\s*(?:image|img|video|audio|s|pad|unk|bos|eos|mask|think|answer|tool|system|user|assistant|"
    r"row|fake_token_around_image|global-img|end_of_utterance|start_of_turn|end_of_turn)[\w-]*\s*/?>"
    r"|\[/?INST\]|<</?SYS>>",
    re.IGNORECASE | re.DOTALL,
)


def quotable(text: str, limit: int = MAX_QUOTE) -> str:
    """`text` on one line, without control characters and chat-model tokens, at most `limit` characters.

    Angle brackets and vertical bars that are left over become look-alikes, so that no token can be put
    together from the pieces; double quotes become single ones, so that a quotation can't be ended from
    inside.
    """
    text = text[:_MAX_READ]
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    previous = None
    while previous != text:  # removing one token may assemble another: <|im_<|x|>start|>
        previous, text = text, _TOKENS.sub(" ", text)
    text = text.translate(str.maketrans('<>|"', "‹›¦'"))
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
