"""GPU memory of what serves beside the model: adapters and drafts, in bytes per GPU. Pure."""

from llm_serving import engines
from llm_serving.graphs import graph_bytes
from llm_serving.memory import Settings
from llm_serving.model import ModelSpec
from llm_serving.use import lora
from llm_serving.weights import weights_bytes


def lora_bytes(spec: ModelSpec, settings: Settings) -> int:
    """Slots of adapters, and CUDA graphs once more: they are captured with and without adapters.

    vLLM 0.33.0 vllm/config/compilation.py:cudagraph_specialize_lora (read 2026-11-25); an upper bound.
    """
    if settings.lora is None:
        return 0
    slots = lora.gpu_bytes(spec, settings.lora, settings.tensor_parallel, settings.max_num_batched_tokens)
    return slots + graph_bytes(spec, enforce_eager=settings.enforce_eager)


def draft_bytes(spec: ModelSpec, settings: Settings) -> int:
    """Weights of what drafts and its CUDA graphs; its cache is in `kv_request_bytes`. An upper bound."""
    draft = settings.draft
    if draft is None:
        return 0
    if draft.spec is not None:
        held = weights_bytes(draft.spec, settings.tensor_parallel)
        return held + graph_bytes(draft.spec, enforce_eager=settings.enforce_eager)
    layers = sum(group.count for group in draft.layers if group.kind != "index")
    graphs = 0 if settings.enforce_eager else layers * engines.term_bytes("graph_per_layer")
    share = settings.tensor_parallel if draft.method == "mtp" else 1
    embedding = spec.vocab_size * spec.hidden_size * 2 if draft.head_bytes and settings.pipeline_parallel > 1 else 0
    return -(-draft.head_bytes // share) + graphs + embedding
