"""Plans every candidate for a workload and sorts what serves it, cheapest first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from llm_serving_planner.advice import candidates
from llm_serving_planner.advice.candidates import Filters
from llm_serving_planner.advice.workload import Workload
from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.hardware.profiles import GpuProfile, Instance, parse_profile
from llm_serving_planner.memory import kv_cache, pipeline
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.models.variants import variants_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import context_of
from llm_serving_planner.speed import roofline
from llm_serving_planner.speed.roofline import Prediction

MULTIPLES = (2, 4)  # nodes of one engine, or engines, where one machine does not do it


@dataclass(frozen=True, slots=True)
class Row:
    """One way to serve the workload.

    Attributes:
        profile: what `plan --profile` takes; for a machine type its name.
        machine: the machine type that is paid for; None where no price of such GPUs is known.
        count: machines that are paid for, `plan.layout.nodes` x `replicas`.
        replicas: engines behind one Service, each with its share of the requests.
        same_as: the GPU profile whose cheapest machine this is, with the same layout.
        context: longest request of one engine, in tokens.
        at_once: requests of the workload that the cache holds, all engines together.
        wanted: requests at once that were asked for.
        prediction: speed of all engines together; None where the data do not hold the GPU's bandwidth.
    """

    profile: str
    plan: Plan
    machine: Instance | None
    count: int
    replicas: int
    usd_per_hour: float | None
    context: int
    at_once: float
    prediction: Prediction | None
    wanted: int
    same_as: str | None = None

    @property
    def tight(self) -> bool:
        """Whether the memory suffices only within the band of its estimate."""
        estimate = self.plan.estimate
        share = (estimate.kv_cache - estimate.margin) / estimate.kv_cache if estimate.kv_cache > 0 else 0.0
        return self.plan.verdict == "tight" or self.at_once * share < self.wanted

    @property
    def usd_per_million(self) -> float | None:
        """USD per million answer tokens at the predicted rate under the workload."""
        if self.usd_per_hour is None or self.prediction is None:
            return None
        return self.usd_per_hour / (self.prediction.tokens_per_second * 3600) * 1e6

    def _speed(self) -> dict[str, float | None]:
        speed = self.prediction
        names = {
            "tokens_per_second": "tokens_per_second",
            "tokens_per_second_low": "low",
            "tokens_per_second_high": "high",
            "tokens_per_second_per_request": "per_request",
            "first_token_seconds": "first_token_seconds",
            "first_token_seconds_burst": "burst_seconds",
        }
        return {key: None if speed is None else _rounded(getattr(speed, name)) for key, name in names.items()}

    def to_dict(self) -> dict[str, Any]:
        """Flat and stable, for JSON and CSV."""
        machine, estimate = self.machine, self.plan.estimate
        return {
            "model": self.plan.spec.model_id,
            "profile": self.profile,
            "same_as": self.same_as,
            "gpu": self.plan.profile.gpu.id,
            "gpus": self.plan.layout.gpus * self.replicas,
            "tensor_parallel": self.plan.layout.parallel.tensor_parallel_size,
            "pipeline_parallel": self.plan.layout.parallel.pipeline_parallel_size,
            "nodes": self.plan.layout.nodes,
            "replicas": self.replicas,
            "machine": machine.type if machine else None,
            "machines": self.count if machine else None,
            "cloud": machine.cloud if machine else None,
            "usd_per_hour": None if self.usd_per_hour is None else round(self.usd_per_hour, 5),
            "usd_region": machine.usd_region if machine else None,
            "usd_date": machine.usd_date if machine else None,
            "verdict": "tight" if self.tight else "fits",
            "context": self.context,
            "requests_at_once": round(self.at_once, 2),
            **self._speed(),
            "usd_per_million_tokens": _rounded(self.usd_per_million),
            "weights_gib": round(estimate.weights / GIB, 2),
            "kv_cache_gib": round(estimate.kv_cache / GIB, 2),
            "gpu_memory_gib": round(estimate.total / GIB, 2),
        }


@dataclass(frozen=True, slots=True)
class Misfit:
    """A candidate that does not serve the workload, and the first reason."""

    name: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Rows cheapest first, misfits in the order of the data."""

    spec: ModelSpec
    workload: Workload
    rows: tuple[Row, ...]
    misfits: tuple[Misfit, ...]

    def grouped(self) -> list[tuple[str, str, list[str]]]:
        """(model, reason, names) of the misfits, the most frequent reason first."""
        found: dict[tuple[str, str], list[str]] = {}
        for misfit in self.misfits:
            found.setdefault((misfit.model, misfit.reason), []).append(misfit.name)
        groups = [(model, reason, names) for (model, reason), names in found.items()]
        return sorted(groups, key=lambda group: -len(group[2]))


def advise(spec: ModelSpec, workload: Workload, filters: Filters | None = None, *, quantised: bool = False) -> Advice:
    """Everything that serves the model under the workload; with `quantised` its quantised checkpoints too."""
    filters = filters or Filters()
    rows: list[Row] = []
    misfits: list[Misfit] = []
    for model in (spec, *(_variants(spec, workload) if quantised else ())):
        machines = list(_machine_results(model, workload, filters))
        own = list(_profile_results(model, workload, filters))
        rows += _merged([r for r in machines if isinstance(r, Row)], [r for r in own if isinstance(r, Row)])
        misfits += [result for result in (*machines, *own) if isinstance(result, Misfit)]
    if filters.max_price is not None:
        dear = [row for row in rows if row.usd_per_hour is None or row.usd_per_hour > filters.max_price]
        rows = [row for row in rows if row not in dear]
        limit = f"{filters.max_price:g} USD per hour"
        misfits += [
            Misfit(row.profile, row.plan.spec.model_id, f"above {limit}" if row.usd_per_hour else "no price is known")
            for row in dear
        ]
    return Advice(spec, workload, tuple(sorted(rows, key=rank)), tuple(misfits))


def rank(row: Row) -> tuple[Any, ...]:
    """Order of rows: price, then speed, then name; rows without a price last."""
    speed = row.prediction.tokens_per_second if row.prediction else 0.0
    cost = row.usd_per_hour
    return (cost is None, cost or 0.0, -speed, row.plan.layout.gpus * row.replicas, row.profile, row.plan.spec.model_id)


def serve(spec: ModelSpec, profile: GpuProfile, workload: Workload) -> Plan | str:
    """A plan with the workload's context and room for its requests at once, or the first reason against it."""
    options = Options(max_model_len=workload.max_model_len)
    try:
        plan = make_plan(spec, profile, options)
        if plan.settings.max_num_seqs < workload.concurrency:
            plan = make_plan(spec, profile, replace(options, max_num_seqs=workload.concurrency))
    except DoesNotFitError as error:
        return error.reasons[0]
    return plan


def shortfall(plan: Plan, workload: Workload) -> str | None:
    """Why the cache is too small for the requests at once; None when it is not."""
    held = plan.requests_of(workload.tokens)
    if held >= workload.concurrency:
        return None
    return f"the cache holds {held:.1f} requests of {workload.tokens:,} tokens, {workload.concurrency} are asked for"


def _variants(spec: ModelSpec, workload: Workload) -> Iterable[ModelSpec]:
    return sorted(
        (variant for variant in variants_of(spec) if context_of(variant) >= workload.max_model_len),
        key=lambda variant: variant.model_id,
    )


def _machine_results(spec: ModelSpec, workload: Workload, filters: Filters) -> Iterator[Row | Misfit]:
    for machine, profile in candidates.machines(filters):
        if isinstance(profile, str):
            yield Misfit(machine.type, spec.model_id, profile)
            continue
        yield _one_or_several(spec, machine, profile, workload)


def _one_or_several(spec: ModelSpec, machine: Instance, profile: GpuProfile, workload: Workload) -> Row | Misfit:
    """One machine; where its cache is too small several engines, where the model is too large several nodes."""
    plan = serve(spec, profile, workload)
    if isinstance(plan, Plan):
        short = shortfall(plan, workload)
        for replicas in (1, *MULTIPLES):
            share = replace(workload, concurrency=-(-workload.concurrency // replicas))
            if shortfall(plan, share) is None:
                fitting = plan if replicas == 1 else serve(spec, profile, share)
                if isinstance(fitting, Plan) and shortfall(fitting, share) is None:
                    return _row(fitting, machine, workload, machine.type, replicas)
        return Misfit(machine.type, spec.model_id, short or "")
    for nodes in MULTIPLES:
        wider = serve(spec, parse_profile(f"{nodes}x{machine.type}"), workload)
        if isinstance(wider, Plan) and shortfall(wider, workload) is None:
            return _row(wider, machine, workload, f"{nodes}x{machine.type}", 1)
    return Misfit(machine.type, spec.model_id, plan)


def _profile_results(spec: ModelSpec, workload: Workload, filters: Filters) -> Iterator[Row | Misfit]:
    for profile, holding in candidates.profiles(filters):
        reason = ""
        places: list[Instance | None] = [*holding] if holding else [None]
        for machine in places:
            plan = serve(spec, candidates.on_machine(profile, machine) if machine else profile, workload)
            short = plan if isinstance(plan, str) else shortfall(plan, workload)
            if isinstance(plan, Plan) and short is None:
                yield _row(plan, machine, workload, profile.name, 1)
                break
            reason = reason or short or ""
        else:
            yield Misfit(profile.name, spec.model_id, reason)


def _row(plan: Plan, machine: Instance | None, workload: Workload, name: str, replicas: int) -> Row:
    share = replace(workload, concurrency=-(-workload.concurrency // replicas))
    speed = roofline.predict(roofline.engine_of(plan), share)
    if speed is not None and replicas > 1:
        each = speed.per_request
        speed = replace(speed, tokens_per_second=each * workload.concurrency)
    count = plan.layout.nodes * replicas
    cost = candidates.price(machine) if machine else None
    stage = pipeline.stage_spec(plan.spec, plan.layout.parallel.pipeline_parallel_size)
    budget = max(plan.estimate.kv_cache - plan.estimate.margin, 0)
    longest = kv_cache.longest_context(stage, plan.settings, budget, context_of(plan.spec))
    return Row(
        profile=name,
        plan=plan,
        machine=machine,
        count=count,
        replicas=replicas,
        usd_per_hour=None if cost is None else cost * count,
        context=max(longest, plan.settings.max_model_len),
        at_once=plan.requests_of(workload.tokens) * replicas,
        prediction=speed,
        wanted=workload.concurrency,
    )


def _merged(machines: list[Row], profiles: list[Row]) -> list[Row]:
    """Machine rows named with the profile that they are the cheapest place of; other profiles as rows of their own."""
    kept = {row.profile: row for row in machines}
    own = []
    for row in profiles:
        place = row.machine.type if row.machine else None
        twin = kept.get(place) if place else None
        if twin is not None and twin.plan.layout == row.plan.layout and twin.plan.settings == row.plan.settings:
            kept[twin.profile] = replace(twin, same_as=row.profile)
        else:
            own.append(row)
    return [*kept.values(), *own]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
