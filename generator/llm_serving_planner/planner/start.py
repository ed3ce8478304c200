"""What is known of a start beside its flags: facts of the checkpoint, named as data/start_rules.json names them."""

from typing import Any

from llm_serving_planner.memory.settings import Settings
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.options import Options


def model_facts(spec: ModelSpec, max_model_len: int | None, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Facts of a checkpoint; None for what is not known.

    Args:
        spec: the model, without its encoders where they are left out.
        max_model_len: tokens of a request; None where the engine decides.
        without: kinds of items that prompts may not hold.
    """
    length = max_model_len or spec.max_position
    item = spec.encoder.largest_item(length, without) if spec.encoder and length and spec.multimodal else None
    return {
        "model.two_way": spec.encoder.two_way if item and spec.encoder else None,
        "model.largest_item": item,
        "model.heads": spec.num_attention_heads,
        "model.experts": spec.moe.experts if spec.moe else 0,
        "model.latent": spec.mla is not None,
        "model.recurrent": spec.recurrent is not None,
        "model.max_position": spec.max_position,
        "model.quantization": spec.quantization.method if spec.quantization else None,
    }


def plan_facts(spec: ModelSpec, settings: Settings, options: Options, dtype: str, cache: str) -> dict[str, Any]:
    """Everything known of a plan's start."""
    parallel, draft, slots = settings.parallel, settings.draft, settings.lora
    taken = spec if settings.encoders else spec.text_only()
    # what `rules` and the options say in their own words is left to them
    said = ("model.heads", "model.experts", "model.max_position", "model.quantization")
    held = model_facts(taken, settings.max_model_len, settings.without_items)
    return {
        **{name: value for name, value in held.items() if name not in said},
        "max-model-len": settings.max_model_len,
        "max-num-seqs": settings.max_num_seqs,
        "max-num-batched-tokens": settings.max_num_batched_tokens,
        "tensor-parallel-size": parallel.tensor_parallel_size,
        "data-parallel-size": parallel.data_parallel_size,
        "enable-expert-parallel": parallel.enable_expert_parallel,
        "enable-prefix-caching": options.prefix_caching != "off" and not settings.pooling,
        "dtype": dtype,
        "kv-cache-dtype": cache,
        "enable-lora": slots is not None,
        "max-loras": slots.loras if slots else None,
        "max-cpu-loras": slots.cpu if slots else None,
        "draft-tokens": draft.tokens if draft else None,
        "decode-tokens": settings.max_num_seqs * settings.positions if draft else None,
    }
