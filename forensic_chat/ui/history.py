"""What this tab has examined: open an image again, with its conversation, or forget it."""

from typing import Any

import gradio as gr

from forensic_chat.ui.examine import QUIET, Examine
from forensic_chat.ui.fragments import message
from forensic_chat.ui.memory import Memory, Tab

_EMPTY = "Nothing was examined in this tab yet."
_KEPT = "Kept in memory for this tab alone, and forgotten when it closes."


class History:
    """The part of the page that lists what was examined; an image is opened in `examine`."""

    def __init__(self, memory: Memory, examine: Examine) -> None:
        self._memory, self._examine = memory, examine
        self.outputs: list[Any] = []
        """What `refresh` fills."""

    def build(self, tabs: gr.Tabs) -> None:
        """Lay it out and wire it; `tabs` shows the image that is opened."""
        state = gr.HTML(message(_EMPTY))
        chosen = gr.Radio(
            [], label="Examined images, the newest first", visible=False, elem_id="examined", info=_KEPT
        )
        with gr.Row():
            go = gr.Button("Open", variant="primary", visible=False)
            forget = gr.Button("Forget this image", visible=False)
            forget_all = gr.Button("Forget all", visible=False)
        self.outputs = [state, chosen, go, forget, forget_all]
        go.click(self.open, chosen, [tabs, *self._examine.outputs], queue=False, **QUIET)
        both = [*self.outputs, *self._examine.outputs]
        forget.click(self.forget, chosen, both, queue=False, **QUIET)
        forget_all.click(self.forget_all, None, both, queue=False, **QUIET)

    def refresh(self, request: gr.Request) -> list[Any]:
        """The tab's images, for `outputs`."""
        return _listed(self._memory.of(request))

    def open(self, key: str | None, request: gr.Request) -> list[Any]:
        """Show an image of this tab again; another's key opens nothing."""
        tab = self._memory.of(request)
        held = tab.images.get(key or "") if tab else None
        if tab is None or held is None or held.dialogue is None:
            return [gr.skip(), *[gr.skip() for _ in self._examine.outputs]]
        tab.current = held
        return [gr.update(selected="image"), *self._examine.show(tab)]

    def forget(self, key: str | None, request: gr.Request) -> list[Any]:
        """Forget an image of this tab; another's key forgets nothing."""
        tab = self._memory.of(request)
        if tab and (held := tab.images.get(key or "")):
            tab.drop(held)
        return self._after(tab)

    def forget_all(self, request: gr.Request) -> list[Any]:
        """Forget every image of this tab."""
        tab = self._memory.of(request)
        for held in tab.examined() if tab else []:
            if tab:
                tab.drop(held)
        return self._after(tab)

    def _after(self, tab: Tab | None) -> list[Any]:
        unseen = tab is None or tab.current is None
        shown = self._examine.nothing() if unseen else [gr.skip() for _ in self._examine.outputs]
        return [*_listed(tab), *shown]


def _listed(tab: Tab | None) -> list[Any]:
    images = tab.examined() if tab else []
    current = tab.current if tab else None
    there = bool(images)
    choices = [(held.described, held.key) for held in images]
    value = current.key if current in images and current else images[0].key if there else None
    return [
        gr.update(value=message(_EMPTY), visible=not there),
        gr.update(choices=choices, value=value, visible=there),
        *[gr.update(visible=there) for _ in range(3)],
    ]
