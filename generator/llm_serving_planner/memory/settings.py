"""Inputs and results of the memory model: Gpu, Settings, Estimate."""

from llm_serving_planner.base.records import record
from llm_serving_planner.models.adapters import Draft, Slots


@record
class Gpu:
    """What memory arithmetic needs of a GPU: usable bytes, compute capability, link between the GPUs.

    `cuda` says that the capability is CUDA's, `reports_total` that the engine is told the bytes; `name` is that
    of the device.
    """

    total_bytes: int
    capability: tuple[int, int]
    nvlink: bool
    cuda: bool = True
    reports_total: bool = True
    name: str = ""


@record
class ParallelConfig:
    """Sizes of one deployment, named as vLLM's flags: engines of tensor x pipeline GPUs, `data_parallel_size` of them.

    With `enable_expert_parallel` whole experts are divided over tensor x data ranks, else slices of each.
    """

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    enable_expert_parallel: bool = False

    @property
    def gpus(self) -> int:
        """GPUs of all engines together."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size

    @property
    def expert_ranks(self) -> int:
        """Ranks over which experts are divided."""
        return self.tensor_parallel_size * self.data_parallel_size


@record
class Settings:
    """Engine settings that decide memory.

    `pooling` engines give vectors or scores and sample nothing; without `encoders` no image or sound is taken, those
    of the kinds in `without_items` are not.
    Without `multicast` NVLink's multicast is switched off with all that builds on it (NVLS, symmetric memory).
    `kv_scale_bytes` are those of one head and token of the cache, keys and values together.
    `batches_ahead` are batches beyond one per pipeline stage whose tokens a window still holds, `state_pages` the pages
    of a layer's recurrent state that a request holds, each a multiple of `state_step` tokens (`kv_cache.state_rules`).
    """

    parallel: ParallelConfig
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    utilization: float
    kv_element_bytes: float = 2
    kv_scale_bytes: int = 0
    enforce_eager: bool = False
    runtime_fp8: bool = False
    pooling: bool = False
    encoders: bool = True
    without_items: tuple[str, ...] = ()
    lora: Slots | None = None
    draft: Draft | None = None
    multicast: bool = True
    batches_ahead: int = 0
    state_pages: int = 1
    state_step: int = 16

    @property
    def positions(self) -> int:
        """Tokens of one sequence in a step of decoding: drafts are verified with the last one."""
        return 1 + (self.draft.tokens if self.draft else 0)


@record
class Estimate:
    """Where the memory of one GPU goes, in bytes; the terms up to `kv_cache` add up to `requested`.

    Attributes:
        total: memory of the GPU as CUDA reports it.
        requested: what the engine may use, ceil(u * M).
        weights, activations, non_torch, cuda_graphs: the terms before the cache.
        kv_cache: what is left for it; negative when the rest does not fit.
        kv_per_request: one request of max_model_len tokens.
        outside: what lies outside `requested` (CUDA context, graphs that are not charged, NCCL).
        margin: band of the estimate; "fits" keeps it free.
        lora, draft: slots of adapters, and what drafts (a term before the cache each, 0 without).
    """

    total: int
    requested: int
    weights: int
    activations: int
    non_torch: int
    cuda_graphs: int
    kv_cache: int
    kv_per_request: int
    outside: int
    margin: int
    lora: int = 0
    draft: int = 0

    @property
    def concurrency(self) -> float:
        """Requests of max_model_len tokens that the cache holds at once; 0 for a model that caches nothing."""
        return max(self.kv_cache, 0) / self.kv_per_request if self.kv_per_request else 0.0

    @property
    def used(self) -> int:
        """All terms before the cache."""
        return self.weights + self.activations + self.non_torch + self.cuda_graphs + self.lora + self.draft
