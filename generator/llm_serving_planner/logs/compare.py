"""An estimate against what the log says: term by term, with the estimate's band."""

from dataclasses import asdict, dataclass
from typing import Any

from llm_serving_planner.logs import failures
from llm_serving_planner.logs.promise import Promise
from llm_serving_planner.logs.remedies import Advice, advise
from llm_serving_planner.logs.startup import Startup

# Two decimals are printed by both sides.
_ROUNDING = 0.011


@dataclass(frozen=True, slots=True)
class Row:
    """One term. `decides`: whether being off makes the check fail; the other terms are shown for the cause."""

    term: str
    unit: str
    planned: float | None
    measured: float | None
    band: float | None = None
    decides: bool = False
    remark: str = ""

    @property
    def difference(self) -> float | None:
        """Measured minus planned."""
        return None if self.planned is None or self.measured is None else self.measured - self.planned

    @property
    def off(self) -> bool:
        """Further from the plan than the band."""
        return self.band is not None and self.difference is not None and abs(self.difference) > self.band + _ROUNDING


@dataclass(frozen=True, slots=True)
class Report:
    """The whole comparison. `ok`: the engine started and the terms that decide are within the band."""

    startup: Startup
    promise: Promise | None
    rows: tuple[Row, ...]
    advice: tuple[Advice, ...]

    @property
    def ok(self) -> bool:
        """No failure, and nothing that decides is off."""
        return not self.startup.failures and not any(row.off and row.decides for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON form; GiB and seconds."""
        startup, cause = self.startup, failures.cause(self.startup.failures)
        fullest = startup.fullest
        return {
            "ok": self.ok,
            "engine": startup.engine,
            "version": startup.version,
            "ready": startup.ready,
            "ranks": startup.workers,
            "fullest": fullest.name if fullest else None,
            "plan": self.promise.where if self.promise else None,
            "band_gib": self.promise.margin if self.promise else None,
            "rows": [asdict(row) | {"difference": row.difference, "off": row.off} for row in self.rows],
            "failure": asdict(cause) if cause else None,
            "failures": [known.kind for known in startup.failures],
            "advice": [asdict(advice) for advice in self.advice],
            "settings": startup.settings,
        }


def compare(startup: Startup, promise: Promise | None) -> Report:
    """Rows for what either side knows."""
    rows = [*_memory(startup, promise), *_cache(startup, promise), *_phases(startup, promise)]
    known = tuple(row for row in rows if row.measured is not None)
    return Report(startup, promise, known, tuple(advise(startup, promise)))


def _memory(startup: Startup, promise: Promise | None) -> list[Row]:
    planned, band = _planned(promise)
    weights = startup.largest("weights")
    both = _both(startup)
    rows = [
        Row("GPU memory", "GiB", planned("total"), startup.largest("total"), band, decides=True),
        Row("budget", "GiB", planned("requested"), startup.largest("requested"), band),
        Row("weights", "GiB", planned("weights"), weights, band, decides=True),
    ]
    if both is None:
        rows.append(Row("activations", "GiB", planned("activations"), startup.largest("activations"), band))
        rows.append(Row("non-torch", "GiB", planned("nonTorch"), startup.largest("non_torch"), band))
    else:
        total = planned("activations") + planned("nonTorch") if promise else None
        rows.append(Row("activations and non-torch", "GiB", total, both, band))
    rows.append(_graphs(startup, promise))
    rest = _rest(startup, promise)
    if rest is not None and startup.largest("activations") is None:
        charged = ("activations", "nonTorch", "cudaGraphs")
        total = sum(planned(name) or 0.0 for name in charged) if promise else None
        rows.append(Row("all but weights and cache", "GiB", total, rest, band, remark="budget - weights - cache"))
    return rows


def _both(startup: Startup) -> float | None:
    """Activations and memory outside PyTorch, where the log says only what was kept and what was given back.

    Weights count in what was kept, CUDA graphs as they were estimated in what was given back (vLLM 0.33.0
    vllm/v1/worker/gpu_worker.py:determine_available_memory, read 2026-11-25).
    """
    weights, consumed, freed = (startup.largest(term) for term in ("weights", "consumed", "activations"))
    if weights is None or consumed is None or freed is None or startup.largest("non_torch") is not None:
        return None
    charged = startup.largest("graphs_estimated") if "graphs_charged" in startup.settings else None
    return consumed - weights + freed - (charged or 0.0)


def _planned(promise: Promise | None) -> tuple[Any, float | None]:
    return (lambda name: promise.gib[name] if promise else None), (promise.margin if promise else None)


def _graphs(startup: Startup, promise: Promise | None) -> Row:
    """CUDA graphs: what the engine charges to its budget is its estimate, where it makes one."""
    charged = startup.largest("graphs_estimated") if "graphs_charged" in startup.settings else None
    taken = startup.largest("graphs")
    if promise is not None and not promise.gib["cudaGraphs"]:
        return Row("CUDA graphs", "GiB", None, taken, remark="not charged to the budget by this version")
    remark = f"charged; {taken:.2f} taken" if charged is not None and taken is not None else ""
    planned = promise.gib["cudaGraphs"] if promise else None
    band = promise.margin if promise else None
    return Row("CUDA graphs", "GiB", planned, taken if charged is None else charged, band, remark=remark)


def _rest(startup: Startup, promise: Promise | None) -> float | None:
    """What the budget holds besides weights and cache, where the log does not name it."""
    fullest = startup.fullest
    weights = startup.largest("weights")
    if fullest is None or fullest.kv_cache is None or weights is None:
        return None
    total, share = startup.largest("total"), startup.settings.get("gpu_memory_utilization")
    requested = startup.largest("requested")
    if requested is None and total is not None and share is not None:
        requested = total * float(share)
    if requested is None and promise is not None:
        requested = promise.gib["requested"]
    return None if requested is None else requested - weights - fullest.kv_cache


def _cache(startup: Startup, promise: Promise | None) -> list[Row]:
    planned, band = _planned(promise)
    fullest = startup.fullest
    cache = Row("KV cache", "GiB", planned("kvCache"), fullest.kv_cache if fullest else None, band, decides=True)
    length = promise.args.get("max-model-len") if promise else None
    comparable = promise is not None and startup.concurrency_tokens == length
    per_request = promise.gib["kvCachePerRequest"] if promise else 0.0
    concurrency = Row(
        "requests at once",
        "",
        promise.concurrency if promise and comparable else None,
        startup.concurrency,
        promise.margin / per_request if promise and comparable and per_request else None,
        remark=f"of {startup.concurrency_tokens:,} tokens" if startup.concurrency_tokens else "",
    )
    return [cache, concurrency, Row("tokens in the cache", "", None, startup.kv_tokens)]


def _phases(startup: Startup, promise: Promise | None) -> list[Row]:
    seconds = promise.startup if promise else {}
    total = sum(seconds.values()) if promise else None
    return [
        Row("load", "s", seconds.get("load"), startup.slowest("load_seconds")),
        Row("compile", "s", seconds.get("compile"), startup.slowest("compile_seconds")),
        Row("capture graphs", "s", None, startup.slowest("graph_seconds")),
        Row("start in all", "s", total, startup.total_seconds, remark="with download" if promise else ""),
    ]
