"""A plan as text for a terminal."""

from typing import TYPE_CHECKING

from llm_serving_planner.base.units import GIB
from llm_serving_planner.output.values import summary
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.search import context_of

if TYPE_CHECKING:
    from pathlib import Path

_BAR_WIDTH = 40
USUAL_REQUEST = 2000  # tokens of a request that the cache is counted in, beside the longest


def text_report(plan: Plan) -> str:
    """The plan for a terminal."""
    estimate, settings = plan.estimate, plan.settings
    terms = (
        ("weights", estimate.weights),
        ("activations", estimate.activations),
        ("non-torch", estimate.non_torch),
        ("CUDA graphs", estimate.cuda_graphs),
        *((("LoRA", estimate.lora),) if estimate.lora else ()),
        *((("draft", estimate.draft),) if estimate.draft else ()),
        ("KV cache" if estimate.kv_per_request else "free", estimate.kv_cache),
        ("reserve", estimate.total - estimate.requested),
    )
    per_gpu = "  ".join(f"{name} {size / GIB:.2f}" for name, size in terms)
    context = {
        "model": "the model's whole context",
        "memory": f"of {context_of(plan.spec):,}",
        "user": "as asked",
    }
    phases = plan.resources.startup
    seconds = phases.base + phases.download + phases.load + phases.compile
    lines = [
        summary(plan),
        f"  GiB/GPU   {per_gpu}",
        f"            {_bar(terms)}",
        f"  context   {settings.max_model_len:,} tokens per request ({context[plan.context_limit]}); {_cache(plan)}",
        f"  batch     max-num-seqs {settings.max_num_seqs}, max-num-batched-tokens "
        f"{settings.max_num_batched_tokens}, gpu-memory-utilization {settings.utilization}"
        f"{', eager' if settings.enforce_eager else ''}",
        f"  attention {plan.attention}: {plan.attention_reason}",
        f"  start-up  about {seconds // 60}:{seconds % 60:02} min (start {phases.base} s, download "
        f"{phases.download} s, load {phases.load} s, compile {phases.compile} s); budget {phases.budget // 60} min",
        f"  pod       {plan.resources.cpu_request} CPU, memory {plan.resources.memory_request // GIB} to "
        f"{plan.resources.memory_limit // GIB} GiB, shared memory {plan.resources.shared_memory // GIB} GiB, disk "
        f"{plan.resources.disk // GIB} GiB ({plan.deployment.storage})",
        f"  source    {plan.spec.source}: {plan.spec.weights.basis.removeprefix(f'{plan.spec.source}: ')}",
        *_use(plan),
        *promise_lines(plan),
    ]
    for label, entries in (
        ("assumed", plan.assumptions),
        ("note", plan.warnings),
        ("rejected", plan.rejected),
    ):
        lines += [f"  {label:<9} {entry}" for entry in entries]
    return "\n".join(lines) + "\n"


def _cache(plan: Plan) -> str:
    estimate, length = plan.estimate, plan.settings.max_model_len
    if not estimate.kv_per_request:
        return "nothing is cached"
    each = " of each engine" if plan.layout.parallel.data_parallel_size > 1 else ""
    return (
        f"{plan.cache_tokens:,} tokens in the cache{each}: {estimate.concurrency:.1f} such requests, "
        f"{plan.requests_of(min(USUAL_REQUEST, length)):.0f} of {USUAL_REQUEST:,} tokens"
    )


def _use(plan: Plan) -> list[str]:
    """Lines on what is served beside generation, and on tools that could be."""
    use, lines = plan.use, []
    if use.pooling:
        lines.append(f"  task      {use.task}")
    if use.slots:
        names = ", ".join(adapter.name for adapter in use.adapters)
        lines.append(f"  adapters  {names}: {use.slots.loras} at once, rank at most {use.slots.rank}")
    if use.draft:
        lines.append(
            f"  drafts    {use.draft.method} {use.draft.id}".rstrip() + f", {use.draft.tokens} token(s) a step"
        )
    if use.kv_offload:
        lines.append(f"  offload   {use.kv_offload / GIB:g} GiB of host memory for the cache")
    if "tool-call-parser" in use.args or "reasoning-parser" in use.args:
        named = [f"{flag} {use.args[flag]}" for flag in ("tool-call-parser", "reasoning-parser") if flag in use.args]
        lines.append(f"  tools     {', '.join(named)}")
    elif not use.pooling and (offer := plan.engine.tool_offer(plan.spec)):
        lines.append(f"  tools     {offer}")
    return lines


def promise_lines(plan: Plan) -> list[str]:
    """The workload, and what the plan gives under it, each figure with band and label."""
    if plan.workload is None:
        return []
    load = plan.workload
    names = (("users", "users"), ("requestRate", "requests/s"), ("concurrency", "at once"))
    amount = next(f"{load[key]:,} {words}" for key, words in names if key in load)
    asked = f"{load['name']}: {amount}, {load['promptTokens']:,} prompt + {load['answerTokens']:,} answer tokens"
    if load["assumed"]:
        asked += f" (assumed: {', '.join(load['assumed'])})"
    lines = [f"  workload  {asked}"]
    if plan.promise is None:
        return [*lines, "  promise   none: the data do not hold the GPU's bandwidth and rate, or nothing is generated"]
    made = plan.promise
    share = f"{made['percentile']:g} %"
    times = [
        f"{name} {_time(made[key]['value'])} ({_time(made[key]['low'])} to {_time(made[key]['high'])})"
        for name, key in (("TTFT", "ttftSeconds"), ("ITL", "itlSeconds"), ("request", "e2eSeconds"))
    ]
    rates = [
        f"{_rate(made[key]['value'])} ({_rate(made[key]['low'])} to {_rate(made[key]['high'])}) {name}"
        for name, key in (("requests/s", "requestsPerSecond"), ("tokens/s", "tokensPerSecond"))
    ]
    label = made["ttftSeconds"]["label"]
    lines += [
        f"  promise   {'meets' if not made['misses'] else 'misses'}; at {share}: {', '.join(times)}; {label}",
        f"            {', '.join(rates)}; bears {_rate(made['mostRequestsPerSecond'])} requests/s at the most; {label}",
    ]
    return [*lines, *(f"  misses    {miss}" for miss in made["misses"])]


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _time(value: float) -> str:
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def _bar(terms: tuple[tuple[str, int], ...]) -> str:
    """Share of each term of the GPU's memory, one letter per fortieth, in the order of the line above."""
    total = sum(size for _, size in terms)
    marks = dict(
        zip(
            ("weights", "activations", "non-torch", "CUDA graphs", "LoRA", "draft", "KV cache", "free", "reserve"),
            "█▓▒▒▚▞░· ",
            strict=True,
        )
    )
    return "".join(marks[name] * round(_BAR_WIDTH * size / total) for name, size in terms).rstrip() + "|"


def next_command(plan: Plan, path: "Path", chart: str | None = None) -> str:
    """What to type after a values file was written.

    Args:
        plan: what was written.
        path: the values file.
        chart: OCI reference, package or folder; None looks for one, see `home.find_chart`.
    """
    import shlex

    from llm_serving_planner.output import home

    return f"helm install {plan.release_name} {home.find_chart(chart)} -f {shlex.quote(str(path))}"
