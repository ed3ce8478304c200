"""The planner's single decisions, each with a figure or a sentence that must not change unseen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.base.writing import write_text
from llm_serving_planner.engines import vllm
from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile
from llm_serving_planner.memory import pipeline
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner import remarks
from llm_serving_planner.planner.option_checks import check_options
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.resources import startup
from llm_serving_planner.planner.sizing import size

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def spec(name: str = MISTRAL) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


def plan(name: str = MISTRAL, profile: str | GpuProfile = "2xt4", options: Options | None = None) -> Plan:
    return make_plan(spec(name), profile if isinstance(profile, GpuProfile) else parse_profile(profile), options)


def reasons(name: str, profile: str | GpuProfile, options: Options | None = None) -> tuple[str, ...]:
    with pytest.raises(DoesNotFitError) as refused:
        plan(name, profile, options)
    return refused.value.reasons


@pytest.mark.parametrize(
    ("layers", "stages", "expected"),
    [(32, 1, [32]), (32, 4, [8, 8, 8, 8]), (61, 2, [31, 30]), (34, 4, [8, 9, 9, 8]), (35, 4, [9, 9, 9, 8])],
)
def test_layers_that_do_not_divide_go_before_the_last_stage(layers: int, stages: int, expected: list[int]) -> None:
    assert pipeline.stage_layers(layers, stages) == expected


@pytest.mark.parametrize(
    ("name", "profile"), [(MISTRAL, "2xt4"), (LLAMA, "2xl4"), (MISTRAL, "4xt4"), (LLAMA, "1xh100")]
)
def test_what_lies_outside_the_engines_share_has_room(name: str, profile: str) -> None:
    """u is rounded down to two decimals: what is expected outside fits there, and no whole percent more is left."""
    old = Options(engine_version="0.22.1")  # not measured: graphs count on both sides, so that outside is large
    found = plan(name, profile, old)
    one, share = found.estimate, found.settings.utilization
    default = vllm.regime(found.engine_version, found.spec.architecture, moe=False, hybrid=False).default_utilization
    assert share == round(share, 2) <= default
    assert one.total * (1 - share) >= one.outside
    assert share == default or one.total * (1 - share - 0.01) < one.outside
    assert plan(MISTRAL, "2xt4", old).settings.utilization < default, "a T4 is too small for the default"


@pytest.mark.parametrize(
    ("profile", "sizes"),
    [
        ("1xl4", (1, 1, 1, 1)), ("4xl4", (4, 1, 1, 4)), ("2x1xl4", (1, 2, 2, 1)), ("4x1xl4", (1, 4, 4, 1)),
        ("2x4xl4", (4, 2, 2, 4)), ("2x3xl4", (1, 6, 2, 3)), ("2xg5.12xlarge", (4, 2, 2, 4)),
    ],
)  # fmt: skip
def test_tensor_parallel_inside_a_node_and_stages_over_nodes(profile: str, sizes: tuple[int, int, int, int]) -> None:
    layout = size(spec(LLAMA), parse_profile(profile)).layout  # of one engine over the whole profile
    assert (
        layout.parallel.tensor_parallel_size,
        layout.parallel.pipeline_parallel_size,
        layout.nodes,
        layout.gpus_per_node,
    ) == sizes


def test_the_start_up_budget_is_twice_the_sum_of_its_phases() -> None:
    found = startup(spec("meta-llama/Llama-3.3-70B-Instruct"), enforce_eager=False, download_gbps=1.0)
    total = found.base + found.download + found.load + found.compile
    assert (found.compile, found.budget % 60) == (150, 0)
    assert 2 * total <= found.budget < 2 * total + 60
    quick = startup(spec("openai-community/gpt2"), enforce_eager=True, download_gbps=10.0)
    assert (quick.compile, quick.budget) == (0, 600)


def test_a_file_takes_its_place_in_one_step(tmp_path: Path) -> None:
    """Whoever has the old file open goes on reading the old text: the new one is another file of that name."""
    path = tmp_path / "x.yaml"
    write_text(path, "old\n")
    with path.open() as handle:
        write_text(path, "new, and longer\n")
        assert handle.read() == "old\n"
    assert path.read_text() == "new, and longer\n"
    assert list(tmp_path.iterdir()) == [path]


# Options that are malformed whatever the model.

WRONG: list[tuple[dict[str, Any], str]] = [
    *(
        ({name: value}, f"--{name.replace('_', '-')} is {value}: a positive whole number is expected")
        for name in (
            "max_model_len", "tensor_parallel_size", "pipeline_parallel_size", "max_num_seqs",
            "max_num_batched_tokens", "replicas",
        )
        for value in (0, -1)
    ),
    *(
        ({name: "x"}, f"--{name.replace('_', '-')} is 'x': one of ")
        for name in ("engine", "dtype", "kv_cache_dtype", "storage", "controller", "executor")
    ),
    *(
        ({"gpu_memory_utilization": share}, f"is {share}: a fraction above 0, at most 1, is expected")
        for share in (0, 1.01, -0.5, 1.5, 2)
    ),
    *(({"download_gbps": rate}, f"is {rate}: a positive rate is expected") for rate in (0, -1.0)),
    ({"storage": "existingClaim"}, "--storage existingClaim needs --storage-name: the claim's name"),
    ({"storage": "hostPath"}, "--storage hostPath needs --storage-name: an absolute path"),
    ({"dtype": "float32"}, "float32 doubles every term"),
    ({"engine": "tgi", "gpu_memory_utilization": 0.9}, "is vLLM's: TGI holds back a fixed share"),
    ({"engine": "tgis", "served_name": "m"}, "is vLLM's: TGIS answers under its model's id"),
    ({"engine": "tgis", "max_num_batched_tokens": 512}, "TGIS prefills a prompt whole"),
    ({"engine": "tgis", "enforce_eager": True}, "TGIS captures no CUDA graphs anyway"),
    ({"image_has_ray": True}, "name it with --image"),
]  # fmt: skip
RIGHT: list[dict[str, Any]] = [
    {},
    {"max_model_len": 1, "tensor_parallel_size": 1, "pipeline_parallel_size": 1, "max_num_seqs": 1},
    {"max_num_batched_tokens": 1, "replicas": 1, "gpu_memory_utilization": 1, "download_gbps": 0.5},
    {"gpu_memory_utilization": 0.01, "served_name": "m", "enforce_eager": True},
    {"storage": "hostPath", "storage_name": "/m"},
    {"storage": "existingClaim", "storage_name": "c"},
    {"storage": "pvc", "dtype": "float16", "kv_cache_dtype": "fp8", "controller": "raycluster", "executor": "ray"},
    {"engine": "tgi", "max_num_batched_tokens": 512, "enforce_eager": True},
    {"engine": "tgis"},
    {"image": "r.example/vllm:1"},
    {"image": "r.example/vllm:1", "image_has_ray": True},
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=lambda value: str(value)[:50])
def test_a_malformed_option_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        check_options(replace(Options(), **changes))
    assert message in str(refused.value)


@pytest.mark.parametrize("changes", RIGHT, ids=lambda value: str(value)[:50])
def test_its_neighbour_is_taken(changes: dict[str, Any]) -> None:
    check_options(replace(Options(), **changes))


# What stands against a plan.


def test_the_models_own_context_is_the_limit() -> None:
    assert plan(options=Options(max_model_len=32768)).settings.max_model_len == 32768
    told = "max model len 32,769 is above the 32,768 tokens that the model was made for"
    assert told in reasons(MISTRAL, "2xt4", Options(max_model_len=32769))


def node(profile: str, **changes: object) -> GpuProfile:
    return replace(parse_profile(profile), **changes)  # type: ignore[arg-type]


def test_a_node_must_have_the_hosts_memory_and_cores() -> None:
    asked = plan(profile="2xl4").resources
    mib, cores = asked.memory_request // 1024**2, asked.cpu_request * 1000
    assert plan(profile=node("2xl4", node_memory_mib=mib, node_cpu_m=cores)).resources == asked
    gib = asked.memory_request // GIB
    assert reasons(MISTRAL, node("2xl4", node_memory_mib=mib - 1)) == (
        f"the pod asks for {gib} GiB of host memory, a node of 2xl4 offers {(mib - 1) / 1024:.1f}",
    )
    assert reasons(MISTRAL, node("2xl4", node_cpu_m=cores - 1)) == (
        f"the pod asks for {asked.cpu_request} CPU cores, a node of 2xl4 offers {(cores - 1) / 1000:.1f}",
    )
    for mib, told in ((4096, "4.0"), (20532, "20.1"), (20521, "20.0")):
        assert reasons(MISTRAL, node("4xl4", node_memory_mib=mib))[0].endswith(f"offers {told}")
    for cores, told in ((500, "0.5"), (5051, "5.1"), (5049, "5.0")):
        assert reasons(MISTRAL, node("4xl4", node_cpu_m=cores))[0].endswith(f"offers {told}")


def test_reasons_of_every_kind_come_together() -> None:
    """Engine, layout, deployment, context and memory are each asked, whatever the others say."""
    options = Options(
        max_model_len=40000, controller="deployment", kv_cache_dtype="fp8", language_model_only=True,
        tensor_parallel_size=3,
    )  # fmt: skip
    found = " | ".join(reasons(MISTRAL, "2x3xt4", options))
    for part in (
        "FP8 KV cache needs", "do not divide by tensor parallel size", "controller deployment runs one node",
        "above the 32,768 tokens", "has no encoder to leave out",
    ):  # fmt: skip
        assert part in found, part
    assert "weights need" in " | ".join(reasons("meta-llama/Llama-3.3-70B-Instruct", "1xl4"))
    assert "TGI needs compute capability 8.0" in " | ".join(reasons(MISTRAL, "2xt4", Options(engine="tgi")))
    assert "no longer serves QWenLMHeadModel" in " | ".join(reasons("Qwen/Qwen-7B-Chat", "2xa10g"))
    assert "no longer serves QWenLMHeadModel" in " | ".join(reasons("Qwen/Qwen-7B-Chat", "1xmi300x"))
    assert "needs compute capability 7.5" in " | ".join(reasons(MISTRAL, "1xv100"))
    assert "has no attention for it on" in " | ".join(reasons("deepseek-ai/DeepSeek-V3.2", "8xa100-80gb"))
    with pytest.raises(DoesNotFitError, match=r"^Qwen/Qwen-7B-Chat does not run on 2xa10g with vLLM 0\.33\.0$"):
        plan("Qwen/Qwen-7B-Chat", "2xa10g")


# Names and derived figures.


def test_names_of_a_plan() -> None:
    found = plan(profile="2xT4")
    assert (found.served_name, found.release_name) == ("mistral-7b-instruct-v0.2", "mistral-7b-instruct-v0-2")
    assert (found.file_stem, found.engine_name) == ("mistral-7b-instruct-v0-2-2xt4", "vLLM 0.33.0")
    named = plan(options=Options(name="My Model!", served_name="M/1"))
    assert (named.served_name, named.release_name, named.file_stem) == ("M/1", "my-model", "my-model-2xt4")
    long = plan(options=Options(name=("a" * 38) + "-bcd")).release_name
    assert long == "a" * 38 + "-b", "40 characters, so that suffixes fit into 63"
    assert plan(options=Options(name=("a" * 39) + "-bcd")).release_name == "a" * 39, "no hyphen at the end"


def test_figures_of_the_cache() -> None:
    found = plan(profile="1xl4", options=Options(max_model_len=6016))
    one = found.estimate
    assert found.requests_of(6016) == pytest.approx(one.kv_cache / one.kv_per_request)
    assert found.requests_of(3008) == pytest.approx(2 * found.requests_of(6016))
    assert found.cache_tokens == int(6016 * one.kv_cache / one.kv_per_request)
    data = found.to_dict()
    assert (data["settings"]["max_model_len"], data["settings"]["utilization"]) == (6016, found.settings.utilization)
    assert not {"lora", "draft"} & set(data["settings"]), "they stand under use"
    assert data["concurrency"] == round(one.kv_cache / one.kv_per_request, 2)
    assert data["concurrency"] not in {round(one.kv_cache / one.kv_per_request, digits) for digits in (1, 3)}
    none = replace(found, estimate=replace(one, kv_cache=-1))
    assert (none.requests_of(6016), none.cache_tokens, none.to_dict()["concurrency"]) == (0.0, 0, 0.0)


def test_what_bounds_the_context() -> None:
    assert plan(profile="2xl4").context_limit == "model"
    assert plan(profile="2xl4", options=Options(max_model_len=32768)).context_limit == "user"
    shorter = plan(LLAMA, "1xl4")
    assert (shorter.context_limit, shorter.settings.max_model_len < 131072) == ("memory", True)


def test_links_cpus_and_kernels_decide() -> None:
    two = Options(tensor_parallel_size=2)
    linked, apart = plan(LLAMA, "2xh100", two), plan(LLAMA, node("2xh100", link="pcie"), two)
    switched = plan(LLAMA, node("2xh100", link="nvswitch"), two)
    assert linked.estimate.non_torch == switched.estimate.non_torch == vllm.term_bytes("non_torch_tp_nvlink_hopper")
    assert apart.estimate.non_torch == vllm.term_bytes("non_torch_tp")
    small = plan("openai-community/gpt2", "cpu")
    assert small.settings.enforce_eager, "no CUDA graphs on CPUs"
    assert small.attention == "CPU_ATTN"
    assert small.estimate.kv_cache == 4 * GIB, "what the CPU engine takes by default"
    assert any("CPUs serve one or two users" in warning for warning in small.warnings)
    assert not any("CUDA" in warning for warning in small.warnings)
    assert any("GiB of memory for each engine process" in text for text in small.assumptions)
    assert not plan().settings.enforce_eager
    assert plan().attention != "CPU_ATTN"
    sparse = plan("deepseek-ai/DeepSeek-V3.2", "8xb200")
    assert sparse.attention == "FLASH_ATTN_MLA_SPARSE_FA4", "16 heads on a rank, not 128"


# What a plan says beside its figures.


def test_assumptions_are_told_and_only_where_they_are_made() -> None:
    base = spec()
    full = replace(base, gated=False, revision="abc", weights=replace(base.weights, assumed=False), notes=("a note",))
    profile = parse_profile("g5.12xlarge")
    quiet = make_plan(full, profile, Options(download_gbps=2.0))
    assert quiet.assumptions == ("vLLM 0.33.0 was measured on Hopper GPUs only: a wider band elsewhere", "a note")
    older = make_plan(full, profile, Options(download_gbps=2.0, engine_version="0.22.1"))
    assert older.assumptions == ("no start-up of vLLM 0.22.1 was measured: terms are upper bounds", "a note")
    told: list[tuple[ModelSpec, GpuProfile, Options, str]] = [
        (full, profile, Options(), "download at 1 Gbit/s"),
        (
            replace(full, weights=replace(full.weights, assumed=True)),
            profile,
            Options(),
            "size of the weights is",
        ),
        (replace(full, gated=None), profile, Options(), "whether the model is gated is not known"),
        (replace(full, revision=None), profile, Options(), "commit of the checkpoint is not known offline"),
        (full, parse_profile("4xa10g"), Options(), "host memory and CPU of the node are not known"),
    ]
    for one, place, options, text in told:
        found = set(make_plan(one, place, options).assumptions) - set(quiet.assumptions)
        (line,) = [line for line in found if line.startswith(text)]
        assert found - {line} <= {"download at 1 Gbit/s"}
    for one, options in (
        (replace(full, revision=None, source="hub"), Options()),
        (replace(full, revision=None), Options(revision="v1")),
    ):
        assert not any("commit" in line for line in make_plan(one, profile, options).assumptions)
    measured = plan(LLAMA, "1xh100", Options(engine_version="0.25.1"))
    assert not any("was measured" in line for line in measured.assumptions)


def test_the_image_of_tgis_is_an_assumption_until_one_is_named() -> None:
    seen = "was not seen in the registry"
    granite = "ibm-granite/granite-7b-base"
    assert any(seen in line for line in plan(granite, "2xa10g", Options(engine="tgis")).assumptions)
    named = plan(granite, "2xa10g", Options(engine="tgis", image="r.example/tgis:1"))
    assert not any(seen in line for line in named.assumptions)


def test_warnings_are_told_and_only_where_they_hold() -> None:
    driver = "vLLM 0.33.0 images hold CUDA 13: NVIDIA driver 580 or newer on the node"
    assert plan(profile="1xl4").warnings == (driver,)
    assert plan(profile="1xl4", options=Options(storage="emptyDir")).warnings == (
        driver, "emptyDir: every new pod downloads the model again",
    )  # fmt: skip
    nodes = "several nodes: every node downloads or mounts the whole model, and the network carries activations"
    assert plan(profile="2x1xa10g").warnings == (nodes, driver)
    four = Options(tensor_parallel_size=4)
    assert plan("Qwen/Qwen2.5-7B", "p5.48xlarge", four).warnings == ("4 of 8 GPUs stay unused", driver)
    assert plan("Qwen/Qwen2.5-7B", "2xp5.48xlarge", four).warnings == (
        "4 of 8 GPUs stay unused in each node", nodes, driver,
    )  # fmt: skip
    older = plan(profile="1xl4", options=Options(engine_version="0.11.1"))
    assert not any("driver" in line for line in older.warnings)
    for engine, name in (("tgi", MISTRAL), ("tgis", "ibm-granite/granite-7b-base")):
        other = plan(name, "2xa10g", Options(engine=engine)).warnings
        assert not any("driver" in line or "CUDA graphs are given up" in line for line in other)


def test_giving_up_cuda_graphs_is_told_unless_it_was_asked_for() -> None:
    given_up = "CUDA graphs are given up"
    pinned = Options(max_model_len=next(tokens for tokens in range(60000, 20000, -512) if _eager(tokens)))
    assert any(given_up in line for line in plan(LLAMA, "1xl4", pinned).warnings)
    asked = replace(pinned, enforce_eager=True)
    assert not any(given_up in line for line in plan(LLAMA, "1xl4", asked).warnings)
    assert not any(given_up in line for line in plan(LLAMA, "1xl4").warnings)


def _eager(tokens: int) -> bool:
    try:
        return plan(LLAMA, "1xl4", Options(max_model_len=tokens)).settings.enforce_eager
    except DoesNotFitError:
        return False


def test_a_share_that_leaves_too_little_outside_is_told() -> None:
    found = plan(profile="1xl4", options=Options(gpu_memory_utilization=1.0))
    one = found.estimate
    assert found.warnings[0] == (
        f"{(one.total - one.requested) / GIB:.2f} GiB stay outside the engine's share, "
        f"{one.outside / GIB:.2f} GiB are expected there: lower --gpu-memory-utilization"
    )
    assert found.warnings[0].startswith("0.00 GiB stay outside")
    lower = plan(profile="1xl4", options=Options(gpu_memory_utilization=0.98)).warnings
    assert lower[0].startswith(f"{0.02 * one.total / GIB:.2f} GiB stay outside")
    assert not any("stay outside" in line for line in plan(profile="1xl4").warnings)
    exact = replace(one, outside=one.total - one.requested)
    telling = (found.settings, found.options, found.engine_version, found.profile, found.layout)
    assert not any("stay outside" in line for line in remarks.warnings(exact, *telling))
    assert any("stay outside" in line for line in remarks.warnings(replace(exact, outside=exact.outside + 1), *telling))


def test_tokens_in_flight_count_twice_in_a_window() -> None:
    """vLLM 0.33.0 refused this start: one request of 65,536 tokens needs 10.75 GiB beside steps of 16,384 tokens."""
    asked = Options(max_num_batched_tokens=16384, max_model_len=65536, max_num_seqs=128, gpu_memory_utilization=0.92)
    found = plan("allenai/Olmo-3.1-32B-Instruct", "1xh100-80gb", asked)
    assert found.estimate.kv_per_request / GIB == pytest.approx(10.75, abs=0.01)
    assert found.estimate.kv_cache < found.estimate.kv_per_request


def test_sequences_beyond_the_pages_of_states_are_refused() -> None:
    """vLLM 0.33.0: max_num_seqs (256) exceeds available Mamba cache blocks; without CUDA graphs it starts."""
    name, asked = "nvidia/NVIDIA-Nemotron-Nano-9B-v2", Options(max_num_seqs=4096, max_model_len=8192)
    assert plan(name, "1xrtx-4090", replace(asked, max_num_seqs=256)).settings.enforce_eager
    assert plan(name, "1xrtx-4090", replace(asked, max_num_seqs=None)).settings.max_num_seqs <= 146
    old = replace(asked, max_num_seqs=256, engine_version="0.19.1")
    assert not plan(name, "1xrtx-4090", old).settings.enforce_eager


def test_an_unknown_context_is_asked_for() -> None:
    silent = replace(spec(LLAMA), max_position=None)
    with pytest.raises(DoesNotFitError) as refused:
        make_plan(silent, parse_profile("1xh100"), Options())
    assert "--max-model-len N" in refused.value.reasons[0]
    asked = make_plan(silent, parse_profile("1xh100"), Options(max_model_len=65536))
    assert asked.settings.max_model_len == 65536


def test_every_model_of_the_catalogue_has_a_context() -> None:
    assert [name for name in embedded.model_ids() if spec(name).max_position is None] == []
    assert plan("Qwen/Qwen3-Coder-Next", "4xh100-80gb").settings.max_model_len > 100_000


@pytest.mark.parametrize(("version", "fp8"), [("0.33.0", True), ("0.14.1", True), ("0.13.0", False)])
def test_a_declared_cache_is_what_auto_becomes(version: str, fp8: bool) -> None:
    """nvidia/Llama-3.1-70B-Instruct-FP8 started on 0.33.0 with 5.00 GiB for a request of 32,768 tokens."""
    name = "nvidia/Llama-3.1-70B-Instruct-FP8"
    found = plan(name, "1xh200", Options(max_model_len=32768, engine_version=version))
    assert found.kv_cache_dtype == "auto"
    assert found.estimate.kv_per_request / GIB == pytest.approx(5.0 if fp8 else 10.0)
    plain = plan(name, "1xh200", Options(max_model_len=32768, kv_cache_dtype="bfloat16"))
    assert plain.estimate.kv_per_request / GIB == pytest.approx(10.0)


def test_types_of_the_cache() -> None:
    wide = plan(LLAMA, "1xl4", Options(max_model_len=4096)).estimate.kv_per_request
    for kind, share in (
        ("fp8_e5m2", 1 / 2),
        ("int8_per_token_head", (256 + 8) / 512),
        ("int4_per_token_head", 136 / 512),
    ):
        found = plan(LLAMA, "1xl4", Options(max_model_len=4096, kv_cache_dtype=kind))
        assert found.estimate.kv_per_request == wide * share
    assert "compute capability 10.0" in reasons(LLAMA, "1xl4", Options(kv_cache_dtype="nvfp4"))[0]
    assert (
        "came with vLLM 0.25.1"
        in reasons(LLAMA, "1xl4", Options(kv_cache_dtype="int4_per_token_head", engine_version="0.22.1"))[0]
    )
    with pytest.raises(InputError, match="TurboQuant"):
        check_options(Options(kv_cache_dtype="turboquant_k8v4"))
