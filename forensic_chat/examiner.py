"""The one use-case layer: an image becomes an Examination; an Examination can be asked about.

examiner = Examiner.load()
examination = examiner.examine("photo.jpg")
dialogue = examiner.open("photo.jpg")
for piece in dialogue.ask("Where was it changed?"):
    print(piece, end="")
"""

import threading
import time
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

from forensic_chat.imaging.intake import Source, take_in
from forensic_chat.schema import Examination, Rationale
from forensic_chat.settings import settings
from forensic_chat.stopping import Stopping
from forensic_chat.weights import base, fingerprint, shipped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from forensic_chat.dialogue import Dialogue
    from forensic_chat.encoder.calibration import Calibration
    from forensic_chat.encoder.perceive import Encoder
    from forensic_chat.judgement import Judgement
    from forensic_chat.mllm.backends.base import Backend
    from forensic_chat.mllm.backends.choice import BackendName
    from forensic_chat.telling import Told
    from forensic_chat.weights.progress import Progress


class Examiner:
    """Examines images.

    Models load when they are first needed and stay. One instance serves many threads, one after another: an
    examination waits until those before it, and answers that are being written, are done. Only with a backend
    that is `concurrent` do rationales and answers get written side by side.
    """

    def __init__(
        self, *, backend: "Backend | BackendName | None" = None, progress: "Progress | None" = None
    ) -> None:
        self._given, self._progress = backend, progress
        self._lock, self._looking, self._loading = threading.Lock(), threading.Lock(), threading.Lock()
        self._backend: Backend | None = None

    @classmethod
    def load(
        cls, *, backend: "Backend | BackendName | None" = None, progress: "Progress | None" = None
    ) -> "Examiner":
        """An examiner with the encoder in memory; base weights are fetched now if they are not cached.

        backend: who writes rationales, or its name; default: as the settings say. Raises WeightsUnavailable,
        WeightsCorrupted.
        """
        examiner = cls(backend=backend, progress=progress)
        examiner.encoder  # noqa: B018  (loads it)
        return examiner

    @cached_property
    def _seeing(self) -> "tuple[Encoder, Calibration]":
        from forensic_chat.encoder.loading import load

        graph = base("clip-tower-int8", progress=self._progress) / "tower.onnx"
        return load(shipped() / "encoder", graph, settings().threads)

    @property
    def encoder(self) -> "Encoder":
        return self._seeing[0]

    @property
    def calibration(self) -> "Calibration":
        """The operating points shipped with the encoder."""
        return self._seeing[1]

    @property
    def backend(self) -> "Backend":
        """The language model; loaded at the first rationale or question."""
        from forensic_chat.mllm.backends.choice import load

        with self._loading:
            if self._backend is None:
                given = settings().backend if self._given is None else self._given
                self._backend = load(given, self._progress) if isinstance(given, str) else given
            return self._backend

    @property
    def concurrent(self) -> bool:
        """Whether rationales and answers can be written side by side; tells it without loading the model."""
        given = settings().backend if self._given is None else self._given
        return given == "vllm" if isinstance(given, str) else given.concurrent

    @cached_property
    def models(self) -> dict[str, str]:
        """What decides verdicts, by version and hash: the part of `Examination.models` that needs no
        language model."""
        return {
            "forensic-chat": version("forensic-chat"),
            "encoder": fingerprint(shipped() / "encoder"),
            "tower": fingerprint(base("clip-tower-int8", progress=self._progress)),
        }

    def examine(
        self,
        source: Source,
        *,
        rationale: bool = True,
        name: str | None = None,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
        owner: str = "",
    ) -> Examination:
        """Examine one image: a path, a file's bytes or a PIL image.

        rationale: False leaves the language model out; verdict, regions, mask and findings are the same.
        deadline: seconds from now, those spent waiting for other threads included; it is looked at between
        stages. owner: whose image it is, see `Conversation`. Raises InputRejected, BackendUnavailable,
        Cancelled, DeadlineExceeded.
        """
        check = Stopping(cancel, deadline)
        with check.holding(self._turn()):
            judgement, timings = self._judge(source, name, check)
            told = None
            if rationale:
                told, extra = self._tell(judgement, check, owner)
                timings |= extra
            return self._examination(judgement, told, timings)

    def open(
        self,
        source: Source,
        *,
        name: str | None = None,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
        owner: str = "",
    ) -> "Dialogue":
        """Examine once, with a rationale, and return the conversation about it; arguments and errors as for
        `examine`."""
        from forensic_chat.dialogue import Dialogue

        check = Stopping(cancel, deadline)
        turn = self._turn()
        with check.holding(turn):
            judgement, timings = self._judge(source, name, check)
            told, extra = self._tell(judgement, check, owner)
            examination = self._examination(judgement, told, timings | extra)
            changes = judgement.perception.changes
            return Dialogue(self.backend, examination, told.conversation, told.masking, turn, changes)

    def suspicion(
        self,
        source: Source,
        *,
        name: str | None = None,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
    ) -> "NDArray[np.float32]":
        """(ceil(H / 8), ceil(W / 8)): how likely each cell of 8 px was changed, 0 to 1, as the mask heads see
        it; `Examination.mask` is what of it is sure enough to be shown. Arguments and errors as for `examine`."""
        check = Stopping(cancel, deadline)
        with check.holding(self._turn()):
            return self.encoder.locate(take_in(source, name=name).pixels).mask

    def _turn(self) -> threading.Lock:
        """What an examination and each of its dialogue's answers hold: one for all, unless they can be
        written side by side."""
        return threading.Lock() if self.concurrent else self._lock

    def _judge(
        self, source: Source, name: str | None, check: Stopping
    ) -> "tuple[Judgement, dict[str, float]]":
        from forensic_chat.judgement import judge

        start = time.perf_counter()
        image = take_in(source, name=name)
        taken = time.perf_counter()
        check()
        with check.holding(self._looking):
            waited = time.perf_counter()
            encoder, calibration = self._seeing
            timings = {"intake": taken - start, "encoder.load": time.perf_counter() - waited}
            judgement = judge(image, encoder, calibration, check)
        return judgement, timings | judgement.timings

    def _tell(self, judgement: "Judgement", check: Stopping, owner: str) -> "tuple[Told, dict[str, float]]":
        from forensic_chat.telling import tell

        start = time.perf_counter()
        backend = self.backend
        loaded = time.perf_counter()
        told = tell(judgement, backend, self.encoder, check, looking=self._looking, owner=owner)
        timings = {"language.load": loaded - start} | told.timings
        return told, timings

    def _examination(
        self, judgement: "Judgement", told: "Told | None", timings: dict[str, float]
    ) -> Examination:
        models, rationale, warnings = dict(self.models), None, list(judgement.warnings)
        if told is not None:
            models |= self.backend.models
            rationale = Rationale(text=told.text, claims=told.claims)
            warnings += told.warnings
        timings = {stage: round(seconds, 4) for stage, seconds in timings.items()}
        return Examination(
            image=judgement.image.info(),
            verdict=judgement.verdict,
            regions=judgement.regions,
            mask=judgement.mask,
            findings=judgement.findings,
            rationale=rationale,
            models=models,
            timings=timings | {"total": round(sum(timings.values()), 4)},
            warnings=warnings,
        )
