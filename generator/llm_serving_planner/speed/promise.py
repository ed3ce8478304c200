"""A plan under a workload: what is promised, whether it meets the targets, and the most that it bears.

Every figure has a label: `measured` on this model and GPU, `extrapolated` from constants that were measured on such
GPUs and kernels, `derived` from those of other GPUs, `assumed` where nobody gave it.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.speed import constants
from llm_serving_planner.speed.roofline import engine_of
from llm_serving_planner.speed.simulation import (
    Requests,
    Result,
    lengths,
    percentile,
    percentile_of_counts,
    simulate,
)
from llm_serving_planner.speed.steps import Steps
from llm_serving_planner.speed.workload import Workload

_LEAST, _MOST = 100, 240  # requests of one simulation
# Of the rate that the engine bears when it is never without work: above it a queue grows without end.
BEARABLE = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """A predicted figure with its band; seconds, or per second."""

    value: float
    low: float
    high: float
    label: str

    def to_dict(self) -> dict[str, Any]:
        """Four digits of each."""
        return {
            "value": _digits(self.value), "low": _digits(self.low), "high": _digits(self.high), "label": self.label,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Promise:
    """What a plan gives under a workload.

    Attributes:
        ttft, itl, e2e: at the percentile of the targets, in seconds.
        requests_per_second, tokens_per_second: of all replicas.
        most: requests per second that all replicas bear together, at the most.
        misses: each target that is missed, by how much.
    """

    workload: Workload
    ttft: Figure
    itl: Figure
    e2e: Figure
    requests_per_second: Figure
    tokens_per_second: Figure
    most: float
    misses: tuple[str, ...]

    @property
    def meets(self) -> bool:
        """Whether nothing is missed."""
        return not self.misses

    def to_dict(self) -> dict[str, Any]:
        """Plain data for values files and JSON."""
        return {
            "verdict": "meets" if self.meets else "misses",
            "percentile": self.workload.targets.percentile,
            "ttftSeconds": self.ttft.to_dict(),
            "itlSeconds": self.itl.to_dict(),
            "e2eSeconds": self.e2e.to_dict(),
            "requestsPerSecond": self.requests_per_second.to_dict(),
            "tokensPerSecond": self.tokens_per_second.to_dict(),
            "mostRequestsPerSecond": _digits(self.most),
            "misses": list(self.misses),
        }


def _digits(value: float) -> float:
    return float(f"{value:.4g}") if math.isfinite(value) else 0.0


def engines_of(plan: Plan) -> int:
    """Engines behind the Service: replicas, and data parallel engines of each."""
    return plan.replicas * plan.layout.parallel.data_parallel_size


def promise(plan: Plan, workload: Workload) -> Promise | None:
    """What the plan gives; None where the data hold neither bandwidth nor rate of the GPU, or nothing is generated."""
    steps = Steps(engine_of(plan))
    if not steps.known or plan.use.pooling:
        return None
    found = _simulated(plan, workload, steps)
    most = _most(plan, workload, steps)
    label = "extrapolated" if steps.engine.constants.measured else "derived"
    low, high = steps.engine.constants.band
    share = workload.targets.percentile
    count = engines_of(plan)

    def time(value: float) -> Figure:
        return Figure(value, value / high, value / low, label)

    def rate(value: float) -> Figure:
        return Figure(value * count, value * count * low, value * count * high, label)

    made = Promise(
        workload=workload,
        ttft=time(percentile(found.first, share)),
        itl=time(percentile_of_counts(found.gaps, share) if found.gaps else 0.0),
        e2e=time(percentile(found.whole, share)),
        requests_per_second=rate(found.requests_per_second),
        tokens_per_second=rate(found.tokens_per_second),
        most=most,
        misses=(),
    )
    return replace(made, misses=tuple(_misses(plan, made, stalled=found.stalled)))


def _pairs(plan: Plan, workload: Workload, count: int) -> list[tuple[int, int]]:
    return lengths(
        count, (workload.prompt_tokens, workload.prompt_spread), (workload.answer_tokens, workload.answer_spread),
        plan.settings.max_model_len,
    )  # fmt: skip


def _run(plan: Plan, steps: Steps, requests: Requests) -> Result:
    settings = plan.settings
    return simulate(
        steps,
        requests,
        budget=settings.max_num_batched_tokens,
        seats=settings.max_num_seqs,
        cache=float(plan.cache_tokens) or math.inf,
        beside=constants.request_seconds(),
        reading=constants.reading_seconds(),
    )


def _shared(plan: Plan, workload: Workload) -> float:
    return 0.0 if plan.options.prefix_caching == "off" else workload.shared_prefix


def _simulated(plan: Plan, workload: Workload, steps: Steps) -> Result:
    engines, rate = engines_of(plan), workload.rate
    if rate is not None:
        pairs = _pairs(plan, workload, _MOST)
        return _run(plan, steps, Requests(pairs, None, rate, engines, _shared(plan, workload)))
    each = max(1, math.ceil((workload.concurrency or 1) / engines))
    count = min(_MOST, max(_LEAST if each > 1 else 24, 3 * each))
    return _run(plan, steps, Requests(_pairs(plan, workload, max(count, each)), each, None, 1, _shared(plan, workload)))


def _most(plan: Plan, workload: Workload, steps: Steps) -> float:
    """Requests per second of all engines when each is never without work."""
    seats = min(plan.settings.max_num_seqs, 256)
    pairs = _pairs(plan, workload, min(_MOST, max(_LEAST, 2 * seats)))
    found = _run(plan, steps, Requests(pairs, seats, None, 1, _shared(plan, workload)))
    return BEARABLE * found.requests_per_second * engines_of(plan)


def _misses(plan: Plan, made: Promise, *, stalled: bool) -> list[str]:
    load, targets = made.workload, made.workload.targets
    found = []
    if plan.settings.max_model_len < load.tokens:
        found.append(f"a request of {load.tokens:,} tokens, the context is {plan.settings.max_model_len:,}")
    if stalled:
        found.append("the cache does not hold one request")
    if load.rate is not None and load.rate > made.most:
        found.append(f"{load.rate:.3g} requests/s come, the most that it bears are {made.most:.3g}")
        return found  # a queue that grows without end has no latency
    for name, figure, target in (
        ("time to the first token", made.ttft, targets.ttft),
        ("time between tokens", made.itl, targets.itl),
        ("time of a request", made.e2e, targets.e2e),
    ):
        if target is not None and not figure.value <= target:
            found.append(
                f"{name} {duration(figure.value)} at {targets.percentile:g} %, {duration(target)} is the target: "
                f"{figure.value / target:.1f} times"
            )
    return found


def duration(value: float) -> str:
    """Seconds as people read them."""
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"
