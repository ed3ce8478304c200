"""The planner: ModelSpec x GpuProfile x Options -> Plan, or DoesNotFitError with every reason.

Pure: no I/O beyond the package's own data. The choice of settings goes from what a user would like most (the model's
whole context, the engine's usual batch) down to what the memory allows.
"""

import re
from collections.abc import Mapping
from typing import Any

from llm_serving_planner.base.records import asdict, fields, record
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.memory import kv_cache, pipeline
from llm_serving_planner.memory.settings import Estimate, Settings
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.deployment import Deployment
from llm_serving_planner.planner.devices.base import Device
from llm_serving_planner.planner.devices.registry import device_of
from llm_serving_planner.planner.features import usage
from llm_serving_planner.planner.features.usage import NO_USE, Use
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.resources import Resources
from llm_serving_planner.planner.search import Verdict

_LONGEST_NAME = 40  # of a release, so that the profile and suffixes still fit 63 characters


@record
class Plan:
    """A complete answer; everything that a user could ask "why?" about.

    Attributes:
        context_limit: what bounds max_model_len: "model", "memory" or "user".
        quantization: flag for the engine; None when the checkpoint says it itself.
        flags: other flags without which the engine refuses the checkpoint.
        assumptions: facts that a default stands in for.
        warnings: what may surprise, though it starts.
        attention: kernels that the engine picks by itself, and why.
        rejected: alternatives that were not taken, with the reason.
        replicas: engines behind one Service, each with the layout and settings; several on one profile where each fits
            a share of it.
        workload, promise: what it was chosen for and what it gives, as plain data; None without a workload.
        asked: options of the command line that gave the workload.
    """

    spec: ModelSpec
    profile: GpuProfile
    options: Options
    engine_version: str
    dtype: str
    quantization: str | None
    flags: tuple[str, ...]
    kv_cache_dtype: str
    layout: Layout
    deployment: Deployment
    settings: Settings
    estimate: Estimate
    resources: Resources
    verdict: Verdict
    context_limit: str
    attention: str
    attention_reason: str
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: tuple[str, ...]
    use: Use = NO_USE
    replicas: int = 1
    workload: Mapping[str, Any] | None = None
    promise: Mapping[str, Any] | None = None
    asked: tuple[str, ...] = ()

    @property
    def engine(self) -> Engine:
        """What serves."""
        return engine_of(self.options.engine)

    @property
    def device(self) -> Device:
        """What it serves on."""
        return device_of(self.profile.gpu)

    @property
    def served_name(self) -> str:
        """Name under which the API offers the model."""
        return self.options.served_name or self.spec.short_name.lower()

    @property
    def release_name(self) -> str:
        """Name for the release: as asked for, else the model's short name as a DNS label."""
        wanted = self.options.name or self.spec.short_name
        return re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:_LONGEST_NAME].strip("-")

    @property
    def file_stem(self) -> str:
        """`<name>-<profile>`, the name of the values file without its ending."""
        return f"{self.release_name}-{re.sub(r'[^a-z0-9.]+', '-', self.profile.name.lower()).strip('-')}"

    @property
    def cache_tokens(self) -> int:
        """Tokens that the cache holds, as requests of max_model_len tokens."""
        return int(self.estimate.concurrency * self.settings.max_model_len)

    def requests_of(self, tokens: int) -> float:
        """How many requests of `tokens` tokens fit into the cache at once; max-num-seqs where nothing is cached."""
        stage = pipeline.stage_spec(self.spec, self.layout.parallel.pipeline_parallel_size)
        one = kv_cache.kv_request_bytes(stage, self.settings, tokens)
        return max(self.estimate.kv_cache, 0) / one if one else float(self.settings.max_num_seqs)

    @property
    def engine_name(self) -> str:
        """Engine and version as people write them."""
        return f"{self.engine.label} {self.engine_version}"

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON form; bytes as integers."""
        data: dict[str, Any] = {
            "model": self.spec.to_dict(),
            "profile": self.profile.name,
            "gpu": self.profile.gpu.id,
            "engine": {"type": self.options.engine, "version": self.engine_version},
            "verdict": self.verdict,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "kv_cache_dtype": self.kv_cache_dtype,
            "attention": self.attention,
            "attention_reason": self.attention_reason,
            "context_limit": self.context_limit,
            "layout": {
                "tensor": self.layout.parallel.tensor_parallel_size,
                "pipeline": self.layout.parallel.pipeline_parallel_size,
                "data": self.layout.parallel.data_parallel_size,
                "expert": self.layout.parallel.enable_expert_parallel,
                "nodes": self.layout.nodes,
                "gpus_per_node": self.layout.gpus_per_node,
                "replicas": self.replicas,
                "controller": self.deployment.controller,
                "executor": self.deployment.executor,
            },
            "settings": _settings(self.settings),
            "use": usage.to_dict(self.use),
            "estimate": asdict(self.estimate),
            "cache_tokens": self.cache_tokens,
            "concurrency": round(self.estimate.concurrency, 2),
            "resources": asdict(self.resources),
            "pinned": self.options.pinned(),
        }
        for name, given in (("workload", self.workload), ("promise", self.promise)):
            if given is not None:
                data[name] = dict(given)
        for key in ("assumptions", "warnings", "rejected"):
            data[key] = list(getattr(self, key))
        return data


def _settings(settings: Settings) -> dict[str, Any]:
    """Settings in the stable JSON form, whose keys are older than the names of vLLM's flags here."""
    parallel = settings.parallel
    left_out = {"parallel", "lora", "draft"}  # `use` holds adapters and drafts
    return {
        "tensor_parallel": parallel.tensor_parallel_size,
        "pipeline_parallel": parallel.pipeline_parallel_size,
        "data_parallel": parallel.data_parallel_size,
        "expert_parallel": parallel.enable_expert_parallel,
        **{field.name: getattr(settings, field.name) for field in fields(Settings) if field.name not in left_out},
    }
