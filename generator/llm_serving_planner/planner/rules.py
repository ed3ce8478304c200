"""What hardware and engine forbid, whatever the memory: every reason is collected, none is guessed away."""

from llm_serving_planner.base.records import record
from llm_serving_planner.engines import figures, format_support
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.compute_capability import Capability, capability, dotted
from llm_serving_planner.memory.tensors import padded_vocab
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.options import Options

__all__ = [
    "Capability", "Choice", "capability", "choose_types", "parallel_reasons", "tensor_parallel_reasons",
    "valid_tensor_parallel",
]  # fmt: skip


@record
class Choice:
    """Outcome of the rules for data types: what is written to the engine, and what stands against it.

    `flags` are engine flags without which the engine refuses the checkpoint; `declared` is the type of the cache that
    the checkpoint declares and the engine takes for `auto`.
    """

    dtype: str
    quantization: str | None
    flags: tuple[str, ...]
    kv_cache_dtype: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    declared: str = ""

    @property
    def cache(self) -> str:
        """Type in which the engine keeps the cache; `auto` for the model's own."""
        return self.declared if self.declared and self.kv_cache_dtype == "auto" else self.kv_cache_dtype


def choose_types(spec: ModelSpec, options: Options, version: str, device: str, compute: Capability) -> Choice:
    """Data types of weights, activations and cache."""
    reasons: list[str] = []
    notes: list[str] = []
    dtype = _dtype(spec, options, device, compute, reasons, notes)
    quantization, flags = _quantization(spec, options, version, device, compute, reasons, notes)
    kv_cache_dtype = options.kv_cache_dtype or "auto"
    engine = engine_of(options.engine)
    declared = _declared(spec, engine, version) if kv_cache_dtype == "auto" else ""
    if (declared or kv_cache_dtype).startswith("fp8"):
        against = engine.cache_reasons(version, spec, device, compute)
        reasons += (
            [f"the checkpoint declares an FP8 KV cache; {why}: --kv-cache-dtype {dtype}" for why in against]
            if (declared)
            else against
        )
    elif kv_cache_dtype not in _PLAIN_CACHES:
        reasons += engine.cache_type_reasons(kv_cache_dtype, version, spec, device, compute)
    if declared:
        notes.append(f"the checkpoint declares an FP8 KV cache: {engine.label} {version} takes it for auto")
    return Choice(dtype, quantization, flags, kv_cache_dtype, tuple(reasons), tuple(notes), declared)


_PLAIN_CACHES = frozenset({"auto", "float16", "bfloat16"})


def _declared(spec: ModelSpec, engine: Engine, version: str) -> str:
    """The type of the cache that a checkpoint declares, where the engine honours it."""
    kept = spec.quantization is not None and spec.quantization.kv_fp8
    return "fp8" if kept and engine.takes_declared_cache(version) else ""


def _dtype(
    spec: ModelSpec, options: Options, device: str, compute: Capability, reasons: list[str], notes: list[str]
) -> str:
    bfloat16 = compute >= figures.lowest_capability("bfloat16")
    float16 = ARCHITECTURES[spec.architecture].float16
    wanted = options.dtype if options.dtype not in {None, "auto"} else None
    dtype = wanted or (spec.dtype if spec.dtype in {"float16", "bfloat16"} else None)
    if dtype is None:
        # vectors keep more digits in float16, which vLLM takes for pooling models too (config/model.py, 2026-11-25)
        half = float16 and ARCHITECTURES[spec.architecture].pooling
        dtype = "bfloat16" if bfloat16 and not half else "float16"
        notes.append(f"config.json says {spec.dtype or 'no dtype'}: {dtype} is used")
    if wanted is None and dtype == "bfloat16" and not bfloat16:
        dtype = "float16"
        notes.append(f"{device} has no bfloat16 (compute capability {dotted(compute)}): float16 instead")
    if wanted is None and dtype == "float16" and not float16 and bfloat16:
        dtype = "bfloat16"
    if dtype == "bfloat16" and not bfloat16:
        reasons.append(f"dtype bfloat16 needs compute capability 8.0, {device} has {dotted(compute)}: use float16")
    if dtype == "float16" and not float16:
        reasons.append(
            f"{spec.architecture} refuses float16 (numerical instability), and {device} "
            f"{'has bfloat16: use that' if bfloat16 else 'has nothing else of 16 bits'}"
        )
    return _quantised_dtype(spec, dtype, wanted, reasons, notes) if bfloat16 else dtype


def _quantised_dtype(spec: ModelSpec, dtype: str, wanted: str | None, reasons: list[str], notes: list[str]) -> str:
    """The data type that the checkpoint's kernels take, on a GPU that has both."""
    if spec.quantization is None:
        return dtype
    kind = formats.kind_of(spec.quantization)
    allowed = formats.kinds().get(kind, {}).get("dtypes", [dtype])
    if dtype in allowed:
        return dtype
    if wanted is not None:
        reasons.append(f"{formats.label(kind)} weights compute in {allowed[0]} only")
        return dtype
    notes.append(f"{formats.label(kind)} weights compute in {allowed[0]} only: {allowed[0]} is used")
    return str(allowed[0])


def _quantization(
    spec: ModelSpec,
    options: Options,
    version: str,
    device: str,
    compute: Capability,
    reasons: list[str],
    notes: list[str],
) -> tuple[str | None, tuple[str, ...]]:
    """(value of --quantization, other flags that the checkpoint needs)."""
    own = spec.quantization.method if spec.quantization else None
    wanted = options.quantization
    if wanted is not None and own is not None and wanted != own:
        reasons.append(f"the checkpoint is quantised with {own}; --quantization {wanted} contradicts it")
    if wanted is not None and own is None and wanted != "fp8":
        reasons.append(
            f"--quantization {wanted} needs a checkpoint of that kind; an unquantised one can only be "
            "quantised at start to fp8"
        )
        return None, ()
    if spec.quantization is not None:
        kind, bits = formats.kind_of(spec.quantization), spec.quantization.bits
    elif wanted is not None:
        kind, bits = wanted, None
    else:
        return None, ()
    found = engine_of(options.engine).support(kind, version, compute, bits=bits)
    if not found.ok:
        reasons.append(format_support.refusal(found, device, compute))
    if found.note:
        notes.append(f"{device} {found.note}")
    if found.quantize:
        return found.quantize[0], ()  # such launchers take the method as a flag of their own
    return (None if own is not None else wanted), found.flags


def tensor_parallel_reasons(spec: ModelSpec, size: int) -> list[str]:
    """Every divisibility rule that `size` breaks (vLLM 0.33.0, config/model.py and the layers it builds)."""
    return parallel_reasons(spec, size, 1, expert=False)


def parallel_reasons(spec: ModelSpec, size: int, data: int, *, expert: bool) -> list[str]:
    """The same for `data` engines of `size` tensor parallel ranks, with slices of experts or whole ones per rank."""
    if size == 1:
        return _expert_reasons(spec, size * data, expert=expert)
    reasons = []
    heads, kv_heads = spec.num_attention_heads, spec.num_kv_heads
    if heads % size:
        reasons.append(f"{heads} attention heads do not divide by tensor parallel size {size}")
    if spec.mla is None and (kv_heads % size if kv_heads >= size else size % kv_heads):
        reasons.append(f"{kv_heads} KV heads and tensor parallel size {size}: neither divides the other")
    if padded_vocab(spec.vocab_size) % size:
        reasons.append(f"vocabulary of {padded_vocab(spec.vocab_size)} rows does not divide by {size}")
    quantization = spec.quantization
    if spec.moe is None:
        reasons += _width_reasons(spec, spec.intermediate_size, size, "MLP")
    reasons += _expert_reasons(spec, size * data, expert=expert)
    if quantization and not format_support.divisible(formats.kind_of(quantization)):
        reasons.append(f"a {quantization.method} checkpoint is not divided over GPUs: tensor parallel size 1 only")
    return reasons


def _expert_reasons(spec: ModelSpec, ranks: int, *, expert: bool) -> list[str]:
    """Experts over all ranks: whole ones need one each, slices must divide (fused_moe/config.py of vLLM 0.33.0)."""
    if spec.moe is None or ranks == 1:
        return []
    if not expert:
        return _width_reasons(spec, spec.moe.intermediate, ranks, "expert")
    if spec.moe.experts < ranks:
        return [f"{spec.moe.experts} experts are fewer than the {ranks} ranks that expert parallel divides them over"]
    return []


def _width_reasons(spec: ModelSpec, width: int, size: int, name: str) -> list[str]:
    if width % size:
        return [f"{name} width {width} does not divide by tensor parallel size {size}"]
    quantization = spec.quantization
    unit = (quantization.block[0] if quantization.block else quantization.group_size) if quantization else None
    if quantization and unit and unit > 1 and (width // size) % unit:
        return [f"{width // size} weights per rank do not divide by the {quantization.method} group of {unit}"]
    return []


def valid_tensor_parallel(spec: ModelSpec, limit: int) -> list[int]:
    """Sizes up to `limit` that no rule forbids, ascending."""
    return [size for size in range(1, limit + 1) if not tensor_parallel_reasons(spec, size)]
