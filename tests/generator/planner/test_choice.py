"""What the planner chooses where nothing is pinned, what it says beside it, and remedies that work as typed."""

import shlex
from pathlib import Path

import pytest
from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.resolve import resolve
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.alternatives import alternatives
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import LONG_CONTEXT, context_of
from llm_serving_planner.planner.ways_out import ways_out
from support.command import run

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"
KIMI = (
    "moonshotai/Kimi-K2.5", "--profile", "8xh100-80gb", "--max-model-len", "16384", "--gpu-memory-utilization", "0.95",
    "--max-num-seqs", "16", "--kv-cache-dtype", "fp8", "--max-num-batched-tokens", "2048", "--offline",
)  # fmt: skip


def spec(name: str) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


def rooms(found: Plan) -> list[int]:
    """Tokens of context that the rejected batches leave room for."""
    told = [line.split("room for ")[1] for line in found.rejected if "room for" in line]
    return [int(text.split()[0].replace(",", "")) for text in told]


def plan(name: str, profile: str, **options: object) -> Plan:
    return make_plan(spec(name), parse_profile(profile), Options(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "profile", "step", "least"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "1xl4", 2048, 20_000),
        ("meta-llama/Llama-3.3-70B-Instruct", "4xl40s", 2048, 50_000),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "1xl4", 2048, 2_048),
        ("CohereForAI/c4ai-command-r-v01", "1xh200", 8192, 16_000),
        ("openai/gpt-oss-120b", "1xh100", 8192, 110_000),
    ],
)
def test_the_engines_step_stays_and_the_context_is_shortened(name: str, profile: str, step: int, least: int) -> None:
    found = plan(name, profile)
    assert (found.settings.max_num_batched_tokens, found.settings.enforce_eager) == (step, False)
    assert found.settings.max_model_len >= least
    assert all(room < found.settings.max_model_len for room in rooms(found))


def test_a_pinned_context_takes_a_smaller_step_where_it_needs_one() -> None:
    free = plan("meta-llama/Llama-3.1-8B-Instruct", "1xl4")
    longer = free.settings.max_model_len + 2048
    pinned = plan("meta-llama/Llama-3.1-8B-Instruct", "1xl4", max_model_len=longer)
    assert pinned.settings.max_model_len == longer
    assert pinned.settings.max_num_seqs <= free.settings.max_num_seqs
    assert rooms(pinned)
    assert max(rooms(pinned)) < longer, "what was rejected is worse"


def test_one_request_of_a_million_tokens_is_not_written_by_itself() -> None:
    scout = plan("meta-llama/Llama-4-Scout-17B-16E-Instruct", "4xh100")
    assert scout.settings.max_model_len == LONG_CONTEXT < context_of(scout.spec)
    assert scout.settings.max_num_batched_tokens == 8192
    assert plan("meta-llama/Llama-4-Scout-17B-16E-Instruct", "4xh100", max_model_len=500_000).verdict == "fits"


@pytest.mark.parametrize(
    ("name", "profile", "replicas", "tensor"),
    [
        ("Qwen/Qwen3-8B", "8xh100", 8, 1), ("Qwen/Qwen3-8B", "2x8xh100", 16, 1), ("Qwen/Qwen3-8B", "p5.48xlarge", 8, 1),
        ("meta-llama/Llama-3.3-70B-Instruct", "4xl40s", 1, 4), ("Qwen/Qwen3-235B-A22B", "8xh100", 1, 8),
        (MISTRAL, "2xt4", 1, 2), ("Qwen/Qwen3-8B", "1xh100", 1, 1),
    ],
)  # fmt: skip
def test_small_dense_models_get_replicas_before_tensor_parallel(
    name: str, profile: str, replicas: int, tensor: int
) -> None:
    found = plan(name, profile)
    assert (found.replicas, found.layout.parallel.tensor_parallel_size) == (replicas, tensor)


def test_a_pinned_layout_stays_one_engine() -> None:
    assert plan("Qwen/Qwen3-8B", "8xh100", tensor_parallel_size=8).replicas == 1
    assert plan("Qwen/Qwen3-8B", "8xh100", replicas=2).layout.parallel.tensor_parallel_size == 8


def test_what_holds_less_than_one_request_is_never_tight(tmp_path: Path) -> None:
    done = run("plan", *KIMI, cwd=tmp_path)
    assert done.returncode == 6
    assert "predicted not to start, inside the error band" in done.stdout
    assert "  try: " in done.stdout
    refused = run("values", *KIMI, "-o", "x.yaml", cwd=tmp_path)
    assert (refused.returncode, list(tmp_path.iterdir())) == (6, [])
    forced = run("values", *KIMI, "-o", "x.yaml", "--force", cwd=tmp_path)
    assert forced.returncode == 0
    assert "verdict: doubtful" in (tmp_path / "x.yaml").read_text()


@pytest.mark.parametrize("tokens", [20_000, 26_000, 28_000, 30_000, 34_000, 40_000, 60_000])
def test_the_verdict_of_a_pinned_context_follows_the_estimate(tokens: int) -> None:
    try:
        found = plan("meta-llama/Llama-3.1-8B-Instruct", "1xl4", max_model_len=tokens)
    except DoesNotFitError:
        return
    one = found.estimate
    if found.verdict == "fits":
        assert one.kv_per_request <= one.kv_cache - one.margin
    elif found.verdict == "tight":
        assert one.kv_per_request <= one.kv_cache
    else:
        assert one.kv_cache < one.kv_per_request <= one.kv_cache + one.margin


PINNED: list[tuple[str, str, dict[str, object]]] = [
    (MISTRAL, "2xt4", {"tensor_parallel_size": 3}),
    (MISTRAL, "1xt4", {"max_num_seqs": 8}),
    ("meta-llama/Llama-3.3-70B-Instruct", "2xl4", {"tensor_parallel_size": 2, "max_model_len": 8192}),
    ("Qwen/Qwen3-8B", "1xgaudi1", {"speculative": "ngram"}),
    ("meta-llama/Llama-3.1-70B-Instruct", "4xa10g", {"kv_cache_dtype": "fp8"}),
]


@pytest.mark.parametrize(("name", "profile", "options"), PINNED, ids=lambda value: str(value)[:40])
def test_remedies_keep_the_pins_or_name_the_one_that_goes(name: str, profile: str, options: dict[str, object]) -> None:
    """Each `try:` line is done as it says, and plans."""
    found = ways_out(spec(name), parse_profile(profile), Options(**options))  # type: ignore[arg-type]
    assert found
    for line in found:
        model, place, wanted = spec(name), profile, dict(options)
        says, _, gone = line.partition(", without ")
        for flag in gone.split(" and ") if gone else []:
            del wanted[flag.removeprefix("--").replace("-", "_")]
        if says.startswith("leave "):
            del wanted[says.split()[1].removeprefix("--").replace("-", "_")]
        elif says.startswith("--"):
            key, _, value = says.split(" (")[0].partition(" ")
            wanted[key.removeprefix("--").replace("-", "_")] = int(value) if value.isdigit() else (value or True)
        elif says.startswith("profile "):
            place = says.split()[1].rstrip(":")
        elif says.startswith("the checkpoint "):
            model = resolve(says.split()[2], offline=True)
        else:
            place = says.split()[0]
        assert make_plan(model, parse_profile(place), Options(**wanted)), line  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "profile", "kinds"),
    [
        ("Qwen/Qwen3-235B-A22B", "8xh100", {"cheaper", "faster"}),
        ("meta-llama/Llama-3.3-70B-Instruct", "4xl40s", {"faster", "longer"}),
        ("deepseek-ai/DeepSeek-R1", "2x8xh100", {"faster"}),
        ("Qwen/Qwen3-32B-AWQ", "1xl4", {"faster", "longer"}),
        ("meta-llama/Llama-3.1-8B-Instruct", "1xl4", {"faster", "longer"}),
    ],
)
def test_other_plans_are_commands_that_work_as_typed(tmp_path: Path, name: str, profile: str, kinds: set[str]) -> None:
    done = run("plan", name, "--profile", profile, "--offline", cwd=tmp_path)
    lines = [line.strip().removeprefix("or:").strip() for line in done.stdout.splitlines() if "or:  " in line]
    assert 0 < len(lines) <= 3
    assert kinds <= {line.split("  # ")[1].split(":")[0] for line in lines}
    for line in lines:
        words = shlex.split(line.split("  # ")[0])
        assert words[0] == "llm-serving"
        again = run(*words[1:], cwd=tmp_path)
        assert again.returncode == 0, again.stderr


def test_pins_are_in_every_other_command() -> None:
    found = alternatives(plan("meta-llama/Llama-3.1-8B-Instruct", "1xl4", max_num_seqs=64, served_name="m"))
    assert found
    assert all((other.options.max_num_seqs, other.options.served_name) == (64, "m") for other in found)


def test_phases_of_the_start_add_up(tmp_path: Path) -> None:
    done = run("plan", MISTRAL, "--profile", "2xt4", "--offline", cwd=tmp_path)
    assert "about 5:25 min (start 120 s, download 116 s, load 29 s, compile 60 s)" in done.stdout
    assert 120 + 116 + 29 + 60 == 5 * 60 + 25


def test_a_checkpoint_of_the_table_is_planned_offline(tmp_path: Path) -> None:
    done = run(
        "plan", "redhatai/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "--profile", "1xl4", "--offline", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert engine_of("vllm").label in done.stdout
