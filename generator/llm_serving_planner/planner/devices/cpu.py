"""vLLM on CPUs: the way to try the chart on a laptop's cluster. No GPU rule applies; memory is the pod's own.

Source: vLLM 0.33.0 docs/getting_started/installation/cpu.md and vllm/envs.py (VLLM_CPU_KVCACHE_SPACE), 2026-11-22.
"""

from collections.abc import Mapping
from functools import cache

from llm_serving_planner.base.records import replace
from llm_serving_planner.base.units import GIB
from llm_serving_planner.base.words import counted
from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.hardware import profiles
from llm_serving_planner.hardware.compute_capability import Capability
from llm_serving_planner.hardware.profiles import GpuType
from llm_serving_planner.memory.settings import Estimate
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.devices.base import Device
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.resources import Resources
from llm_serving_planner.planner.rules import Choice

_LARGEST_CACHE_GIB = 4  # what the engine itself takes where nothing is set (vllm/envs.py)
CORES_PER_RANK = 2  # one for the engine, one for its threads; assumption
HOST_PER_RANK_GIB = 1  # beside weights, cache and activations; assumption
HOST_BASE_GIB = 2  # the API server; assumption

_ATTENTION = Attention("CPU_ATTN", "the only backend on CPUs")
_SERVES = "vllm"  # the one engine with an image for CPUs


@cache
def _without_graphs(base: Regime) -> Regime:
    return replace(base, graphs=False)


class Cpu(Device):
    """Profiles without a GPU; one engine process takes the place of one GPU."""

    vendor = profiles.CPU.vendor
    only_machines = True
    one = "one process"
    without = frozenset({"gpu-memory-utilization", "enforce-eager"})
    caveat = "CPUs serve one or two users at most: for trying the chart out"
    reserve_reason = "not asked for"
    where = "one engine process on CPUs"
    processes = "CPU processes"

    @property
    def pod_reasons(self) -> Mapping[str, str]:
        """By processes in place of GPUs."""
        beside = HOST_PER_RANK_GIB + HOST_BASE_GIB
        return {
            "cpu": f"{counted(CORES_PER_RANK, 'core')} per engine process",
            "memory_request": f"weights, cache and activations of each process, {beside} GiB beside them, the shared "
            "memory",
            "memory_limit": "the same: nothing of it lies on a GPU",
        }

    def regime(self, base: Regime, gpu: GpuType) -> Regime:
        """Without CUDA graphs."""
        return _without_graphs(base)

    def choice(
        self, spec: ModelSpec, options: Options, gpu: GpuType, engine: Engine, version: str, compute: Capability
    ) -> tuple[Choice, list[str]]:
        """What the checkpoint has; what needs a GPU is refused."""
        reasons = []
        if engine.name != _SERVES:
            reasons.append(f"engine {engine.name} runs on GPUs only")
        if spec.quantization is not None or options.quantization is not None:
            reasons.append("quantised weights are not planned on CPUs: an unquantised checkpoint, or a GPU")
        if options.kv_cache_dtype == "fp8":
            reasons.append("an FP8 KV cache is not planned on CPUs")
        wanted = options.dtype if options.dtype not in {None, "auto"} else None
        dtype = wanted or (spec.dtype if spec.dtype in {"float16", "bfloat16"} else "bfloat16")
        return Choice(dtype, None, (), "auto", tuple(reasons), ()), [*engine.dropped_reasons(spec, version), *reasons]

    def attention(
        self,
        spec: ModelSpec,
        gpu: GpuType,
        engine: Engine,
        version: str,
        compute: Capability,
        kv_cache_dtype: str,
        tensor_parallel_size: int,
    ) -> Attention:
        """There is one."""
        return _ATTENTION

    def environment(self, estimate: Estimate, ranks: int) -> dict[str, str]:
        """Variables of the CPU backend; ranks of one pod share its cores without binding."""
        found = {"VLLM_CPU_KVCACHE_SPACE": str(_cache_gib(estimate))}
        if ranks > 1:
            found["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        return found

    def environment_reasons(self, estimate: Estimate) -> dict[str, str]:
        """By the cache of one request."""
        need = f"{estimate.kv_per_request / GIB:.2f} GiB"
        return {
            "VLLM_CPU_KVCACHE_SPACE": f"GiB of cache per process; one request needs {need}",
            "VLLM_CPU_OMP_THREADS_BIND": "processes share the pod's cores",
        }

    def image(self, gpu: GpuType, engine: Engine, version: str) -> dict[str, str]:
        """The CPU image for x86-64."""
        return {"registry": "docker.io", "repository": "vllm/vllm-openai-cpu", "tag": f"v{version}-x86_64"}

    def capped(self, estimate: Estimate) -> Estimate:
        """The cache that is asked for."""
        return replace(estimate, kv_cache=min(estimate.kv_cache, _cache_gib(estimate) * GIB))

    def pod(self, resources: Resources, estimate: Estimate, ranks: int) -> Resources:
        """Nothing of the model lies on a GPU.

        Weights, cache and activations of each rank with HOST_PER_RANK_GIB beside them, HOST_BASE_GIB for the
        API server.
        """
        beside = estimate.lora + estimate.draft
        per_rank = estimate.weights + estimate.activations + beside + (_cache_gib(estimate) + HOST_PER_RANK_GIB) * GIB
        size = -(-per_rank * ranks // GIB) * GIB + HOST_BASE_GIB * GIB + resources.shared_memory
        return replace(resources, memory_request=size, memory_limit=size, cpu_request=CORES_PER_RANK * ranks)

    def tolerations(self, gpu: GpuType) -> list[dict[str, str]]:
        """Any node will do."""
        return []

    def pod_assumptions(self) -> list[str]:
        """Memory of a process."""
        return [f"{profiles.PROCESS_MEMORY_GIB} GiB of memory for each engine process"]


def _cache_gib(estimate: Estimate) -> int:
    """Whole GiB for VLLM_CPU_KVCACHE_SPACE: at least one request, at most what the engine takes by itself."""
    one_request = -(-estimate.kv_per_request // GIB)
    return int(max(one_request, min(estimate.kv_cache // GIB, _LARGEST_CACHE_GIB)))
