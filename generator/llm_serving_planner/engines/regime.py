"""How a range of engine versions divides GPU memory."""

from llm_serving_planner.base.records import record
from llm_serving_planner.hardware.compute_capability import Capability


@record
class BatchTier:
    """Batch that an engine starts from on GPUs of at least `least_bytes` of memory, those named by `unless_*` left out.

    `unless_name` is a part of the device's name in lower case, `unless_capability` a compute capability.
    """

    tokens: int
    sequences: int
    least_bytes: int = 0
    unless_name: str = ""
    unless_capability: Capability | None = None


@record
class CacheRules:
    """How a range of versions keeps what windows and recurrent states cache.

    Attributes:
        batches_ahead: batches beyond one per pipeline stage whose tokens a window still holds (async scheduling).
        state_pages: pages of a layer's state that a request holds while prefixes are cached.
        checkpoint_kinds: kinds of recurrent layers that hold a page more, for a checkpoint within a prefill.
        states_bound_sequences: with CUDA graphs the engine ends where more sequences than pages are allowed.
    """

    batches_ahead: int = 0
    state_pages: int = 1
    checkpoint_kinds: tuple[str, ...] = ()
    states_bound_sequences: bool = False


@record
class Regime:
    """How one range of engine versions divides GPU memory; the fields are those of data/engines.json.

    `hold_back` is the share of what is free after loading that the engine leaves alone; with `whole_prompt` a prompt
    is prefilled in one step, however long; `graphs` is false where it captures no CUDA graphs. `penalties` says where
    the second model runner's tables of seen tokens lie: charged to the budget, outside of it, or nowhere ("").
    `context_bytes` are those of a GPU that are not free when the engine begins, `graph_each_bytes` those of one CUDA
    graph of one layer, `graph_width_bytes` those of a column of the hidden state while the largest is captured; 0
    where the version has no figure of its own. With `tuning_copy` the compiler times its kernels on copies of their
    arguments. `margin` is the band of a device for which nothing was measured: (share of the memory, least bytes).
    `non_torch_bytes` is memory outside PyTorch with one rank, `mxfp4_layer_bytes` and `mxfp4_expert_bytes` are what
    layouts of MXFP4 experts on Hopper took beyond the rules; 0 where the version has no figure of its own.
    `batches` are the batches that the engine starts from, largest GPUs first; `cache` are the rules of
    windows and states.
    """

    default_utilization: float
    sampler_bytes: int
    sampler_constant_bytes: int
    moe_workspace: bool
    graphs_charged: bool
    compile_buffer_bytes: int
    measured: bool
    source: str
    hold_back: float = 0.0
    whole_prompt: bool = False
    graphs: bool = True
    sampler_buffer: bool = False
    whole_blocks: bool = False
    stale_scales: bool = False
    mxfp4_tile: int = 32
    deep_gemm: bool = False
    penalties: str = ""
    context_bytes: int = 0
    graph_each_bytes: int = 0
    graph_width_bytes: int = 0
    tuning_copy: bool = False
    margin: tuple[float, int] | None = None
    non_torch_bytes: int = 0
    mxfp4_layer_bytes: int = 0
    mxfp4_expert_bytes: int = 0
    batches: tuple[BatchTier, ...] = ()
    cache: CacheRules = CacheRules()

    def __hash__(self) -> int:
        """By the fields that tell regimes apart: every term of a search is asked for with the same one."""
        return hash((self.source, self.default_utilization, self.margin))

    def batch(self, total_bytes: int, capability: Capability, device: str) -> tuple[int, int]:
        """(tokens of a step, requests at once) of the first tier of `batches` that the GPU belongs to.

        Args:
            total_bytes: memory of the device as the engine is told; 0 where it is told nothing.
            capability: compute capability.
            device: name of the device, as its driver reports it.

        Raises:
            LookupError: no tier takes it, which a last tier of 0 bytes rules out.
        """
        for tier in self.batches:
            named = tier.unless_name and tier.unless_name in device.lower()
            if total_bytes >= tier.least_bytes and not named and capability != tier.unless_capability:
                return tier.tokens, tier.sequences
        raise LookupError(f"{self.source}: no batch for {device}")
