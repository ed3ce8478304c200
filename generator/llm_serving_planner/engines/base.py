"""What an engine answers: one object per engine, asked by everybody who would otherwise ask which engine it is.

A new engine is one module with one subclass, and one line in `registry`. Questions that depend on the device too are
the device's (planner/devices), which asks the engine for its share.
"""

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from llm_serving_planner.base.records import field, record
from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.format_support import Support
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.hardware.compute_capability import Capability
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec

NOTHING: Mapping[str, Any] = MappingProxyType({})


@record
class Start:
    """What a plan starts an engine with.

    Attributes:
        spec: the model.
        version: of the engine.
        dtype, kv_cache_dtype: data types as vLLM spells them.
        quantization: value of the engine's own switch; None when the checkpoint says it itself.
        max_model_len: tokens of a request.
        max_num_seqs: requests at once.
        max_num_batched_tokens: tokens of a step.
        utilization: share of the GPU's memory that the engine may use.
        enforce_eager: no CUDA graphs.
        nodes: pods of one engine.
        startup_budget: seconds.
        flags: further switches without which the engine refuses the checkpoint.
        features: flags of what is served beside plain generation, with their values.
        own_context: the engine reads the longest context from the checkpoint and is told none.
    """

    spec: ModelSpec
    version: str
    dtype: str
    kv_cache_dtype: str
    quantization: str | None
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    utilization: float
    enforce_eager: bool
    nodes: int
    startup_budget: int
    flags: tuple[str, ...] = ()
    features: Mapping[str, Any] = field(default_factory=dict)
    own_context: bool = False


class Engine(Protocol):
    """One serving engine.

    Attributes:
        name: value of --engine and of the chart's engine.type.
        label: the name as people write it.
        pipeline: it has stages, and runs over several nodes.
        data_parallel: several engines of it share one API.
        expert_parallel: it divides whole experts over ranks.
        generates_only: it gives text, neither vectors nor scores, and has none of the features of use.
        whole_checkpoint: why encoders of a checkpoint cannot be left out; empty where they can.
        captures_graphs: it captures CUDA graphs unless it is told not to.
        names_model: the API offers the model under a name that the values choose.
        root_only: its stock image starts as root only.
        fetches_model: it downloads the model by itself; else a container before it does.
        assumption: of the stock image, told in the plan; empty for none.
        warnings: what may surprise, in every plan.
        lacks: options of use that it does not have, and what it has in their place ("" for nothing); of an engine that
            generates only, those for which there is something to say.
        refuses: options that it does not take, and why.
        flag_names: its own flags that hold a quantity of vLLM's, and vLLM's flag for that.
        version_lines: patterns of its log whose first group is the version.
        log_marks: pattern of what no other engine writes into its log; empty where it is not recognised.
    """

    name: str
    label: str
    pipeline: bool = False
    data_parallel: bool = False
    expert_parallel: bool = False
    generates_only: bool = True
    captures_graphs: bool = True
    names_model: bool = False
    root_only: bool = False
    fetches_model: bool = True
    assumption: str = ""
    warnings: tuple[str, ...] = ()
    lacks: Mapping[str, str] = NOTHING
    refuses: Mapping[str, str] = NOTHING
    flag_names: Mapping[str, str] = NOTHING
    version_lines: tuple[str, ...] = ()
    log_marks: str = ""

    @property
    def flag_reasons(self) -> Mapping[str, str]:
        """Why its flags that hold no quantity of vLLM's have the value they have."""
        return NOTHING

    @property
    def whole_checkpoint(self) -> str:
        """See the attributes."""
        return f"--language-model-only is vLLM's: {self.label} loads a checkpoint whole"

    def in_place_of(self, option: str) -> str | None:
        """What it has in place of an option of use, "" for nothing; None where it has the option itself."""
        return self.lacks.get(option, "") if self.generates_only or option in self.lacks else None

    @abstractmethod
    def check_version(self, wanted: str | None) -> str:
        """The version to plan for; None asks for the default.

        Raises:
            InputError: a version that is not known.
        """

    @abstractmethod
    def image(self, version: str) -> dict[str, str]:
        """Registry, repository and tag of the stock image for NVIDIA GPUs."""

    @abstractmethod
    def regime(self, version: str, spec: ModelSpec) -> Regime:
        """How the engine divides GPU memory."""

    @abstractmethod
    def args(self, start: Start) -> dict[str, Any]:
        """Flags (without dashes) with their values."""

    @abstractmethod
    def attention(
        self, version: str, spec: ModelSpec, compute: Capability, kv_cache_dtype: str, *, tensor_parallel_size: int = 1
    ) -> Attention:
        """Kernels that the engine picks by itself on NVIDIA GPUs."""

    def image_reasons(self, version: str, spec: ModelSpec, device: str, compute: Capability) -> list[str]:
        """Why the stock image for NVIDIA GPUs does not serve the model on that GPU."""
        return []

    def dropped_reasons(self, spec: ModelSpec, version: str) -> list[str]:
        """Whether that version no longer serves the model's class, on whatever device."""
        return []

    def shard_reasons(self, spec: ModelSpec, size: int) -> list[str]:
        """Divisibility by `size` tensor parallel ranks that the engine asks for beyond vLLM's rules."""
        return []

    def cache_reasons(self, version: str, spec: ModelSpec, device: str, compute: Capability) -> list[str]:
        """Why the engine cannot keep an FP8 KV cache."""
        return [f"{self.label} has no FP8 KV cache"]

    def cache_type_reasons(
        self, kind: str, version: str, spec: ModelSpec, device: str, compute: Capability
    ) -> list[str]:
        """Why the engine cannot keep a cache of that type, beside FP8's."""
        return [f"--kv-cache-dtype {kind} is vLLM's: {self.label} has no such cache"]

    def takes_declared_cache(self, version: str) -> bool:
        """Whether `auto` becomes the type of the KV cache that the checkpoint declares."""
        return False

    def support(self, kind: str, version: str, compute: Capability, *, bits: int | None = None) -> Support:
        """Whether it runs a kind of quantised checkpoint on an NVIDIA GPU; `bits` are the width of the weights."""
        return Support(ok=False, reason=f"{self.label} does not read {formats.label(kind)} checkpoints")

    def flag_problem(self, flag: str, version: str) -> str | None:
        """Why the engine cannot be given `flag` (without dashes); None when it can."""
        return None

    def start_problems(
        self, version: str, facts: Mapping[str, Any], environment: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Settings that contradict each other so that the engine ends its start (see `start_rules.broken`)."""
        return []

    def drains(self, version: str) -> bool:
        """Whether it finishes running requests when it is told to stop."""
        return True

    def has_ray(self, version: str) -> bool:
        """Whether the stock image holds Ray."""
        return False

    def driver_notes(self, version: str) -> list[str]:
        """What the stock image asks of the node's NVIDIA driver."""
        return []

    def driver_floor(self, version: str) -> dict[str, Any] | None:
        """Oldest NVIDIA driver (`major`) and the image's CUDA (`cuda`); None where nothing is known.

        An empty version asks for the default.
        """
        return None

    def older_versions(self) -> tuple[str, ...]:
        """Versions whose flags and memory rules were read, newest first; for ways out of a misfit."""
        return ()

    def tool_offer(self, spec: ModelSpec) -> str:
        """What --tool-calling would switch on, in words; empty for nothing."""
        return ""
