"""The browser app's page: examine one image and talk about it, examine many, look at what was examined."""

from typing import TYPE_CHECKING

import gradio as gr

from forensic_chat.ui.batch import Batch
from forensic_chat.ui.examine import QUIET, Examine
from forensic_chat.ui.fragments import part
from forensic_chat.ui.history import History
from forensic_chat.ui.memory import MOST_TABS, Memory

if TYPE_CHECKING:
    from forensic_chat.examiner import Examiner


class Page:
    """The page over one examiner."""

    def __init__(self, examiner: "Examiner") -> None:
        self.memory = Memory()
        self.examine = Examine(examiner, self.memory)
        self.batch = Batch(examiner, self.memory)
        self.history = History(self.memory, self.examine)

    def build(self) -> gr.Blocks:
        """The page as Gradio blocks."""
        with gr.Blocks(title="Forensic-Chat", analytics_enabled=False) as page:
            gr.HTML(part("head.html"))
            with gr.Tabs(elem_id="tabs") as tabs:
                with gr.Tab("One image", id="image"):
                    self.examine.build()
                with gr.Tab("Many images", id="batch"):
                    self.batch.build()
                with gr.Tab("History", id="history") as past:
                    self.history.build(tabs)
            gr.HTML(part("limits.html"))
            past.select(self.history.refresh, None, self.history.outputs, queue=False, **QUIET)
            page.unload(self.close)
        return page.queue(max_size=MOST_TABS, default_concurrency_limit=MOST_TABS, api_open=False)

    def close(self, request: gr.Request) -> None:
        """Forget the tab: its images, examinations and conversations."""
        self.memory.close(request)
