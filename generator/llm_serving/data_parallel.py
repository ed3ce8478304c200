"""Data and expert parallel: several engines behind one API, and experts divided over the GPUs of all of them.

Each engine (tensor x pipeline GPUs) holds attention and dense layers for itself and has a cache of its own, and
max-num-seqs is its own. Experts are divided over all tensor x data ranks: in slices, or whole with
--enable-expert-parallel. Source: vLLM 0.33.0 docs/serving/data_parallel_deployment.md and
vllm/model_executor/layers/fused_moe/config.py (FusedMoEParallelConfig.make), read 2026-11-25.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_serving import engine_types, rules
from llm_serving.errors import DoesNotFitError
from llm_serving.layout import Layout
from llm_serving.model import ModelSpec
from llm_serving.options import Options
from llm_serving.profiles import GpuProfile

if TYPE_CHECKING:
    from llm_serving.plan import Plan

# Only a layout that holds that much more cache is proposed: a request on fewer GPUs is slower. An assumption.
WORTHWHILE = 1.25


def choose_layout(spec: ModelSpec, profile: GpuProfile, options: Options) -> Layout:
    """The layout of --data-parallel-size engines: whole engines in every node, as many GPUs for each as there are."""
    data, nodes = options.data_parallel_size or 1, profile.nodes
    reasons: list[str] = []
    if options.engine != "vllm":
        reasons.append(
            f"{engine_types.label(options.engine)} has no data parallel: --replicas {data}, or --engine vllm"
        )
    if data % nodes:
        reasons.append(
            f"data parallel size {data} does not divide by {nodes} nodes: every node holds whole engines, so a "
            f"multiple of {nodes}"
        )
    local, stages = max(1, data // nodes), options.pipeline_parallel_size or 1
    available = profile.gpus_per_node // (local * stages)
    tensor = options.tensor_parallel_size or _tensor(spec, options, available, exact=profile.exact_count)
    reasons += rules.parallel_reasons(spec, tensor, data, expert=options.enable_expert_parallel)
    if stages > spec.num_layers:
        reasons.append(f"pipeline parallel size {stages} is above the {spec.num_layers} layers")
    per_node = local * stages * tensor
    if per_node > profile.gpus_per_node:
        needs = f"{local} engine(s) of {stages * tensor} GPU(s)"
        where = " in each node" if nodes > 1 else ""
        reasons.append(f"{needs}{where} need {per_node} GPUs, {profile.name} has {profile.gpus_per_node}")
    return Layout(tensor, stages, nodes, per_node, tuple(reasons), data=data, expert=options.enable_expert_parallel)


def _tensor(spec: ModelSpec, options: Options, available: int, *, exact: bool) -> int:
    """Largest tensor parallel size of one engine that no rule forbids; a divisor of what a counted profile has."""
    data, expert = options.data_parallel_size or 1, options.enable_expert_parallel
    for size in range(available, 1, -1):
        if not (exact and available % size) and not rules.parallel_reasons(spec, size, data, expert=expert):
            return size
    return 1


def reasons(layout: Layout, spec: ModelSpec, options: Options) -> list[str]:
    """What stands against expert parallel, and against Ray between data parallel engines."""
    found = []
    if options.enable_expert_parallel and options.engine != "vllm":
        found.append(f"--enable-expert-parallel is vLLM's: {engine_types.label(options.engine)} has no such thing")
    if options.enable_expert_parallel and spec.moe is None:
        found.append(f"--enable-expert-parallel: {spec.short_name} has no experts")
    if options.enable_expert_parallel and layout.tensor * layout.data == 1:
        found.append("--enable-expert-parallel: one rank has all experts anyway")
    if layout.data > 1 and (options.executor == "ray" or options.controller == "raycluster"):
        found.append(
            f"data parallel size {layout.data} is not served over Ray (engines wait for each other for ever, vLLM "
            "issue 44878): executor mp with controller statefulset or leaderworkerset"
        )
    return found


def assumptions(layout: Layout, spec: ModelSpec) -> list[str]:
    """What is not known of such layouts."""
    if layout.data == 1 and not layout.expert:
        return []
    found = ["no start-up with data or expert parallel was measured: buffers of the experts are upper bounds"]
    if layout.data > 1 and spec.moe is not None:
        found.append(f"experts work on the tokens of all {layout.data} engines at once (all-gather, vLLM's default)")
    return found


def proposal(plan: "Plan") -> str | None:
    """A data parallel layout of the same GPUs that holds clearly more cache, as one line; None where there is none.

    Latent caches (MLA) are whole on every tensor parallel rank, and key-value heads are repeated where there are more
    ranks than heads: tensor parallel then divides weights, not the cache.
    """
    options, layout = plan.options, plan.layout
    pinned = options.data_parallel_size or options.enable_expert_parallel or options.tensor_parallel_size
    if options.engine != "vllm" or plan.spec.moe is None or pinned or layout.nodes > 1 or layout.tensor == 1:
        return None
    for other in _layouts(plan):
        total = other.cache_tokens * other.layout.data
        gain = total / max(plan.cache_tokens, 1)
        if other.settings.max_model_len >= plan.settings.max_model_len and gain >= WORTHWHILE:
            tensor = f" --tensor-parallel-size {other.layout.tensor}" if other.layout.tensor > 1 else ""
            return (
                f"data parallel {other.layout.data} with whole experts per GPU would hold {total:,} tokens of cache in "
                f"all, {gain:.1f} times as many ({_why(plan)}): --data-parallel-size {other.layout.data}{tensor} "
                f"--enable-expert-parallel; one request then has {other.layout.tensor} of {layout.gpus} GPUs"
            )
    return None


def _layouts(plan: "Plan") -> Iterator["Plan"]:
    from llm_serving.plan import make_plan

    for tensor in range(1, plan.layout.tensor):
        if plan.layout.tensor % tensor:
            continue
        wanted = replace(
            plan.options,
            data_parallel_size=plan.layout.tensor // tensor,
            tensor_parallel_size=tensor,
            enable_expert_parallel=True,
        )
        try:
            yield make_plan(plan.spec, plan.profile, wanted)
        except DoesNotFitError:
            continue


def _why(plan: "Plan") -> str:
    tensor = plan.layout.tensor
    if plan.spec.mla is not None:
        return f"its latent cache is whole on all {tensor} ranks"
    if plan.spec.num_kv_heads < tensor:
        return f"its {plan.spec.num_kv_heads} KV heads are repeated on {tensor} tensor parallel ranks"
    return "less of the memory goes into activations and communication"
