"""vLLM on CPUs: the way to try the chart on a laptop's cluster. No GPU rule applies; memory is the pod's own.

Source: vLLM 0.33.0 docs/getting_started/installation/cpu.md and vllm/envs.py (VLLM_CPU_KVCACHE_SPACE), 2026-11-22.
"""

from dataclasses import replace
from typing import Any

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.memory.settings import Estimate
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.resources import Resources
from llm_serving_planner.planner.rules import Choice

_LARGEST_CACHE_GIB = 4  # what the engine itself takes where nothing is set (vllm/envs.py)
CORES_PER_RANK = 2  # one for the engine, one for its threads; assumption
HOST_PER_RANK_GIB = 1  # beside weights, cache and activations; assumption
HOST_BASE_GIB = 2  # the API server; assumption

ATTENTION = Attention("CPU_ATTN", "the only backend on CPUs")


def is_cpu(profile: GpuProfile) -> bool:
    """Whether the profile has no GPU."""
    return profile.gpu.vendor == "cpu"


def choose_types(spec: ModelSpec, options: Options) -> Choice:
    """Data types: what the checkpoint has; what needs a GPU is refused."""
    reasons = []
    if options.engine != "vllm":
        reasons.append(f"engine {options.engine} runs on GPUs only")
    if spec.quantization is not None or options.quantization is not None:
        reasons.append("quantised weights are not planned on CPUs: an unquantised checkpoint, or a GPU")
    if options.kv_cache_dtype == "fp8":
        reasons.append("an FP8 KV cache is not planned on CPUs")
    wanted = options.dtype if options.dtype not in {None, "auto"} else None
    dtype = wanted or (spec.dtype if spec.dtype in {"float16", "bfloat16"} else "bfloat16")
    return Choice(dtype, None, (), "auto", tuple(reasons), ())


def cache_gib(estimate: Estimate) -> int:
    """Whole GiB for VLLM_CPU_KVCACHE_SPACE: at least one request, at most what the engine takes by itself."""
    one_request = -(-estimate.kv_per_request // GIB)
    return int(max(one_request, min(estimate.kv_cache // GIB, _LARGEST_CACHE_GIB)))


def environment(estimate: Estimate, ranks: int) -> dict[str, str]:
    """Variables of the CPU backend; ranks of one pod share its cores without binding."""
    found = {"VLLM_CPU_KVCACHE_SPACE": str(cache_gib(estimate))}
    if ranks > 1:
        found["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    return found


def image(version: str) -> dict[str, str]:
    """The CPU image for x86-64."""
    return {"registry": "docker.io", "repository": "vllm/vllm-openai-cpu", "tag": f"v{version}-x86_64"}


def capped(estimate: Estimate) -> Estimate:
    """The estimate with the cache that is asked for."""
    return replace(estimate, kv_cache=min(estimate.kv_cache, cache_gib(estimate) * GIB))


def pod(resources: Resources, estimate: Estimate, ranks: int) -> Resources:
    """Host side of a pod with `ranks` processes: nothing of the model lies on a GPU.

    Weights, cache and activations of each rank with HOST_PER_RANK_GIB beside them, HOST_BASE_GIB for the API server.
    """
    beside = estimate.lora + estimate.draft
    per_rank = estimate.weights + estimate.activations + beside + (cache_gib(estimate) + HOST_PER_RANK_GIB) * GIB
    size = -(-per_rank * ranks // GIB) * GIB + HOST_BASE_GIB * GIB + resources.shared_memory
    return replace(resources, memory_request=size, memory_limit=size, cpu_request=CORES_PER_RANK * ranks)


def args(engine_args: dict[str, Any]) -> dict[str, Any]:
    """The engine's flags without those of GPUs."""
    return {name: value for name, value in engine_args.items() if name != "gpu-memory-utilization"}
