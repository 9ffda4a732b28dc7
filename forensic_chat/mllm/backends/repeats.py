"""Stops a small model that has begun to repeat itself.

Penalties on repeated tokens would forbid what an answer must do, copying numbers and ids; so whole lines and
sentences are compared instead.
"""

import re

_UNIT = re.compile(r".*?(?:\n|(?<=[.!?])\s+)", re.DOTALL)
SHORTEST = 12
"""Characters of a line or sentence whose second occurrence counts as a repetition."""


class RepeatGuard:
    """Passes text through as long as no line or sentence comes a second time."""

    def __init__(self) -> None:
        self.repeated = False
        self._seen: set[str] = set()
        self._pending = ""
        self._released = 0

    def feed(self, piece: str) -> str:
        """What can be shown now; text that may yet turn out a repetition is held back."""
        out = ""
        self._pending += piece
        while not self.repeated and (unit := _UNIT.match(self._pending)):
            out += self._take(unit.group())
            self._pending, self._released = self._pending[unit.end() :], 0
        if self.repeated or self._may_repeat():
            return out
        out += self._pending[self._released :]
        self._released = len(self._pending)
        return out

    def finish(self) -> str:
        """What is left at the end of the answer; nothing if it repeats."""
        if self.repeated or (self._pending.strip() in self._seen and len(self._pending.strip()) >= SHORTEST):
            return ""
        return self._pending[self._released :]

    def _take(self, unit: str) -> str:
        text = unit.strip()
        if text in self._seen and len(text) >= SHORTEST:
            self.repeated = True
            return ""
        self._seen.add(text)
        return unit[self._released :]

    def _may_repeat(self) -> bool:
        start = self._pending.strip()
        return any(unit.startswith(start) for unit in self._seen if len(unit) >= SHORTEST)
