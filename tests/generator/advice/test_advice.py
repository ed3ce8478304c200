"""The ranking: its laws, its forms, what a user may do wrong."""

import csv
import io
import json
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree as ET

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from llm_serving_planner.advice import candidates
from llm_serving_planner.advice.candidates import Filters, check_filters
from llm_serving_planner.advice.ranking import Advice, Row, advise, rank
from llm_serving_planner.advice.table import render, without_dearer_twins
from llm_serving_planner.advice.workload import Workload, workload_for
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.cli.main import main
from llm_serving_planner.hardware.profiles import all_gpus, all_instances, parse_profile, profile_grid
from llm_serving_planner.memory.settings import ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import context_of
from llm_serving_planner.speed.roofline import Engine, predict, step_seconds
from support.command import run
from support.laws import law

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"
SPECS = [spec for name in embedded.model_ids() if (spec := embedded.find(name)) is not None]
models = st.sampled_from(SPECS)
ranked = law(3, nightly=12)
quick = settings(max_examples=150)
KNOWN = [gpu for gpu in all_gpus() if gpu.vendor == "nvidia" and gpu.bandwidth_gb_s and gpu.fp16_tflops]


def find(name: str) -> ModelSpec:
    spec = embedded.find(name)
    assert spec is not None
    return spec


@st.composite
def loads(draw: st.DrawFn, spec: ModelSpec) -> Workload:
    context = draw(st.integers(32, min(context_of(spec), 32768)))
    prompt = draw(st.integers(1, context - 1))
    return Workload(context, draw(st.integers(1, 64)), prompt, draw(st.integers(1, context - prompt)))


def names(advice: Advice) -> set[str]:
    shown = {row.profile for row in advice.rows} | {row.same_as for row in advice.rows if row.same_as}
    return shown | {misfit.name for misfit in advice.misfits}


@ranked
@given(st.data(), models)
def test_every_row_really_plans_and_holds_the_workload(data: st.DataObject, spec: ModelSpec) -> None:
    load = data.draw(loads(spec))
    for row in advise(spec, load).rows:
        profile = parse_profile(row.profile)
        options = replace(Options(), **row.plan.options.pinned())
        plan = make_plan(spec, profile, options)
        assert plan.settings.max_model_len == load.max_model_len
        share = -(-load.concurrency // row.replicas)
        assert row.plan.requests_of(load.tokens) >= share
        assert row.plan.settings.max_num_seqs >= share
        assert row.context >= load.max_model_len
        assert row.at_once >= load.concurrency
        if row.machine is not None:
            assert row.count == row.plan.layout.nodes * row.replicas
            assert row.machine.count >= row.plan.layout.gpus_per_node


@ranked
@given(st.data(), models)
def test_every_candidate_is_ranked_or_refused_once(data: st.DataObject, spec: ModelSpec) -> None:
    advice = advise(spec, data.draw(loads(spec)))
    seen = names(advice)
    assert {profile.name for profile in profile_grid()} <= seen
    for machine in all_instances():
        assert any(name.removeprefix("2x").removeprefix("4x") == machine.type for name in seen), machine.type
    assert all(misfit.reason for misfit in advice.misfits)
    assert len(advice.misfits) == sum(len(group[2]) for group in advice.grouped())


@ranked
@given(st.data(), models)
def test_the_order_is_price_then_speed_and_unpriced_rows_are_last(data: st.DataObject, spec: ModelSpec) -> None:
    rows = advise(spec, data.draw(loads(spec))).rows
    for first, second in pairwise(rows):
        if second.usd_per_hour is None:
            continue
        assert first.usd_per_hour is not None
        assert first.usd_per_hour <= second.usd_per_hour
        if first.usd_per_hour == second.usd_per_hour and second.prediction is not None:
            assert first.prediction is not None
            assert first.prediction.tokens_per_second >= second.prediction.tokens_per_second


@ranked
@given(st.sampled_from([m for m in all_instances() if candidates.price(m)]), st.floats(0.2, 0.99))
def test_a_machine_that_becomes_cheaper_never_ranks_behind_its_equal(machine: object, factor: float) -> None:
    assert isinstance(machine, type(all_instances()[0]))
    spec = find(LLAMA)
    twin = replace(machine, type=f"twin.{machine.type}", usd_per_hour=(machine.usd_per_hour or 0) * factor)
    with ExitStack() as stack:
        for place in ("hardware.profiles", "advice.candidates"):
            twins = (*all_instances.__wrapped__(), twin)
            stack.enter_context(patch(f"llm_serving_planner.{place}.all_instances", return_value=twins))
        advice = advise(spec, workload_for(spec))
    order = [row.profile.removeprefix("2x").removeprefix("4x") for row in advice.rows if row.machine]
    assert (machine.type in order) == (twin.type in order)
    if machine.type in order:
        assert order.index(twin.type) < order.index(machine.type)


@quick
@given(st.data(), models, st.sampled_from(KNOWN), st.sampled_from([1, 2, 4, 8]), st.floats(1, 10), st.booleans())
def test_more_bandwidth_never_decodes_slower(
    data: st.DataObject, spec: ModelSpec, gpu: object, size: int, factor: float, eager: bool
) -> None:
    load = data.draw(loads(spec))
    profile = parse_profile(f"{size}x{gpu.id}")  # type: ignore[attr-defined]
    chosen = Settings(ParallelConfig(size), load.max_model_len, 256, 2048, 0.9, enforce_eager=eager)
    wide = replace(profile.gpu, bandwidth_gb_s=(profile.gpu.bandwidth_gb_s or 0) * factor)
    slower = predict(Engine(spec, profile, chosen), load)
    faster = predict(Engine(spec, replace(profile, gpu=wide), chosen), load)
    assert slower is not None
    assert faster is not None
    assert faster.step_seconds <= slower.step_seconds
    assert faster.tokens_per_second >= slower.tokens_per_second
    assert faster.first_token_seconds <= slower.first_token_seconds


@quick
@given(st.data(), models, st.sampled_from(KNOWN), st.sampled_from(KNOWN))
def test_a_gpu_that_is_better_in_both_decodes_no_slower(
    data: st.DataObject, spec: ModelSpec, first: object, second: object
) -> None:
    one, two = (parse_profile(f"1x{gpu.id}") for gpu in (first, second))  # type: ignore[attr-defined]
    assume((one.gpu.bandwidth_gb_s or 0) <= (two.gpu.bandwidth_gb_s or 0))
    assume((one.gpu.fp16_tflops or 0) <= (two.gpu.fp16_tflops or 0))
    load = data.draw(loads(spec))
    chosen = Settings(ParallelConfig(1), load.max_model_len, 256, 2048, 0.9)
    times = [step_seconds(Engine(spec, profile, chosen), load.concurrency, load.tokens) for profile in (one, two)]
    assert times[1] <= times[0]


@quick
@given(st.data(), models, st.sampled_from(KNOWN), st.sampled_from([1, 2, 4, 8]))
def test_more_requests_at_once_never_yield_fewer_tokens(
    data: st.DataObject, spec: ModelSpec, gpu: object, size: int
) -> None:
    load = data.draw(loads(spec))
    profile = parse_profile(f"{size}x{gpu.id}")  # type: ignore[attr-defined]
    engine = Engine(spec, profile, Settings(ParallelConfig(size), load.max_model_len, 256, 2048, 0.9))
    few, many = predict(engine, load), predict(engine, replace(load, concurrency=load.concurrency + 7))
    assert few is not None
    assert many is not None
    assert many.tokens_per_second >= few.tokens_per_second * (1 - 1e-9)
    assert many.per_request <= few.per_request * (1 + 1e-9)
    assert few.low < few.tokens_per_second < few.high
    assert few.first_token_seconds > 0


@ranked
@given(st.data(), models)
def test_price_per_token_is_price_over_tokens(data: st.DataObject, spec: ModelSpec) -> None:
    load = data.draw(loads(spec))
    for row in advise(spec, load).rows:
        speed = row.prediction
        if speed is None or row.usd_per_hour is None:
            assert row.usd_per_million is None
            continue
        assert row.usd_per_million is not None
        assert row.usd_per_million * speed.tokens_per_second * 3600 / 1e6 == pytest.approx(row.usd_per_hour)
        assert speed.per_request * load.concurrency == pytest.approx(speed.tokens_per_second)
        assert row.machine is not None
        assert row.usd_per_hour == pytest.approx((row.machine.usd_per_hour or 0) * row.count)


def rows_of(name: str, **load: int) -> dict[str, Row]:
    spec = find(name)
    return {row.profile: row for row in advise(spec, workload_for(spec, **load)).rows}


def test_a_worked_step_is_what_the_formula_says() -> None:
    """Llama-3.1-8B, one A100 40 GB, one request: 15.01e9 bytes of weights, 131,072 bytes of cache per token."""
    spec = find(LLAMA)
    engine = Engine(spec, parse_profile("1xa100-40gb"), Settings(ParallelConfig(1), 2048, 256, 2048, 0.9))
    moved = roofline.weights_read(spec, engine.settings, 1) + 1000 * 131_072
    assert moved == pytest.approx(15.01e9 + 0.131e9 + 2 * 131072 * 128, rel=0.006)
    assert roofline.cache_read(spec, engine.settings, 1000) == 1000 * 131_072
    assert step_seconds(engine, 1, 1000) == pytest.approx(moved / (1555e9 * 0.8) + 32 * 45e-6)


def test_experts_are_read_as_far_as_the_batch_touches_them() -> None:
    spec = find("Qwen/Qwen3-30B-A3B")
    chosen = Settings(ParallelConfig(1), 2048, 256, 2048, 0.9)
    alone, crowd = roofline.weights_read(spec, chosen, 1), roofline.weights_read(spec, chosen, 4096)
    assert alone == pytest.approx(2 * 3.0e9, rel=0.1)  # "A3B": 3 billion weights are active
    assert crowd == pytest.approx(2 * 30.2e9, rel=0.02)
    assert roofline.active_parameters(spec) == pytest.approx(3.0e9, rel=0.1)


def test_several_nodes_where_one_is_too_small_and_several_engines_where_the_cache_is() -> None:
    rows = rows_of(LLAMA)
    nodes = rows["2xg4dn.xlarge"]
    assert (nodes.plan.layout.nodes, nodes.replicas, nodes.count) == (2, 1, 2)
    assert nodes.usd_per_hour == pytest.approx(2 * 0.526)
    engines = rows_of(LLAMA, concurrency=40)["g6.xlarge"]
    assert (engines.plan.layout.nodes, engines.replicas, engines.count) == (1, 2, 2)
    assert engines.usd_per_hour == pytest.approx(2 * 0.8048)


def test_a_profile_is_priced_by_the_cheapest_machine_that_bears_it() -> None:
    spec = find(LLAMA)
    advice = advise(spec, workload_for(spec))
    two = next(row for row in advice.rows if row.profile == "2xa10g")
    assert two.machine is not None
    assert (two.machine.type, two.usd_per_hour) == ("g5.12xlarge", 5.672)  # AWS sells no pair of A10G
    one = next(row for row in advice.rows if row.same_as == "1xl4")
    assert one.profile == "g2-standard-4"
    aws = advise(spec, workload_for(spec), Filters(clouds=("aws",)))
    assert next(row for row in aws.rows if row.same_as == "1xl4").profile == "g6.xlarge"
    assert next(row for row in advice.rows if row.profile == "1xrtx-4090").usd_per_hour is None


def test_what_is_not_sold_on_demand_has_no_price_and_what_is_gone_is_refused() -> None:
    spec = find(LLAMA)
    advice = advise(spec, workload_for(spec))
    assert next(row for row in advice.rows if row.profile == "a3-highgpu-1g").usd_per_hour is None
    assert {m.name for m in advice.misfits if m.reason == "no longer offered"} >= {"p3.2xlarge", "dl1.24xlarge"}
    assert {m.reason for m in advice.misfits if m.name == "g6f.xlarge"} == {"a slice of a GPU, which is not sized"}


def test_filters_leave_only_what_they_name() -> None:
    spec = find(LLAMA)
    filters = check_filters(["AWS", "gcp"], ["h100", "l4"], 8.1)
    advice = advise(spec, workload_for(spec), filters)
    assert {row.plan.profile.gpu.id for row in advice.rows} == {"l4", "h100-80gb"}
    assert {row.machine.cloud for row in advice.rows if row.machine} == {"aws", "gcp"}
    assert all(row.usd_per_hour is not None and row.usd_per_hour <= 8.1 for row in advice.rows)
    assert ("p5.48xlarge", "above 8.1 USD per hour") in {(m.name, m.reason) for m in advice.misfits}
    assert list(advice.rows) == sorted(advice.rows, key=rank)


def test_quantised_checkpoints_are_rows_of_their_own() -> None:
    spec = find("meta-llama/Llama-3.1-70B-Instruct")
    plain, more = (advise(spec, workload_for(spec), quantised=flag) for flag in (False, True))
    assert {row.plan.spec.model_id for row in plain.rows} == {spec.model_id}
    found = {row.plan.spec.model_id for row in more.rows}
    assert "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4" in found
    assert spec.model_id in found
    assert (more.rows[0].usd_per_hour or 0) < (plain.rows[0].usd_per_hour or 0)


@pytest.mark.parametrize(
    "name",
    [LLAMA, "openai-community/gpt2", "deepseek-ai/DeepSeek-R1", "meta-llama/Llama-4-Scout-17B-16E-Instruct"],
)
def test_the_table_fits_100_columns(name: str) -> None:
    spec = find(name)
    for load in (workload_for(spec), workload_for(spec, concurrency=300, prompt_tokens=200, answer_tokens=100)):
        text = render(advise(spec, load, quantised=True), "text", 10_000)
        assert [line for line in text.splitlines() if len(line) > 100] == []


def test_dearer_types_with_the_same_gpus_are_one_row_of_the_table_only() -> None:
    spec = find(LLAMA)
    advice = advise(spec, workload_for(spec))
    shown = without_dearer_twins(advice.rows)
    assert sum(1 + twins for _, twins in shown) == len(advice.rows)
    text = render(advice, "text", None)
    assert "g6.2xlarge" not in text
    assert "6 dearer aws types do the same" in text
    assert "assumed, as not given: --max-model-len, --concurrency, --prompt-tokens, --answer-tokens" in text
    assert "spot, reserved" in text
    assert '"g6.2xlarge"' in render(advice, "json", None)


def test_the_other_forms_carry_the_same_rows() -> None:
    spec = find(LLAMA)
    advice = advise(spec, workload_for(spec))
    data = json.loads(render(advice, "json", 5))
    assert [row["profile"] for row in data["rows"]] == [row.profile for row in advice.rows[:5]]
    assert data["workload"]["assumed"] == ["max-model-len", "concurrency", "prompt-tokens", "answer-tokens"]
    assert sum(len(group["names"]) for group in data["misfits"]) == len(advice.misfits)
    table = list(csv.DictReader(io.StringIO(render(advice, "csv", None))))
    assert [row["profile"] for row in table] == [row.profile for row in advice.rows]
    assert float(table[0]["usd_per_hour"]) == advice.rows[0].usd_per_hour
    markdown = render(advice, "markdown", 3).splitlines()
    assert len([line for line in markdown if line.startswith(f"| {LLAMA}")]) == 3


def test_defaults_shrink_with_the_model() -> None:
    load = workload_for(find("openai-community/gpt2"))
    assert (load.max_model_len, load.prompt_tokens, load.answer_tokens) == (1024, 820, 204)
    large = workload_for(find(LLAMA), prompt_tokens=30_000)
    assert (large.max_model_len, large.tokens) == (30_256, 30_256)


CASES: list[tuple[list[str], str]] = [
    (["--max-model-len", "0"], "error: --max-model-len is 0: a positive whole number is expected"),
    (["--concurrency", "-1"], "error: --concurrency is -1: a positive whole number is expected"),
    (["--prompt-tokens", "0"], "error: --prompt-tokens is 0: a positive whole number is expected"),
    (["--answer-tokens", "0"], "error: --answer-tokens is 0: a positive whole number is expected"),
    (["--max-model-len", "999999"],
     f"error: --max-model-len is 999999: above the 32,768 tokens that {MISTRAL} was made for"),
    (["--max-model-len", "1000", "--prompt-tokens", "900", "--answer-tokens", "200"],
     "error: a request of 900 prompt and 200 answer tokens is longer than the context of 1000\n"
     "hint: raise --max-model-len, or lower --prompt-tokens or --answer-tokens"),
    (["--prompt-tokens", "32768"],
     "error: a request of 32768 prompt and 1 answer tokens is longer than the context of 32768\n"
     "hint: raise --max-model-len, or lower --prompt-tokens or --answer-tokens"),
    (["--cloud", "azur"], "error: --cloud is 'azur': one of aws, azure, gcp, ibm, oci is expected"),
    (["--gpu", "t5"], "error: --gpu is 't5': no such GPU\nhint: `llm-serving profiles` lists them"),
    (["--gpu", "mi300x"],
     "error: --gpu is 'mi300x': of amd; only NVIDIA GPUs are planned in this version"),
    (["--max-price", "0"], "error: --max-price is 0: USD per hour above 0 are expected"),
    (["--max-price", "nan"], "error: --max-price is nan: USD per hour above 0 are expected"),
    (["--top", "0"], "error: --top is 0: a positive whole number is expected"),
    (["--plot", "a.pdf"], "error: --plot is a.pdf: a file that ends in .svg or .png is expected"),
    (["--max-price", "0.1"],
     "error: nothing in the data serves this workload\n"
     "hint: ask for less context or fewer requests at once, try --quantised, or loosen the filters"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "text"), CASES, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_bad_input_is_one_clear_line(words: list[str], text: str) -> None:
    done = run("advise", MISTRAL, "--offline", *words)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert "\n".join(lines) == text


def test_an_unknown_form_is_a_question_of_usage() -> None:
    assert run("advise", MISTRAL, "--offline", "--format", "xml").returncode == 2


def test_pictures_are_written_whole_and_the_same_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["advise", LLAMA, "--offline", "--cloud", "aws"]
    for name in ("a.svg", "b.svg", "c.png"):
        assert main([*words, "--plot", str(tmp_path / name)]) == 0
        assert f"wrote {tmp_path / name}" in capsys.readouterr().err
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    root = ET.fromstring((tmp_path / "a.svg").read_text())
    texts = {"".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"USD per hour, on demand", "GiB of one GPU", "KV cache", "g6.xlarge l4", "aws"} <= texts
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.svg", "b.svg", "c.png"]


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a.svg"
    assert main(["advise", LLAMA, "--offline", "--gpu", "l4", "--plot", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"error: {path}: cannot be written (" in captured.err


def test_without_matplotlib_the_picture_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with patch("importlib.util.find_spec", return_value=None):
        assert main(["advise", LLAMA, "--offline", "--plot", "a.svg"]) == 1
    assert capsys.readouterr().err == (
        "error: --plot draws with matplotlib, which is not installed\nhint: pip install 'llm-serving-planner[plot]'\n"
    )


def test_an_unknown_cloud_is_refused_in_python_too() -> None:
    with pytest.raises(InputError, match="one of aws"):
        check_filters(["moon"], [], None)
