"""Many images: files or a ZIP archive in, a table out, with exports."""

import threading
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from forensic_chat.batch import examined
from forensic_chat.errors import BackendUnavailable, Cancelled, InputRejected
from forensic_chat.imaging.intake import take_in
from forensic_chat.report import pictures
from forensic_chat.report.tables import Line, counts
from forensic_chat.schema import BatchError, BatchExamination, BatchFailure
from forensic_chat.settings import settings
from forensic_chat.ui.dropped import MOST_FILES, images
from forensic_chat.ui.examine import GONE, QUIET
from forensic_chat.ui.fragments import message, part
from forensic_chat.ui.memory import Memory, new_key

if TYPE_CHECKING:
    from forensic_chat.examiner import Examiner


class Batch:
    """The part of the page that examines many images."""

    def __init__(self, examiner: "Examiner", memory: Memory) -> None:
        self._examiner, self._memory = examiner, memory

    def build(self) -> None:
        """Lay it out and wire it, inside Gradio's blocks."""
        most = f"at most {MOST_FILES} images, {settings().max_batch_bytes / 1e6:g} MB unpacked"
        rationale = gr.Checkbox(
            label="Also write rationales (slower; they are in the JSON)", elem_id="rationales"
        )
        drop = gr.File(
            label=f"Images, or a ZIP archive of them: {most}",
            file_count="multiple",
            height=150,
            elem_id="drop-many",
        )
        state = gr.HTML(elem_id="batch-state")
        stop = gr.Button("Stop the batch", size="sm", visible=False)
        table = gr.HTML(elem_id="batch")
        drop.upload(self.run, [drop, rationale], [drop, state, stop, table], **QUIET)
        stop.click(self.stop, None, None, queue=False, **QUIET)

    def run(self, paths: list[str], rationale: bool, request: gr.Request) -> Generator[list[Any]]:
        """Examine what was dropped, one image after another; the files are gone when it ends."""
        files = [Path(path) for path in paths]
        try:
            tab = self._memory.opened(request)
            if tab is None:
                yield [None, message(GONE, error=True), _HIDE, ""]
                return
            tab.stop_batch.set()  # one batch a tab
            tab.lines, tab.key, tab.stop_batch = [], new_key(), threading.Event()
            stop, lines, exports = tab.stop_batch, tab.lines, f"batch/{tab.key}"
            try:
                yield from self._run(files, rationale, lines, stop)
                ended = message(f"{'Stopped' if stop.is_set() else 'Done'}: {len(lines)} examined.")
            except (InputRejected, BackendUnavailable) as error:
                ended = message(str(error), error=True)
            except OSError:
                ended = message("The upload did not arrive; drop it again.", error=True)
            yield [None, ended, _HIDE, _table(lines, exports)]
        finally:
            for file in files:
                file.unlink(missing_ok=True)

    def stop(self, request: gr.Request) -> None:
        """Stop after what was examined so far."""
        if tab := self._memory.of(request):
            tab.stop_batch.set()

    def _run(
        self, files: list[Path], rationale: bool, lines: list[Line], stop: threading.Event
    ) -> Generator[list[Any]]:
        for name, data in images(files):
            said = message(f"{len(lines)} done. Examining {name} …")
            yield [None, said, _SHOW, _table(lines)]
            if stop.is_set():
                return
            try:
                lines.append(self._line(name, data, rationale, stop))
            except Cancelled:
                return

    def _line(self, name: str, data: bytes | InputRejected, rationale: bool, stop: threading.Event) -> Line:
        if isinstance(data, InputRejected):
            return Line(BatchFailure(file=name, error=BatchError(code=data.code, message=str(data))))
        row = examined(self._examiner, data, name, rationale=rationale, cancel=stop)
        if not isinstance(row, BatchExamination):
            return Line(row)
        small = pictures.thumbnail(take_in(data, name=name), row)
        return Line(row, pictures.data_url(small, "image/jpeg"))


_SHOW, _HIDE = gr.update(visible=True), gr.update(visible=False)


def _table(lines: list[Line], address: str | None = None) -> str:
    """The table so far, and once there is an `address`, the exports under it."""
    downloads = {}
    if address and lines:
        downloads = {
            "JSON": f"{address}/results.json",
            "CSV (for spreadsheets)": f"{address}/results.csv",
            "HTML": f"{address}/results.html",
        }
    return part("batch_result.html", lines=lines, counts=counts(lines), downloads=downloads)
