"""Accelerators beside NVIDIA's: AMD GPUs under ROCm and Intel Gaudi, all from data/accelerators.json.

Their memory was never measured here: the planner's terms for NVIDIA GPUs stand in, with a wide band, and the plan says
so. What their engines do not list as supported is refused.
"""

from dataclasses import replace
from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import frozen, versions, vllm
from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.hardware.profiles import GpuProfile, GpuType
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.rules import Choice


@cache
def _data() -> dict[str, Any]:
    return tables.load_data("accelerators.json")


def is_other(profile: GpuProfile) -> bool:
    """Whether the profile's GPUs are neither NVIDIA's nor CPUs."""
    return profile.gpu.vendor in _data()["vendors"]


def vendor(gpu: GpuType) -> dict[str, Any]:
    """The vendor's entry."""
    found: dict[str, Any] = _data()["vendors"][gpu.vendor]
    return found


def _generation(gpu: GpuType) -> dict[str, Any]:
    found: dict[str, Any] = _data()["generations"][gpu.generation]
    return found


def _engine(gpu: GpuType, options: Options) -> dict[str, Any] | None:
    found: dict[str, Any] | None = vendor(gpu)["engines"].get(options.engine)
    return found


def version(gpu: GpuType, options: Options) -> str:
    """The engine version to plan for.

    Raises:
        InputError: a version whose flags are not known.
    """
    entry = _engine(gpu, options)
    if entry is None or "versions" not in entry:
        newest_seen = entry["default"] if entry else None
        return frozen.check_version(options.engine, options.engine_version or newest_seen)
    wanted = options.engine_version or entry["default"]
    if options.engine == "vllm":
        return vllm.check_version(wanted)
    if wanted not in entry["versions"]:
        raise InputError(
            f"{frozen.label(options.engine)} {wanted} is not known on {gpu.device_name}: {entry['default']} is",
            hint="leave --engine-version away",
        )
    return str(wanted)


def engine_reasons(gpu: GpuType, options: Options, planned: str) -> list[str]:
    """Whether an image of that engine and version serves the device."""
    entry, generation = _engine(gpu, options), _generation(gpu)
    name = frozen.label(options.engine)
    if options.engine not in generation["engines"]:
        usable = " or ".join(generation["engines"])
        why = generation.get("engine_reason") if options.engine == "vllm" else None
        return [why or f"{name} is not planned on {gpu.device_name}: --engine {usable}"]
    if entry is None or options.image is not None:
        return []
    if "oldest" in entry and not versions.not_after(entry["oldest"], planned):
        return [
            f"{vendor(gpu)['label']} images of {name} begin with {entry['oldest']}, this is {planned}: a newer "
            "--engine-version, or an --image of yours"
        ]
    if "versions" in entry and planned not in entry["versions"]:
        return [
            f"no stock image of {name} {planned} for {vendor(gpu)['label']} is known ({entry['default']} is): leave "
            "--engine-version away, or an --image of yours"
        ]
    return []


def choose_types(spec: ModelSpec, options: Options, gpu: GpuType) -> Choice:
    """Data types of weights, activations and cache on the device."""
    entry, generation = vendor(gpu), _generation(gpu)
    notes, reasons = [], []
    allowed = entry["dtypes"]
    wanted = options.dtype if options.dtype not in {None, "auto"} else None
    dtype = str(wanted or (spec.dtype if spec.dtype in allowed else "bfloat16"))
    if dtype not in allowed:
        reasons.append(f"{gpu.device_name} computes in {', '.join(allowed)} only, not {dtype}")
    if wanted is None and spec.dtype != dtype:
        notes.append(f"the checkpoint is {spec.dtype}: {dtype} is used")
    reasons += _quantization_reasons(spec, options, gpu, generation)
    if options.kv_cache_dtype == "fp8":
        reasons += _cache_reasons(gpu, entry, generation)
    own = spec.quantization.method if spec.quantization else None
    return Choice(
        dtype, None if own else options.quantization, (), options.kv_cache_dtype or "auto", tuple(reasons), tuple(notes)
    )


def _cache_reasons(gpu: GpuType, entry: dict[str, Any], generation: dict[str, Any]) -> list[str]:
    if "fp8_cache" in entry.get("unsupported", {}):
        return [entry["unsupported"]["fp8_cache"]]
    return [] if generation["fp8"] else [f"FP8 cache: {gpu.device_name} {generation['fp8_reason']}"]


def _quantization_reasons(spec: ModelSpec, options: Options, gpu: GpuType, generation: dict[str, Any]) -> list[str]:
    own = spec.quantization
    if own is not None and options.quantization not in {None, own.method}:
        return [f"the checkpoint is quantised with {own.method}; --quantization {options.quantization} contradicts it"]
    if own is None and options.quantization is None:
        return []
    unsupported = vendor(gpu).get("unsupported", {})
    if own is None and "fp8_runtime" in unsupported:
        return [unsupported["fp8_runtime"]]
    if own is None and options.quantization != "fp8":
        return [f"--quantization {options.quantization} needs a checkpoint of that kind"]
    kind = formats.kind_of(own) if own is not None else "fp8"
    if kind in generation["quantization"]:
        return []
    label = formats.label(kind)
    if "fp8" in kind and not generation["fp8"]:
        return [f"{label} weights: {gpu.device_name} {generation['fp8_reason']}"]
    return [f"{label} weights are not listed for {gpu.device_name} ({vendor(gpu)['quantization_source']})"]


def layout_reasons(layout: Layout, gpu: GpuType) -> list[str]:
    """Kinds of parallelism that the device's engine lacks."""
    unsupported = vendor(gpu).get("unsupported", {})
    found = []
    if layout.parallel.pipeline_parallel_size * layout.nodes > 1 and "pipeline" in unsupported:
        found.append(f"{unsupported['pipeline']}: a profile of one node without pipeline stages")
    if layout.parallel.enable_expert_parallel and "expert" in unsupported:
        found.append(unsupported["expert"])
    return found


def attention(spec: ModelSpec, gpu: GpuType, options: Options) -> Attention:
    """Kernels that the engine picks by itself."""
    entry = vendor(gpu)
    if options.engine != "vllm":
        return Attention("paged", f"{frozen.label(options.engine)}'s own ({entry['label']} backend)")
    kind = "mla" if spec.mla is not None else "other"
    return Attention(entry["attention"][kind], f"first choice ({entry['attention_source']})")


def regime(base: Regime, gpu: GpuType) -> Regime:
    """How the engine divides memory: as on NVIDIA GPUs, less what Gaudi keeps for its graphs."""
    entry = vendor(gpu)
    margin = _data()["margin"]
    band = (margin["share"]["value"], int(margin["gib"]["value"] * GIB))
    changed = replace(base, measured=False, margin=band)
    if "hold_back" in entry:
        share = entry["utilization"]["value"]
        held = max(base.hold_back, entry["hold_back"]["value"])
        changed = replace(changed, hold_back=held, default_utilization=min(share, base.default_utilization))
    return changed


def image(gpu: GpuType, options: Options, planned: str) -> dict[str, str]:
    """Registry, repository and tag of the stock image."""
    entry = _engine(gpu, options)
    stock = entry["image"] if entry else frozen.image(options.engine, planned)
    return {key: str(value).format(version=planned) for key, value in stock.items()}


def node_selector(gpu: GpuType) -> dict[str, str]:
    """Labels that the vendor's node labeller sets, where exactly one value is known."""
    label = vendor(gpu)["product_label"]
    return {label: gpu.gfd_product_labels[0]} if label and len(gpu.gfd_product_labels) == 1 else {}


def gpu_values(profile: GpuProfile, gpus: int) -> dict[str, Any]:
    """Keys of the chart's `gpu` beside those of every GPU."""
    entry = vendor(profile.gpu)
    found: dict[str, Any] = {"vendor": entry["chart_vendor"]}
    if "supplemental_groups" in entry:
        found["supplementalGroups"] = list(entry["supplemental_groups"])
    if "hugepages_mib_per_device" in entry:
        found["hugepages"] = f"{entry['hugepages_mib_per_device'] * gpus}Mi"
    return found


def assumptions(gpu: GpuType, options: Options, planned: str) -> list[str]:
    """What is taken for granted on such devices."""
    entry, engine = vendor(gpu), _engine(gpu, options)
    margin = _data()["margin"]
    share, gib = margin["share"]["value"], margin["gib"]["value"]
    found = [
        f"memory on {gpu.device_name} was never measured: terms are those of NVIDIA GPUs, with a band of {share:.0%}, "
        f"at least {gib:g} GiB"
    ]
    if "CUDA total" not in gpu.memory_basis and "seen" not in gpu.memory_basis:
        found.append(f"usable memory of {gpu.device_name}: {gpu.memory_basis}")
    seen = engine is not None and "oldest" in engine and versions.not_after(planned, engine["default"])
    if engine is not None and options.image is None and not seen:
        name = "{registry}/{repository}".format(**engine["image"])
        found.append(engine["assumption"].format(version=planned, image=name))
    found += [entry[key] for key in ("groups_assumption", "hugepages_assumption") if key in entry]
    return found


def notes(gpu: GpuType) -> list[str]:
    """What may surprise."""
    return list(vendor(gpu)["notes"])
