"""GPU memory of what serves beside the model: adapters and drafts, in bytes per GPU. Pure."""

from llm_serving_planner.engines import vllm
from llm_serving_planner.memory.graphs import graph_bytes
from llm_serving_planner.memory.settings import Settings
from llm_serving_planner.memory.weights import weights_bytes
from llm_serving_planner.models.adapters import Adapter, Slots
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.spec import ModelSpec


def lora_bytes(spec: ModelSpec, settings: Settings) -> int:
    """Slots of adapters, and CUDA graphs once more: they are captured with and without adapters.

    vLLM 0.33.0 vllm/config/compilation.py:cudagraph_specialize_lora (read 2026-11-25); an upper bound.
    """
    if settings.lora is None:
        return 0
    slots = gpu_bytes(spec, settings.lora, settings.parallel.tensor_parallel_size, settings.max_num_batched_tokens)
    return slots + graph_bytes(spec, enforce_eager=settings.enforce_eager)


def draft_bytes(spec: ModelSpec, settings: Settings) -> int:
    """Weights of what drafts and its CUDA graphs; its cache is in `kv_request_bytes`. An upper bound."""
    draft = settings.draft
    if draft is None:
        return 0
    if draft.spec is not None:
        held = weights_bytes(draft.spec, settings.parallel.tensor_parallel_size)
        return held + graph_bytes(draft.spec, enforce_eager=settings.enforce_eager)
    layers = sum(group.count for group in draft.layers if group.kind != "index")
    graphs = 0 if settings.enforce_eager else layers * vllm.term_bytes("graph_per_layer")
    share = settings.parallel.tensor_parallel_size if draft.method == "mtp" else 1
    embedding = (
        spec.vocab_size * spec.hidden_size * 2
        if draft.head_bytes and settings.parallel.pipeline_parallel_size > 1
        else 0
    )
    return -(-draft.head_bytes // share) + graphs + embedding


_WIDTH = 2  # bytes: lora_dtype auto is the model's


def slot_bytes(spec: ModelSpec, held: Slots, tensor_parallel_size: int) -> int:
    """Bytes of one slot on one rank, all layers."""
    elements = spec.num_layers * _attention(spec, tensor_parallel_size) + _mlp(spec, tensor_parallel_size)
    if held.embeddings:  # embed_tokens and lm_head, both whole on every rank
        elements += 2 * (spec.vocab_size + spec.hidden_size)
    return _WIDTH * held.rank * elements


def _attention(spec: ModelSpec, tensor_parallel_size: int) -> int:
    """Inputs and outputs of one layer's projections, as one rank holds them."""
    hidden, heads = spec.hidden_size, -(-spec.num_attention_heads // tensor_parallel_size)
    mla = spec.mla
    if mla is not None:  # down-projections are replicated, up-projections sharded
        query = mla.qk_nope + mla.qk_rope
        down = 2 * hidden + mla.q_lora_rank + mla.kv_lora_rank + mla.qk_rope
        up = (mla.q_lora_rank or hidden) + heads * query + mla.kv_lora_rank + heads * (mla.qk_nope + mla.v_dim)
        return down + up + heads * mla.v_dim + hidden
    widest = max((group.k_dim for group in spec.layers), default=spec.head_dim)
    kv_heads = max((group.kv_heads for group in spec.layers), default=spec.num_kv_heads)
    key_value = 2 * max(1, kv_heads // tensor_parallel_size) * widest
    return 3 * hidden + heads * widest + key_value + heads * widest + hidden


def _mlp(spec: ModelSpec, tensor_parallel_size: int) -> int:
    """Inputs and outputs of all layers' MLPs or experts."""
    inputs = 2 if ARCHITECTURES[spec.architecture].gated_mlp else 1
    hidden = spec.hidden_size

    def block(width: int) -> int:
        share = -(-width // tensor_parallel_size)
        return inputs * (hidden + share) + share + hidden

    moe = spec.moe
    if moe is None:
        return spec.num_layers * block(spec.intermediate_size)
    routed = moe.experts * block(moe.intermediate) + hidden + moe.experts
    shared = block(moe.shared_intermediate) if moe.shared_intermediate else 0
    return moe.layers * (routed + shared) + (spec.num_layers - moe.layers) * block(spec.intermediate_size)


def gpu_bytes(spec: ModelSpec, held: Slots, tensor_parallel_size: int, tokens: int) -> int:
    """All slots of one rank, and the buffer that a step's tokens pass through (punica's shrink, 32 bits, 3 slices)."""
    experts = spec.moe.top_k if spec.moe else 1
    return held.loras * slot_bytes(spec, held, tensor_parallel_size) + 4 * 3 * tokens * held.rank * experts


def host_bytes(spec: ModelSpec, held: Slots, processes: int) -> int:
    """Adapters in host memory: every process of a pod keeps each of them whole."""
    return processes * held.cpu * slot_bytes(spec, held, 1)


def file_bytes(spec: ModelSpec, held: Slots, adapters: tuple[Adapter, ...]) -> int:
    """Adapters to download, each as large as a slot lets it be at 32 bits (PEFT often saves so; assumption)."""
    return 2 * slot_bytes(spec, held, 1) * len([adapter for adapter in adapters if adapter.id])
