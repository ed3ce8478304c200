# Made by `make generate` from generator/supervisor/bounded.py; change that file.
"""Ends on time and on a signal, whatever is waited for; text from outside becomes one harmless line.

A program of a pod is process 1, for which the kernel ignores SIGTERM unless it is handled; and a call into a network
or a library written in C may come back hours later, or never. So what may block runs on a thread of its own, and the
main thread, which does nothing but look on, ends the process. The standard library only.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, TypeVar

if TYPE_CHECKING:
    from types import FrameType

Result = TypeVar("Result")
LOOK_SECONDS = 0.2
TEXT_LENGTH = 300


def clean(text: object, length: int = TEXT_LENGTH) -> str:
    """A text from outside as one line of at most so many characters: what cannot be printed becomes a question mark."""
    words = " ".join(str(text)[: 4 * length].split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in words)
    return shown if len(shown) <= length else shown[: length - 3] + "..."


def leave(code: int) -> None:
    """End the process at once, with whatever its other threads are doing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_on_signals() -> None:
    """SIGTERM and SIGINT end the process at once, as process 1 too, with 128 and the signal's number."""

    def end(number: int, _: FrameType | None) -> None:
        os._exit(128 + number)  # nothing is flushed: the signal may have come in the middle of a line

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def within(work: Callable[[], Result], seconds: float, look: Callable[[], None] | None = None) -> Result:
    """The result of `work`, which runs on a thread of its own.

    Args:
        work: what may block.
        seconds: how long it may take.
        look: called on this thread while it runs; what it raises is raised.

    Raises:
        TimeoutError: the time is over. The thread goes on: the caller ends the process.
    """
    outcome: list[Any] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again on the thread that waits
            outcome.append((None, error))
        finally:
            done.set()

    deadline = time.monotonic() + seconds
    threading.Thread(target=run, daemon=True).start()
    while not done.wait(max(0.0, min(LOOK_SECONDS, deadline - time.monotonic()))):
        if time.monotonic() >= deadline:
            raise TimeoutError
        if look is not None:
            look()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]
