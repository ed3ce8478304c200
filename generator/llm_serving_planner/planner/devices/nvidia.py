"""NVIDIA GPUs: the only ones on which start-ups were measured, and for which the engines' own images are made."""

from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.hardware.compute_capability import Capability
from llm_serving_planner.hardware.profiles import GpuType
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner import rules
from llm_serving_planner.planner.devices.base import Device
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.rules import Choice


class Nvidia(Device):
    """GPUs under CUDA."""

    vendor = "nvidia"
    measured = True
    cuda = True
    runs_stock = True
    eks_note = (
        "EKS's AL2023 image for NVIDIA holds the driver; the device plugin (or GPU Operator without driver) is yours"
    )

    def choice(
        self, spec: ModelSpec, options: Options, gpu: GpuType, engine: Engine, version: str, compute: Capability
    ) -> tuple[Choice, list[str]]:
        """The rules by compute capability."""
        against = engine.image_reasons(version, spec, gpu.device_name, compute)
        against += engine.dropped_reasons(spec, version)
        chosen = rules.choose_types(spec, options, version, gpu.device_name, compute)
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
        """The engine's own order."""
        return engine.attention(version, spec, compute, kv_cache_dtype, tensor_parallel_size=tensor_parallel_size)

    def image(self, gpu: GpuType, engine: Engine, version: str) -> dict[str, str]:
        """The engine's own."""
        return engine.image(version)

    def tolerations(self, gpu: GpuType) -> list[dict[str, str]]:
        """Nodes carry the taint nvidia.com/gpu whatever their device plugin calls the slices (MIG, time-sharing).

        The resource's own name is what the admission plugin ExtendedResourceToleration and some clouds use.
        """
        names = dict.fromkeys(["nvidia.com/gpu", gpu.resource_name])
        return [{"key": name, "operator": "Exists", "effect": "NoSchedule"} for name in names]

    def node_selector(self, gpu: GpuType) -> dict[str, str]:
        """Where exactly one value of the label is known."""
        labels = gpu.gfd_product_labels
        return {"nvidia.com/gpu.product": labels[0]} if len(labels) == 1 else {}

    def selector_reason(self, gpu: GpuType) -> str:
        """By the number of known values."""
        if len(gpu.gfd_product_labels) == 1:
            return "label of NVIDIA's GPU feature discovery"
        return "several product labels exist for this GPU: none is demanded"

    def notes(self, gpu: GpuType, engine: Engine, version: str) -> list[str]:
        """The driver that the engine's image needs."""
        return engine.driver_notes(version)
