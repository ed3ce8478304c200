"""Files that others wrote: regular ones only, up to a size, and never waited for."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import MIB

MOST_BYTES = 8 * MIB
"""Bytes of a document: the longest config.json of a public model has 0.2 MiB, a list of 200 MachineSets 1.5 MiB."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def kind_of(mode: int) -> str | None:
    """What is not a regular file, in words; None for one that is."""
    return next((name for test, name in _KINDS if test(mode)), None)


@contextmanager
def opened(path: Path, hint: str | None = None) -> Iterator[IO[bytes]]:
    """A regular file, open for reading.

    Opened without waiting: the other end of a named pipe may never come, and a device may never end.

    Raises:
        InputError: unreadable, or no regular file.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    try:
        with os.fdopen(number, "rb") as handle:
            kind = kind_of(os.fstat(number).st_mode)
            if kind is not None:
                raise InputError(f"{path}: is {kind}; a regular file is expected", hint=hint)
            yield handle
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | ValueError) -> InputError:
    """The refusal of a file that the system does not give."""
    if isinstance(error, OSError):
        if error.errno == errno.EISDIR:
            return InputError(f"{path}: is a folder; a regular file is expected")
        return InputError(f"{path}: cannot be read ({error.strerror})")
    return InputError(f"{path}: cannot be read ({error})")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of somebody's file, at most so many.

    Raises:
        InputError: unreadable, no regular file, or longer.
    """
    with opened(path) as handle:
        data = handle.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path}: is longer than {most:,} bytes")
    return data


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of somebody's file.

    Raises:
        InputError: as `read_bytes`, or not UTF-8.
    """
    try:
        return read_bytes(path, most).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error
