"""Units of memory and Kubernetes quantities."""

import re
from typing import Any

from llm_serving_planner.base.errors import InputError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# Suffixes of k8s.io/apimachinery pkg/api/resource/suffix.go (Kubernetes 1.35, read 2026-11-29).
_SUFFIXES = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": KIB, "Mi": MIB, "Gi": GIB, "Ti": 1024 * GIB, "Pi": 1024**2 * GIB, "Ei": 1024**3 * GIB,
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)?|[eE]([+-]?\d+))", re.ASCII)


def quantity(text: Any) -> float:
    """A Kubernetes quantity as a number: `100m`, `24581684Ki`, `2Gi`, `4`, `1e3`, `1E` (exa).

    Returns:
        Cores of a CPU quantity, bytes of memory and storage, the count of anything else.

    Raises:
        InputError: not of that form; an empty text is none.
    """
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        raise InputError(f"{text!r} is no Kubernetes quantity, such as 500m, 4 or 16Gi")
    number, suffix, exponent = found.groups()
    if exponent is not None:
        return float(f"{number}e{exponent}")
    return float(number) * _SUFFIXES[suffix or ""]
