"""Ways to serve a workload: every machine with as many as it takes, cheapest first, quantised checkpoints beside.

The closed form sizes and ranks all of them; the simulation runs for the cheapest, and corrects their numbers.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from llm_serving_planner.advice import candidates
from llm_serving_planner.advice.candidates import Filters
from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.hardware.profiles import GpuProfile, Instance, parse_profile
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.models.variants import variants_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import context_of
from llm_serving_planner.speed import constants
from llm_serving_planner.speed.promise import Promise, promise
from llm_serving_planner.speed.roofline import Engine, engine_of, prefill_seconds, step_seconds
from llm_serving_planner.speed.workload import Workload

NODES = (2, 4)  # of one engine, where one machine is too small for the model
FINALISTS = 8  # rows that are simulated
# Share of what an engine bears that is planned for: the rest keeps queues short. The simulation corrects it.
LOADED = 0.75
MOST_ENGINES = 4096
_TRIES = 3
_NEVER = "misses the targets, in the simulation, with more engines too"


@dataclass(frozen=True, slots=True)
class Row:
    """One way to serve the workload.

    Attributes:
        profile: what `plan --profile` takes.
        plan: of one machine, or of several that make one engine.
        machine: the type that is paid for; None where no price of such GPUs is known.
        count: machines that are paid for.
        engines: engines behind one Service, each with its share of the requests.
        usd_per_hour: of all machines, on demand.
        most: requests per second that all engines bear, by the closed form.
        promise: what the simulation says; None for rows that it did not run for.
    """

    profile: str
    plan: Plan
    machine: Instance | None
    count: int
    engines: int
    usd_per_hour: float | None
    most: float
    promise: Promise | None = None

    @property
    def bears(self) -> float:
        """Requests per second that all engines bear."""
        return self.promise.most if self.promise else self.most

    @property
    def quantised(self) -> str:
        """Format of the weights; empty for those of the model itself."""
        quantization = self.plan.spec.quantization
        return formats.label(formats.kind_of(quantization)) if quantization else ""

    def to_dict(self) -> dict[str, Any]:
        """Flat and stable, for JSON and CSV."""
        machine, made, parallel = self.machine, self.promise, self.plan.layout.parallel

        def figure(name: str) -> float | None:
            return None if made is None else float(f"{getattr(made, name).value:.4g}")

        return {
            "model": self.plan.spec.model_id,
            "weights": self.quantised or self.plan.dtype,
            "profile": self.profile,
            "gpu": self.plan.profile.gpu.id,
            "gpus": self.plan.layout.gpus * self.engines,
            "engines": self.engines,
            "tensor_parallel": parallel.tensor_parallel_size,
            "pipeline_parallel": parallel.pipeline_parallel_size,
            "nodes": self.plan.layout.nodes,
            "machine": machine.type if machine else None,
            "machines": self.count if machine else None,
            "cloud": machine.cloud if machine else None,
            "usd_per_hour": None if self.usd_per_hour is None else round(self.usd_per_hour, 5),
            "usd_region": machine.usd_region if machine else None,
            "usd_date": machine.usd_date if machine else None,
            "verdict": self.plan.verdict,
            "context": self.plan.settings.max_model_len,
            "meets": None if made is None else made.meets,
            "ttft_seconds": figure("ttft"),
            "itl_seconds": figure("itl"),
            "e2e_seconds": figure("e2e"),
            "tokens_per_second": figure("tokens_per_second"),
            "requests_per_second_most": float(f"{self.bears:.4g}"),
            "label": None if made is None else made.ttft.label,
            "weights_gib": round(self.plan.estimate.weights / GIB, 2),
            "kv_cache_gib": round(self.plan.estimate.kv_cache / GIB, 2),
            "gpu_memory_gib": round(self.plan.estimate.total / GIB, 2),
        }


@dataclass(frozen=True, slots=True)
class Misfit:
    """A candidate that does not serve the workload, and the first reason."""

    name: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Rows cheapest first, misfits in the order of the data.

    Attributes:
        unbearable: where no candidate bears what comes, the most requests per second that one does.
    """

    spec: ModelSpec
    workload: Workload
    need: int
    rows: tuple[Row, ...]
    misfits: tuple[Misfit, ...]
    unbearable: float | None = None

    def grouped(self) -> list[tuple[str, str, list[str]]]:
        """(model, reason, names) of the misfits, the most frequent reason first."""
        found: dict[tuple[str, str], list[str]] = {}
        for misfit in self.misfits:
            found.setdefault((misfit.model, misfit.reason), []).append(misfit.name)
        groups = [(model, reason, names) for (model, reason), names in found.items()]
        return sorted(groups, key=lambda group: -len(group[2]))


@dataclass
class _Ranking:
    """Facts that all candidates of one question share."""

    workload: Workload
    need: int
    rows: list[Row] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)
    largest: float = 0.0  # requests per second that candidates bear which would need too many engines


def context_for(spec: ModelSpec, workload: Workload, max_model_len: int | None) -> int:
    """Tokens of the longest request that must be possible.

    Raises:
        InputError: more than the model's context, or less than the usual request.
    """
    limit = context_of(spec)
    if max_model_len is not None and not 0 < max_model_len <= limit:
        raise InputError(
            f"--max-model-len is {max_model_len}: 1 to the {limit:,} tokens of {spec.model_id} are expected"
        )
    if workload.tokens > (max_model_len or limit):
        raise InputError(
            f"a request of {workload.prompt_tokens:,} prompt and {workload.answer_tokens:,} answer tokens is longer "
            f"than the context of {max_model_len or limit:,}",
            hint="lower --prompt-tokens or --answer-tokens, or name another workload",
        )
    return max_model_len or min(workload.longest, limit)


def fitted(workload: Workload, limit: int) -> Workload:
    """The workload, its assumed lengths shortened where they are above the context; lengths that were given stay."""
    if workload.tokens <= limit or not {"prompt_tokens", "answer_tokens"} <= set(workload.assumed):
        return workload
    answer = max(1, min(workload.answer_tokens, limit // 5))
    return replace(
        workload, answer_tokens=answer, prompt_tokens=max(1, limit - answer), prompt_spread=0, answer_spread=0
    )


def advise(
    spec: ModelSpec,
    workload: Workload,
    filters: Filters | None = None,
    *,
    max_model_len: int | None = None,
    quantised: bool = True,
) -> Advice:
    """Everything that serves the model under the workload, and its quantised checkpoints unless they are left out.

    Raises:
        InputError: the usual request is longer than the context.
    """
    filters = filters or Filters()
    workload = fitted(workload, max_model_len or context_of(spec))
    found = _Ranking(workload, context_for(spec, workload, max_model_len))
    variants = [other for other in variants_of(spec) if context_of(other) >= found.need] if quantised else []
    for model in (spec, *sorted(variants, key=lambda variant: variant.model_id)):
        for name, result in _candidates(model, found, filters):
            if isinstance(result, Row):
                found.rows.append(result)
            else:
                found.misfits.append(Misfit(name, model.model_id, result))
    rows = _simulated(sorted(found.rows, key=rank), found)
    if filters.max_price is not None:
        dear = [row for row in rows if row.usd_per_hour is None or row.usd_per_hour > filters.max_price]
        rows = [row for row in rows if row not in dear]
        limit = f"above {filters.max_price:g} USD per hour"
        found.misfits += [
            Misfit(row.profile, row.plan.spec.model_id, limit if row.usd_per_hour else "no price is known")
            for row in dear
        ]
    most = found.largest if not rows and found.largest else None
    return Advice(spec, workload, found.need, tuple(rows), tuple(found.misfits), most)


def rank(row: Row) -> tuple[Any, ...]:
    """Order of rows: price, then what they bear, then name; rows without a price last."""
    cost = row.usd_per_hour
    gpus = row.plan.layout.gpus * row.engines
    return (cost is None, cost or 0.0, -row.bears, gpus, row.profile, row.plan.spec.model_id)


def _candidates(spec: ModelSpec, asked: _Ranking, filters: Filters) -> Iterator[tuple[str, Row | str]]:
    for machine, profile in candidates.machines(filters):
        if isinstance(profile, str):
            yield machine.type, profile
            continue
        yield machine.type, _on_machines(spec, machine, profile, asked)
    for profile, holding in candidates.profiles(filters):
        if holding and any(machine.count == profile.gpus_per_node for machine in holding):
            continue  # its machines are rows already
        if not holding:
            yield profile.name, _row(spec, profile, None, asked)


def _on_machines(spec: ModelSpec, machine: Instance, profile: GpuProfile, asked: _Ranking) -> Row | str:
    """As many machines as it takes; several for each engine where one is too small for the model."""
    found = _row(spec, profile, machine, asked)
    if isinstance(found, Row) or spec.num_layers < min(NODES):
        return found
    for nodes in NODES:
        wider = _row(spec, parse_profile(f"{nodes}x{machine.type}"), machine, asked)
        if isinstance(wider, Row):
            return wider
    return found


def plan_for(spec: ModelSpec, profile: GpuProfile, need: int) -> Plan | str:
    """What `llm-serving plan` gives, its context pinned only where it is too short; or the reason against it."""
    try:
        plan = make_plan(spec, profile)
        if plan.settings.max_model_len < need:
            plan = make_plan(spec, profile, Options(max_model_len=need))
    except DoesNotFitError as error:
        return error.reasons[0]
    return plan if plan.verdict != "doubtful" else f"a context of {need:,} is predicted not to start"


def _row(spec: ModelSpec, profile: GpuProfile, machine: Instance | None, asked: _Ranking) -> Row | str:
    plan = plan_for(spec, profile, asked.need)
    if isinstance(plan, str):
        return plan
    each = engine_rate(plan, asked.workload)
    if isinstance(each, str):
        return each
    rate, at_once = each
    load = asked.workload
    if load.rate is not None:
        wanted = math.ceil(load.rate / (LOADED * rate))
    else:
        wanted = math.ceil((load.concurrency or 1) / at_once)
    sized = _sized(plan, machine, profile, wanted, rate)
    if isinstance(sized, str):
        asked.largest = max(asked.largest, LOADED * rate * MOST_ENGINES)
    return sized


def _sized(plan: Plan, machine: Instance | None, profile: GpuProfile, wanted: int, rate: float) -> Row | str:
    """A row with at least `wanted` engines, in whole machines."""
    units = math.ceil(wanted / plan.replicas)
    engines = units * plan.replicas
    if engines > MOST_ENGINES:
        return f"more than {MOST_ENGINES:,} engines would be needed"
    nodes = profile.nodes
    cost = candidates.price(machine) if machine else None
    return Row(
        profile=profile.name,
        plan=plan,
        machine=machine,
        count=units * nodes,
        engines=engines,
        usd_per_hour=None if cost is None else cost * units * nodes,
        most=rate * engines,
    )


def engine_rate(plan: Plan, workload: Workload) -> tuple[float, int] | str:
    """(requests per second, at once) of one engine within the targets, by the closed form; or what is missed."""
    engine = engine_of(plan)
    gpu, targets = engine.profile.gpu, workload.targets
    if not gpu.bandwidth_gb_s or not gpu.fp16_tflops:
        return "bandwidth or rate of the GPU is not in the data"
    context = workload.prompt_tokens + workload.answer_tokens // 2
    prompt = max(1, round(workload.prompt_tokens * (1 - workload.shared_prefix)))
    prefill = prefill_seconds(engine, prompt)
    engines = plan.layout.parallel.data_parallel_size
    most = int(plan.requests_of(workload.tokens))
    most = max(1, min(most, plan.settings.max_num_seqs))
    alone = step_seconds(engine, 1, context)
    first = constants.request_seconds() + prefill + alone
    if targets.ttft is not None and first > targets.ttft:
        return f"the first token of a request alone comes after {_time(first)}"
    if targets.itl is not None and alone > targets.itl:
        return f"a token of a request alone takes {_time(alone)}"
    whole = first + workload.answer_tokens * alone
    if targets.e2e is not None and whole > targets.e2e:
        return f"a request alone takes {_time(whole)}"
    at_once = _at_once(engine, workload, most, prefill, context)
    seconds = at_once * prefill / min(plan.layout.parallel.pipeline_parallel_size, at_once)
    seconds += workload.answer_tokens * step_seconds(engine, at_once, context)
    return engines * at_once / seconds, engines * at_once


def _at_once(engine: Engine, workload: Workload, most: int, prefill: float, context: int) -> int:
    """Requests at once whose tokens come in time: steps, and the prompts of others between them."""
    limit = workload.targets.itl
    if limit is None:
        return most
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        pause = middle * prefill / workload.answer_tokens  # of prompts, per token
        if step_seconds(engine, middle, context) + pause <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _simulated(rows: list[Row], asked: _Ranking) -> list[Row]:
    """The cheapest rows with what the simulation says; more engines where it says that they miss."""
    done: list[Row] = []
    taken: set[tuple[str, str]] = set()
    failed: set[tuple[Any, ...]] = set()
    for row in rows:
        model, gpu, parallel = row.plan.spec.model_id, row.plan.profile.gpu.id, row.plan.layout.parallel
        if (model, gpu, parallel) in failed:
            asked.misfits.append(Misfit(row.profile, model, _NEVER))
        elif len(taken) >= FINALISTS or (model, gpu) in taken or row.usd_per_hour is None:
            done.append(row)
        elif (checked := _checked(row, asked.workload)) is not None:
            taken.add((model, gpu))
            done.append(checked)
        else:
            failed.add((model, gpu, parallel))
            asked.misfits.append(Misfit(row.profile, model, _NEVER))
    return sorted(done, key=rank)


def _checked(row: Row, workload: Workload) -> Row | None:
    """The row with so many engines that the simulation meets the targets; None where no number does."""
    for _ in range(_TRIES):
        made = promise(replace(row.plan, replicas=row.engines), workload)
        if made is None or made.meets:
            return replace(row, promise=made)
        wanted = max(row.engines + row.plan.replicas, math.ceil(1.3 * row.engines))
        found = _sized(row.plan, row.machine, row.plan.profile, wanted, row.most / row.engines)
        if isinstance(found, str):
            return None
        row = found
    return None


def _time(value: float) -> str:
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def names_of(rows: Iterable[Row]) -> list[str]:
    """Models of the rows, in order."""
    return list(dict.fromkeys(row.plan.spec.model_id for row in rows))
