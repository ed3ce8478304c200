"""GPU memory of a vLLM engine, term by term: pure arithmetic in bytes per GPU.

    KV cache = ceil(u * M) - weights - activations - non-torch - CUDA graphs (where the engine charges them)

The terms and their constants are derived from vLLM's source and checked on real start-ups; each constant is in
data/engines.json with its source. Names follow vLLM: T = max_num_batched_tokens, S = max_num_seqs,
N = max_model_len, u = gpu_memory_utilization, M = GPU memory as CUDA reports it.
"""

import math
from dataclasses import dataclass, replace

from llm_serving import activations, engines, graphs, tensors, weights
from llm_serving.engines import GIB, Regime
from llm_serving.model import LayerGroup, ModelSpec
from llm_serving.use.lora import Slots
from llm_serving.use.speculative import Draft

BLOCK_TOKENS = 16  # vLLM CacheConfig.DEFAULT_BLOCK_SIZE
MLA_BLOCK_TOKENS = 64  # page of the MLA attention backends, vLLM 0.25.1


@dataclass(frozen=True, slots=True)
class Gpu:
    """What memory arithmetic needs of a GPU: usable bytes, compute capability, link between the GPUs."""

    total_bytes: int
    capability: tuple[int, int]
    nvlink: bool
    vendor: str = "nvidia"


@dataclass(frozen=True, slots=True)
class Settings:
    """Engine settings that decide memory.

    `pooling` engines give vectors or scores and sample nothing; without `encoders` no image or sound is taken.
    Without `multicast` NVLink's multicast is switched off with all that builds on it (NVLS, symmetric memory).
    """

    tensor_parallel: int
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    utilization: float
    kv_element_bytes: int = 2
    enforce_eager: bool = False
    runtime_fp8: bool = False
    pipeline_parallel: int = 1
    pooling: bool = False
    encoders: bool = True
    lora: Slots | None = None
    draft: Draft | None = None
    data_parallel: int = 1
    expert_parallel: bool = False
    multicast: bool = True

    @property
    def ranks(self) -> int:
        """GPUs of the engine, of all data parallel engines together."""
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel

    @property
    def expert_ranks(self) -> int:
        """Ranks over which experts are divided."""
        return self.tensor_parallel * self.data_parallel

    @property
    def positions(self) -> int:
        """Tokens of one sequence in a step of decoding: drafts are verified with the last one."""
        return 1 + (self.draft.tokens if self.draft else 0)


@dataclass(frozen=True, slots=True)
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


def stage_layers(num_layers: int, stages: int) -> list[int]:
    """Layers of each pipeline stage (vLLM 0.33.0 vllm/distributed/utils.py:get_pp_indices).

    What does not divide goes to the stages before the last, from the last but one upwards.
    """
    layers = [num_layers // stages] * stages
    for extra in range(num_layers % stages):
        layers[-2 - extra] += 1
    return layers


def stage_spec(spec: ModelSpec, stages: int) -> ModelSpec:
    """The fullest pipeline stage as a model of its own: most layers, most weights. The model itself for one stage.

    The first stage holds the embedding, the last one the head (or, tied, a second copy of the embedding). Layers of
    one stage are taken to be a fair share of every kind, rounded up.
    """
    if stages == 1:
        return spec
    layers = stage_layers(spec.num_layers, stages)
    most = max(layers)
    embedding = spec.vocab_size * spec.hidden_size * 2
    body = max(spec.weights.loaded_bytes - embedding * (1 if spec.tied else 2), 0)
    ends = [embedding if index in {0, stages - 1} else 0 for index in range(stages)]
    loaded = max(body * count // spec.num_layers + end for count, end in zip(layers, ends, strict=True))

    def share(count: int) -> int:
        return min(-(-count * most // spec.num_layers), most)

    return replace(
        spec,
        num_layers=most,
        layers=tuple(replace(group, count=share(group.count)) for group in spec.layers),
        weights=replace(spec.weights, loaded_bytes=loaded),
        tied=True,  # one matrix of the vocabulary, whichever end it is
        moe=replace(spec.moe, layers=share(spec.moe.layers)) if spec.moe else None,
        recurrent=replace(
            spec.recurrent,
            count=share(spec.recurrent.count),
            state_bytes=-(-spec.recurrent.state_bytes * share(spec.recurrent.count) // spec.recurrent.count),
            group_parameters=spec.recurrent.group_parameters * share(spec.recurrent.count) // spec.recurrent.count,
        )
        if spec.recurrent
        else None,
    )


def page_bytes(group: LayerGroup, settings: Settings) -> tuple[int, int]:
    """(bytes of one block over the group's layers on one rank, tokens of a block)."""
    if group.kind == "index":  # FP8 keys and their scales, whatever the cache's dtype
        return group.count * MLA_BLOCK_TOKENS * group.k_dim, MLA_BLOCK_TOKENS
    if group.kind == "mla":  # one latent for all heads, whole on every rank
        per_token = group.k_dim * settings.kv_element_bytes
        return group.count * MLA_BLOCK_TOKENS * per_token, MLA_BLOCK_TOKENS
    heads = max(1, group.kv_heads // settings.tensor_parallel)
    per_token = heads * (group.k_dim + group.v_dim) * settings.kv_element_bytes
    return group.count * BLOCK_TOKENS * per_token, BLOCK_TOKENS


def padded_layers(spec: ModelSpec) -> list[int]:
    """Layers of each group as the cache counts them: groups of equal size, filled up with padding layers.

    The size is that of the smallest kind, or of the largest where it is less than half as large again (vLLM 0.19.0,
    0.25.1 and 0.33.0, _get_kv_cache_groups_uniform_page_size). Kinds whose layers differ in width are left alone.
    """
    counts = [group.count for group in spec.layers]
    widths = {(group.kind in tensors.LATENT, group.kv_heads, group.k_dim, group.v_dim) for group in spec.layers}
    if len(counts) < 2 or len(widths) > 1 or spec.recurrent is not None:
        return counts
    size = max(counts) if 2 * max(counts) < 3 * min(counts) else min(counts)
    return [-(-count // size) * size for count in counts]


def kv_request_bytes(spec: ModelSpec, settings: Settings, tokens: int) -> int:
    """Cache of one request of `tokens` tokens on one rank, in whole blocks.

    A window keeps its own tokens and those in flight (vllm/v1/kv_cache_interface.py:SlidingWindowSpec).
    """
    need = 0
    cached = [replace(group, count=layers) for group, layers in zip(spec.layers, padded_layers(spec), strict=True)]
    for group in (*cached, *(settings.draft.layers if settings.draft else ())):
        page, block = page_bytes(group, settings)
        if group.window is None:
            blocks = -(-tokens // block)
        elif group.kind == "sliding":
            in_flight = settings.max_num_batched_tokens * settings.pipeline_parallel
            held = min(group.window - 1 + in_flight, tokens)
            blocks = -(-held // block) + 1
        else:
            in_flight = settings.max_num_batched_tokens * settings.pipeline_parallel
            blocks = -(-min(group.window + in_flight, tokens) // block)
        need += page * blocks
    if spec.recurrent is not None:
        need += -(-spec.recurrent.state_bytes // settings.tensor_parallel)
    return need


def outside_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """What the GPU must hold beyond u * M: CUDA context, uncharged graphs, NCCL on Hopper's NVLink.

    Where a version charges its graphs but was never measured, they count on both sides.
    """
    captured = graphs.regime_bytes(spec, gpu, settings, regime)
    needed = regime.context_bytes or engines.term_bytes("context")
    if not regime.graphs_charged or not regime.measured:
        needed += captured
    if settings.pipeline_parallel > 1:
        needed += engines.term_bytes("outside_pipeline")
    if regime.penalties == "outside":
        needed += activations.penalty_bytes(spec, settings)
    exchange = _collective(spec, settings) or settings.pipeline_parallel > 1
    if exchange and gpu.nvlink and gpu.capability >= (9, 0):
        needed += engines.term_bytes("outside_nvlink_hopper")
        needed += engines.term_bytes("outside_expert_group") if spec.moe is not None else 0
    return needed


def _collective(spec: ModelSpec, settings: Settings) -> bool:
    """Whether ranks exchange activations in every layer; dense data parallel engines know nothing of each other."""
    return settings.tensor_parallel > 1 or (settings.data_parallel > 1 and spec.moe is not None)


def non_torch_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings) -> int:
    """Memory outside PyTorch's allocator, NCCL's buffers included."""
    if not _collective(spec, settings):  # a pipeline's channels open when they are first used, after profiling
        return engines.term_bytes("non_torch")
    if gpu.nvlink and gpu.capability >= (9, 0):
        if settings.multicast:
            return engines.term_bytes("non_torch_tp_nvlink_hopper")
        group = engines.term_bytes("non_torch_expert_group") if spec.moe is not None else 0
        return engines.term_bytes("non_torch_tp_without_multicast") + group
    return engines.term_bytes("non_torch_tp")


def margin_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """Band of the estimate: small where the version and the GPU class were measured, wide elsewhere."""
    if gpu.vendor in {"amd", "intel"}:
        from llm_serving import accelerators

        return accelerators.margin_bytes(gpu.total_bytes)
    margins = engines.facts()["margins_gib"]
    if spec.multimodal or spec.hybrid:
        return int(margins["hybrid_or_multimodal"]["value"] * GIB)
    spread = settings.pipeline_parallel > 1 or settings.data_parallel > 1 or settings.expert_parallel
    if regime.measured and gpu.capability[0] == 9 and not spread:
        if settings.ranks == 1:
            return int(margins["measured"]["value"] * GIB)
        if gpu.nvlink:
            return int(margins["measured_parallel"]["value"] * GIB)
    share = margins["unmeasured_share"]["value"] * gpu.total_bytes
    return int(max(margins["unmeasured"]["value"] * GIB, share))


def estimate(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> Estimate:
    """All terms of one GPU (the fullest rank); `spec` is the fullest stage where there are several (`stage_spec`)."""
    from llm_serving.use import footprint

    requested = math.ceil(gpu.total_bytes * settings.utilization)
    loaded = weights.loaded_bytes(spec, gpu, settings, regime)
    peak = activations.peak_bytes(spec, gpu, settings, regime)
    non_torch = non_torch_bytes(spec, gpu, settings)
    captured = graphs.regime_bytes(spec, gpu, settings, regime) if regime.graphs_charged else 0
    adapters, draft = footprint.lora_bytes(spec, settings), footprint.draft_bytes(spec, settings)
    free = requested - loaded - engines.term_bytes("context")
    requested -= int(regime.hold_back * max(free, 0))
    return Estimate(
        total=gpu.total_bytes,
        requested=requested,
        weights=loaded,
        activations=peak,
        non_torch=non_torch,
        cuda_graphs=captured,
        kv_cache=requested - loaded - peak - non_torch - captured - adapters - draft,
        kv_per_request=kv_request_bytes(spec, settings, settings.max_model_len),
        outside=outside_bytes(spec, gpu, settings, regime),
        margin=margin_bytes(spec, gpu, settings, regime),
        lora=adapters,
        draft=draft,
    )


def longest_context(spec: ModelSpec, settings: Settings, budget: int, limit: int) -> int:
    """Largest number of tokens, a multiple of the block, that one request may have within `budget` bytes.

    `limit` itself is returned when it fits, whether or not it is such a multiple. 0 when nothing fits.
    """
    if kv_request_bytes(spec, settings, limit) <= budget:
        return limit
    low, high = 0, limit // BLOCK_TOKENS
    while low < high:
        middle = (low + high + 1) // 2
        if kv_request_bytes(spec, settings, middle * BLOCK_TOKENS) <= budget:
            low = middle
        else:
            high = middle - 1
    return low * BLOCK_TOKENS
