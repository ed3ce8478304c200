"""What a device answers: one object per vendor, asked by everybody who would otherwise ask whose GPU it is.

A new device is one module with one subclass, and one line in `registry`. Where the engine matters too, the device
decides and asks the engine for its share: it knows whether the engine's own image runs on it.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from llm_serving_planner.base.records import replace
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.base import NOTHING, Engine
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.hardware.compute_capability import Capability, capability
from llm_serving_planner.hardware.profiles import GpuProfile, GpuType
from llm_serving_planner.memory.settings import Estimate, Gpu
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.resources import Resources
from llm_serving_planner.planner.rules import Choice

_TAINT = {"operator": "Exists", "effect": "NoSchedule"}


class Device(Protocol):
    """The devices of one vendor.

    Attributes:
        vendor: as in `GpuType.vendor`.
        measured: start-ups were measured on them; others are planned when asked for, and never offered unasked.
        cuda: their compute capability is CUDA's.
        reports_total: the engine is told the device's memory, and chooses its batch by it.
        runs_stock: the engines' own images for NVIDIA GPUs run on them.
        only_machines: nothing but another machine helps where a model does not fit.
        one: what serves where one process does.
        without: flags of engines that mean nothing there.
        caveat: the one warning that makes others idle.
        reserve_reason, where, processes: words of the site's bar and table; empty for those of GPUs.
        eks_note: who brings the driver on EKS; empty where nobody does.
        node_note: what an AWS node of them needs; empty for nothing.
    """

    vendor: str
    measured: bool = False
    cuda: bool = False
    reports_total: bool = True
    runs_stock: bool = False
    only_machines: bool = False
    one: str = "one GPU"
    without: frozenset[str] = frozenset()
    caveat: str = ""
    reserve_reason: str = ""
    where: str = ""
    processes: str = ""
    eks_note: str = ""
    node_note: str = ""

    def gpu(self, profile: GpuProfile) -> Gpu:
        """What the memory model needs of the profile's GPU."""
        kind = profile.gpu
        return Gpu(
            int(kind.memory_usable_gib * GIB),
            capability(kind.compute_capability or "0"),
            nvlink=profile.link in {"nvlink", "nvswitch"},
            cuda=self.cuda,
            reports_total=self.reports_total,
            name=kind.device_name,
        )

    def version(self, gpu: GpuType, options: Options, engine: Engine) -> str:
        """The engine version to plan for.

        Raises:
            InputError: one whose flags and memory rules are not known.
        """
        return engine.check_version(options.engine_version)

    def regime(self, base: Regime, gpu: GpuType) -> Regime:
        """How the engine divides memory there; `base` is how it does on NVIDIA GPUs."""
        return base

    @property
    def pod_reasons(self) -> Mapping[str, str]:
        """Why cpu, memory_request and memory_limit of the pod are what they are; absent for the usual rules."""
        return NOTHING

    @abstractmethod
    def choice(
        self, spec: ModelSpec, options: Options, gpu: GpuType, engine: Engine, version: str, compute: Capability
    ) -> tuple[Choice, list[str]]:
        """Data types, and everything that device and engine forbid for the model (the choice's own reasons too)."""

    @abstractmethod
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
        """Kernels that the engine picks by itself."""

    def layout_reasons(self, layout: Layout, gpu: GpuType) -> list[str]:
        """Kinds of parallelism that the device's engines lack."""
        return []

    def pod(self, resources: Resources, estimate: Estimate, ranks: int) -> Resources:
        """Host side of a pod with `ranks` devices; `resources` are those of one with GPUs."""
        return resources

    def capped(self, estimate: Estimate) -> Estimate:
        """The estimate with the cache that the engine is told to take."""
        return estimate

    @abstractmethod
    def image(self, gpu: GpuType, engine: Engine, version: str) -> dict[str, str]:
        """Registry, repository and tag of the stock image."""

    def environment(self, estimate: Estimate, ranks: int) -> dict[str, str]:
        """Variables that the plan decides."""
        return {}

    def environment_reasons(self, estimate: Estimate) -> dict[str, str]:
        """Why they have their values."""
        return {}

    def values(self, profile: GpuProfile, gpus: int) -> dict[str, Any]:
        """Keys of the chart's `gpu` beside those of every GPU."""
        return {}

    def tolerations(self, gpu: GpuType) -> list[dict[str, str]]:
        """Of the taint that keeps other pods off nodes with such devices."""
        return [{"key": gpu.resource_name, **_TAINT}]

    def node_selector(self, gpu: GpuType) -> dict[str, str]:
        """Labels of nodes that have the device, where they are known."""
        return {}

    def selector_reason(self, gpu: GpuType) -> str:
        """Why those."""
        return "any node"

    def memory_assumptions(
        self, gpu: GpuType, options: Options, engine: Engine, version: str, regime: Regime
    ) -> list[str]:
        """How far the memory terms are to be trusted."""
        if gpu.memory_basis.startswith(("estimate", "as the")):
            found = replace(gpu, memory_basis="")
            return [
                f"usable memory of {gpu.device_name}: {gpu.memory_basis}",
                *self.memory_assumptions(found, options, engine, version, regime),
            ]
        if not regime.measured:
            return [f"no start-up of {engine.label} {version} was measured: terms are upper bounds"]
        if not gpu.compute_capability.startswith("9."):
            return [f"{engine.label} {version} was measured on Hopper GPUs only: a wider band elsewhere"]
        return []

    def pod_assumptions(self) -> list[str]:
        """What is taken for granted of the pod."""
        return []

    def notes(self, gpu: GpuType, engine: Engine, version: str) -> list[str]:
        """What the node must bring."""
        return []

    def other_engines(self, gpu: GpuType) -> Iterator[tuple[str, str]]:
        """(engine, what is said of it): ways out where the default engine does not serve the device."""
        return iter(())
