"""How a checkpoint stores its linear weights: the quantisation block of config.json or of its side files."""

from collections.abc import Mapping
from typing import Any

from llm_serving.errors import UnsupportedModelError
from llm_serving.model import Quantization

Config = Mapping[str, Any]

# Methods that vLLM 0.33.0 reads from a checkpoint, to (name in the plan, bits per weight when the block of the
# config does not say); vllm/model_executor/layers/quantization/__init__.py, read 2026-11-22.
_METHODS: dict[str, tuple[str, int | None]] = {
    "awq": ("awq", 4),
    "gptq": ("gptq", 4),
    "fp8": ("fp8", 8),
    "fbgemm_fp8": ("fbgemm_fp8", 8),
    "compressed-tensors": ("compressed-tensors", None),
    "mxfp4": ("mxfp4", 4),
    "modelopt": ("modelopt", None),
    "modelopt_fp4": ("modelopt_fp4", 4),
    "bitsandbytes": ("bitsandbytes", None),
}


def parse_quantization(config: Config, text: Config, side_file: Config | None) -> Quantization | None:
    """Quantisation block of config.json, or of the side file that older and modelopt checkpoints carry.

    Raises:
        UnsupportedModelError: the method or its width is unknown.
    """
    block = config.get("quantization_config") or text.get("quantization_config")
    if not isinstance(block, dict):
        block = side_file
    if not isinstance(block, dict) or not block:
        return None
    if isinstance(block.get("quantization"), dict):  # hf_quant_config.json of NVIDIA ModelOpt
        return _modelopt(block["quantization"])
    method = block.get("quant_method") or ("gptq" if "bits" in block and "group_size" in block else None)
    if method == "modelopt" or "quant_algo" in block:
        return _modelopt(block)
    if method not in _METHODS:
        raise UnsupportedModelError("quantization_config.quant_method", method)
    name, bits = _METHODS[method]
    group = block.get("group_size")
    if method == "compressed-tensors":
        return _compressed_tensors(block)
    if method == "bitsandbytes":
        bits = 4 if block.get("load_in_4bit") or block.get("_load_in_4bit") else 8
    if isinstance(block.get("bits"), int):
        bits = block["bits"]
    if bits is None or not 1 < bits <= 16:
        raise UnsupportedModelError("quantization_config.bits", bits)
    shape = block.get("weight_block_size")
    return Quantization(
        name,
        bits,
        group_size=group if isinstance(group, int) and group > 0 else None,
        block=(shape[0], shape[1]) if isinstance(shape, list) and len(shape) == 2 else None,
    )


# quant_algo of NVIDIA ModelOpt by prefix, to (method, bits)
_MODELOPT = (
    ("FP8", "modelopt", 8),
    ("NVFP4", "modelopt_fp4", 4),
    ("W4A16_NVFP4", "modelopt_fp4", 4),
    ("MIXED_PRECISION", "modelopt_mixed", 4),
)


def _modelopt(block: Config) -> Quantization:
    algorithm = str(block.get("quant_algo"))
    kv = block.get("kv_cache_quant_algo") == "FP8" or isinstance(block.get("kv_cache_scheme"), dict)
    for prefix, name, bits in _MODELOPT:
        if algorithm.startswith(prefix):
            return Quantization(name, bits, group_size=16 if bits == 4 else None, kv_fp8=kv)
    raise UnsupportedModelError("quantization_config.quant_algo", algorithm)


def _compressed_tensors(block: Config) -> Quantization:
    groups = block.get("config_groups")
    first = next(iter(groups.values())) if isinstance(groups, dict) and groups else {}
    weights = first.get("weights") if isinstance(first, dict) else None
    bits = weights.get("num_bits") if isinstance(weights, dict) else None
    if not isinstance(bits, int):
        raise UnsupportedModelError("quantization_config.config_groups", groups or None)
    group = weights.get("group_size") if isinstance(weights, dict) else None
    kv = isinstance(block.get("kv_cache_scheme"), dict)
    return Quantization("compressed-tensors", bits, group if isinstance(group, int) else None, kv_fp8=kv)
