"""Text of others on somebody's terminal: no character that moves the cursor, rings or writes from right to left."""

import re

# C0 but for tab and newline, DEL and C1 (ECMA-48), and the controls of writing direction (Unicode 17, UAX #9); half
# characters, which no output can hold, and the separators that some terminals take for a line's end.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def harmless(text: str) -> str:
    r"""The text with every control character spelled out, such as `\x1b`; tabs and ends of lines stay."""
    return _CONTROLS.sub(_spelled, text)


def one_line(text: str, most: int = 2000) -> str:
    """The text as one line of at most so many characters."""
    line = harmless(" ".join(text.split()) if "\n" in text else text)
    return line if len(line) <= most else f"{line[:most]} ..."


def _spelled(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
