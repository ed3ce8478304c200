"""How a plan is told: the reasons beside each number, and the text that a terminal shows."""

import shlex
from pathlib import Path
from typing import Any

from llm_serving_planner.base.units import GIB
from llm_serving_planner.memory import pipeline
from llm_serving_planner.output import home
from llm_serving_planner.output.feature_keys import explain_keys
from llm_serving_planner.output.values import summary
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.search import context_of

_BAR_WIDTH = 40


def command_line(plan: Plan) -> str:
    """The command that gives this plan again."""
    words = ["llm-serving", "values", plan.spec.model_id, "--profile", plan.profile.name]
    for name, value in plan.options.pinned().items():
        for each in value if isinstance(value, tuple) else (value,):
            words.append(f"--{name.replace('_', '-')}")
            words += [] if each is True else [str(each)]
    return shlex.join(words)


def explain(plan: Plan) -> dict[str, Any]:
    """One reason per number of the values file."""
    return {
        "command": command_line(plan),
        "release": plan.release_name,
        "file": f"values/{plan.file_stem}.yaml",
        "model": _explain_model(plan),
        "args": _explain_args(plan) | plan.use.why,
        "use": explain_keys(plan.use),
        "env": plan.device.environment_reasons(plan.estimate),
        "cpu": "two cores for the API server, one per GPU"
        + (", one per further engine" if plan.layout.engines_per_pod > 1 else ""),
        "rollout": "the GPUs of the old pod are freed before the new one asks for them",
        "parallelism": _explain_parallelism(plan),
        "node_selector": _explain_selector(plan),
        "shared_memory": f"{plan.layout.gpus_per_node} GPU(s) in the pod; 2Gi up to two, 8Gi up to four, 16Gi above"
        + (f"; {plan.use.kv_offload / GIB:.0f} GiB of KV cache" if plan.use.kv_offload else ""),
        **_explain_memory(plan),
        **plan.device.pod_reasons,
        "storage": f"checkpoint {plan.spec.weights.file_bytes / GIB:.1f} GiB + 10 % + 8 GiB for compile caches",
        "startup": _explain_startup(plan),
    }


def _explain_memory(plan: Plan) -> dict[str, str]:
    return {
        "memory_request": "4 GiB for the API server, 3 GiB per GPU process, "
        + ("2 GiB per further engine, " if plan.layout.engines_per_pod > 1 else "")
        + "the shared memory",
        "memory_limit": "the request and up to 10 GiB of the file that is being read",
    }


def _explain_model(plan: Plan) -> dict[str, str]:
    notes = dict.fromkeys(("id", "path", "servedName", "aliases", "trustRemoteCode"), "")
    notes["task"] = "  # vectors or scores in place of text"
    notes["revision"] = "  # the commit that was sized"
    notes["gated"] = "  # whether it is gated is not known" if plan.spec.gated is None else ""
    return notes


def _explain_args(plan: Plan) -> dict[str, str]:
    estimate = plan.estimate
    limit = context_of(plan.spec)
    context = {
        "model": f"the model's whole context; one request needs {estimate.kv_per_request / GIB:.2f} GiB of cache",
        "memory": f"shortened from {limit:,}: the longest that fits {estimate.kv_cache / GIB:.2f} GiB of cache "
        f"with {estimate.margin / GIB:.2f} GiB kept free",
        "user": "as asked for",
    }[plan.context_limit]
    given = plan.options
    tokens = "as asked for" if given.max_num_batched_tokens else (
        f"prefill tokens per step; activations of {estimate.activations / GIB:.2f} GiB depend on it"
    )  # fmt: skip
    sequences = "as asked for" if given.max_num_seqs else (
        "engine's default for such a GPU, lowered where the cache could not hold so many"
    )  # fmt: skip
    dtype = "as asked for" if given.dtype else f"what the GPU computes in; the checkpoint is {plan.spec.dtype}"
    share = "as asked for" if given.gpu_memory_utilization else (
        f"leaves {(estimate.total - estimate.requested) / GIB:.2f} GiB for what lies outside the engine's share "
        f"({estimate.outside / GIB:.2f} GiB expected)"
    )  # fmt: skip
    quantize = "how the checkpoint is stored" if plan.spec.quantization else "weights are quantised at start"
    found = {
        "dtype": dtype,
        "max-model-len": context,
        "max-num-seqs": sequences,
        "max-num-batched-tokens": tokens,
        "gpu-memory-utilization": share,
        "kv-cache-dtype": "as asked for" if given.kv_cache_dtype else "auto: the data type of the model",
        "quantization": quantize,
        "allow-deprecated-quantization": "this version refuses the checkpoint without it",
        "language-model-only": "as asked for: images and sound are not taken",
        "enforce-eager": "as asked for"
        if given.enforce_eager
        else "no CUDA graphs: they would not leave room for the cache",
        "disable-access-log-for-endpoints": "probes and scrapes would fill the log",
        "distributed-timeout-seconds": "nodes that download at different speed wait for each other",
    }
    same = {own: found[flag] for own, flag in plan.engine.flag_names.items()}
    return found | same | dict(plan.engine.flag_reasons)


def _explain_parallelism(plan: Plan) -> str:
    layout = plan.layout
    parallel = layout.parallel
    if layout.gpus == 1:
        return plan.device.one
    parts = []
    if parallel.tensor_parallel_size > 1:
        heads = f"{plan.spec.num_attention_heads} attention heads and {plan.spec.num_kv_heads} KV heads"
        parts.append(f"{heads} over {parallel.tensor_parallel_size} GPUs (link: {plan.profile.link})")
    if parallel.pipeline_parallel_size > 1:
        most = max(pipeline.stage_layers(plan.spec.num_layers, parallel.pipeline_parallel_size))
        parts.append(
            f"{plan.spec.num_layers} layers over {parallel.pipeline_parallel_size} stages, at most {most} each"
        )
    if parallel.data_parallel_size > 1:
        parts.append(f"{parallel.data_parallel_size} engines, each with attention and a cache of its own")
    if plan.spec.moe is not None and (parallel.enable_expert_parallel or parallel.data_parallel_size > 1):
        how = "whole" if parallel.enable_expert_parallel else "in slices"
        parts.append(f"{plan.spec.moe.experts} experts {how} over {parallel.expert_ranks} ranks")
    return "; ".join(parts)


def _explain_selector(plan: Plan) -> str:
    if plan.profile.instance is not None:
        return "the machine type that was planned for"
    return plan.device.selector_reason(plan.profile.gpu)


def _explain_startup(plan: Plan) -> str:
    phases = plan.resources.startup
    return (
        f"twice {phases.base} s start + {phases.download} s download + {phases.load} s load + "
        f"{phases.compile} s compile, at least 600"
    )


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
        f"  start-up  about {seconds // 60}:{seconds % 60:02} min (download {phases.download} s, load "
        f"{phases.load} s, compile {phases.compile} s); budget {phases.budget // 60} min",
        f"  pod       {plan.resources.cpu_request} CPU, memory {plan.resources.memory_request // GIB} to "
        f"{plan.resources.memory_limit // GIB} GiB, shared memory {plan.resources.shared_memory // GIB} GiB, disk "
        f"{plan.resources.disk // GIB} GiB ({plan.deployment.storage})",
        f"  source    {plan.spec.source}: {plan.spec.weights.basis.removeprefix(f'{plan.spec.source}: ')}",
        *_use(plan),
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
        f"{plan.requests_of(min(2000, length)):.0f} of 2,000 tokens"
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


def next_command(plan: Plan, path: Path, chart: str | None = None) -> str:
    """What to type after a values file was written.

    Args:
        plan: what was written.
        path: the values file.
        chart: OCI reference, package or folder; None looks for one, see `home.find_chart`.
    """
    return f"helm install {plan.release_name} {home.find_chart(chart)} -f {shlex.quote(str(path))}"
