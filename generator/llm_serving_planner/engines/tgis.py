"""TGIS, IBM's fork of text-generation-inference, in its last commit."""

from collections.abc import Mapping
from typing import Any

from llm_serving_planner.base.words import part
from llm_serving_planner.engines.attention import Attention, facts
from llm_serving_planner.engines.base import Start
from llm_serving_planner.engines.frozen import Frozen
from llm_serving_planner.hardware.compute_capability import Capability, capability
from llm_serving_planner.models.spec import ModelSpec

ANSWER_PARTS = 2  # answers have one of that many parts of a request; assumption


class Tgis(Frozen):
    """opendatahub-io/text-generation-inference."""

    captures_graphs = False
    fetches_model = False
    log_marks = r"Using batch weight limit|Baseline: \d+, Free memory: \d+|DEPLOYMENT_FRAMEWORK"
    flag_names: Mapping[str, str] = {
        "dtype-str": "dtype",
        "max-sequence-length": "max-model-len",
        "max-batch-size": "max-num-seqs",
        "cuda-process-memory-fraction": "gpu-memory-utilization",
        "quantize": "quantization",
    }

    def __init__(self) -> None:
        """Read its entry."""
        super().__init__("tgis")
        self.refuses = {
            **self.refuses,
            "max_num_batched_tokens": "--max-num-batched-tokens: TGIS prefills a prompt whole",
            "enforce_eager": "--enforce-eager: TGIS captures no CUDA graphs anyway",
        }

    @property
    def flag_reasons(self) -> Mapping[str, str]:
        """Of the launcher's flags."""
        return {
            "max-new-tokens": f"{part(ANSWER_PARTS)} of a request's tokens may be answer",
            "batch-safety-margin": "percent of the free memory that stays free, the engine's default",
            "deployment-framework": "the one that shards",
            "flash-attention": "sharded classes of these models need it",
        }

    def args(self, start: Start) -> dict[str, Any]:
        """Flags of the launcher."""
        args: dict[str, Any] = {
            "max-sequence-length": start.max_model_len,
            "max-new-tokens": max(1, start.max_model_len // ANSWER_PARTS),
            "max-batch-size": start.max_num_seqs,
            "batch-safety-margin": 20,
            "cuda-process-memory-fraction": start.utilization,
            "deployment-framework": "tgis_native",
            "dtype-str": start.dtype,
            "flash-attention": True,
        }
        if start.quantization:
            args["quantize"] = start.quantization
        return args

    def attention(
        self, version: str, spec: ModelSpec, compute: Capability, kv_cache_dtype: str, *, tensor_parallel_size: int = 1
    ) -> Attention:
        """Flash attention for the classes that can be sharded."""
        held = facts()[self.name]
        if kv_cache_dtype.startswith("fp8"):
            return Attention("", "TGIS has no FP8 cache")
        if compute < capability(held["flash_minimum"]):
            return Attention("transformers", f"flash attention needs compute capability {held['flash_minimum']}")
        if spec.architecture not in held["flash_architectures"]:
            return Attention("transformers", f"TGIS has no flash attention for {spec.architecture}")
        return Attention("flash", "FLASH_ATTENTION=true, with DEPLOYMENT_FRAMEWORK tgis_native")
