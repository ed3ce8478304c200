"""GPU memory of a vLLM engine, term by term: pure arithmetic in bytes per GPU.

    KV cache = ceil(u * M) - weights - activations - non-torch - CUDA graphs (where the engine charges them)

The terms and their constants are derived from vLLM's source and checked on real start-ups; each constant is in
data/engines.json with its source. Names follow vLLM: T = max_num_batched_tokens, S = max_num_seqs,
N = max_model_len, u = gpu_memory_utilization, M = GPU memory as CUDA reports it.
"""

import math
from dataclasses import dataclass, replace

from llm_serving import engines, expert_share
from llm_serving.engines import GIB, Regime
from llm_serving.model import LayerGroup, ModelSpec
from llm_serving.use.lora import Slots
from llm_serving.use.speculative import Draft

BLOCK_TOKENS = 16  # vLLM CacheConfig.DEFAULT_BLOCK_SIZE
MLA_BLOCK_TOKENS = 64  # page of the MLA attention backends, vLLM 0.25.1
VOCAB_PADDING = 64  # vllm/model_executor/layers/vocab_parallel_embedding.py
H200_MULTIPROCESSORS = 132  # largest GPU measured; buffer of the top-k/top-p kernel, an upper bound elsewhere
# Llama 4 has 10,485,760 positions, and its table lies whole on every rank; more is a typo
LONGEST_ROTARY_TABLE = 1 << 24
_LATENT = ("mla", "index")  # kinds of cache that have no key and value projections of their own
# VLLM_FUSED_MOE_CHUNK_SIZE: 32,768 tokens up to 0.15, 16,384 later (vllm/envs.py, read 2026-11-25); the larger one
EXPERT_CHUNK_TOKENS = 32768
SMALL_HIDDEN = 1024
SMALL_HIDDEN_GRAPH_SHARE = 0.6  # 0.018 of 0.030 GiB per layer at hidden size 1024 (Qwen3-0.6B, vLLM 0.25.1)


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


def padded_vocab(vocab_size: int) -> int:
    """Rows of the embedding after vLLM's padding to 64."""
    return -(-vocab_size // VOCAB_PADDING) * VOCAB_PADDING


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


def rank_weights(spec: ModelSpec, settings: Settings) -> int:
    """Weights of the fullest rank where experts may be divided further than the rest of the model."""
    tensor, fp8 = settings.tensor_parallel, settings.runtime_fp8
    held = weights_bytes(spec, tensor, runtime_fp8=fp8)
    if spec.moe is None or (settings.data_parallel == 1 and not settings.expert_parallel):
        return held
    experts = min(expert_share.expert_bytes(spec, _linear_bytes(spec, fp8)), spec.weights.loaded_bytes)
    return max(held - int(experts * (1 / tensor - expert_part(spec, settings))), 0)


def expert_part(spec: ModelSpec, settings: Settings) -> float:
    """Part of all experts on the fullest rank."""
    return expert_share.part(spec, settings.expert_ranks, whole=settings.expert_parallel)


def weights_bytes(spec: ModelSpec, tensor_parallel: int, *, runtime_fp8: bool = False) -> int:
    """Weights of the fullest rank of one engine alone.

    Sharded tensors are divided by the tensor parallel size; keys and values by at most their heads, what mamba's
    groups share by at most their number (vLLM replicates them beyond); norms, routers, learned positions, indexers
    and MLA's down-projections are whole on every rank.
    """
    embedding_rows = spec.vocab_size * (1 if spec.tied else 2)
    embedding = embedding_rows * spec.hidden_size * 2
    loaded = spec.weights.loaded_bytes
    if runtime_fp8 and spec.quantization is None:
        loaded = embedding + max(loaded - embedding, 0) // 2
    per_parameter = _linear_bytes(spec, runtime_fp8)
    key_value = int(_key_value_parameters(spec) * per_parameter)
    whole = int(_replicated_parameters(spec) * 2)
    groups = spec.recurrent.groups if spec.recurrent else 0
    grouped = int(spec.recurrent.group_parameters * per_parameter) if spec.recurrent else 0
    sharded = max(loaded - key_value - whole - grouped, 0)
    padding = (padded_vocab(spec.vocab_size) - spec.vocab_size) * spec.hidden_size * (2 if spec.tied else 4)
    kv_heads = max((group.kv_heads for group in spec.layers if group.kind not in _LATENT), default=1)
    rank = (sharded + padding) / tensor_parallel + key_value / min(tensor_parallel, kv_heads) + whole
    rank += grouped / min(tensor_parallel, groups or 1)
    rotary = 2 * min(spec.max_position or 0, LONGEST_ROTARY_TABLE) * spec.head_dim
    rounding = engines.facts()["terms"]["weights_rounding"]["value"]
    return int(rank * rounding) + rotary


def _linear_bytes(spec: ModelSpec, runtime_fp8: bool) -> float:
    if spec.quantization is not None:
        return spec.quantization.bits / 8
    return 1.0 if runtime_fp8 else 2.0


def _key_value_parameters(spec: ModelSpec) -> int:
    return sum(
        group.count * spec.hidden_size * group.kv_heads * (group.k_dim + group.v_dim)
        for group in spec.layers
        if group.kind not in _LATENT
    )


def _replicated_parameters(spec: ModelSpec) -> int:
    norms = spec.hidden_size * (2 * spec.num_layers + 1)
    router = spec.moe.layers * spec.moe.experts * spec.hidden_size if spec.moe else 0
    latent = 0
    if spec.mla is not None:
        width = spec.mla.kv_lora_rank + spec.mla.qk_rope + spec.mla.q_lora_rank
        latent = spec.num_layers * spec.hidden_size * width
        latent += sum(group.count for group in spec.layers if group.kind == "index") * spec.mla.indexer
    return norms + router + latent + spec.learned_positions * spec.hidden_size


def activation_bytes(spec: ModelSpec, settings: Settings, regime: Regime) -> int:
    """Peak of the profiling run: the sampler's logits or the fattest moment of the MLP, whichever is larger."""
    tokens, hidden, ranks = settings.max_num_batched_tokens, spec.hidden_size, settings.tensor_parallel
    sequences = min(settings.max_num_seqs * settings.positions, tokens)
    vocab = padded_vocab(spec.vocab_size) if not settings.pooling else 0
    sampler = regime.sampler_bytes * sequences * vocab + 2 * tokens * hidden + 4 * sequences * hidden
    sampler += regime.sampler_constant_bytes
    if regime.measured and regime.sampler_bytes > 6:
        sampler += 4 * H200_MULTIPROCESSORS * vocab
    matrices = expert_share.matrices(spec)
    if spec.moe is None:
        forward = 2 * tokens * (matrices * spec.intermediate_size // ranks + 4 * hidden)
    else:
        forward = 2 * tokens * 4 * hidden
    workspace = engines.term_bytes("cublas_workspace")
    if not settings.enforce_eager:
        workspace += regime.compile_buffer_bytes
    if spec.multimodal and settings.encoders:
        workspace += engines.term_bytes("multimodal")
    return workspace + _moe_workspace(spec, settings, regime) + max(sampler, forward, _mla(spec, settings))


def _moe_workspace(spec: ModelSpec, settings: Settings, regime: Regime) -> int:
    moe = spec.moe
    if moe is None or not regime.moe_workspace or (spec.quantization and spec.quantization.method == "mxfp4"):
        return 0
    slices = 1 if settings.expert_parallel else settings.expert_ranks
    width = -(-moe.intermediate // slices)
    tokens = settings.max_num_batched_tokens
    gathered = 0
    if settings.data_parallel > 1:  # hidden states of all engines come together, go through the experts in chunks
        gathered = 2 * 2 * settings.data_parallel * tokens * spec.hidden_size
        tokens = max(tokens, min(tokens * settings.data_parallel, EXPERT_CHUNK_TOKENS))
    rows = 2 * tokens * moe.top_k
    return gathered + rows * (max(2 * width, spec.hidden_size) + max(width, spec.hidden_size))


def _mla(spec: ModelSpec, settings: Settings) -> int:
    mla = spec.mla
    if mla is None:
        return 0
    heads = -(-spec.num_attention_heads // settings.tensor_parallel)
    length, sequences = settings.max_model_len, settings.max_num_seqs
    chunk = min(max(8 * length, 4 * sequences * BLOCK_TOKENS), 65536)
    per_token = 2 * spec.hidden_size + heads * (mla.qk_nope + mla.qk_rope + mla.v_dim)
    per_token += 2 * (mla.kv_lora_rank + mla.qk_rope)
    return 2 * chunk * heads * (mla.qk_nope + mla.v_dim) + 2 * settings.max_num_batched_tokens * per_token


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


def kv_request_bytes(spec: ModelSpec, settings: Settings, tokens: int) -> int:
    """Cache of one request of `tokens` tokens on one rank, in whole blocks.

    A window keeps its own tokens and those in flight (vllm/v1/kv_cache_interface.py:SlidingWindowSpec).
    """
    need = 0
    for group in (*spec.layers, *(settings.draft.layers if settings.draft else ())):
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


def graph_bytes(spec: ModelSpec, *, enforce_eager: bool) -> int:
    """CUDA graphs of a compiled start: about 31 MiB per layer, and more where experts are captured with them."""
    if enforce_eager:
        return 0
    share = SMALL_HIDDEN_GRAPH_SHARE if spec.hidden_size <= SMALL_HIDDEN else 1.0
    experts = engines.term_bytes("graph_experts") if spec.moe is not None else 0
    return int(spec.num_layers * engines.term_bytes("graph_per_layer") * share) + experts


def outside_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """What the GPU must hold beyond u * M: CUDA context, uncharged graphs, NCCL on Hopper's NVLink.

    Where a version charges its graphs but was never measured, they count on both sides.
    """
    needed = engines.term_bytes("context")
    if not regime.graphs_charged or not regime.measured:
        needed += graph_bytes(spec, enforce_eager=settings.enforce_eager)
    if _collective(spec, settings) and gpu.nvlink and gpu.capability >= (9, 0):
        needed += engines.term_bytes("outside_nvlink_hopper")
        needed += engines.term_bytes("outside_expert_group") if spec.moe is not None else 0
    return needed


def _collective(spec: ModelSpec, settings: Settings) -> bool:
    """Whether ranks exchange activations in every layer; dense data parallel engines know nothing of each other."""
    return settings.tensor_parallel > 1 or (settings.data_parallel > 1 and spec.moe is not None)


def non_torch_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings) -> int:
    """Memory outside PyTorch's allocator, NCCL's buffers included."""
    collective = _collective(spec, settings)
    if not collective and settings.pipeline_parallel == 1:
        return engines.term_bytes("non_torch")
    if collective and gpu.nvlink and gpu.capability >= (9, 0):
        return engines.term_bytes("non_torch_tp_nvlink_hopper")
    return engines.term_bytes("non_torch_tp")


def margin_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """Band of the estimate: small where the version and the GPU class were measured, wide elsewhere."""
    if gpu.vendor in {"amd", "intel"}:
        from llm_serving import accelerators

        return accelerators.margin_bytes(gpu.total_bytes)
    margins = engines.facts()["margins_gib"]
    if spec.multimodal or spec.hybrid:
        return int(margins["hybrid_or_multimodal"]["value"] * GIB)
    if regime.measured and settings.ranks == 1 and gpu.capability[0] == 9:
        return int(margins["measured"]["value"] * GIB)
    share = margins["unmeasured_share"]["value"] * gpu.total_bytes
    return int(max(margins["unmeasured"]["value"] * GIB, share))


def estimate(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> Estimate:
    """All terms of one GPU (the fullest rank); `spec` is the fullest stage where there are several (`stage_spec`)."""
    from llm_serving.use import footprint

    requested = math.ceil(gpu.total_bytes * settings.utilization)
    weights = rank_weights(spec, settings)
    activations = activation_bytes(spec, settings, regime)
    non_torch = non_torch_bytes(spec, gpu, settings)
    graphs = graph_bytes(spec, enforce_eager=settings.enforce_eager) if regime.graphs_charged else 0
    adapters, draft = footprint.lora_bytes(spec, settings), footprint.draft_bytes(spec, settings)
    free = requested - weights - engines.term_bytes("context")
    requested -= int(regime.hold_back * max(free, 0))
    return Estimate(
        total=gpu.total_bytes,
        requested=requested,
        weights=weights,
        activations=activations,
        non_torch=non_torch,
        cuda_graphs=graphs,
        kv_cache=requested - weights - activations - non_torch - graphs - adapters - draft,
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
