"""What the node must give besides GPU memory: shared and host memory, CPU, disk, time to start."""

import math

from llm_serving_planner.base.records import record, replace
from llm_serving_planner.base.units import GIB
from llm_serving_planner.models.spec import ModelSpec

# Broadcast ring buffers 0.16 + 0.24 GiB per rank (vLLM 0.33.0 shm_broadcast.py) plus NCCL: sizes in use
# upstream are 2 GiB for one or two GPUs, 8 for four, 16 for eight (read 2026-11-22).
SHARED_MEMORY_GIB = ((2, 2), (4, 8), (16, 16))
HOST_BASE_GIB = 4  # API server, tokenizer, Python; assumption
HOST_PER_GPU_GIB = 3  # worker process with its CUDA context and staging buffers; assumption
HOST_PER_ENGINE_GIB = 2  # scheduler process of each further data parallel engine; assumption
LOADING_GIB = 10  # page cache of the file being read counts against the container; largest usual shard 10 GB
DISK_SHARE = 0.10  # of the checkpoint, for files beside the weights and what the file system takes; assumption
DISK_EXTRA_GIB = 8  # torch.compile, Triton and FlashInfer caches, tokenizer; assumption
# Of the API server with the first engine's scheduler, of each worker, of each further engine's scheduler; assumptions.
CORES_BASE, CORES_PER_GPU, CORES_PER_ENGINE = 2, 1, 1
_START_BASE_SECONDS = 120  # imports, process start, profiling; vLLM issues 11005, 19824, 20264
_GROUP_SECONDS = 60  # ranks on several nodes find each other and set up NCCL; assumption
_DISK_GB_PER_SECOND = 0.5  # network volume, read once; assumption
DEFAULT_DOWNLOAD_GBPS = 1.0  # assumption
# DeepGEMM compiles its kernels for block FP8 at the first start, for every shape of weights and batch: Qwen3-8B-FP8 was
# ready after 239 s, its first capture of graphs took 117 s where Qwen3-8B's takes some 10 (vLLM 0.33.0 on one H200,
# 2026-11-25, docs/data/measurements-gpu.csv). vLLM's own warm-up (VLLM_DEEP_GEMM_WARMUP) does the same work earlier.
_DEEP_GEMM_SECONDS = 120
IMAGE_GB = 10  # compressed size of the engine's image; assumption
IMAGE_PULL_GBPS = 0.1  # a slow registry, as it is outside the startup probe; assumption
_IMAGE_PULL_STEP_SECONDS = 300  # the time to pull is rounded up to five minutes
_LARGE_PARAMETERS_BYTES = 20 * 10**9
BUDGET_FACTOR = 2  # of the expected time; assumption
LEAST_BUDGET_SECONDS = 600


@record
class Startup:
    """Seconds per phase; `budget` is BUDGET_FACTOR times their sum, in whole minutes."""

    base: int
    download: int
    load: int
    compile: int
    budget: int
    image_pull: int


@record
class Resources:
    """Host side of one pod: bytes, CPU cores, seconds."""

    shared_memory: int
    memory_request: int
    memory_limit: int
    cpu_request: int
    disk: int
    startup: Startup


def plan_resources(
    spec: ModelSpec,
    gpus: int,
    *,
    enforce_eager: bool,
    download_gbps: float | None,
    nodes: int = 1,
    offload: int = 0,
    host: int = 0,
    files: int = 0,
    engines_per_pod: int = 1,
    deep_gemm: bool = False,
) -> Resources:
    """Host side of one pod with `gpus` GPUs, of an engine over `nodes` such pods, or of several engines in each.

    Rules: shared memory by GPU count, host memory per process, disk and time by the checkpoint's bytes. `offload`
    bytes of KV cache lie in /dev/shm (vLLM 0.33.0 vllm/v1/kv_offload/cpu/shared_offload_region.py, read 2026-11-25),
    `host` bytes of adapters beside it; `files` bytes are downloaded besides the model. With `deep_gemm` the engine
    compiles kernels for block FP8.
    """
    shared = next(size for limit, size in SHARED_MEMORY_GIB if gpus <= limit) * GIB + offload
    request = (HOST_BASE_GIB + HOST_PER_GPU_GIB * gpus + HOST_PER_ENGINE_GIB * (engines_per_pod - 1)) * GIB + host
    if files:
        spec = replace(spec, weights=replace(spec.weights, file_bytes=spec.weights.file_bytes + files))
    loading = min(LOADING_GIB * GIB, math.ceil(spec.weights.file_bytes / GIB) * GIB)
    return Resources(
        shared_memory=shared,
        memory_request=request + shared,
        memory_limit=request + shared + loading,
        cpu_request=CORES_BASE + CORES_PER_GPU * gpus + CORES_PER_ENGINE * (engines_per_pod - 1),
        disk=(math.ceil(spec.weights.file_bytes * (1 + DISK_SHARE) / GIB) + DISK_EXTRA_GIB) * GIB,
        startup=startup(
            spec,
            enforce_eager=enforce_eager,
            download_gbps=download_gbps or DEFAULT_DOWNLOAD_GBPS,
            base=_START_BASE_SECONDS + (_GROUP_SECONDS if nodes > 1 else 0),
            deep_gemm=deep_gemm,
        ),
    )


def startup(
    spec: ModelSpec,
    *,
    enforce_eager: bool,
    download_gbps: float,
    base: int = _START_BASE_SECONDS,
    deep_gemm: bool = False,
) -> Startup:
    """Start-up budget: BUDGET_FACTOR times the sum of the phases, LEAST_BUDGET_SECONDS at least.

    Phases after public logs (vLLM issues 11005, 19824, 20264, 44881): compile 60 s up to 10 B parameters, 150 s
    above, 300 s for mixtures of experts; DeepGEMM's kernels on top, without graphs too.
    """
    gigabytes = spec.weights.file_bytes / 1e9
    download = math.ceil(gigabytes * 8 / download_gbps)
    load = math.ceil(gigabytes / _DISK_GB_PER_SECOND)
    compile_seconds = 60 if spec.weights.loaded_bytes <= _LARGE_PARAMETERS_BYTES else 150
    if spec.moe is not None:
        compile_seconds = 300
    if enforce_eager:
        compile_seconds = 0
    compile_seconds += _DEEP_GEMM_SECONDS if deep_gemm else 0
    total = base + download + load + compile_seconds
    budget = max(LEAST_BUDGET_SECONDS, -(-BUDGET_FACTOR * total // 60) * 60)
    return Startup(base, download, load, compile_seconds, budget, _image_pull_seconds())


def _image_pull_seconds() -> int:
    return math.ceil(IMAGE_GB * 8 / IMAGE_PULL_GBPS / _IMAGE_PULL_STEP_SECONDS) * _IMAGE_PULL_STEP_SECONDS
