"""Reading fields of a config.json: typed, or refused by the name of the field."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_serving_planner.base.errors import UnsupportedModelError

Config = Mapping[str, Any]

_TEXT_CONFIGS = ("text_config", "llm_config", "language_config")
_MAX_REASONABLE = 100_000_000
# Written as 0 where a model does not have the part.
_ZERO_MEANS_NONE = frozenset(
    {
        "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "num_kv_shared_layers",
        "shared_intermediate_size", "n_shared_experts", "first_k_dense_replace", "num_experts", "num_local_experts",
        "n_routed_experts", "attn_layer_offset", "expert_layer_offset", "max_window_layers",
    }
)  # fmt: skip
# A nested text config is written as the difference to its class: fields that equal the class's default are left out
# (transformers 5.23.0 configuration_llama.py:LlamaConfig, read 2026-11-25).
_CLASS_DEFAULTS: dict[str, dict[str, int]] = {
    "llama": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
    },
}


def text_config(config: Config) -> Config:
    """The fields of the text model: nested ones before those of the wrapper, then the class defaults of the nest."""
    for key in _TEXT_CONFIGS:
        nested = config.get(key)
        if isinstance(nested, dict):
            outer = {k: v for k, v in config.items() if not isinstance(v, dict)}
            return {**_CLASS_DEFAULTS.get(str(nested.get("model_type")), {}), **outer, **nested}
        if nested is not None:
            raise UnsupportedModelError(key, nested, hint="a mapping is expected")
    return config


def defaulted(config: Config) -> tuple[str, ...]:
    """Fields of a nested text config for which a class default stands in."""
    for key in _TEXT_CONFIGS:
        nested = config.get(key)
        if isinstance(nested, dict):
            known = _CLASS_DEFAULTS.get(str(nested.get("model_type")), {})
            return tuple(name for name in known if name not in nested and name not in config)
    return ()


def optional(config: Config, *names: str) -> int | None:
    """The first of the fields that is given, a positive whole number.

    Raises:
        UnsupportedModelError: it is something else.
    """
    for name in names:
        value = config.get(name)
        if value is None or (value == 0 and not isinstance(value, bool) and name in _ZERO_MEANS_NONE):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _MAX_REASONABLE:
            raise UnsupportedModelError(name, value, hint="a positive whole number is expected")
        return value
    return None


def positive(config: Config, *names: str) -> int:
    """As `optional`, but refused when none of the fields is given."""
    value = optional(config, *names)
    if value is None:
        raise UnsupportedModelError(names[0], None, hint="the field is missing, and sizing needs it")
    return value


def names_of(config: Config, field: str, known: Mapping[str, str], layers: int) -> list[str] | None:
    """A list with one name per layer, translated; None when the config has no such list.

    Raises:
        UnsupportedModelError: not a list, an unknown name, or too few entries.
    """
    listed = config.get(field)
    if listed is None:
        return None
    if isinstance(listed, str) or not isinstance(listed, Sequence) or not listed:
        raise UnsupportedModelError(field, listed, hint="a list with one entry per layer is expected")
    unknown = [kind for kind in listed if not isinstance(kind, str) or kind not in known]
    if unknown:
        raise UnsupportedModelError(field, unknown[0], hint=f"known are {', '.join(sorted(known))}")
    if len(listed) < layers:
        raise UnsupportedModelError(field, f"{len(listed)} entries for {layers} layers")
    return [known[kind] for kind in listed[:layers]]


def flags_of(config: Config, field: str, layers: int) -> list[bool] | None:
    """A list with 0 or 1 per layer; None when the field is not a list.

    Raises:
        UnsupportedModelError: other entries, or too few.
    """
    listed = config.get(field)
    if not isinstance(listed, list):
        return None
    wrong = [entry for entry in listed if entry not in (0, 1)]
    if wrong:
        raise UnsupportedModelError(field, wrong[0], hint="0 or 1 per layer is expected")
    if len(listed) < layers:
        raise UnsupportedModelError(field, f"{len(listed)} entries for {layers} layers")
    return [bool(entry) for entry in listed[:layers]]


def counts_of(config: Config, field: str, layers: int) -> list[int] | None:
    """One count above zero for each layer; None where the config has no such field.

    Raises:
        UnsupportedModelError: the field is there and is something else.
    """
    value = config.get(field)
    if value is None:
        return None
    whole = isinstance(value, list) and all(type(item) is int and item > 0 for item in value)
    if not whole or len(value) != layers:
        raise UnsupportedModelError(field, value)
    return list(value)
