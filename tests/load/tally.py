"""What the client wrote down, counted: one line of the table in docs/testing.md."""

from collections import Counter
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

SLOW_FIRST_SECONDS, SLOW_GAP_SECONDS = 3.0, 1.5  # what people notice beyond the latencies that are played


@dataclass(frozen=True)
class Tally:
    """One line of the table; seconds, and counts of requests."""

    mode: str
    requests: int
    whole: int
    refused: int
    broken: int
    cut: int
    slow: int
    first_token_median: float
    first_token_p99: float
    longest_gap: float
    rollout: float
    pause: float
    reasons: dict[str, int]  # of requests that did not end whole


def tally(mode: str, ended: list[list[Any]], rollout: float) -> Tally:
    """Count what the client wrote down."""
    ends = [end for _, end, *_ in ended]
    whole = [(first, gap) for _, end, first, gap, _, _ in ended if end == "whole"]
    centiles = quantiles([first for first, _ in whole], n=100)
    refused = [at for at, end, *_ in ended if end == "refused"]
    return Tally(
        mode=mode,
        requests=len(ended),
        **{end: ends.count(end) for end in ("whole", "refused", "broken", "cut")},
        slow=sum(first > SLOW_FIRST_SECONDS or gap > SLOW_GAP_SECONDS for first, gap in whole),
        first_token_median=round(centiles[49], 2),
        first_token_p99=round(centiles[98], 2),
        longest_gap=max(gap for _, gap in whole),
        rollout=round(rollout, 1),
        pause=round(max(refused) - min(refused), 1) if refused else 0.0,
        reasons=dict(Counter(why for _, end, *_, why in ended if end != "whole")),
    )
