"""Files that are whole or not there."""

import os
import stat
import tempfile
from pathlib import Path

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.files import kind_of


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode())


def check_target(path: Path) -> None:
    """Refuse what cannot be replaced by a file, before anything is computed.

    Raises:
        InputError: the path is a folder, a device, a named pipe, a socket, or a link to one of them.
    """
    _target(path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all; a link stays, and the file that it leads to is written.

    Raises:
        InputError: no regular file, the folder cannot be written to, or the disk is full.
    """
    target, mode = _target(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as handle:
            temporary = Path(handle.name)
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        if mode is None:
            umask = os.umask(0)
            os.umask(umask)
            mode = 0o666 & ~umask
        temporary.chmod(mode)
        temporary.replace(target)
        temporary = None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _target(path: Path) -> tuple[Path, int | None]:
    """The file that is written, and its rights where it is there already."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return (path.resolve() if path.is_symlink() else path), None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    kind = kind_of(mode)
    if kind is not None:
        raise InputError(
            f"{path}: is {kind}; only a regular file is replaced",
            hint="name a file in it" if stat.S_ISDIR(mode) else "leave -o away: the text then goes to stdout",
        )
    return (path.resolve() if path.is_symlink() else path), stat.S_IMODE(mode)
