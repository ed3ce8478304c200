"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the answer."""

    check: str
    status: Status
    found: str
    way_out: str = ""
