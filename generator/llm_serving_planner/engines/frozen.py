"""Engines with one release: their memory rules, models and flags are data.

data/engine_types.json, with sources, and the tables of their launchers' flags (data/launcher_flags.json).
"""

from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import MIB
from llm_serving_planner.engines import format_support, named
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.engines.format_support import Support
from llm_serving_planner.engines.regime import BatchTier, Regime
from llm_serving_planner.hardware.compute_capability import Capability, capability, dotted
from llm_serving_planner.models.spec import ModelSpec


@cache
def _launchers() -> dict[str, Any]:
    return tables.load_data("launcher_flags.json")


class Frozen(Engine):
    """An engine of one version; subclasses add flags, attention and what the data do not say."""

    def __init__(self, name: str) -> None:
        """Read the engine's entry."""
        self._facts = named.facts(name)
        self.name, self.label = name, named.label(name)
        self.warnings = tuple(self._facts.get("warnings", ()))
        self.assumption = self._facts.get("assumption", "")
        self.refuses = {
            "gpu_memory_utilization": f"--gpu-memory-utilization is vLLM's: {self.label} holds back a fixed share",
            "served_name": f"--served-name is vLLM's: {self.label} answers under its model's id",
        }
        entry = self._facts["regime"]
        self._regime = Regime(
            default_utilization=entry["default_utilization"],
            sampler_bytes=entry["sampler_bytes"],
            sampler_constant_bytes=entry["sampler_constant_mib"] * MIB,
            moe_workspace=entry["moe_workspace"],
            graphs_charged=entry["graphs_charged"],
            compile_buffer_bytes=entry["compile_buffer_mib"] * MIB,
            measured=False,
            source=entry["source"],
            hold_back=entry["hold_back"],
            whole_prompt=entry["whole_prompt"],
            graphs=entry["graphs"],
            batches=(BatchTier(self._facts["batch"]["tokens"], self._facts["batch"]["sequences"]),),
        )

    def check_version(self, wanted: str | None) -> str:
        """The one that there is."""
        only = str(self._facts["version"])
        if wanted not in {None, only}:
            raise InputError(
                f"{self.label} {wanted} is not known: {only} is the last and the only one",
                hint="leave --engine-version away",
            )
        return only

    def image(self, version: str) -> dict[str, str]:
        """As published last."""
        return dict(self._facts["image"])

    def regime(self, version: str, spec: ModelSpec) -> Regime:
        """One for every model."""
        return self._regime

    def image_reasons(self, version: str, spec: ModelSpec, device: str, compute: Capability) -> list[str]:
        """The GPU's capability, and the classes that can be sharded."""
        found, floor = [], self._facts["capability"]
        if compute < capability(floor["value"]):
            found.append(
                f"{self.label} needs compute capability {floor['value']}, {device} has {dotted(compute)}: "
                f"{floor['reason']}"
            )
        if spec.architecture not in self._facts["architectures"]["names"]:
            found.append(f"{self.label} has no sharded class for {spec.architecture} (engine vllm serves it)")
        return found

    def shard_reasons(self, spec: ModelSpec, size: int) -> list[str]:
        """KV heads are not replicated."""
        if size == 1 or spec.mla is not None or spec.num_kv_heads == 1 or spec.num_kv_heads % size == 0:
            return []
        return [f"{spec.num_kv_heads} KV heads do not divide by {size} shards, and {self.label} replicates none"]

    def support(self, kind: str, version: str, compute: Capability, *, bits: int | None = None) -> Support:
        """From the table of formats."""
        return format_support.frozen_support(kind, self.name, version, compute, bits=bits)

    def flag_problem(self, flag: str, version: str) -> str | None:
        """Not in the launcher's table."""
        entry = _launchers()[self.name]
        known = set(entry["flags"]) | {name.lower().replace("_", "-") for name in entry["variables"]}
        return None if flag in known else f"{self.label} {version} has no flag --{flag}"
