"""The fit matrix: what a model does on a GPU profile, in five classes."""

from collections.abc import Iterator
from dataclasses import dataclass

from llm_serving_planner.advice import candidates
from llm_serving_planner.advice.candidates import Filters
from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.hardware.profiles import GpuProfile, Instance, parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.models.variants import variants_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import COMFORTABLE_CONTEXT, context_of

COUNTS = (1, 2, 4, 8)
NODES = (2, 4)
KINDS = {
    "fits": "with at least 8,192 tokens of context, or the model's whole context",
    "tight": "within the band of the estimate, or with less than 8,192 tokens of context",
    "quantised": "one node holds it with quantised weights only: FP8 at start, or a quantised checkpoint",
    "nodes": "only over two or four such nodes, pipeline parallel",
    "no": "nothing of this was found to fit",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A GPU profile and the cheapest machine that has as many such GPUs; None where no price is known."""

    profile: GpuProfile
    machine: Instance | None

    def price(self, nodes: int) -> float | None:
        """USD per hour of that many such machines, on demand."""
        usd = candidates.price(self.machine) if self.machine else None
        return None if usd is None else usd * nodes


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer; `model` and `profile` are what the planner is asked to see it, with `quantization` where at start."""

    kind: str
    model: str
    profile: str
    context: int = 0
    at_once: float = 0.0
    nodes: int = 1
    usd_per_hour: float | None = None
    quantization: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One model over all columns."""

    spec: ModelSpec
    cells: tuple[Cell, ...]


def columns(count: int) -> list[Column]:
    """Profiles of that many GPUs in one node, in the order of the data."""
    found = [pair for pair in candidates.profiles(Filters()) if pair[0].gpus_per_node == count]
    return [Column(profile, machines[0] if machines else None) for profile, machines in found]


def rows(columns_: list[Column]) -> Iterator[Row]:
    """Every model of the catalogue, by name."""
    for name in sorted(embedded.model_ids(), key=lambda name: (name.lower().split("/")[-1], name)):
        spec = embedded.find(name)
        if spec is not None:
            variants = variants_of(spec)
            yield Row(spec, tuple(cell(spec, column, variants) for column in columns_))


def cell(spec: ModelSpec, column: Column, variants: list[ModelSpec]) -> Cell:
    """The best class: as it is, quantised, over several nodes, not at all."""
    plan = _try(spec, column.profile)
    if plan is not None:
        enough = plan.settings.max_model_len >= min(COMFORTABLE_CONTEXT, context_of(spec))
        return _cell("fits" if enough and plan.verdict == "fits" else "tight", plan, column)
    quantised = _quantised(spec, column.profile, variants)
    if quantised is not None:
        return _cell("quantised", quantised, column)
    for nodes in NODES:
        wide = parse_profile(f"{nodes}x{column.profile.name}")
        plan = _try(spec, wide)
        if plan is not None and plan.layout.nodes == nodes:
            return _cell("nodes", plan, column)
    return Cell("no", spec.model_id, column.profile.name)


def _cell(kind: str, plan: Plan, column: Column) -> Cell:
    nodes = plan.layout.nodes
    return Cell(
        kind,
        plan.spec.model_id,
        plan.profile.name,
        plan.settings.max_model_len,
        plan.estimate.concurrency,
        nodes,
        column.price(nodes),
        plan.options.quantization,
    )


def _quantised(spec: ModelSpec, profile: GpuProfile, variants: list[ModelSpec]) -> Plan | None:
    """FP8 at start, else the catalogue's quantised checkpoint with the most bits, then the longest context."""
    if spec.quantization is None:
        plan = _try(spec, profile, Options(quantization="fp8"))
        if plan is not None:
            return plan
    found = [
        (variant.quantization.bits, plan.settings.max_model_len, variant.model_id, plan)
        for variant in variants
        if variant.quantization is not None
        and embedded.find(variant.model_id) is not None
        and (plan := _try(variant, profile)) is not None
    ]
    return max(found, key=lambda item: item[:3])[3] if found else None


def _try(spec: ModelSpec, profile: GpuProfile, options: Options | None = None) -> Plan | None:
    try:
        return make_plan(spec, profile, options)
    except DoesNotFitError:
        return None


def short(tokens: int) -> str:
    """Tokens as people say them: 8k, 128k, 1M."""
    if tokens >= 1 << 20:
        return f"{tokens / (1 << 20):.3g}M"
    return f"{tokens // 1024}k" if tokens >= 1024 else str(tokens)


def rounded(requests: float) -> str:
    """Requests at once, with a decimal where there are few."""
    return f"{requests:.1f}" if requests < 10 else f"{requests:,.0f}"
