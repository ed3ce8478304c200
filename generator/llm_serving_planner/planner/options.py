"""What a user may pin; None leaves the choice to the planner."""

from dataclasses import dataclass, fields
from typing import Any

from llm_serving_planner.engines import registry
from llm_serving_planner.models.adapters import Adapter, Draft

STORAGE_TYPES = ("pvc", "perReplica", "emptyDir", "existingClaim", "hostPath")
CONTROLLERS = ("deployment", "statefulset", "leaderworkerset", "raycluster")
EXECUTORS = ("mp", "ray")
DTYPES = ("auto", "float16", "bfloat16", "float32")
KV_CACHE_DTYPES = ("auto", "fp8")


@dataclass(frozen=True, slots=True)
class Options:
    """Overrides of a plan: each is obeyed or refused with the reason, none is ignored.

    `about` is a remark of the catalog, carried into the plan; `adapters`, `draft` and `template_text` are what
    `use.resolving` read for `lora`, `speculative` and `chat_template`.
    Sizes are in tokens, requests, GiB and Gbit/s as their names say.
    """

    engine: str = registry.DEFAULT
    max_model_len: int | None = None
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    data_parallel_size: int | None = None
    enable_expert_parallel: bool = False
    dtype: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    gpu_memory_utilization: float | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    enforce_eager: bool = False
    language_model_only: bool = False
    engine_version: str | None = None
    image: str | None = None
    image_has_ray: bool = False
    controller: str | None = None
    executor: str | None = None
    share_nodes: bool = False
    revision: str | None = None
    name: str | None = None
    served_name: str | None = None
    replicas: int = 1
    platform: str = "kubernetes"
    storage: str | None = None
    storage_name: str | None = None
    storage_class: str | None = None
    hf_token_secret: str | None = None
    download_gbps: float | None = None
    about: str | None = None
    task: str | None = None
    alias: tuple[str, ...] = ()
    lora: tuple[str, ...] = ()
    max_lora_rank: int | None = None
    max_loras: int | None = None
    max_cpu_loras: int | None = None
    tool_calling: bool = False
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None
    chat_template: str | None = None
    speculative: str | None = None
    speculative_tokens: int | None = None
    kv_offload_gib: float | None = None
    prefix_caching: str | None = None
    structured_output: str | None = None
    limit_mm: tuple[str, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    draft: Draft | None = None
    template_text: str | None = None

    def pinned(self) -> dict[str, Any]:
        """The options that differ from their defaults, for the plan's record."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in {"about", "adapters", "draft", "template_text"}
            and getattr(self, field.name) != field.default
        }
