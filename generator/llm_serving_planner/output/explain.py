"""The reasons beside the numbers of a values file, formatted from the constants that the numbers come from."""

import shlex
from typing import Any

from llm_serving_planner.base.units import GIB
from llm_serving_planner.base.words import counted, times, word
from llm_serving_planner.engines import vllm
from llm_serving_planner.memory import pipeline
from llm_serving_planner.models.config import formats
from llm_serving_planner.output.feature_keys import explain_keys
from llm_serving_planner.planner import resources
from llm_serving_planner.planner.options import Options, flag, why_pinned
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.search import LONG_CONTEXT, LONG_REQUESTS, context_of


def command_line(plan: Plan) -> str:
    """The command that gives this plan again."""
    typed = _typed("values", plan.spec.model_id, plan.profile.name, plan.options)
    return f"{typed} {shlex.join(plan.asked)}" if plan.asked else typed


def typed_values(
    model: str, profile: str, options: Options, *, asked: tuple[str, ...] = (), offline: bool = False
) -> str:
    """`llm-serving values` with every pin and the workload, as it is typed."""
    words = _typed("values", model, profile, options)
    return " ".join(filter(None, (words, shlex.join(asked), "--offline" if offline else "")))


def plan_command(model: str, profile: str, options: Options, *, offline: bool, asked: tuple[str, ...] = ()) -> str:
    """`llm-serving plan` with every pin, as it is typed."""
    words = _typed("plan", model, profile, options)
    return " ".join(filter(None, (words, shlex.join(asked), "--offline" if offline else "")))


def _typed(command: str, model: str, profile: str, options: Options) -> str:
    words = ["llm-serving", command, model, "--profile", profile]
    for name, value in options.pinned().items():
        for each in value if isinstance(value, tuple) else (value,):
            words.append(flag(name))
            words += [] if each is True else [str(each)]
    return shlex.join(words)


def explain(plan: Plan) -> dict[str, Any]:
    """One reason per number of the values file."""
    return {
        "command": command_line(plan),
        "release": plan.release_name,
        "file": f"values/{plan.file_stem}.yaml",
        "model": _explain_model(plan),
        "args": _explain_args(plan),
        "use": explain_keys(plan.use),
        "env": plan.device.environment_reasons(plan.estimate),
        "has_ray": f"the image is to hold Ray, which stock images of vLLM lost with {vllm.since('ray-dropped')}",
        "cpu": _explain_cores(plan),
        "rollout": "the GPUs of the old pod are freed before the new one asks for them",
        "parallelism": _explain_parallelism(plan),
        "node_selector": _explain_selector(plan),
        "shared_memory": f"{plan.layout.gpus_per_node} GPU(s) in the pod; {_shared_memory_rule()}"
        + (f"; {plan.use.kv_offload / GIB:.0f} GiB of KV cache" if plan.use.kv_offload else ""),
        **_explain_memory(plan),
        **plan.device.pod_reasons,
        "storage": f"checkpoint {plan.spec.weights.file_bytes / GIB:.1f} GiB + "
        f"{100 * resources.DISK_SHARE:.0f} % + {resources.DISK_EXTRA_GIB} GiB for compile caches",
        "startup": _explain_startup(plan),
        "image_pull": f"image of about {resources.IMAGE_GB} GB, outside the startup probe",
    }


def _explain_cores(plan: Plan) -> str:
    return (
        f"{counted(resources.CORES_BASE, 'core')} for the API server, {word(resources.CORES_PER_GPU)} per GPU"
        + (f", {word(resources.CORES_PER_ENGINE)} per further engine" if plan.layout.engines_per_pod > 1 else "")
    )  # fmt: skip


def _shared_memory_rule() -> str:
    *steps, (_, most) = resources.SHARED_MEMORY_GIB
    return ", ".join([*(f"{size}Gi up to {word(gpus)}" for gpus, size in steps), f"{most}Gi above"])


def _explain_memory(plan: Plan) -> dict[str, str]:
    return {
        "memory_request": f"{resources.HOST_BASE_GIB} GiB for the API server, {resources.HOST_PER_GPU_GIB} GiB per GPU "
        "process, "
        + (f"{resources.HOST_PER_ENGINE_GIB} GiB per further engine, " if plan.layout.engines_per_pod > 1 else "")
        + "the shared memory",
        "memory_limit": f"the request and up to {resources.LOADING_GIB} GiB of the file that is being read",
    }


def _explain_model(plan: Plan) -> dict[str, str]:
    notes = dict.fromkeys(("id", "path", "servedName", "aliases", "trustRemoteCode"), "")
    notes["task"] = "  # vectors or scores in place of text"
    notes["revision"] = "  # the commit that was sized"
    notes["gated"] = "  # whether it is gated is not known" if plan.spec.gated is None else ""
    return notes


def _explain_args(plan: Plan) -> dict[str, str]:
    """What the planner chose, or that an option pinned it; an engine's own flags take the reasons of vLLM's."""
    estimate = plan.estimate
    context = f"the model's whole context; one request needs {estimate.kv_per_request / GIB:.2f} GiB of cache"
    if plan.context_limit == "memory" and plan.settings.max_model_len >= LONG_CONTEXT:
        context = (
            f"of {context_of(plan.spec):,}: the cache holds {LONG_REQUESTS} requests of that length, or one is not to "
            "take all of it; --max-model-len pins more"
        )
    elif plan.context_limit == "memory":
        context = (
            f"shortened from {context_of(plan.spec):,}: the longest that fits {estimate.kv_cache / GIB:.2f} GiB of "
            f"cache with {estimate.margin / GIB:.2f} GiB kept free"
        )
    tokens = f"prefill tokens per step; activations of {estimate.activations / GIB:.2f} GiB depend on it"
    sequences = "engine's default for such a GPU, lowered where the cache could not hold so many"
    held = formats.label(formats.kind_of(plan.spec.quantization)) if plan.spec.quantization else plan.spec.dtype
    dtype = f"what the GPU computes in; the checkpoint is {held}"
    share = (
        f"leaves {(estimate.total - estimate.requested) / GIB:.2f} GiB for what lies outside the engine's share "
        f"({estimate.outside / GIB:.2f} GiB expected)"
    )
    quantize = "how the checkpoint is stored" if plan.spec.quantization else "weights are quantised at start"
    found = {
        "dtype": dtype,
        "max-model-len": context,
        "max-num-seqs": sequences,
        "max-num-batched-tokens": tokens,
        "gpu-memory-utilization": share,
        "kv-cache-dtype": "auto: what the checkpoint declares, else the data type of the model",
        "quantization": quantize,
        "allow-deprecated-quantization": "this version refuses the checkpoint without it",
        "enforce-eager": "no CUDA graphs: they would not leave room for the cache",
        "disable-access-log-for-endpoints": "probes and scrapes would fill the log",
        "distributed-timeout-seconds": "nodes that download at different speed wait for each other",
        "enable-auto-tool-choice": "the model decides by itself whether it calls a tool",
        "tool-call-parser": "what this family's tool calls are read by",
        "reasoning-parser": "thoughts come apart from the answer",
        **why_pinned(plan.options),
    }
    own = {name: found[flag] for name, flag in plan.engine.flag_names.items()}
    return found | own | dict(plan.engine.flag_reasons)


def _explain_parallelism(plan: Plan) -> str:
    layout = plan.layout
    parallel = layout.parallel
    if layout.gpus == 1:
        return plan.device.one
    parts = []
    if parallel.tensor_parallel_size > 1:
        cached = "one latent" if plan.spec.mla else f"{plan.spec.num_kv_heads} KV heads"
        heads = f"{plan.spec.num_attention_heads} attention heads and {cached}"
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
        f"{times(resources.BUDGET_FACTOR)} {phases.base} s start + {phases.download} s download + "
        f"{phases.load} s load + {phases.compile} s compile, at least {resources.LEAST_BUDGET_SECONDS}"
    )
