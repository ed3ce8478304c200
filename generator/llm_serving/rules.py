"""What hardware and engine forbid, whatever the memory: every reason is collected, none is guessed away."""

from dataclasses import dataclass

from llm_serving import engines
from llm_serving.architectures import ARCHITECTURES
from llm_serving.memory import padded_vocab
from llm_serving.model import ModelSpec
from llm_serving.options import Options

Capability = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Choice:
    """Outcome of the rules for data types: what is written to the engine, and what stands against it."""

    dtype: str
    quantization: str | None
    kv_cache_dtype: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def capability(text: str) -> Capability:
    """`8.6` as (8, 6): compared as text, 10.0 would sort before 9.0."""
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


def _needed(name: str) -> Capability:
    return capability(engines.facts()["capabilities"][name]["value"])


def _dotted(value: Capability) -> str:
    return f"{value[0]}.{value[1]}"


def engine_reasons(version: str, device: str, compute: Capability) -> list[str]:
    """Whether the image of that version holds code for the GPU at all."""
    gate = "turing" if engines.at_least(version, "volta-dropped") else "volta"
    if compute < _needed(gate):
        return [
            f"vLLM {version} needs compute capability {_dotted(_needed(gate))}, "
            f"{device} has {_dotted(compute)} (vLLM 0.19.1 was the last for 7.0)"
        ]
    return []


def choose_types(spec: ModelSpec, options: Options, version: str, device: str, compute: Capability) -> Choice:
    """Data types of weights, activations and cache."""
    reasons: list[str] = []
    notes: list[str] = []
    dtype = _dtype(spec, options, device, compute, reasons, notes)
    quantization = _quantization(spec, options, version, device, compute, reasons, notes)
    kv_cache_dtype = _kv_cache_dtype(options, version, device, compute, reasons)
    if spec.quantization and spec.quantization.kv_fp8 and kv_cache_dtype == "auto":
        notes.append("the checkpoint declares an FP8 KV cache; sized at 16 bits, the larger of the two")
    return Choice(dtype, quantization, kv_cache_dtype, tuple(reasons), tuple(notes))


def _dtype(
    spec: ModelSpec, options: Options, device: str, compute: Capability, reasons: list[str], notes: list[str]
) -> str:
    bfloat16 = compute >= _needed("bfloat16")
    float16 = ARCHITECTURES[spec.architecture].float16
    wanted = options.dtype if options.dtype not in {None, "auto"} else None
    dtype = wanted or (spec.dtype if spec.dtype in {"float16", "bfloat16"} else None)
    if dtype is None:
        dtype = "bfloat16" if bfloat16 else "float16"
        notes.append(f"config.json says {spec.dtype or 'no dtype'}: {dtype} is used")
    if wanted is None and dtype == "bfloat16" and not bfloat16:
        dtype = "float16"
        notes.append(f"{device} has no bfloat16 (compute capability {_dotted(compute)}): float16 instead")
    if wanted is None and dtype == "float16" and not float16 and bfloat16:
        dtype = "bfloat16"
    if dtype == "bfloat16" and not bfloat16:
        reasons.append(f"dtype bfloat16 needs compute capability 8.0, {device} has {_dotted(compute)}: use float16")
    if dtype == "float16" and not float16:
        reasons.append(
            f"{spec.architecture} refuses float16 (numerical instability), and {device} "
            f"{'has bfloat16: use that' if bfloat16 else 'has nothing else of 16 bits'}"
        )
    if spec.quantization and spec.quantization.method == "mxfp4" and dtype != "bfloat16" and bfloat16:
        reasons.append("mxfp4 weights compute in bfloat16 only")
    return dtype


def _quantization(
    spec: ModelSpec,
    options: Options,
    version: str,
    device: str,
    compute: Capability,
    reasons: list[str],
    notes: list[str],
) -> str | None:
    own = spec.quantization.method if spec.quantization else None
    wanted = options.quantization
    if wanted is not None and own is not None and wanted != own:
        reasons.append(f"the checkpoint is quantised with {own}; --quantization {wanted} contradicts it")
    if wanted is not None and own is None and wanted != "fp8":
        reasons.append(
            f"--quantization {wanted} needs a checkpoint of that kind; an unquantised one can only be "
            "quantised at start to fp8"
        )
    method = own or wanted
    if method is None:
        return None
    floors: dict[str, str] = engines.facts()["quantization_capability"]
    if method not in floors:
        reasons.append(f"quantisation {method} is not known to vLLM {version}")
        return None
    floor = capability(floors[method])
    if method in {"fp8", "awq", "gptq"} and not engines.at_least(version, "marlin-on-turing"):
        floor = max(floor, (8, 0))
    if compute < floor:
        reasons.append(
            f"quantisation {method} needs compute capability {_dotted(floor)}, {device} has {_dotted(compute)}"
        )
    if method == "bitsandbytes" and engines.at_least(version, "bitsandbytes-dropped"):
        reasons.append(f"vLLM {version} no longer holds bitsandbytes (plugin vllm-bnb-plugin, or 0.26.0)")
    if method == "fp8" and (8, 9) > compute >= floor:
        notes.append(f"{device} has no fp8 arithmetic: weights are kept in fp8 and computed in 16 bits (Marlin)")
    return None if own is not None else wanted


def _kv_cache_dtype(options: Options, version: str, device: str, compute: Capability, reasons: list[str]) -> str:
    wanted = options.kv_cache_dtype or "auto"
    if wanted == "fp8" and compute < _needed("fp8_kv_cache"):
        reasons.append(
            f"an FP8 KV cache needs compute capability 8.0 (8.9 natively) with vLLM {version}, "
            f"{device} has {_dotted(compute)}"
        )
    return wanted


def tensor_parallel_reasons(spec: ModelSpec, size: int) -> list[str]:
    """Every divisibility rule that `size` breaks (vLLM 0.33.0, config/model.py and the layers it builds)."""
    if size == 1:
        return []
    reasons = []
    heads, kv_heads = spec.num_attention_heads, spec.num_kv_heads
    if heads % size:
        reasons.append(f"{heads} attention heads do not divide by tensor parallel size {size}")
    if spec.mla is None and (kv_heads % size if kv_heads >= size else size % kv_heads):
        reasons.append(f"{kv_heads} KV heads and tensor parallel size {size}: neither divides the other")
    if padded_vocab(spec.vocab_size) % size:
        reasons.append(f"vocabulary of {padded_vocab(spec.vocab_size)} rows does not divide by {size}")
    width = spec.moe.intermediate if spec.moe else spec.intermediate_size
    if width % size:
        name = "expert" if spec.moe else "MLP"
        reasons.append(f"{name} width {width} does not divide by tensor parallel size {size}")
    quantization = spec.quantization
    if quantization and not width % size:
        unit = quantization.block[0] if quantization.block else quantization.group_size
        if unit and unit > 1 and (width // size) % unit:
            reasons.append(
                f"{width // size} weights per rank do not divide by the {quantization.method} group of {unit}"
            )
    return reasons


def valid_tensor_parallel(spec: ModelSpec, limit: int) -> list[int]:
    """Sizes up to `limit` that no rule forbids, ascending."""
    return [size for size in range(1, limit + 1) if not tensor_parallel_reasons(spec, size)]
