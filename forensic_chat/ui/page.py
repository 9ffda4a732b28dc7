"""The browser app's page: drop an image, read the result, ask about it.

What a tab has been given lives in memory as long as the tab. The browser's own state is a view of it and is
never read back.
"""

import secrets
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from forensic_chat.errors import Cancelled, ForensicChatError
from forensic_chat.imaging.intake import take_in
from forensic_chat.report.fragments import context, render
from forensic_chat.settings import settings
from forensic_chat.streaming import written_aside
from forensic_chat.ui.suggestions import COUNT, suggestions
from forensic_chat.wording import CHECKED, MARKS

if TYPE_CHECKING:
    from forensic_chat.dialogue import Dialogue, Reply
    from forensic_chat.examiner import Examiner

MOST_TABS = 32
"""Images in memory; the oldest tab's is let go for another."""
_GONE = "This image is no longer in memory; drop it again."

Message = dict[str, str]


@dataclass(eq=False)
class Tab:
    """One image that was dropped, and what became of it."""

    name: str
    data: bytes
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """Names the tab in the addresses of its downloads."""
    dialogue: "Dialogue | None" = None
    shown: list[Message] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    """Stops what is being done for the tab."""
    busy: bool = False


class Page:
    """The page over one examiner; `tabs` holds what is open, by the browser's session."""

    def __init__(self, examiner: "Examiner") -> None:
        self.tabs: dict[str, Tab] = {}
        self._examiner = examiner

    def build(self) -> gr.Blocks:
        """The page as Gradio blocks."""
        with gr.Blocks(title="Forensic-Chat", analytics_enabled=False) as page:
            gr.HTML(render("head.html"))
            with gr.Row():
                with gr.Column(scale=3, min_width=320):
                    drop = gr.File(label="Image to examine: drop it here, or choose it", height=150)
                    verdict, result = gr.HTML(elem_id="verdict"), gr.HTML(elem_id="result")
                with gr.Column(scale=2, min_width=320):
                    chat = gr.Chatbot(
                        label="Conversation about the image",
                        elem_id="chat",
                        height=460,
                        render_markdown=False,  # a quoted tag must not become a link or a picture
                        buttons=["copy"],
                        placeholder="Questions about the image are answered here, from its examination.",
                    )
                    question = gr.Textbox(
                        label="Your question",
                        elem_id="question",
                        max_length=600,
                        interactive=False,
                        submit_btn=True,
                    )
                    stop = gr.Button("Stop the answer", size="sm", visible=False)
                    with gr.Column(elem_classes="fc-suggestions"):
                        offers = [gr.Button(size="sm", visible=False) for _ in range(COUNT)]
            gr.HTML(render("limits.html"))
            asking = [chat, question, stop, *offers]
            quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
            received = drop.upload(self.receive, drop, [drop, verdict, result, *asking], queue=False, **quiet)
            received.then(self.examine, None, [verdict, result, *asking], **quiet)
            question.submit(self.ask, question, asking, **quiet)
            for offer in offers:
                offer.click(self.ask, offer, asking, **quiet)
            chat.clear(self.restart, None, asking, queue=False, **quiet)
            stop.click(self.stop, None, None, queue=False, **quiet)
            page.unload(self.close)
        return page.queue(max_size=MOST_TABS, default_concurrency_limit=MOST_TABS, api_open=False)

    def tab(self, key: str) -> Tab | None:
        """The tab that a download's address names."""
        found = (tab for tab in tuple(self.tabs.values()) if secrets.compare_digest(tab.key, key))
        return next(found, None)

    def receive(self, path: str, request: gr.Request) -> list[Any]:
        """Take the dropped file into memory and off the disk, in place of what the tab held."""
        self.close(request)
        file = Path(path)
        try:
            with file.open("rb") as opened:
                data = opened.read(settings().max_file_bytes + 1)
        except OSError:
            return [
                None,
                _message("The upload did not arrive; drop the image again.", error=True),
                "",
                *_mute(),
            ]
        finally:
            file.unlink(missing_ok=True)
        while len(self.tabs) >= MOST_TABS:
            self._close(next(iter(self.tabs)))
        self.tabs[str(request.session_hash)] = Tab(file.name, data)
        return [None, _message(f"Examining {file.name} …"), "", *_mute()]

    def examine(self, request: gr.Request) -> list[Any]:
        """Examine what the tab holds and open the conversation."""
        session = str(request.session_hash)
        tab = self.tabs.get(session)
        if tab is None:
            return [gr.skip(), gr.skip(), *_mute()]
        try:
            tab.dialogue = self._examiner.open(tab.data, name=tab.name, cancel=tab.stop)
        except Cancelled:
            return [gr.skip() for _ in range(5 + COUNT)]
        except ForensicChatError as error:
            self.tabs.pop(session, None)
            return [_message(str(error), error=True), "", *_mute()]
        examination = tab.dialogue.examination
        downloads = {
            "Examination (JSON)": f"tab/{tab.key}/examination.json",
            "Report (HTML, signed)": f"tab/{tab.key}/report.html",
        }
        shown = context(take_in(tab.data, name=tab.name), examination) | {"downloads": downloads}
        return [_safe(render("verdict.html", **shown)), _safe(render("result.html", **shown)), *_listen(tab)]

    def ask(self, question: str, request: gr.Request) -> Generator[list[Any]]:
        """Answer a question in pieces, then with its claims' checks; nothing while another is answered."""
        tab = self.tabs.get(str(request.session_hash))
        if tab is None or tab.dialogue is None:
            yield [[{"role": "assistant", "content": _GONE}], *_mute()[1:]]
            return
        if tab.busy or not question.strip():
            return
        tab.busy, tab.stop = True, threading.Event()
        answer = {"role": "assistant", "content": "…"}
        tab.shown += [{"role": "user", "content": question}, answer]
        try:
            yield _writing(tab)
            reply = tab.dialogue.ask(question, cancel=tab.stop)
            for _ in written_aside(reply, tab.stop):
                answer["content"] = reply.text
                yield _writing(tab)
            answer["content"] = _with_checks(reply)
        except Cancelled:
            answer["content"] += "\n(stopped; not checked)"
        except ForensicChatError as error:
            answer["content"] = str(error)
        finally:
            tab.busy = False
        yield _listen(tab)

    def restart(self, request: gr.Request) -> list[Any]:
        """Forget what was said about the image."""
        tab = self.tabs.get(str(request.session_hash))
        if tab is None or tab.dialogue is None:
            return _mute()
        tab.stop.set()
        tab.dialogue, tab.shown = tab.dialogue.with_history([]), []
        return _listen(tab)

    def stop(self, request: gr.Request) -> None:
        """Stop the answer that is being written."""
        if tab := self.tabs.get(str(request.session_hash)):
            tab.stop.set()

    def close(self, request: gr.Request) -> None:
        """Forget the tab: its image, its examination and its conversation."""
        self._close(str(request.session_hash))

    def _close(self, session: str) -> None:
        if tab := self.tabs.pop(session, None):
            tab.stop.set()


def _mute() -> list[Any]:
    """The conversation's components with nothing to talk about."""
    return [[], gr.update(value="", interactive=False), gr.update(visible=False), *_offers([])]


def _writing(tab: Tab) -> list[Any]:
    return [tab.shown, gr.update(value="", interactive=False), gr.update(visible=True), *_offers([])]


def _listen(tab: Tab) -> list[Any]:
    assert tab.dialogue is not None
    asked = [message["content"] for message in tab.shown if message["role"] == "user"]
    offers = _offers(suggestions(tab.dialogue.examination, asked))
    return [tab.shown, gr.update(interactive=True), gr.update(visible=False), *offers]


def _offers(questions: list[str]) -> list[Any]:
    padded = [*questions, *[""] * (COUNT - len(questions))]
    return [gr.update(value=text, visible=bool(text)) for text in padded]


def _with_checks(reply: "Reply") -> str:
    """The answer, and under it what became of each claim in it."""
    lines = [reply.text]
    for claim in reply.claims:
        cited = ", ".join([*claim.findings, *([claim.region] if claim.region else [])])
        lines.append(f"{MARKS[claim.verified]} {CHECKED[claim.verified]} [{cited}]: {claim.check}")
    return "\n".join(lines[:1] + [""] * bool(lines[1:]) + lines[1:])


def _message(text: str, *, error: bool = False) -> str:
    return _safe(render("message.html", text=text, error=error))


def _safe(fragment: str) -> str:
    """`fragment` without the characters that Gradio's HTML component reads as templates."""
    return fragment.replace("{", "&#123;").replace("$", "&#36;")
