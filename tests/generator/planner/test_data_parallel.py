"""Data and expert parallel in the planner: bytes by hand, layouts, refusals, the proposal."""

import pytest
from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.memory import activations, tensors, weights
from llm_serving_planner.memory.settings import Gpu, ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.output.render import render_values
from llm_serving_planner.output.values import build_values
from llm_serving_planner.planner import rules
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.ways_out import ways_out
from llm_serving_planner.speed.roofline import Load, engine_of, predict
from support.made_up import changed

QWEN = "Qwen/Qwen3-30B-A3B"
LITE = "deepseek-ai/DeepSeek-V2-Lite-Chat"
DENSE = "mistralai/Mistral-7B-Instruct-v0.2"
BASE = Settings(ParallelConfig(1), 8192, 256, 2048, 0.9)
H200 = Gpu(int(139.8 * GIB), (9, 0), nvlink=True)


def rank_weights(spec: ModelSpec, chosen: Settings) -> int:
    return weights.rank_weights(spec, chosen.parallel, runtime_fp8=chosen.runtime_fp8)


def spec(name: str) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


def plan(name: str, profile: str, **options: object) -> Plan:
    return make_plan(spec(name), parse_profile(profile), Options(**options))  # type: ignore[arg-type]


def reasons(name: str, profile: str, **options: object) -> str:
    with pytest.raises(DoesNotFitError) as refused:
        plan(name, profile, **options)
    return "; ".join(refused.value.reasons)


def test_experts_are_counted_by_hand() -> None:
    """48 layers of 128 experts with three matrices of 2048 x 768, 2 bytes each."""
    assert tensors.expert_bytes(spec(QWEN), 2) == 48 * 128 * 3 * 2048 * 768 * 2
    assert tensors.expert_bytes(spec(DENSE), 2) == 0


def test_experts_are_divided_over_all_ranks_and_the_rest_is_repeated() -> None:
    found = spec(QWEN)
    experts = tensors.expert_bytes(found, 2)
    alone = rank_weights(found, BASE)
    for data, expert in ((8, True), (8, False)):
        rank = rank_weights(found, changed(BASE, data_parallel_size=data, enable_expert_parallel=expert))
        assert alone - rank == pytest.approx(experts * 7 / 8, rel=1e-6)
    mixed = rank_weights(
        found, changed(BASE, tensor_parallel_size=2, data_parallel_size=4, enable_expert_parallel=True)
    )
    two = rank_weights(found, changed(BASE, tensor_parallel_size=2))
    assert two - mixed == pytest.approx(experts * (1 / 2 - 1 / 8), rel=1e-6)


def test_whole_experts_are_rounded_up() -> None:
    found = spec("mistralai/Mixtral-8x7B-Instruct-v0.1")
    assert tensors.expert_part(found, 3, whole=True) == 3 / 8
    assert tensors.expert_part(found, 3, whole=False) == 1 / 3
    assert tensors.expert_part(spec(DENSE), 4, whole=True) == 1 / 4


def test_a_dense_model_is_repeated_and_its_engines_do_not_talk() -> None:
    found, one = spec(DENSE), plan(DENSE, "1xl4")
    four = plan(DENSE, "4xl4", data_parallel_size=4)
    assert rank_weights(found, four.settings) == rank_weights(found, one.settings)
    assert four.estimate.non_torch == one.estimate.non_torch
    assert (
        four.layout.parallel.tensor_parallel_size,
        four.layout.parallel.data_parallel_size,
        four.layout.gpus_per_node,
    ) == (1, 4, 4)
    assert four.settings.max_num_seqs == one.settings.max_num_seqs  # of each engine


def test_the_cache_is_each_engines_own() -> None:
    tensor, data = plan(LITE, "8xh100"), plan(LITE, "8xh100", data_parallel_size=8, enable_expert_parallel=True)
    assert data.estimate.kv_per_request == tensor.estimate.kv_per_request  # latent: whole on every rank either way
    assert data.cache_tokens * 8 > 7 * tensor.cache_tokens


def test_experts_work_on_the_tokens_of_all_engines() -> None:
    found = spec(QWEN)
    regime = vllm.regime("0.33.0", found.architecture, moe=True, hybrid=False)
    one = activations.peak_bytes(
        found, H200, changed(BASE, enable_expert_parallel=True, tensor_parallel_size=2), regime
    )
    many = activations.peak_bytes(found, H200, changed(BASE, data_parallel_size=8, enable_expert_parallel=True), regime)
    rows = 2 * (8 - 1) * 2048 * 8
    gathered = 2 * 2 * 8 * 2048 * 2048
    wide = max(2 * 768, 2048) + max(768, 2048)
    assert many - one == pytest.approx(rows * wide + gathered, abs=0.05 * GIB)


@pytest.mark.parametrize(
    ("profile", "options", "layout"),
    [
        ("8xh100", {"data_parallel_size": 8}, (1, 1, 8, 1, 8, "deployment")),
        ("8xh100", {"data_parallel_size": 4}, (2, 1, 4, 1, 8, "deployment")),
        ("8xh100", {"data_parallel_size": 2, "tensor_parallel_size": 2}, (2, 1, 2, 1, 4, "deployment")),
        ("8xh100", {"data_parallel_size": 2, "pipeline_parallel_size": 2}, (2, 2, 2, 1, 8, "deployment")),
        ("2x8xh100", {"data_parallel_size": 16}, (1, 1, 16, 2, 8, "statefulset")),
        ("2x8xh100", {"data_parallel_size": 4}, (4, 1, 4, 2, 8, "statefulset")),
        ("2x4xh100", {"data_parallel_size": 2, "controller": "leaderworkerset"}, (4, 1, 2, 2, 4, "leaderworkerset")),
    ],
)
def test_layouts(profile: str, options: dict[str, object], layout: tuple[object, ...]) -> None:
    made = plan(QWEN, profile, enable_expert_parallel=True, **options)
    found = made.layout
    sizes = (
        found.parallel.tensor_parallel_size,
        found.parallel.pipeline_parallel_size,
        found.parallel.data_parallel_size,
        found.nodes,
        found.gpus_per_node,
    )
    assert (*sizes, made.deployment.controller) == layout
    assert found.gpus == found.nodes * found.gpus_per_node
    values = build_values(made)["parallelism"]
    assert (values["tensor"], values["data"], values["expert"]) == (
        found.parallel.tensor_parallel_size,
        found.parallel.data_parallel_size,
        True,
    )
    assert "data parallel" in render_values(made)


@pytest.mark.parametrize(
    ("model", "profile", "options", "text"),
    [
        (QWEN, "2x8xh100", {"data_parallel_size": 3}, "data parallel size 3 does not divide by 2 nodes"),
        (
            QWEN, "4xh100", {"data_parallel_size": 4, "tensor_parallel_size": 2},
            "4 engine(s) of 2 GPU(s) need 8 GPUs, 4xh100 has 4",
        ),
        (QWEN, "2x1xh100", {"data_parallel_size": 4}, "2 engine(s) of 1 GPU(s) in each node need 2 GPUs"),
        (DENSE, "2xl4", {"enable_expert_parallel": True}, "Mistral-7B-Instruct-v0.2 has no experts"),
        (QWEN, "1xh200", {"enable_expert_parallel": True}, "one rank has all experts anyway"),
        (DENSE, "2xa10g", {"engine": "tgi", "data_parallel_size": 2}, "TGI has no data parallel: --replicas 2"),
        (DENSE, "2xa10g", {"engine": "tgi", "enable_expert_parallel": True}, "--enable-expert-parallel is vLLM's"),
        (
            QWEN, "2x8xh100", {"data_parallel_size": 16, "controller": "raycluster"},
            "data parallel size 16 is not served over Ray",
        ),
        (
            "mistralai/Mixtral-8x7B-Instruct-v0.1", "16xa10g", {"data_parallel_size": 16,
            "enable_expert_parallel": True}, "8 experts are fewer than the 16 ranks",
        ),
    ],
)  # fmt: skip
def test_refusals(model: str, profile: str, options: dict[str, object], text: str) -> None:
    assert text in reasons(model, profile, **options)


def test_slices_must_divide_and_whole_experts_need_not() -> None:
    found = spec(QWEN)  # expert width 768
    assert rules.parallel_reasons(found, 1, 5, expert=False) == [
        "expert width 768 does not divide by tensor parallel size 5"
    ]
    assert rules.parallel_reasons(found, 1, 5, expert=True) == []


def test_a_number_below_one_is_no_size() -> None:
    with pytest.raises(InputError, match="--data-parallel-size is 0"):
        plan(QWEN, "8xh100", data_parallel_size=0)


@pytest.mark.parametrize(("model", "why"), [(LITE, "latent cache"), (QWEN, "4 KV heads are repeated on 8")])
def test_data_parallel_is_proposed_where_it_holds_more_cache(model: str, why: str) -> None:
    told = [line for line in plan(model, "8xh100").rejected if line.startswith("data parallel 8")]
    assert len(told) == 1
    assert why in told[0]
    assert "--data-parallel-size 8 --enable-expert-parallel" in told[0]


@pytest.mark.parametrize(
    ("model", "profile", "options"),
    [
        (DENSE, "2xl4", {}),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "8xa10g", {}),  # eight KV heads: nothing is repeated
        (LITE, "8xh100", {"tensor_parallel_size": 8}),
        (LITE, "1xh100", {}),
    ],
)
def test_nothing_is_proposed_elsewhere(model: str, profile: str, options: dict[str, object]) -> None:
    assert not any("data parallel" in line for line in plan(model, profile, **options).rejected)


def test_what_is_not_measured_is_said() -> None:
    told = plan(QWEN, "8xh100", data_parallel_size=8, enable_expert_parallel=True).assumptions
    assert any("no start-up with data or expert parallel was measured" in line for line in told)
    assert any("tokens of all 8 engines" in line for line in told)
    assert not any("expert" in line for line in plan(QWEN, "8xh100").assumptions)


def test_a_misfit_names_the_way_back() -> None:
    options = Options(data_parallel_size=8)
    found = spec("mistralai/Mixtral-8x7B-Instruct-v0.1")
    profile = parse_profile("8xt4")
    assert not any("--data-parallel-size" in line for line in ways_out(found, profile, Options(max_model_len=4096)))
    large = parse_profile("8xa10g")
    assert any("leave --data-parallel-size away" in line for line in ways_out(found, large, options))


def test_more_engines_answer_more() -> None:
    load = Load(64, 1024, 256)
    one = predict(engine_of(plan(DENSE, "1xl4")), load)
    four = predict(engine_of(plan(DENSE, "4xl4", data_parallel_size=4)), load)
    assert one is not None
    assert four is not None
    assert 1.5 < four.tokens_per_second / one.tokens_per_second <= 4
