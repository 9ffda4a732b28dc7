"""One image: its result on the left, questions about it on the right."""

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from forensic_chat.errors import Cancelled, ForensicChatError, UsageError
from forensic_chat.imaging.intake import take_in
from forensic_chat.report import pdf
from forensic_chat.report.fragments import context
from forensic_chat.settings import settings
from forensic_chat.streaming import written_aside
from forensic_chat.ui import examples
from forensic_chat.ui.fragments import message, part
from forensic_chat.ui.memory import Held, Memory, Tab
from forensic_chat.ui.suggestions import COUNT, suggestions
from forensic_chat.wording import CHECKED, MARKS

if TYPE_CHECKING:
    from forensic_chat.dialogue import Dialogue, Reply
    from forensic_chat.examiner import Examiner

GONE = "This image is no longer in memory; drop it again."
_LOST = "The upload did not arrive; drop the image again."
_OTHER_GONE = "The image to compare with is no longer in memory; choose another."
_HIDE = gr.update(visible=False)

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""Of every event of the page."""


class Examine:
    """The part of the page that examines one image and talks about it."""

    def __init__(self, examiner: "Examiner", memory: Memory) -> None:
        self._examiner, self._memory = examiner, memory
        self.outputs: list[Any] = []
        """What `show` and `nothing` fill."""

    def build(self) -> None:
        """Lay it out and wire it, inside Gradio's blocks."""
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                drop = gr.File(
                    label="Image to examine: drop it here, or choose it", height=150, elem_id="drop"
                )
                gr.HTML(part("examples.html"))
                with gr.Row(elem_classes="fc-examples"):
                    tries = [
                        gr.Button(f"Example: {name}", size="sm", min_width=100) for name in examples.NAMES
                    ]
                verdict, result = gr.HTML(elem_id="verdict"), gr.HTML(elem_id="result")
            with gr.Column(scale=2, min_width=320, elem_id="talk"):
                asking = self._build_chat()
        self.outputs = [verdict, result, *asking]
        received = drop.upload(self.receive, drop, [drop, *self.outputs], queue=False, **QUIET)
        received.then(self.examine, None, self.outputs, **QUIET)
        for name, button in zip(examples.NAMES, tries, strict=True):
            given = button.click(self._example(name), None, self.outputs, queue=False, **QUIET)
            given.then(self.examine, None, self.outputs, **QUIET)

    def _build_chat(self) -> list[Any]:
        chat = gr.Chatbot(
            label="Conversation about the image",
            elem_id="chat",
            height=460,
            render_markdown=False,  # a quoted tag must not become a link or a picture
            buttons=["copy"],
            placeholder="Questions about the image are answered here, from its examination.",
        )
        question = gr.Textbox(
            label="Your question", elem_id="question", max_length=600, interactive=False, submit_btn=True
        )
        stop = gr.Button("Stop the answer", size="sm", visible=False)
        with gr.Column(elem_classes="fc-suggestions"):
            offers = [gr.Button(size="sm", visible=False) for _ in range(COUNT)]
        other = gr.Dropdown(
            [], label="Another image of the history to compare it with", visible=False, elem_id="other"
        )
        compare = gr.Button("Compare the two", size="sm", visible=False)
        asking = [chat, question, stop, *offers, other, compare]
        question.submit(self.ask, question, asking, **QUIET)
        for offer in offers:
            offer.click(self.ask, offer, asking, **QUIET)
        compare.click(self.compare, other, asking, **QUIET)
        chat.clear(self.restart, None, asking, queue=False, **QUIET)
        stop.click(self.stop, None, None, queue=False, **QUIET)
        return asking

    def receive(self, path: str, request: gr.Request) -> list[Any]:
        """Take the dropped file into memory and off the disk."""
        file = Path(path)
        try:
            with file.open("rb") as opened:
                data = opened.read(settings().max_file_bytes + 1)
        except OSError:
            return [None, message(_LOST, error=True), "", *_mute()]
        finally:
            file.unlink(missing_ok=True)
        return [None, *self._take(Held(file.name, data), request)]

    def _example(self, name: str) -> Any:
        def give(request: gr.Request) -> list[Any]:
            return self._take(Held(*examples.read(name)), request)

        return give

    def _take(self, held: Held, request: gr.Request) -> list[Any]:
        tab = self._memory.opened(request)
        if tab is None:
            return [message(GONE, error=True), "", *_mute()]
        if tab.current is not None and tab.current.dialogue is None:
            tab.drop(tab.current)  # it is still being examined, and nobody looks at it any more
        self._memory.hold(tab, held)
        return [message(f"Examining {held.name} …"), "", *_mute()]

    def examine(self, request: gr.Request) -> list[Any]:
        """Examine what was dropped and open the conversation."""
        tab = self._memory.of(request)
        held = tab.current if tab else None
        if tab is None or held is None or held.dialogue is not None:
            return [gr.skip() for _ in self.outputs]
        try:
            held.dialogue = self._examiner.open(held.data, name=held.name, cancel=held.stop)
        except Cancelled:
            return [gr.skip() for _ in self.outputs]
        except ForensicChatError as error:
            tab.drop(held)
            return [message(str(error), error=True), "", *_mute()]
        self._memory.trim(held)
        return self.show(tab) if tab.current is held else [gr.skip() for _ in self.outputs]

    def show(self, tab: Tab) -> list[Any]:
        """The tab's current image, for `outputs`."""
        held = tab.current
        if held is None or held.dialogue is None:
            return self.nothing()
        examination, address = held.dialogue.examination, f"tab/{held.key}"
        shown = context(take_in(held.data, name=held.name), examination, held.dialogue.changes)
        shown["address"] = address
        shown["downloads"] = {
            "Examination (JSON)": f"{address}/examination.json",
            "Report (HTML, signed)": f"{address}/report.html",
        }
        if _printable():
            shown["downloads"]["Report (PDF, signed)"] = f"{address}/report.pdf"
        return [part("verdict.html", **shown), part("result.html", **shown), *_listen(tab, held)]

    def nothing(self) -> list[Any]:
        """For `outputs`: there is no image."""
        return ["", "", *_mute()]

    def ask(self, question: str, request: gr.Request) -> Generator[list[Any]]:
        """Answer a question in pieces, then with its claims' checks; nothing while another is answered."""
        if question.strip():
            yield from self._talk(request, lambda known, stop: known.ask(question, cancel=stop))

    def compare(self, key: str | None, request: gr.Request) -> Generator[list[Any]]:
        """Set another image of this tab beside the one that is shown; another's key compares nothing."""
        tab = self._memory.of(request)
        other = tab.images.get(key or "") if tab else None
        if other is None or other.dialogue is None:
            gone = {"role": "assistant", "content": _OTHER_GONE}
            there = tab.current if tab else None
            if tab is not None and there is not None and there.dialogue is not None:
                shown, *rest = _listen(tab, there)
                yield [[*shown, gone], *rest]
            return
        examination = other.dialogue.examination
        yield from self._talk(request, lambda known, stop: known.compare(examination, cancel=stop))

    def _talk(
        self, request: gr.Request, begin: "Callable[[Dialogue, threading.Event], Reply]"
    ) -> Generator[list[Any]]:
        """The tab's conversation while the reply that `begin` gives is written."""
        tab = self._memory.of(request)
        held = tab.current if tab else None
        if tab is None or held is None or held.dialogue is None:
            yield [[{"role": "assistant", "content": GONE}], *_mute()[1:]]
            return
        if held.busy:
            return
        held.busy, held.stop = True, threading.Event()
        reply = begin(held.dialogue, held.stop)
        answer = {"role": "assistant", "content": "…"}
        held.shown += [{"role": "user", "content": reply.question}, answer]
        try:
            yield _writing(held)
            for _ in written_aside(reply, held.stop):
                answer["content"] = reply.text
                yield _writing(held)
            answer["content"] = _with_checks(reply)
        except Cancelled:
            answer["content"] += "\n(stopped; not checked)"
        except ForensicChatError as error:
            answer["content"] = str(error)
        finally:
            held.busy = False
        if tab.current is held:
            yield _listen(tab, held)

    def restart(self, request: gr.Request) -> list[Any]:
        """Forget what was said about the image."""
        tab = self._memory.of(request)
        held = tab.current if tab else None
        if tab is None or held is None or held.dialogue is None:
            return _mute()
        held.stop.set()
        held.dialogue, held.shown = held.dialogue.with_history([]), []
        return _listen(tab, held)

    def stop(self, request: gr.Request) -> None:
        """Stop the answer that is being written."""
        tab = self._memory.of(request)
        if tab and tab.current:
            tab.current.stop.set()


def _mute() -> list[Any]:
    """The conversation's components with nothing to talk about."""
    return [[], gr.update(value="", interactive=False), _HIDE, *_offers([]), _HIDE, _HIDE]


def _writing(held: Held) -> list[Any]:
    muted = gr.update(value="", interactive=False)
    return [held.shown, muted, gr.update(visible=True), *_offers([]), _HIDE, _HIDE]


def _listen(tab: Tab, held: Held) -> list[Any]:
    assert held.dialogue is not None
    asked = [message["content"] for message in held.shown if message["role"] == "user"]
    offers = _offers(suggestions(held.dialogue.examination, asked))
    choices = [(other.described, other.key) for other in tab.examined() if other is not held]
    first, there = choices[0][1] if choices else None, bool(choices)
    others = [gr.update(choices=choices, value=first, visible=there), gr.update(visible=there)]
    return [held.shown, gr.update(interactive=True), _HIDE, *offers, *others]


def _offers(questions: list[str]) -> list[Any]:
    padded = [*questions, *[""] * (COUNT - len(questions))]
    return [gr.update(value=text, visible=bool(text)) for text in padded]


def _with_checks(reply: "Reply") -> str:
    """The answer, and under it what became of each claim in it, and what a second look found."""
    lines = [reply.text]
    for claim in reply.claims:
        cited = ", ".join([*claim.findings, *([claim.region] if claim.region else [])])
        lines.append(f"{MARKS[claim.verified]} {CHECKED[claim.verified]} [{cited}]: {claim.check}")
    lines += [f"{finding.id}, from another look: {finding.summary}" for finding in reply.findings]
    return "\n".join(lines[:1] + [""] * bool(lines[1:]) + lines[1:])


def _printable() -> bool:
    """Whether reports can be had as PDF here."""
    try:
        pdf.ready()
    except UsageError:
        return False
    return True
