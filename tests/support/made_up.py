"""Made-up models of round sizes, for sums that can be written out by hand."""

from dataclasses import fields, replace

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory.settings import Gpu, ParallelConfig, Settings
from llm_serving_planner.models.spec import LayerGroup, Mla, ModelSpec, Moe, Quantization, Recurrent, Weights

# 10 layers, 20 heads of 50, 4 of them for keys and values; 63 rows are added to the vocabulary
DENSE = ModelSpec(
    model_id="o/m", revision=None, gated=False, source="", architecture="LlamaForCausalLM", dtype="bfloat16",
    hidden_size=1000, num_layers=10, num_attention_heads=20, num_kv_heads=4, head_dim=50, intermediate_size=3000,
    vocab_size=32001, max_position=4096, tied=False, layers=(LayerGroup("full", 10, 4, 50, 50),),
    weights=Weights(1_000_000_000, 1_000_000_000, ""),
)  # fmt: skip
EXPERTS = replace(DENSE, architecture="Qwen3MoeForCausalLM", moe=Moe(10, 16, 4, 500))
LATENT = replace(
    DENSE, architecture="DeepseekV3ForCausalLM",
    layers=(LayerGroup("mla", 10, 1, 80, 0), LayerGroup("index", 10, 1, 9, 0)),
    mla=Mla(kv_lora_rank=64, q_lora_rank=30, qk_rope=16, qk_nope=20, v_dim=24, indexer=700),
)  # fmt: skip
MIXED = replace(
    DENSE, architecture="NemotronHForCausalLM", layers=(LayerGroup("full", 2, 4, 50, 50),),
    recurrent=Recurrent(8, 8_000_001, groups=2, group_parameters=1_000_000),
)  # fmt: skip
FP8 = Quantization("fp8", 8)
HOPPER, PCIE = Gpu(80 * GIB, (9, 0), nvlink=True), Gpu(80 * GIB, (9, 0), nvlink=False)
AMPERE = Gpu(40 * GIB, (8, 0), nvlink=True)
PLAIN = Regime(
    0.9, 14, 1000, moe_workspace=True, graphs_charged=True, compile_buffer_bytes=77, measured=True, source=""
)
EAGER = Settings(ParallelConfig(), 8000, 100, 2000, 0.9, enforce_eager=True)


def changed(base: Settings, **changes: object) -> Settings:
    """Settings with other values; sizes of the ParallelConfig are given by their own names."""
    sizes = {field.name for field in fields(ParallelConfig)} & changes.keys()
    parallel = replace(base.parallel, **{name: changes.pop(name) for name in sizes})  # type: ignore[arg-type]
    return replace(base, parallel=parallel, **changes)  # type: ignore[arg-type]


def settings(**changes: object) -> Settings:
    return changed(EAGER, **changes)


def regime(**changes: object) -> Regime:
    return replace(PLAIN, **changes)  # type: ignore[arg-type]


def term(name: str) -> int:
    return vllm.term_bytes(name)
