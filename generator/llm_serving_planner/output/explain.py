"""The reasons beside the numbers of a values file, formatted from the constants that the numbers come from."""

import shlex
from typing import Any

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.memory import pipeline
from llm_serving_planner.output import flags
from llm_serving_planner.output.feature_keys import explain_keys
from llm_serving_planner.planner import resources
from llm_serving_planner.planner.devices import cpu, rocm_gaudi
from llm_serving_planner.planner.options import flag, why_pinned
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.search import context_of

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def command_line(plan: Plan) -> str:
    """The command that gives this plan again."""
    words = ["llm-serving", "values", plan.spec.model_id, "--profile", plan.profile.name]
    for name, value in plan.options.pinned().items():
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
        "args": _explain_args(plan) | why_pinned(plan.options),
        "use": explain_keys(plan.use),
        "env": {
            "VLLM_CPU_KVCACHE_SPACE": f"GiB of cache per process; one request needs "
            f"{plan.estimate.kv_per_request / GIB:.2f} GiB",
            "VLLM_CPU_OMP_THREADS_BIND": "processes share the pod's cores",
        },
        "has_ray": f"the image is to hold Ray, which stock images of vLLM lost with {vllm.since('ray-dropped')}",
        "cpu": _explain_cores(plan),
        "rollout": "the GPUs of the old pod are freed before the new one asks for them",
        "parallelism": _explain_parallelism(plan),
        "node_selector": _explain_selector(plan),
        "shared_memory": f"{plan.layout.gpus_per_node} GPU(s) in the pod; {_shared_memory_rule()}"
        + (f"; {plan.use.kv_offload / GIB:.0f} GiB of KV cache" if plan.use.kv_offload else ""),
        **_explain_memory(plan),
        "storage": f"checkpoint {plan.spec.weights.file_bytes / GIB:.1f} GiB + "
        f"{100 * resources.DISK_SHARE:.0f} % + {resources.DISK_EXTRA_GIB} GiB for compile caches",
        "startup": _explain_startup(plan),
        "image_pull": f"image of about {resources.IMAGE_GB} GB, outside the startup probe",
    }


def _word(number: int) -> str:
    """A small number as a word."""
    return _WORDS[number] if number < len(_WORDS) else str(number)


def _times(factor: int) -> str:
    return {1: "once", 2: "twice"}.get(factor, f"{_word(factor)} times")


def _part(parts: int) -> str:
    return {1: "all", 2: "half"}.get(parts, f"one part in {_word(parts)}")


def _cores(count: int) -> str:
    return f"{_word(count)} core" if count == 1 else f"{_word(count)} cores"


def _explain_cores(plan: Plan) -> str:
    if cpu.is_cpu(plan.profile):
        return f"{_cores(cpu.CORES_PER_RANK)} per engine process"
    return (
        f"{_cores(resources.CORES_BASE)} for the API server, {_word(resources.CORES_PER_GPU)} per GPU"
        + (f", {_word(resources.CORES_PER_ENGINE)} per further engine" if plan.layout.engines_per_pod > 1 else "")
    )  # fmt: skip


def _shared_memory_rule() -> str:
    *steps, (_, most) = resources.SHARED_MEMORY_GIB
    return ", ".join([*(f"{size}Gi up to {_word(gpus)}" for gpus, size in steps), f"{most}Gi above"])


def _explain_memory(plan: Plan) -> dict[str, str]:
    if cpu.is_cpu(plan.profile):
        beside = cpu.HOST_PER_RANK_GIB + cpu.HOST_BASE_GIB
        text = f"weights, cache and activations of each process, {beside} GiB beside them, the shared memory"
        return {"memory_request": text, "memory_limit": "the same: nothing of it lies on a GPU"}
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
    """What the planner chose; a pinned option's own reason takes the place of these."""
    estimate = plan.estimate
    context = f"the model's whole context; one request needs {estimate.kv_per_request / GIB:.2f} GiB of cache"
    if plan.context_limit == "memory":
        context = (
            f"shortened from {context_of(plan.spec):,}: the longest that fits {estimate.kv_cache / GIB:.2f} GiB of "
            f"cache with {estimate.margin / GIB:.2f} GiB kept free"
        )
    tokens = f"prefill tokens per step; activations of {estimate.activations / GIB:.2f} GiB depend on it"
    sequences = "engine's default for such a GPU, lowered where the cache could not hold so many"
    dtype = f"what the GPU computes in; the checkpoint is {plan.spec.dtype}"
    share = (
        f"leaves {(estimate.total - estimate.requested) / GIB:.2f} GiB for what lies outside the engine's share "
        f"({estimate.outside / GIB:.2f} GiB expected)"
    )
    quantize = "how the checkpoint is stored" if plan.spec.quantization else "weights are quantised at start"
    kept = flags.TGI_ANSWER_TOKENS
    return {
        "dtype": dtype,
        "dtype-str": dtype,
        "max-model-len": context,
        "max-total-tokens": context,
        "max-sequence-length": context,
        "max-input-tokens": f"all but {_word(kept)} token{'' if kept == 1 else 's'} of a request may be prompt",
        "max-new-tokens": f"{_part(flags.TGIS_ANSWER_PARTS)} of a request's tokens may be answer",
        "max-num-seqs": sequences,
        "max-concurrent-requests": sequences,
        "max-batch-size": sequences,
        "max-num-batched-tokens": tokens,
        "max-batch-prefill-tokens": tokens,
        "gpu-memory-utilization": share,
        "cuda-memory-fraction": f"the launcher takes {flags.TGI_SHARE:.2f} of this share",
        "cuda-process-memory-fraction": share,
        "batch-safety-margin": "percent of the free memory that stays free, the engine's default",
        "kv-cache-dtype": "auto: the data type of the model",
        "quantization": quantize,
        "quantize": quantize,
        "allow-deprecated-quantization": "this version refuses the checkpoint without it",
        "enforce-eager": "no CUDA graphs: they would not leave room for the cache",
        "cuda-graphs": "batch sizes of the captured graphs; 0 captures none",
        "deployment-framework": "the one that shards",
        "flash-attention": "sharded classes of these models need it",
        "usage-stats": "nothing is sent out of the cluster",
        "disable-access-log-for-endpoints": "probes and scrapes would fill the log",
        "distributed-timeout-seconds": "nodes that download at different speed wait for each other",
        "enable-auto-tool-choice": "the model decides by itself whether it calls a tool",
        "tool-call-parser": "what this family's tool calls are read by",
        "reasoning-parser": "thoughts come apart from the answer",
    }


def _explain_parallelism(plan: Plan) -> str:
    layout = plan.layout
    parallel = layout.parallel
    if layout.gpus == 1:
        return "one process" if cpu.is_cpu(plan.profile) else "one GPU"
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
    if cpu.is_cpu(plan.profile):
        return "any node"
    if plan.profile.instance is not None:
        return "the machine type that was planned for"
    if rocm_gaudi.is_other(plan.profile):
        return str(rocm_gaudi.vendor(plan.profile.gpu)["labels_source"])
    if len(plan.profile.gpu.gfd_product_labels) == 1:
        return "label of NVIDIA's GPU feature discovery"
    return "several product labels exist for this GPU: none is demanded"


def _explain_startup(plan: Plan) -> str:
    phases = plan.resources.startup
    return (
        f"{_times(resources.BUDGET_FACTOR)} {phases.base} s start + {phases.download} s download + "
        f"{phases.load} s load + {phases.compile} s compile, at least {resources.LEAST_BUDGET_SECONDS}"
    )
