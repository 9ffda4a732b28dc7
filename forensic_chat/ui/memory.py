"""What the browser app holds: in memory, for the browser that gave it, until its tab closes.

The browser's own state is a view of it and is never read back.
"""

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from forensic_chat.report.tables import Line

if TYPE_CHECKING:
    from forensic_chat.dialogue import Dialogue

MOST_TABS = 32
"""The oldest tab is let go for another."""
MOST_IMAGES = 12
"""Images a tab holds; the oldest is let go for another."""
MOST_BYTES = 1_500_000_000
"""Of files and their pixels, in all tabs; the oldest images are let go."""
COOKIE = "forensic-chat"
"""Names the browser; a tab answers to the one that opened it only."""

Message = dict[str, str]


def new_key() -> str:
    """128 random bits that fit into an address."""
    return secrets.token_urlsafe(16)


@dataclass(eq=False)
class Held:
    """An image, and what became of it."""

    name: str
    data: bytes
    key: str = field(default_factory=new_key)
    at: datetime = field(default_factory=datetime.now)
    dialogue: "Dialogue | None" = None
    shown: list[Message] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    """Stops what is being done for the image."""
    busy: bool = False

    @property
    def described(self) -> str:
        """The image in a line, once it is examined: name, verdict, questions, time."""
        assert self.dialogue is not None
        said, asked = self.dialogue.examination.verdict, len(self.shown) // 2
        questions = f", {asked} {'question' if asked == 1 else 'questions'}" if asked else ""
        name = self.dialogue.examination.image.name
        return f"{name}: {said.label}, {said.confidence}{questions} ({self.at:%H:%M})"

    @property
    def size(self) -> int:
        """Bytes, of the file and of its pixels once it is examined."""
        image = self.dialogue.examination.image if self.dialogue else None
        return len(self.data) + (3 * image.width * image.height if image else 0)


@dataclass(eq=False)
class Tab:
    """One tab of one browser."""

    owner: str
    key: str = field(default_factory=new_key)
    """Names the tab's batch in addresses."""
    images: dict[str, Held] = field(default_factory=dict)
    """By their keys, the oldest first."""
    current: Held | None = None
    """The one that is looked at."""
    lines: list[Line] = field(default_factory=list)
    """Of the last batch."""
    stop_batch: threading.Event = field(default_factory=threading.Event)

    def examined(self) -> list[Held]:
        """The newest first."""
        return [held for held in reversed(self.images.values()) if held.dialogue is not None]

    def drop(self, held: Held) -> None:
        """Forget an image; what is being done for it stops."""
        held.stop.set()
        self.images.pop(held.key, None)
        if self.current is held:
            self.current = None


class Memory:
    """All open tabs, by the session that Gradio gave them."""

    def __init__(self) -> None:
        self.tabs: dict[str, Tab] = {}

    def of(self, request: Any) -> Tab | None:
        """The tab that a request comes from, if its browser is the one that opened it."""
        tab = self.tabs.get(str(request.session_hash))
        return tab if tab and secrets.compare_digest(tab.owner.encode(), owner(request).encode()) else None

    def opened(self, request: Any) -> Tab | None:
        """Likewise, opened now if need be; None for a session that is another browser's."""
        session = str(request.session_hash)
        if session not in self.tabs:
            while len(self.tabs) >= MOST_TABS:
                self._close(next(iter(self.tabs)))
            self.tabs[session] = Tab(owner(request))
        return self.of(request)

    def close(self, request: Any) -> None:
        """Forget the tab a request comes from: images, examinations, conversations."""
        if self.of(request):
            self._close(str(request.session_hash))

    def hold(self, tab: Tab, held: Held) -> None:
        """Keep an image as the tab's newest, and let go of what is too much."""
        while len(tab.images) >= MOST_IMAGES:
            tab.drop(next(iter(tab.images.values())))
        tab.images[held.key] = tab.current = held
        self.trim(held)

    def trim(self, kept: Held) -> None:
        """Let go of the oldest images, but never of `kept`, until what is held is not too much."""
        for tab, held in sorted(self._all(), key=lambda pair: pair[1].at):
            if sum(other.size for _, other in self._all()) <= MOST_BYTES:
                return
            if held is not kept:
                tab.drop(held)

    def image(self, key: str, browser: str) -> Held | None:
        """The image that an address names, if it is that browser's."""
        found = (held for tab, held in self._all() if _same(held.key, key) and _same(tab.owner, browser))
        return next(found, None)

    def batch(self, key: str, browser: str) -> list[Line]:
        """The batch that an address names, if it is that browser's; empty if there is none."""
        found = (
            tab for tab in tuple(self.tabs.values()) if _same(tab.key, key) and _same(tab.owner, browser)
        )
        return next((tab.lines for tab in found), [])

    def _all(self) -> Iterator[tuple[Tab, Held]]:
        for tab in tuple(self.tabs.values()):
            for held in tuple(tab.images.values()):
                yield tab, held

    def _close(self, session: str) -> None:
        if tab := self.tabs.pop(session, None):
            tab.stop_batch.set()
            for held in tuple(tab.images.values()):
                tab.drop(held)


def owner(request: Any) -> str:
    """The browser that a request comes from, by its cookie."""
    return str(request.cookies.get(COOKIE, ""))


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
