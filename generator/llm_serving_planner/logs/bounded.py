"""Regular expressions for lines that anybody can write: no repetition is without end."""

import re

# Digits of the largest figure (bytes of a terabyte) are 13; names and texts between marks have below 300 characters.
_BOUNDS = (
    (r"[\d.]+", r"\d{1,20}(?:\.\d{1,20})?"),
    (r"[\d,]+", r"\d[\d,]{0,29}"),
    (r"\d+", r"\d{1,20}"),
    (r"\S+", r"\S{1,1000}"),
    (r"\S*?", r"\S{0,1000}?"),
    (r"[^']+", r"[^']{1,1000}"),
    (r"[^)]*", r"[^)]{0,1000}"),
    (r"\s+", r"\s{1,100}"),
    (r"\s*", r"\s{0,100}"),
    (r"\s{2,}", r"\s{2,100}"),
    (r"\w+", r"\w{1,100}"),
    (r"\w*", r"\w{0,100}"),
    (".*?", ".{0,1000}?"),
    (".*", ".{0,1000}"),
)


def compiled(expression: str, flags: int = 0) -> re.Pattern[str]:
    """The pattern with an upper bound for each repetition; a number in it has digits, so that it can be read."""
    for open_ended, bounded in _BOUNDS:
        expression = expression.replace(open_ended, bounded)
    return re.compile(expression, flags)
