"""How a checkpoint stores its linear weights: the quantisation block of config.json or of its side files."""

import math
from collections.abc import Callable
from typing import Any

from llm_serving_planner.base.errors import UnsupportedModelError
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.config.fields import Config
from llm_serving_planner.models.spec import Quantization

# Spellings of one method in config.json (vLLM 0.33.0 quantization/__init__.py and inc/inc.py, read 2026-11-22).
_ALIASES = {
    "auto_awq": "awq", "auto_gptq": "gptq", "gptqmodel": "gptq", "compressed_tensors": "compressed-tensors",
    "auto_round": "auto-round", "intel/auto-round": "auto-round", "inc": "auto-round",
}  # fmt: skip


def parse_quantization(config: Config, text: Config, side_file: Config | None) -> Quantization | None:
    """Quantisation block of config.json, or of the side file that older and modelopt checkpoints carry.

    Raises:
        UnsupportedModelError: the method or its width is unknown.
    """
    block = config.get("quantization_config")
    block = text.get("quantization_config") if block is None else block
    block = side_file if block is None else block
    if block is None:
        return None
    if not isinstance(block, dict) or not block:
        raise UnsupportedModelError("quantization_config", block, hint="a mapping that names a method is expected")
    if isinstance(block.get("quantization"), dict):  # hf_quant_config.json of NVIDIA ModelOpt
        return _modelopt(block["quantization"])
    method = block.get("quant_method") or ("gptq" if "bits" in block and "group_size" in block else None)
    if method == "modelopt" or "quant_algo" in block:
        return _modelopt(block)
    method = _ALIASES.get(str(method), method)
    bits_by_method = _methods()
    if not isinstance(method, str) or method not in bits_by_method:
        raise UnsupportedModelError("quantization_config.quant_method", method)
    special = _SPECIAL.get(method)
    if special is not None:
        return special(block)
    return _plain(method, block, bits_by_method[method])


def _methods() -> dict[str, int | None]:
    """Methods that a config.json may name, to bits per weight where its block does not say."""
    found: dict[str, int | None] = {}
    for kind in formats.kinds().values():
        if kind["read"]:
            found.setdefault(kind["method"], kind["bits"])
    return found


def _plain(method: str, block: Config, bits: Any) -> Quantization:
    given = block.get("bits")
    if isinstance(given, int | float) and not isinstance(given, bool):
        bits = math.ceil(given)  # exl2 writes averages such as 4.65
    if not isinstance(bits, int) or not 1 < bits <= 16:
        raise UnsupportedModelError("quantization_config.bits", bits)
    activations = block.get("activation_scheme")
    if activations is not None and activations not in _ACTIVATION_SCHEMES:
        raise UnsupportedModelError("quantization_config.activation_scheme", activations)
    group = block.get("group_size")
    shape = block.get("weight_block_size")
    return Quantization(
        method,
        bits,
        group_size=group if isinstance(group, int) and group > 0 else None,
        block=(shape[0], shape[1]) if isinstance(shape, list) and len(shape) == 2 else None,
    )


# vLLM 0.33.0 fp8.py:ACTIVATION_SCHEMES, read 2026-11-25
_ACTIVATION_SCHEMES = ("static", "dynamic")
# quant_algo of NVIDIA ModelOpt to (method, bits): vLLM 0.33.0 modelopt.py:LINEAR_ALGOS, read 2026-11-25
_MODELOPT = {
    "FP8": ("modelopt", 8),
    "FP8_PER_CHANNEL_PER_TOKEN": ("modelopt", 8),
    "FP8_PB_WO": ("modelopt", 8),
    "NVFP4": ("modelopt_fp4", 4),
    "W4A16_NVFP4": ("modelopt_fp4", 4),
    "MIXED_PRECISION": ("modelopt_mixed", 4),
}


def _is_fp8(scheme: Any) -> bool:
    """Whether a scheme of the KV cache is FP8 (vLLM 0.33.0 utils/torch_utils.py:463, read 2026-11-29)."""
    return isinstance(scheme, dict) and scheme.get("num_bits") == 8 and scheme.get("type") == "float"


def _modelopt(block: Config) -> Quantization:
    algorithm = str(block.get("quant_algo"))
    kv = str(block.get("kv_cache_quant_algo")).upper() == "FP8" or _is_fp8(block.get("kv_cache_scheme"))
    if algorithm.upper() not in _MODELOPT:
        raise UnsupportedModelError("quantization_config.quant_algo", algorithm)
    name, bits = _MODELOPT[algorithm.upper()]
    return Quantization(name, bits, group_size=16 if bits == 4 else None, kv_fp8=kv)


# Weights that share a scale: vLLM 0.33.0 compressed_tensors.py:_is_mxfp4, _is_nvfp4_format, read 2026-11-22.
_MXFP4_GROUP, _NVFP4_GROUP = 32, 16


def _compressed_tensors(block: Config) -> Quantization:
    """The one scheme of a checkpoint; groups without weights (of the KV cache) count for nothing.

    Raises:
        UnsupportedModelError: no group has weights, or two have different schemes.
    """
    groups = block.get("config_groups")
    listed = list(groups.values()) if isinstance(groups, dict) else []
    found = {_group(block, entry) for entry in listed if isinstance(entry, dict) and entry.get("weights") is not None}
    if not found:
        raise UnsupportedModelError("quantization_config.config_groups", groups or None)
    if len(found) > 1:
        names = " and ".join(sorted(f"{one.bits}-bit {one.scheme}" for one in found))
        raise UnsupportedModelError("quantization_config.config_groups", names, hint="one scheme for all is sized")
    return found.pop()


def _group(block: Config, first: Config) -> Quantization:
    groups = block.get("config_groups")
    weights = first.get("weights")
    bits = weights.get("num_bits") if isinstance(weights, dict) else None
    if not isinstance(weights, dict) or not isinstance(bits, int):
        raise UnsupportedModelError("quantization_config.config_groups", groups or None)
    activations = first.get("input_activations")
    activations = activations if isinstance(activations, dict) else None
    group, shape = weights.get("group_size"), weights.get("block_structure")
    return Quantization(
        "compressed-tensors",
        bits,
        group if isinstance(group, int) and group > 0 else None,
        block=(shape[0], shape[1]) if isinstance(shape, list) and len(shape) == 2 else None,
        kv_fp8=_is_fp8(block.get("kv_cache_scheme")),
        scheme=_scheme(weights, activations, str(first.get("format") or block.get("format"))),
    )


def _scheme(weights: Config, activations: Config | None, form: str) -> str:
    """Name of the scheme, in the order in which vLLM tells them apart.

    vLLM 0.33.0 compressed_tensors.py:_get_scheme_from_parts, read 2026-11-22.

    Raises:
        UnsupportedModelError: a pair of weights and activations that is not in the table.
    """
    kind, bits = weights.get("type", "int"), weights["num_bits"]
    if kind == "float" and bits == 4:
        group = weights.get("group_size")
        if form.startswith("mxfp4") or group == _MXFP4_GROUP:
            return "mxfp4"
        if group != _NVFP4_GROUP:
            raise UnsupportedModelError("quantization_config.config_groups", f"4-bit floats in groups of {group}")
        return "nvfp4" if activations else "nvfp4a16"
    given = (activations.get("type", "int"), activations.get("num_bits")) if activations else None
    table: dict[Any, str] = {
        ("int", 4, None): "wna16",
        ("int", 8, None): "wna16",
        ("int", 8, ("int", 8)): "w8a8-int8",
        ("float", 8, None): "w8a16-fp8",
        ("float", 8, ("float", 8)): "w8a8-fp8",
        ("int", 4, ("float", 8)): "w4a8-fp8",
    }
    scheme = table.get((kind, bits, given))
    if scheme is None:
        against = "16-bit" if given is None else f"{given[1]}-bit {given[0]}"
        raise UnsupportedModelError(
            "quantization_config.config_groups", f"{bits}-bit {kind} weights, {against} activations"
        )
    return scheme


def _bitsandbytes(block: Config) -> Quantization:
    for bits in (4, 8):
        if block.get(f"load_in_{bits}bit") is True or block.get(f"_load_in_{bits}bit") is True:
            return Quantization("bitsandbytes", bits)
    raise UnsupportedModelError("quantization_config.load_in_4bit", block.get("load_in_4bit"))


def _hqq(block: Config) -> Quantization:
    inner: Any = block.get("quant_config")
    inner = inner.get("weight_quant_params") if isinstance(inner, dict) else None
    inner = inner if isinstance(inner, dict) else {}
    return _plain("hqq", {"bits": inner.get("nbits"), "group_size": inner.get("group_size")}, None)


def _torchao(block: Config) -> Quantization:
    """The width stands in the name of torchao's own class, such as Int4WeightOnlyConfig."""
    inner = str(block.get("quant_type"))
    for part, bits in (("int4", 4), ("int8", 8), ("float8", 8)):
        if part in inner.lower():
            return Quantization("torchao", bits)
    raise UnsupportedModelError("quantization_config.quant_type", block.get("quant_type"))


_SPECIAL: dict[str, Callable[[Config], Quantization]] = {
    "compressed-tensors": _compressed_tensors,
    "bitsandbytes": _bitsandbytes,
    "hqq": _hqq,
    "torchao": _torchao,
}
