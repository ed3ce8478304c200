"""The memory of one GPU as a stacked bar: which term takes which share. Also runs in the browser."""

from dataclasses import dataclass

from llm_serving_planner.base.units import GIB
from llm_serving_planner.planner.plan import Plan

_LABELLED_SHARE = 9.0  # percent of the bar from which a segment has room for its figure


@dataclass(frozen=True, slots=True)
class Segment:
    """One term: `gib` as text with two decimals, `percent` of the whole bar, `key` for its colour and pattern."""

    key: str
    name: str
    gib: str
    percent: float
    about: str

    @property
    def labelled(self) -> bool:
        """Whether its figure fits into it."""
        return self.percent >= _LABELLED_SHARE


@dataclass(frozen=True, slots=True)
class Bar:
    """The terms in the order of the engine's own accounting; they add up to `total`."""

    segments: tuple[Segment, ...]
    total: str
    label: str


def memory_bar(plan: Plan) -> Bar:
    """Terms of the fullest GPU of a plan; for an engine on CPUs, of one process."""
    estimate = plan.estimate
    one = f"{estimate.kv_per_request / GIB:.2f} GiB per request of {plan.settings.max_model_len:,} tokens"
    terms = [
        ("weights", "Weights", estimate.weights, "the checkpoint's share of one GPU"),
        ("activations", "Activations", estimate.activations, "grow with the tokens of one step"),
        ("nontorch", "Non-torch", estimate.non_torch, "NCCL, kernels' workspaces"),
        ("graphs", "CUDA graphs", estimate.cuda_graphs, "none" if plan.settings.enforce_eager else "captured at start"),
        ("cache", "KV cache", estimate.kv_cache, one),
    ]
    rest = estimate.total - sum(size for _, _, size, _ in terms)
    kept = f"outside the engine's share; {estimate.outside / GIB:.2f} GiB of it expected to be used"
    terms.append(("reserve", "Reserve", rest, plan.device.reserve_reason or kept))
    segments = tuple(
        Segment(key, name, f"{size / GIB:.2f}", round(100 * max(size, 0) / estimate.total, 3), about)
        for key, name, size, about in terms
    )
    text = ", ".join(f"{segment.name} {segment.gib}" for segment in segments)
    return Bar(segments, f"{estimate.total / GIB:.2f}", f"{text} of {estimate.total / GIB:.2f} GiB")
