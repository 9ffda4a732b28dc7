"""Work is given up between stages, and while another thread's work is waited for."""

import threading

import pytest

from forensic_chat.errors import Cancelled, DeadlineExceeded
from forensic_chat.stopping import Stopping


def test_without_a_limit_it_never_stops() -> None:
    check = Stopping()
    check()
    assert check.remaining is None


def test_a_cancelled_caller_is_told_so() -> None:
    cancel = threading.Event()
    check = Stopping(cancel, work="the answer")
    check()
    cancel.set()
    with pytest.raises(Cancelled, match=r"^the answer was cancelled; nothing of it was kept$"):
        check()


def test_the_message_quotes_the_deadline_that_was_given() -> None:
    check = Stopping(deadline=0.0)
    assert check.remaining == 0
    with pytest.raises(DeadlineExceeded, match=r"^the examination was not finished within 0 s; allow more"):
        check()
    assert 0 < (Stopping(deadline=60).remaining or 0) <= 60


@pytest.mark.parametrize("cancelled", [True, False])
def test_nobody_waits_for_a_lock_longer_than_allowed(cancelled: bool) -> None:
    lock, cancel = threading.Lock(), threading.Event()
    check = Stopping(cancel, None if cancelled else 0.1)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            with check.holding(lock):
                pytest.fail("the lock was held")
        except Cancelled as error:
            errors.append(error)

    with lock:
        waiting = threading.Thread(target=wait)
        waiting.start()
        if cancelled:
            cancel.set()
        waiting.join(10)
    assert [type(error) for error in errors] == [Cancelled if cancelled else DeadlineExceeded]


def test_a_lock_is_given_back_however_the_work_ends() -> None:
    lock = threading.Lock()
    with pytest.raises(KeyError), Stopping().holding(lock):
        raise KeyError
    assert lock.acquire(blocking=False)
