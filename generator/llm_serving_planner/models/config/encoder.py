"""The encoder of images of a multimodal model: its dimensions, and the largest item that a prompt may hold.

What a config does not say, how many tokens the largest image or video becomes, is in data/encoders.json by the model's
family, as vLLM's processing classes compute it. A family without a row gets no encoder here: a constant and a wide
band stand in for it.
"""

from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.models.config.fields import Config, optional
from llm_serving_planner.models.spec import Encoder

_CHANNELS = 3


@cache
def _families() -> dict[str, Any]:
    families: dict[str, Any] = tables.load_data("encoders.json")["families"]
    return families


def encoder(config: Config, text: Config) -> Encoder | None:
    """The encoder; None where the family or a dimension is not known.

    Raises:
        UnsupportedModelError: a dimension that is no positive whole number.
    """
    family, vision = _families().get(str(config.get("model_type"))), config.get("vision_config")
    if family is None or not isinstance(vision, dict):
        return None
    # some families call the text model's width hidden_size
    hidden = optional(vision, "embed_dim") or family.get("hidden") or optional(vision, "hidden_size")
    patch = optional(vision, "patch_size")
    ratio = optional(vision, "mlp_ratio")
    width = optional(vision, "intermediate_size") or (hidden * ratio if hidden and ratio else None)
    layers = optional(vision, "num_hidden_layers", "depth")
    if hidden is None or patch is None or width is None or layers is None:
        return None
    field, value = family.get("two_way_field", ("", ""))
    deepstack = vision.get("deepstack_visual_indexes")
    return Encoder(
        layers=layers,
        hidden=hidden,
        intermediate=width * (2 if family.get("gated") else 1),
        patch_elements=_CHANNELS * patch * patch * (optional(vision, "temporal_patch_size") or 1),
        patches_per_token=_patches(config, vision, patch),
        deepstack=len(deepstack) if isinstance(deepstack, list) else family.get("deepstack", 0),
        items=tuple(sorted(family["items"].items())),
        video_pairs=family.get("video_pairs", 1),
        two_way=bool(family.get("two_way")) or bool(field and text.get(field) == value),
    )


def _patches(config: Config, vision: Config, patch: int) -> int:
    """Patches of the encoder that become one token of the text model."""
    tokens, side = optional(config, "mm_tokens_per_image"), optional(vision, "image_size")
    if tokens is not None and side is not None:  # gemma3_mm.py
        return (side // patch) ** 2 // tokens
    ratio = vision.get("pixel_shuffle_ratio")
    if isinstance(ratio, float) and 0 < ratio <= 1:  # mllama4.py
        return round(1 / ratio**2)
    merged = optional(vision, "spatial_merge_size", "pooling_kernel_size") or optional(config, "spatial_merge_size")
    return (merged or 1) ** 2
