"""Text files of users."""

from pathlib import Path

from llm_serving_planner.base.errors import InputError


def read_text(path: Path) -> str:
    """The text of a user's file.

    Raises:
        InputError: unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error
