"""Accelerators beside NVIDIA's: AMD GPUs under ROCm and Intel Gaudi, all from data/accelerators.json.

Their memory was never measured here: the planner's terms for NVIDIA GPUs stand in, with a wide band, and the plan says
so. What their engines do not list as supported is refused.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import replace
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import registry, versions
from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.hardware.compute_capability import Capability
from llm_serving_planner.hardware.profiles import GpuProfile, GpuType
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.devices.base import Device
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.rules import Choice


@cache
def _data() -> dict[str, Any]:
    return tables.load_data("accelerators.json")


class Accelerator(Device):
    """Devices of one vendor in the table."""

    without = frozenset({"cuda-memory-fraction", "cuda-graphs"})  # nothing of CUDA there

    @property
    def facts(self) -> dict[str, Any]:
        """The vendor's entry."""
        found: dict[str, Any] = _data()["vendors"][self.vendor]
        return found

    def version(self, gpu: GpuType, options: Options, engine: Engine) -> str:
        """The newest that is known to run there."""
        entry = self._engine(engine)
        if entry is None or "versions" not in entry:
            newest_seen = entry["default"] if entry else None
            return engine.check_version(options.engine_version or newest_seen)
        wanted = options.engine_version or entry["default"]
        if not entry.get("own_releases"):
            return engine.check_version(wanted)
        if wanted not in entry["versions"]:
            raise InputError(
                f"{engine.label} {wanted} is not known on {gpu.device_name}: {entry['default']} is",
                hint="leave --engine-version away",
            )
        return str(wanted)

    def regime(self, base: Regime, gpu: GpuType) -> Regime:
        """As on NVIDIA GPUs, less what Gaudi keeps for its graphs."""
        return _regime(base, self.vendor)

    def choice(
        self, spec: ModelSpec, options: Options, gpu: GpuType, engine: Engine, version: str, compute: Capability
    ) -> tuple[Choice, list[str]]:
        """What the vendor's and the generation's lists allow."""
        against = self._image_reasons(gpu, options, engine, version) + engine.dropped_reasons(spec, version)
        chosen = self._types(spec, options, gpu)
        return chosen, [*against, *chosen.reasons]

    def attention(
        self,
        spec: ModelSpec,
        gpu: GpuType,
        engine: Engine,
        version: str,
        compute: Capability,
        kv_cache_dtype: str,
        tensor_parallel_size: int,
    ) -> Attention:
        """The first choice of the engine that the entry speaks of."""
        entry = self.facts
        if engine.name != registry.DEFAULT:
            return Attention("paged", f"{engine.label}'s own ({entry['label']} backend)")
        kind = "mla" if spec.mla is not None else "other"
        return Attention(entry["attention"][kind], f"first choice ({entry['attention_source']})")

    def layout_reasons(self, layout: Layout, gpu: GpuType) -> list[str]:
        """What the entry lists as unsupported."""
        unsupported = self.facts.get("unsupported", {})
        found = []
        if layout.parallel.pipeline_parallel_size * layout.nodes > 1 and "pipeline" in unsupported:
            found.append(f"{unsupported['pipeline']}: a profile of one node without pipeline stages")
        if layout.parallel.enable_expert_parallel and "expert" in unsupported:
            found.append(unsupported["expert"])
        return found

    def image(self, gpu: GpuType, engine: Engine, version: str) -> dict[str, str]:
        """The vendor's, else the engine's own."""
        entry = self._engine(engine)
        stock = entry["image"] if entry else engine.image(version)
        return {key: str(value).format(version=version) for key, value in stock.items()}

    def values(self, profile: GpuProfile, gpus: int) -> dict[str, Any]:
        """Vendor, groups and huge pages."""
        entry = self.facts
        found: dict[str, Any] = {"vendor": entry["chart_vendor"]}
        if "supplemental_groups" in entry:
            found["supplementalGroups"] = list(entry["supplemental_groups"])
        if "hugepages_mib_per_device" in entry:
            found["hugepages"] = f"{entry['hugepages_mib_per_device'] * gpus}Mi"
        return found

    def node_selector(self, gpu: GpuType) -> dict[str, str]:
        """Labels that the vendor's node labeller sets, where exactly one value is known."""
        label = self.facts["product_label"]
        return {label: gpu.gfd_product_labels[0]} if label and len(gpu.gfd_product_labels) == 1 else {}

    def selector_reason(self, gpu: GpuType) -> str:
        """Where the labels come from."""
        return str(self.facts["labels_source"])

    def memory_assumptions(
        self, gpu: GpuType, options: Options, engine: Engine, version: str, regime: Regime
    ) -> list[str]:
        """Nothing was measured; and what is taken for granted of images and nodes."""
        entry, held = self.facts, self._engine(engine)
        margin = _data()["margin"]
        share, gib = margin["share"]["value"], margin["gib"]["value"]
        found = [
            f"memory on {gpu.device_name} was never measured: terms are those of NVIDIA GPUs, with a band of "
            f"{share:.0%}, at least {gib:g} GiB"
        ]
        if "CUDA total" not in gpu.memory_basis and "seen" not in gpu.memory_basis:
            found.append(f"usable memory of {gpu.device_name}: {gpu.memory_basis}")
        seen = held is not None and "oldest" in held and versions.not_after(version, held["default"])
        if held is not None and options.image is None and not seen:
            name = "{registry}/{repository}".format(**held["image"])
            found.append(held["assumption"].format(version=version, image=name))
        found += [entry[key] for key in ("groups_assumption", "hugepages_assumption") if key in entry]
        return found

    def notes(self, gpu: GpuType, engine: Engine, version: str) -> list[str]:
        """Those of the entry."""
        return list(self.facts["notes"])

    def other_engines(self, gpu: GpuType) -> Iterator[tuple[str, str]]:
        """Those of a generation that the default engine does not serve."""
        generation = _generation(gpu)
        if registry.DEFAULT not in generation["engines"]:
            yield from ((name, generation["label"]) for name in generation["engines"])

    def _engine(self, engine: Engine) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.facts["engines"].get(engine.name)
        return found

    def _image_reasons(self, gpu: GpuType, options: Options, engine: Engine, planned: str) -> list[str]:
        """Whether an image of that engine and version serves the device."""
        entry, generation, label = self._engine(engine), _generation(gpu), self.facts["label"]
        if engine.name not in generation["engines"]:
            usable = " or ".join(generation["engines"])
            why = generation.get("engine_reason") if engine.name == registry.DEFAULT else None
            return [why or f"{engine.label} is not planned on {gpu.device_name}: --engine {usable}"]
        if entry is None or options.image is not None:
            return []
        if "oldest" in entry and not versions.not_after(entry["oldest"], planned):
            return [
                f"{label} images of {engine.label} begin with {entry['oldest']}, this is {planned}: a newer "
                "--engine-version, or an --image of yours"
            ]
        if "versions" in entry and planned not in entry["versions"]:
            return [
                f"no stock image of {engine.label} {planned} for {label} is known ({entry['default']} is): leave "
                "--engine-version away, or an --image of yours"
            ]
        return []

    def _types(self, spec: ModelSpec, options: Options, gpu: GpuType) -> Choice:
        """Data types of weights, activations and cache on the device."""
        entry, generation = self.facts, _generation(gpu)
        notes, reasons = [], []
        allowed = entry["dtypes"]
        wanted = options.dtype if options.dtype not in {None, "auto"} else None
        dtype = str(wanted or (spec.dtype if spec.dtype in allowed else "bfloat16"))
        if dtype not in allowed:
            reasons.append(f"{gpu.device_name} computes in {', '.join(allowed)} only, not {dtype}")
        if wanted is None and spec.dtype != dtype:
            notes.append(f"the checkpoint is {spec.dtype}: {dtype} is used")
        reasons += self._quantization_reasons(spec, options, gpu)
        if options.kv_cache_dtype == "fp8":
            reasons += _cache_reasons(gpu, entry, generation)
        own = spec.quantization.method if spec.quantization else None
        quantization = None if own else options.quantization
        return Choice(dtype, quantization, (), options.kv_cache_dtype or "auto", tuple(reasons), tuple(notes))

    def _quantization_reasons(self, spec: ModelSpec, options: Options, gpu: GpuType) -> list[str]:
        own, generation = spec.quantization, _generation(gpu)
        if own is not None and options.quantization not in {None, own.method}:
            return [
                f"the checkpoint is quantised with {own.method}; --quantization {options.quantization} contradicts it"
            ]
        if own is None and options.quantization is None:
            return []
        unsupported = self.facts.get("unsupported", {})
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
        return [f"{label} weights are not listed for {gpu.device_name} ({self.facts['quantization_source']})"]


class Amd(Accelerator):
    """GPUs under ROCm."""

    vendor = "amd"


class Gaudi(Accelerator):
    """Intel's Gaudi."""

    vendor = "intel"
    reports_total = False  # vllm_gaudi/platform.py reports a total of 0
    node_note = "Gaudi: Intel's operator offers habana.ai/gaudi and sets huge pages aside; see docs/accelerators.md"


def _generation(gpu: GpuType) -> dict[str, Any]:
    found: dict[str, Any] = _data()["generations"][gpu.generation]
    return found


def _cache_reasons(gpu: GpuType, entry: dict[str, Any], generation: dict[str, Any]) -> list[str]:
    if "fp8_cache" in entry.get("unsupported", {}):
        return [entry["unsupported"]["fp8_cache"]]
    return [] if generation["fp8"] else [f"FP8 cache: {gpu.device_name} {generation['fp8_reason']}"]


@cache
def _regime(base: Regime, vendor: str) -> Regime:
    entry, margin = _data()["vendors"][vendor], _data()["margin"]
    band = (margin["share"]["value"], int(margin["gib"]["value"] * GIB))
    changed = replace(base, measured=False, margin=band)
    if "hold_back" in entry:
        share = entry["utilization"]["value"]
        held = max(base.hold_back, entry["hold_back"]["value"])
        changed = replace(changed, hold_back=held, default_utilization=min(share, base.default_utilization))
    return changed
