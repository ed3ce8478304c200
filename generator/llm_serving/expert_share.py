"""How many bytes of a mixture of experts are experts, and which part of them one rank holds.

Source: vLLM 0.33.0 vllm/model_executor/layers/fused_moe/config.py (FusedMoEParallelConfig.make), read 2026-11-25.
"""

from llm_serving.model import ModelSpec


def matrices(spec: ModelSpec) -> int:
    """Matrices of one MLP or expert: three with a gate, two without."""
    from llm_serving.architectures import ARCHITECTURES

    return 3 if ARCHITECTURES[spec.architecture].gated_mlp else 2


def expert_bytes(spec: ModelSpec, per_parameter: float) -> int:
    """Weights of all routed experts of the model; 0 for a dense one."""
    if spec.moe is None:
        return 0
    parameters = matrices(spec) * spec.moe.layers * spec.moe.experts * spec.hidden_size * spec.moe.intermediate
    return int(parameters * per_parameter)


def part(spec: ModelSpec, ranks: int, *, whole: bool) -> float:
    """Part of all experts on the fullest of `ranks` ranks: whole ones, rounded up, or a slice of each."""
    if spec.moe is None or not whole:
        return 1 / ranks
    return -(-spec.moe.experts // ranks) / spec.moe.experts
