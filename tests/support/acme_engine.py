"""A made-up engine: all that the package needs of one, in one file."""

from collections.abc import Mapping
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.base import Engine, Start
from llm_serving_planner.engines.regime import BatchTier, Regime
from llm_serving_planner.hardware.compute_capability import Capability
from llm_serving_planner.models.spec import ModelSpec


class Rocket(Engine):
    """Serves text, shards inside a node, holds a tenth of what is free back."""

    name = "rocket"
    label = "Rocket"
    warnings = ("Rocket is made up",)
    assumption = "Rocket's image exists"
    lacks: Mapping[str, str] = {"lora": "Rocket flies without adapters", "speculative": ""}
    refuses: Mapping[str, str] = {"served_name": "--served-name: Rocket has one name"}
    flag_names: Mapping[str, str] = {"context": "max-model-len", "lanes": "max-num-seqs"}
    flag_reasons: Mapping[str, str] = {"fuel": "share of the memory that may be burnt"}
    version_lines = (r"Rocket (\d+\.\d+) lifts off",)
    log_marks = "rocket::"

    def check_version(self, wanted: str | None) -> str:
        if wanted not in {None, "7.1"}:
            raise InputError(f"Rocket {wanted} is not known: 7.1 is")
        return "7.1"

    def image(self, version: str) -> dict[str, str]:
        return {"registry": "registry.example.com", "repository": "acme/rocket", "tag": version}

    def regime(self, version: str, spec: ModelSpec) -> Regime:
        return Regime(
            default_utilization=0.9,
            sampler_bytes=14,
            sampler_constant_bytes=0,
            moe_workspace=True,
            graphs_charged=False,
            compile_buffer_bytes=0,
            measured=False,
            source="made up",
            hold_back=0.1,
            batches=(BatchTier(4096, 64, least_bytes=70 * GIB), BatchTier(1024, 16)),
        )

    def args(self, start: Start) -> dict[str, Any]:
        return {"context": start.max_model_len, "lanes": start.max_num_seqs, "fuel": start.utilization}

    def attention(
        self, version: str, spec: ModelSpec, compute: Capability, kv_cache_dtype: str, *, tensor_parallel_size: int = 1
    ) -> Attention:
        return Attention("thrust", "its only one")

    def flag_problem(self, flag: str, version: str) -> str | None:
        return None if flag in {"context", "lanes", "fuel"} else f"Rocket has no flag --{flag}"
