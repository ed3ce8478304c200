"""The estimate that a log is held against: of a values file, a plan as JSON, or a plan made just now. GiB."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import GIB

TERMS = (
    "total", "requested", "weights", "activations", "nonTorch", "cudaGraphs", "kvCache", "kvCachePerRequest",
    "outside", "margin",
)  # fmt: skip
_SNAKE = {
    "nonTorch": "non_torch", "cudaGraphs": "cuda_graphs", "kvCache": "kv_cache", "kvCachePerRequest": "kv_per_request",
}  # fmt: skip
_ARGS = ("max-model-len", "max-num-seqs", "max-num-batched-tokens", "gpu-memory-utilization", "kv-cache-dtype")


@dataclass(frozen=True, slots=True)
class Promise:
    """What was planned.

    Attributes:
        where: where it was read, for messages.
        gib: the terms of `TERMS`, GiB per GPU.
        startup: seconds of `base`, `download`, `load` and `compile`.
        args: flags of the engine that decide memory, as in the values file.
        tensor: GPUs that share a layer.
        budget_seconds: the startup probe's budget, where it is known.
    """

    where: str
    gib: Mapping[str, float]
    concurrency: float
    startup: Mapping[str, float]
    args: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    version: str = ""
    tensor: int = 1
    budget_seconds: int | None = None

    @property
    def margin(self) -> float:
        """Band of the estimate."""
        return self.gib["margin"]


def of_values(values: Mapping[str, Any], where: str) -> Promise:
    """Of a values file written by this generator.

    Raises:
        InputError: it holds no plan.
    """
    plan = values.get("plan") or {}
    engine = values.get("engine") or {}
    return of_block(
        plan,
        where,
        args={name: (engine.get("args") or {})[name] for name in _ARGS if name in (engine.get("args") or {})},
        model=str((values.get("model") or {}).get("id", "")),
        tensor=int((values.get("parallelism") or {}).get("tensor", 1)),
        budget_seconds=(values.get("startup") or {}).get("budgetSeconds"),
    )


def of_block(plan: Mapping[str, Any], where: str, **known: Any) -> Promise:
    """Of a `plan` block: the one of a values file, or what the chart puts into its ConfigMap.

    Raises:
        InputError: the block holds no estimate, or not all of it.
    """
    estimate = plan.get("estimateGiBPerGpu")
    if not isinstance(estimate, Mapping):
        raise InputError(
            f"{where}: /plan/estimateGiBPerGpu is missing; it is what the log is held against",
            hint="write the file with `llm-serving values`, or give --model and --profile",
        )
    startup = plan.get("startupSeconds") or {}
    return Promise(
        where=where,
        gib=_loaded({name: _number(estimate, name, where) for name in TERMS}, estimate),
        concurrency=float(plan.get("concurrency") or 0),
        startup={name: float(startup.get(name, 0)) for name in ("base", "download", "load", "compile")},
        version=str(plan.get("engineVersion", "")),
        **known,
    )


def of_json(plan: Mapping[str, Any], where: str) -> Promise:
    """Of what `llm-serving plan --format json` prints.

    Raises:
        InputError: it is something else.
    """
    estimate, settings = plan.get("estimate"), plan.get("settings")
    if not isinstance(estimate, Mapping) or not isinstance(settings, Mapping):
        raise InputError(
            f"{where}: neither a `plan` block nor the JSON of a plan",
            hint="`llm-serving plan MODEL --profile P --format json` prints one",
        )
    bytes_of = _loaded({name: _number(estimate, _SNAKE.get(name, name), where) for name in TERMS}, estimate)
    startup = ((plan.get("resources") or {}).get("startup")) or {}
    return Promise(
        where=where,
        gib={name: value / GIB for name, value in bytes_of.items()},
        concurrency=float(plan.get("concurrency") or 0),
        startup={name: float(startup.get(name, 0)) for name in ("base", "download", "load", "compile")},
        args={
            "max-model-len": settings.get("max_model_len"),
            "max-num-seqs": settings.get("max_num_seqs"),
            "max-num-batched-tokens": settings.get("max_num_batched_tokens"),
            "gpu-memory-utilization": settings.get("utilization"),
            "kv-cache-dtype": plan.get("kv_cache_dtype", "auto"),
        },
        model=str((plan.get("model") or {}).get("model_id", "")),
        version=str((plan.get("engine") or {}).get("version", "")),
        tensor=int(settings.get("tensor_parallel", 1)),
        budget_seconds=startup.get("budget"),
    )


def _loaded(terms: dict[str, float], estimate: Mapping[str, Any]) -> dict[str, float]:
    """Terms with adapters and drafts among the weights: the engine's log counts all that it loads as one."""
    return terms | {"weights": terms["weights"] + float(estimate.get("lora", 0)) + float(estimate.get("draft", 0))}


def _number(mapping: Mapping[str, Any], name: str, where: str) -> float:
    value = mapping.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{where}: the estimate's {name} is {value!r}; a number is expected")
    return float(value)
