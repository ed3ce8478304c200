"""A made-up device: all that the package needs of one, in one file."""

from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.hardware.compute_capability import Capability
from llm_serving_planner.hardware.profiles import GpuProfile, GpuType
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.devices.base import Device
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.rules import Choice

ANVIL = GpuType(
    id="anvil",
    vendor="acme",
    device_name="ACME Anvil",
    architecture="iron",
    compute_capability="",
    memory_usable_gib=48.0,
    memory_basis="made up",
    bandwidth_gb_s=None,
    fp16_tflops=None,
    nvlink_gb_s=None,
    resource_name="acme.example.com/anvil",
    gfd_product_labels=(),
    source="made up",
    date="2026-11-29",
)
PROFILE = GpuProfile("2xanvil", 1, 2, ANVIL, "pcie", exact_count=True)


class Acme(Device):
    """Devices that compute in bfloat16 alone."""

    vendor = "acme"
    one = "one anvil"

    def choice(
        self, spec: ModelSpec, options: Options, gpu: GpuType, engine: Engine, version: str, compute: Capability
    ) -> tuple[Choice, list[str]]:
        reasons = ["anvils take no quantised weights"] if spec.quantization else []
        return Choice("bfloat16", None, (), "auto", tuple(reasons), ()), reasons

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
        return Attention("hammer", f"{engine.label} on anvils")

    def image(self, gpu: GpuType, engine: Engine, version: str) -> dict[str, str]:
        return {**engine.image(version), "repository": f"acme/{engine.name}-anvil"}

    def node_selector(self, gpu: GpuType) -> dict[str, str]:
        return {"acme.example.com/product": "anvil"}

    def selector_reason(self, gpu: GpuType) -> str:
        return "label of ACME's own labeller"

    def notes(self, gpu: GpuType, engine: Engine, version: str) -> list[str]:
        return ["the node needs ACME's driver"]
