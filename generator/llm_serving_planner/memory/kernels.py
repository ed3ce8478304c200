"""What the kernels that an engine picks add to the weights when they lay them out anew.

From vLLM's source, read 2026-11-25: 0.19.0, 0.25.1 and 0.33.0 `fused_moe/oracle/mxfp4.py` (which kernel, padding,
layout), `third_party/triton_kernels/tensor_details/layout_details/hopper_{value,scale}.py` (padding of the layout),
`kernels/linear/mixed_precision/machete.py` (zero points).
"""

from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import tensors
from llm_serving_planner.models.spec import ModelSpec

_MXFP4_GROUP = 32  # weights that share one scale byte
_HOPPER, _BLACKWELL, _CONSUMER_BLACKWELL = (9, 0), (10, 0), (12, 0)
_NVFP4_MARLIN_SHARE = 0.02  # Qwen3-32B-NVFP4 on an H200, vLLM 0.33.0, 2026-11-29: 19.56 GiB in place of 19.18
_SCALE_TILE = 256  # hopper_scale.py pads rows; hopper_value.py packed columns, to 64 (0.19.0) or 32 bytes (0.22.1)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def added_bytes(spec: ModelSpec, tensor_parallel_size: int, capability: tuple[int, int], regime: Regime) -> int:
    """Bytes beyond the checkpoint's own on one rank; 0 where the checkpoint is kept as it is."""
    quantization = spec.quantization
    if spec.mxfp4 and spec.moe is not None:
        return _mxfp4(spec, tensor_parallel_size, capability, regime)
    if quantization is not None and quantization.method == "awq" and capability == _HOPPER:
        # Machete takes zero points at 16 bits
        elements = sum(number * size for number, size in tensors.linear(spec, tensor_parallel_size))
        groups = elements // (quantization.group_size or 128)
        return int(groups * (2 - quantization.bits / 8))
    if quantization is not None and quantization.method == "modelopt_fp4" and capability < _BLACKWELL:
        # Marlin in place of FP4 cores; not traced
        return int(spec.weights.loaded_bytes * _NVFP4_MARLIN_SHARE / tensor_parallel_size)
    return 0


def _mxfp4(spec: ModelSpec, tensor_parallel_size: int, capability: tuple[int, int], regime: Regime) -> int:
    """Experts of one rank after padding, less those of the checkpoint."""
    moe = spec.moe
    if moe is None:
        return 0
    hidden, width = spec.hidden_size, -(-moe.intermediate // tensor_parallel_size)
    plain = 3 * hidden * width
    before = plain // 2 + plain // _MXFP4_GROUP + 2 * (2 * width + hidden)  # biases at 16 bits
    if _HOPPER <= capability < _BLACKWELL:  # Triton
        width, tile = _up(width, 64), regime.mxfp4_tile
        values = _hopper_values(hidden, 2 * width, tile) + _hopper_values(width, hidden, tile)
        scales = _hopper_scales(hidden, 2 * width) + _hopper_scales(width, hidden)
        if regime.stale_scales:
            scales += 3 * hidden * width // _MXFP4_GROUP
        after = values + scales + 4 * (2 * width + hidden)  # biases at 32 bits
        if regime.mxfp4_layer_bytes:  # not traced: fitted to two models (data/engines.json)
            after += regime.mxfp4_expert_bytes + regime.mxfp4_layer_bytes // moe.experts
    else:
        steps = (128, 256)  # Marlin
        if _BLACKWELL <= capability < _CONSUMER_BLACKWELL:  # TensorRT-LLM's kernels of FlashInfer
            steps = (256, 256)
        width, padded = _up(width, steps[0]), _up(hidden, steps[1])
        padded_values = 3 * padded * width
        after = padded_values // 2 + padded_values // _MXFP4_GROUP + 4 * (2 * width + padded)
    return moe.layers * moe.experts * max(after - before, 0)


def _hopper_values(columns: int, rows: int, tile: int) -> int:
    return _up(columns // 2, tile) * _up(rows, tile)


def _hopper_scales(columns: int, rows: int) -> int:
    return _up(columns // _MXFP4_GROUP, 2) * _up(rows, _SCALE_TILE)


def imported_bytes(spec: ModelSpec, capability: tuple[int, int], regime: Regime, *, fp8: bool) -> int:
    """What importing DeepGEMM takes where weights or cache are FP8 on Hopper and later."""
    by_checkpoint = spec.quantization is not None and spec.quantization.bits == 8
    if not regime.deep_gemm or capability < _HOPPER or not (fp8 or by_checkpoint):
        return 0
    return vllm.term_bytes("deep_gemm")


def compiles_at_start(spec: ModelSpec, capability: tuple[int, int], regime: Regime) -> bool:
    """Whether DeepGEMM compiles kernels at the first start: block FP8 on Hopper and Blackwell.

    vLLM 0.33.0 platforms/cuda.py:support_deep_gemm and kernels/linear/scaled_mm/deep_gemm.py, read 2026-11-25.
    """
    block = spec.quantization is not None and spec.quantization.block is not None
    return regime.deep_gemm and block and capability >= _HOPPER
