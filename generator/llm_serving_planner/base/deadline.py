"""One deadline for a whole command, kept from outside of whatever blocks.

Three ways, each for what the one before cannot end: a signal, which interrupts Python's own waiting and lets `finally`
run; a thread, for libraries that go on after a signal; a timer in C, for code that never gives Python its turn.
"""

import _thread  # threading would double what an offline plan loads
import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_GRACE_SECONDS = 2.0


class DeadlineError(BaseException):
    """The command took too long. No Exception: libraries that carry on after any Exception must not catch it."""


@contextmanager
def deadline(seconds: float, message: str, code: int) -> Iterator[None]:
    """Bound the block in time.

    Args:
        seconds: until the block ends, however it blocks.
        message: written to stderr where the block does not end by itself.
        code: exit code of the process in that case.

    Raises:
        DeadlineError: in the block, when the time is over.
    """
    if sys.platform == "emscripten":  # neither signals nor threads; the page ends its worker
        yield
        return
    with ExitStack() as stack:
        if _thread.get_ident() == _main_thread() and sys.platform != "win32":
            stack.enter_context(_alarm(seconds))
        stack.enter_context(_watch(seconds + _GRACE_SECONDS, message, code))
        stack.enter_context(_last(seconds + 2 * _GRACE_SECONDS))
        yield


def _main_thread() -> int:
    """The main thread's number; without threading, which nobody has loaded then, there is no other thread."""
    threading = sys.modules.get("threading")
    return _thread.get_ident() if threading is None else int(threading.main_thread().ident)


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    import signal

    def over(_number: int, _frame: Any) -> None:
        raise DeadlineError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _watch(seconds: float, message: str, code: int) -> Iterator[None]:
    """A thread that leaves the process when the lock is not given back in time."""
    running = _thread.allocate_lock()
    running.acquire()

    def watch() -> None:
        if not running.acquire(timeout=seconds):
            _leave(message, code)

    _thread.start_new_thread(watch, ())
    try:
        yield
    finally:
        running.release()


@contextmanager
def _last(seconds: float) -> Iterator[None]:
    """The timer of faulthandler runs without Python's lock; it ends the process with code 1."""
    with open(os.devnull, "w", encoding="ascii") as nowhere:  # noqa: PTH123 - no path of anybody's
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _leave(message: str, code: int) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
    os._exit(code)
