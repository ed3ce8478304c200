"""A plan as HTML: the same fragment on the page of a values file and in the planner. Also runs in the browser."""

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from llm_serving_planner.base.errors import DoesNotFitError, LlmServingError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.output.explain import explain
from llm_serving_planner.output.flags import engine_args
from llm_serving_planner.output.report import USUAL_REQUEST, promise_lines
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.search import context_of

from website.bars import memory_bar

_LIMITS = {"model": "the model's whole context", "memory": "as memory allows", "user": "as asked for"}


@cache
def environment() -> jinja2.Environment:
    """Templates of the site, everything escaped, every name defined."""
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: files("website").joinpath("templates", name).read_text(encoding="utf-8")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(name: str, **names: Any) -> str:
    """One template of the site."""
    return environment().get_template(name).render(**names)


def plan_html(plan: Plan) -> str:
    """Verdict, bar, figures, reasons of a plan."""
    return render(
        "_plan.html.j2",
        plan=plan,
        bar=memory_bar(plan),
        tiles=_tiles(plan),
        where=where(plan),
        settings=_settings(plan),
        facts=_facts(plan),
        promise=[" ".join(line.split()) for line in promise_lines(plan)],
    )


def refusal_html(error: LlmServingError) -> str:
    """What stands against a plan, and the ways out."""
    reasons = error.reasons if isinstance(error, DoesNotFitError) else ()
    ways = error.ways_out if isinstance(error, DoesNotFitError) else ()
    return render("_refusal.html.j2", error=error, reasons=reasons, ways=ways)


def where(plan: Plan) -> str:
    """What a bar stands for."""
    layout = plan.layout
    if plan.device.where:
        return plan.device.where
    name = plan.profile.gpu.device_name
    if layout.gpus == 1:
        return f"the {name}"
    which = "the fullest" if layout.parallel.pipeline_parallel_size > 1 else "each"
    nodes = f" in {layout.nodes} nodes" if layout.nodes > 1 else ""
    return f"{which} of the {layout.gpus} GPUs ({name}){nodes}"


def _tiles(plan: Plan) -> list[tuple[str, str, str]]:
    """(what, figure, beside it): the four answers that people look for."""
    settings, phases = plan.settings, plan.resources.startup
    seconds = phases.base + phases.download + phases.load + phases.compile
    limit = f"of {context_of(plan.spec):,}" if plan.context_limit == "memory" else _LIMITS[plan.context_limit]
    short = plan.requests_of(min(USUAL_REQUEST, settings.max_model_len))
    return [
        ("Context", f"{settings.max_model_len:,}", f"tokens per request, {limit}"),
        ("At once", f"{plan.estimate.concurrency:.1f}", f"such requests, or {short:.0f} of 2,000 tokens"),
        ("KV cache", f"{plan.cache_tokens:,}", "tokens in all"),
        ("Start-up", f"{seconds // 60}:{seconds % 60:02}", f"minutes; budget {phases.budget // 60} min"),
    ]


def _settings(plan: Plan) -> list[tuple[str, str, str]]:
    """(flag, value, why) of everything that the engine is told."""
    reasons = explain(plan)["args"]
    return [(f"--{flag}", _shown(value), reasons.get(flag, "")) for flag, value in engine_args(plan).items()]


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _facts(plan: Plan) -> list[tuple[str, str]]:
    layout, resources = plan.layout, plan.resources
    parallel = layout.parallel
    sizes = f"tensor {parallel.tensor_parallel_size}, pipeline {parallel.pipeline_parallel_size}"
    sizes += f", {layout.nodes} x {layout.gpus_per_node} GPUs"
    return [
        ("Engine", f"{plan.engine_name}, {plan.dtype}"),
        ("Parallelism", plan.device.processes or sizes),
        ("Controller", plan.deployment.controller),
        ("Attention", f"{plan.attention}: {plan.attention_reason}"),
        (
            "Pod",
            f"{resources.cpu_request} CPU, memory {resources.memory_request // GIB} to "
            f"{resources.memory_limit // GIB} GiB, shared memory {resources.shared_memory // GIB} GiB",
        ),
        ("Storage", f"{resources.disk // GIB} GiB ({plan.deployment.storage})"),
        ("Source", f"{plan.spec.source}: {plan.spec.weights.basis}"),
    ]
