"""The mixture-of-experts part of a model: how many layers have experts, how many, how wide.

Fields by model class from vLLM 0.33.0 `vllm/model_executor/models/` (read 2026-11-25).
"""

from llm_serving_planner.base.errors import UnsupportedModelError
from llm_serving_planner.models.architectures import Architecture
from llm_serving_planner.models.config.fields import Config, flags_of, names_of, optional, positive
from llm_serving_planner.models.spec import Moe

_COUNTS = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")
_TOP_K = ("num_experts_per_tok", "top_k_experts", "experts_per_token", "moe_top_k", "moe_k")


def moe(text: Config, layers: int, traits: Architecture) -> Moe | None:
    """The experts; None for a dense model.

    Raises:
        UnsupportedModelError: a field is missing or not understood.
    """
    experts = optional(text, *_COUNTS)
    if experts is None or experts == 1 or text.get("enable_moe_block") is False:
        return None
    width = positive(text, "moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
    shared = optional(
        text, "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size"
    )
    number = optional(text, "n_shared_experts", "moe_num_shared_experts")
    if shared is None and number is not None:
        shared = number * width
    if shared is None and traits.window == "chunked-one-in-four":  # llama4.py: one shared expert, always
        shared = width
    found = expert_layers(text, layers)
    return Moe(found, experts, positive(text, *_TOP_K), width, shared or 0)


def expert_layers(text: Config, layers: int) -> int:
    """Layers that hold experts, by the first rule that the config has."""
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return pattern.count("E")
    blocks = text.get("layers_block_type")
    if isinstance(blocks, list) and "moe" in blocks:
        return blocks.count("moe")
    named = names_of(text, "mlp_layer_types", {"dense": "dense", "sparse": "sparse"}, layers)
    if named is not None:
        return named.count("sparse")
    flagged = flags_of(text, "moe_layer_freq", layers)
    if flagged is not None:
        return sum(flagged)
    return sum(_has_experts(text, index) for index in range(layers))


def _has_experts(text: Config, index: int) -> bool:
    without = text.get("mlp_only_layers") or ()
    if not isinstance(without, list | tuple):
        raise UnsupportedModelError("mlp_only_layers", without, hint="a list of layers is expected")
    period = optional(text, "expert_layer_period")  # jamba.py
    if period is not None:
        return index % period == (optional(text, "expert_layer_offset") or 0)
    if index in without or index < (optional(text, "first_k_dense_replace") or 0):
        return False
    start = text.get("moe_layer_start_index")  # ernie45_moe.py
    if isinstance(start, int) and index < start:
        return False
    step = optional(text, "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval") or 1
    if (index + 1) % step:
        return False
    return index % (optional(text, "moe_layer_freq") or 1) == 0  # deepseek_v2.py
