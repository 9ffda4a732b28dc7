"""Examines the images of jobs, one after another, beside what clients wait for."""

import json
import logging
import threading
import time

from forensic_chat.errors import BackendUnavailable, Cancelled, DeadlineExceeded, ForensicChatError
from forensic_chat.examiner import Examiner
from forensic_chat.schema import BatchError, Examination
from forensic_chat.sessions.database import Full, Missing, Unavailable
from forensic_chat.sessions.jobs import TOO_LATE, Jobs, Waiting

LOG = logging.getLogger("forensic_chat.api")
_PAUSES = (5.0, 25.0)
"""Seconds between attempts while the language model can't be reached."""
_AGAIN = 5.0
"""Seconds between attempts while the store can't be reached."""


class Worker:
    """A thread; what it has done is in the store, so it may be ended at any moment."""

    def __init__(self, examiner: Examiner, jobs: Jobs, deadline: float) -> None:
        """deadline: seconds for one image."""
        self._examiner, self._jobs, self._deadline = examiner, jobs, deadline
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._lock, self._now = threading.Lock(), ("", threading.Event())
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is being examined is begun again at the next start."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            self._now[1].set()
        self._thread.join()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def running(self, job: str) -> bool:
        """Whether one of its images is being examined."""
        return self._now[0] == job

    def cancel(self, job: str) -> None:
        """Stop examining its image, if it is one of this job; the store has been told before."""
        with self._lock:
            if self._now[0] == job:
                self._now[1].set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                item = self._jobs.next()
                if item is not None:
                    self._deal_with(item)
            except Exception as error:  # the store's, or a mistake of ours: no job may end the others
                self._wait_for_store(error)
                continue
            if item is None:
                self._wake.wait()

    def _deal_with(self, item: Waiting) -> None:
        cancel = threading.Event()
        with self._lock:
            self._now = (item.job, cancel)
        try:
            result = self._result(item, cancel)
            while not (self._kept(item, result) or self._stopping.is_set()):
                pass
        finally:
            with self._lock:
                self._now = ("", threading.Event())

    def _result(self, item: Waiting, cancel: threading.Event) -> Examination | BatchError | None:
        """None if it was stopped by no fault of the file."""
        for pause in (*_PAUSES, None):
            try:
                return self._examined(item, cancel)
            except BackendUnavailable as error:
                if pause is None:
                    return BatchError(code=error.code, message=str(error))
                self._stopping.wait(pause)
            except DeadlineExceeded as error:
                return BatchError(code=error.code, message=str(error))
            except (Cancelled, Unavailable):
                return None
            except Missing:
                return BatchError(code="internal", message="the file is no longer kept; send it again")
            except ForensicChatError as error:
                return BatchError(code=error.code, message=str(error))
            except Exception as error:  # one file must never cost the job
                LOG.error(json.dumps({"job": item.job, "error": type(error).__name__}))
                return BatchError(code="internal", message=f"internal error ({type(error).__name__})")
        return None

    def _examined(self, item: Waiting, cancel: threading.Event) -> Examination | BatchError:
        left = self._deadline
        if item.deadline is not None:
            left = min(left, item.deadline - time.time())
        if left <= 0:
            return TOO_LATE
        if self._stopping.is_set():
            cancel.set()
        return self._examiner.examine(
            self._jobs.image(item),
            rationale=item.rationale,
            name=item.file.rpartition("/")[2],
            cancel=cancel,
            deadline=left,
        )

    def _kept(self, item: Waiting, result: Examination | BatchError | None) -> bool:
        try:
            if result is None:
                self._jobs.put_back(item)
            else:
                self._jobs.finish(item, result)
        except (Unavailable, Full) as error:
            self._wait_for_store(error)
            return False
        return True

    def _wait_for_store(self, error: Exception) -> None:
        LOG.error(json.dumps({"jobs": "wait for the store", "error": type(error).__name__}))
        self._stopping.wait(_AGAIN)
