"""Units of memory and Kubernetes quantities."""

from typing import Any

MIB = 1024 * 1024
GIB = 1024 * MIB


def quantity(text: Any) -> float:
    """A Kubernetes quantity as a number: `100m`, `24581684Ki`, `2Gi`, `4`, `1e3`."""
    units = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "m": 1e-3,
             "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}  # fmt: skip
    word = str(text)
    for unit in sorted(units, key=len, reverse=True):
        if word.endswith(unit):
            return float(word.removesuffix(unit)) * units[unit]
    return float(word or 0)
