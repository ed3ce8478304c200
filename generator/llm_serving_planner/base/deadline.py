"""One deadline for a whole command, kept from outside of whatever blocks.

Three ways, each for what the one before cannot end: a signal, which interrupts Python's own waiting and lets `finally`
run; a thread, for libraries that go on after a signal; a timer in C, for code that never gives Python its turn.
"""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

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
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGALRM"):
            stack.enter_context(_alarm(seconds))
        timer = threading.Timer(seconds + _GRACE_SECONDS, _leave, (message, code))
        timer.daemon = True
        timer.start()
        stack.callback(timer.cancel)
        stack.enter_context(_last(seconds + 2 * _GRACE_SECONDS))
        yield


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def over(_number: int, _frame: FrameType | None) -> None:
        raise DeadlineError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _last(seconds: float) -> Iterator[None]:
    """Faulthandler's timer runs without Python's lock; it ends the process with code 1."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no path of anybody's
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _leave(message: str, code: int) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
    os._exit(code)
