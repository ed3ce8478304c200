"""How a range of engine versions divides GPU memory."""

from llm_serving_planner.base.records import record


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

    def __hash__(self) -> int:
        """By the fields that tell regimes apart: every term of a search is asked for with the same one."""
        return hash((self.source, self.default_utilization, self.margin))
