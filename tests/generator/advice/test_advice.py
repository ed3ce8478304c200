"""The ranking: its laws, its forms, what a user may do wrong; the closed form that it ranks by."""

import csv
import io
import json
import shlex
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from llm_serving_planner.advice import candidates
from llm_serving_planner.advice.candidates import check_filters
from llm_serving_planner.advice.ranking import advise, rank
from llm_serving_planner.advice.table import decisions, render, winner_command
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.cli.main import main
from llm_serving_planner.hardware.profiles import all_gpus, all_instances, parse_profile
from llm_serving_planner.memory.settings import ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import context_of
from llm_serving_planner.speed import constants, roofline
from llm_serving_planner.speed.roofline import Engine, Load, predict, step_seconds
from llm_serving_planner.speed.workload import Workload, workload
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


def asked(load: Workload, more: int = 0) -> Load:
    return Load((load.concurrency or 1) + more, load.prompt_tokens, load.answer_tokens)


@st.composite
def loads(draw: st.DrawFn, spec: ModelSpec) -> Workload:
    context = draw(st.integers(32, min(context_of(spec), 32768)))
    prompt = draw(st.integers(1, context - 1))
    answer = draw(st.integers(1, min(context - prompt, 2000)))
    return workload(prompt_tokens=prompt, answer_tokens=answer, concurrency=draw(st.integers(1, 64)))


def chat(**given: float) -> Workload:
    return workload("chat", **given)


@ranked
@given(st.data(), models)
def test_every_row_really_plans_and_holds_the_workload(data: st.DataObject, spec: ModelSpec) -> None:
    load = data.draw(loads(spec))
    advice = advise(spec, load, quantised=False)
    for row in advice.rows:
        plan = make_plan(spec, parse_profile(row.profile), row.plan.options)
        assert plan.settings == row.plan.settings, "plan and advise say the same"
        assert plan.settings.max_model_len >= advice.need
        if row.machine is not None:
            assert row.count == row.plan.profile.nodes * row.engines // row.plan.replicas
            assert row.machine.count >= row.plan.layout.gpus_per_node


@ranked
@given(st.data(), models)
def test_the_order_is_price_and_unpriced_rows_are_last(data: st.DataObject, spec: ModelSpec) -> None:
    advice = advise(spec, data.draw(loads(spec)))
    for first, second in pairwise(advice.rows):
        if second.usd_per_hour is not None:
            assert first.usd_per_hour is not None
            assert first.usd_per_hour <= second.usd_per_hour
    assert all(misfit.reason for misfit in advice.misfits)
    assert len(advice.misfits) == sum(len(group[2]) for group in advice.grouped())


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
        advice = advise(spec, chat(concurrency=4), quantised=False)
    order = [row.machine.type for row in advice.rows if row.machine]
    if machine.type in order and twin.type in order:
        assert order.index(twin.type) < order.index(machine.type)


@quick
@given(st.data(), models, st.sampled_from(KNOWN), st.sampled_from([1, 2, 4, 8]), st.floats(1, 10), st.booleans())
def test_more_bandwidth_never_decodes_slower(
    data: st.DataObject, spec: ModelSpec, gpu: object, size: int, factor: float, eager: bool
) -> None:
    load = data.draw(loads(spec))
    profile = parse_profile(f"{size}x{gpu.id}")  # type: ignore[attr-defined]
    chosen = Settings(ParallelConfig(size), load.longest, 256, 2048, 0.9, enforce_eager=eager)
    wide = replace(profile.gpu, bandwidth_gb_s=(profile.gpu.bandwidth_gb_s or 0) * factor)
    slower = predict(Engine(spec, profile, chosen), asked(load))
    faster = predict(Engine(spec, replace(profile, gpu=wide), chosen), asked(load))
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
    same = {constants.for_model(gpus.gpu, spec, eager=False) for gpus in (one, two)}
    assume(len(same) == 1)  # of GPUs that were measured less is assumed
    load = data.draw(loads(spec))
    chosen = Settings(ParallelConfig(1), load.longest, 256, 2048, 0.9)
    times = [step_seconds(Engine(spec, profile, chosen), load.concurrency or 1, load.tokens) for profile in (one, two)]
    assert times[1] <= times[0]


@quick
@given(st.data(), models, st.sampled_from(KNOWN), st.sampled_from([1, 2, 4, 8]))
def test_more_requests_at_once_never_yield_fewer_tokens(
    data: st.DataObject, spec: ModelSpec, gpu: object, size: int
) -> None:
    load = data.draw(loads(spec))
    profile = parse_profile(f"{size}x{gpu.id}")  # type: ignore[attr-defined]
    engine = Engine(spec, profile, Settings(ParallelConfig(size), load.longest, 256, 2048, 0.9))
    few, many = predict(engine, asked(load)), predict(engine, asked(load, more=7))
    assert few is not None
    assert many is not None
    assert many.tokens_per_second >= few.tokens_per_second * (1 - 1e-9)
    assert many.per_request <= few.per_request * (1 + 1e-9)
    assert few.low < few.tokens_per_second < few.high
    assert few.first_token_seconds > 0


def test_several_machines_cost_as_many() -> None:
    """Two nodes where one is too small for the model, several machines where one is too few for the requests."""
    rows = {row.profile: row for row in advise(find(LLAMA), chat(concurrency=40), quantised=False).rows}
    nodes = rows["2xg4dn.xlarge"]
    assert (nodes.plan.layout.nodes, nodes.count) == (2, 2 * nodes.engines)
    assert nodes.usd_per_hour == pytest.approx(nodes.count * 0.526)
    engines = rows["g6.xlarge"]
    assert (engines.plan.layout.nodes, engines.count) == (1, engines.engines)
    assert engines.count > 1
    assert engines.usd_per_hour == pytest.approx(engines.count * 0.8048)


def test_plan_and_advise_have_one_answer() -> None:
    spec = find("meta-llama/Llama-3.3-70B-Instruct")
    advice = advise(spec, chat(concurrency=1, prompt_tokens=1000, answer_tokens=200), quantised=False)
    row = next(row for row in advice.rows if row.profile == "2xg6.12xlarge")
    assert row.plan.settings.max_model_len == make_plan(spec, parse_profile("2xg6.12xlarge")).settings.max_model_len


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


@pytest.mark.parametrize("name", [LLAMA, "meta-llama/Llama-3.3-70B-Instruct", "Qwen/Qwen3-30B-A3B"])
def test_users_and_targets_size_the_machines(name: str) -> None:
    """The finalists meet what was asked for, in the simulation, and more users cost no less."""
    few, many = (advise(find(name), chat(users=users, ttft=1.0, itl=0.033)) for users in (50, 400))
    for advice in (few, many):
        finalists = [row for row in advice.rows if row.promise]
        assert finalists
        assert all(row.promise and row.promise.meets for row in finalists)
        assert all(row.bears >= (advice.workload.rate or 0) for row in finalists)
    assert (many.rows[0].usd_per_hour or 0) >= (few.rows[0].usd_per_hour or 0)


def test_the_winners_command_plans_and_meets(tmp_path: Path) -> None:
    words = ("--offline", "--workload", "chat", "--users", "200", "--ttft", "1s", "--itl", "33ms")
    for model in ("Qwen/Qwen3-8B", "Qwen/Qwen3-30B-A3B"):
        done = run("advise", model, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        line = done.stdout.splitlines()[-1]
        assert line.startswith("cheapest: llm-serving values ")
        again = run(*shlex.split(line)[2:], cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        (path,) = (tmp_path / "values").iterdir()
        plan = yaml.safe_load(path.read_text())["plan"]
        assert (plan["promise"]["verdict"], plan["workload"]["users"]) == ("meets", 200)
        path.unlink()


def test_what_is_not_sold_on_demand_has_no_price_and_what_is_gone_is_refused() -> None:
    spec = find(LLAMA)
    advice = advise(spec, chat(), quantised=False)
    assert next(row for row in advice.rows if row.profile == "a3-highgpu-1g").usd_per_hour is None
    assert {m.name for m in advice.misfits if m.reason == "no longer offered"} >= {"p3.2xlarge", "dl1.24xlarge"}
    assert {m.reason for m in advice.misfits if m.name == "g6f.xlarge"} == {"a slice of a GPU, which is not sized"}


def test_filters_leave_only_what_they_name() -> None:
    spec = find(LLAMA)
    filters = check_filters(["AWS", "gcp"], ["h100", "l4"], 8.1)
    advice = advise(spec, chat(), filters)
    assert {row.plan.profile.gpu.id for row in advice.rows} == {"l4", "h100-80gb"}
    assert {row.machine.cloud for row in advice.rows if row.machine} == {"aws", "gcp"}
    assert all(row.usd_per_hour is not None and row.usd_per_hour <= 8.1 for row in advice.rows)
    assert ("p5.48xlarge", "above 8.1 USD per hour") in {(m.name, m.reason) for m in advice.misfits}
    assert list(advice.rows) == sorted(advice.rows, key=rank)


def test_quantised_checkpoints_are_lines_of_their_own_unless_left_out() -> None:
    spec = find("meta-llama/Llama-3.1-70B-Instruct")
    plain, more = (advise(spec, chat(), quantised=flag) for flag in (False, True))
    assert {row.plan.spec.model_id for row in plain.rows} == {spec.model_id}
    assert {spec.model_id} < {row.plan.spec.model_id for row in more.rows}
    assert (more.rows[0].usd_per_hour or 0) < (plain.rows[0].usd_per_hour or 0)
    assert "loss of quality not measured" in render(more, "text", None)


@pytest.mark.parametrize(
    "name",
    [LLAMA, "openai-community/gpt2", "deepseek-ai/DeepSeek-R1", "meta-llama/Llama-4-Scout-17B-16E-Instruct"],
)
def test_the_table_fits_80_columns(name: str) -> None:
    spec = find(name)
    for load in (chat(), workload(concurrency=300, prompt_tokens=200, answer_tokens=100)):
        text = render(advise(spec, load), "text", 10_000)
        assert [line for line in text.splitlines() if len(line) > 80] == []


def test_one_row_per_decision_in_the_table_only() -> None:
    advice = advise(find(LLAMA), chat())
    shown = decisions(advice.rows)
    assert sum(1 + others for _, others in shown) == len(advice.rows)
    keys = [
        (row.plan.profile.gpu.id, row.plan.spec.quantization and row.plan.spec.quantization.bits) for row, _ in shown
    ]
    assert len(set(keys)) == len(keys)
    assert len(json.loads(render(advice, "json", None))["rows"]) == len(advice.rows)
    assert winner_command(advice, shown[0][0], offline=True).startswith("llm-serving values ")


def test_the_other_forms_carry_the_same_rows() -> None:
    advice = advise(find(LLAMA), chat())
    data = json.loads(render(advice, "json", 5))
    assert [row["profile"] for row in data["rows"]] == [row.profile for row in advice.rows[:5]]
    assert data["workload"]["assumed"] == ["concurrency", "prompt_tokens", "answer_tokens"]
    table = list(csv.DictReader(io.StringIO(render(advice, "csv", None))))
    assert [row["profile"] for row in table] == [row.profile for row in advice.rows]
    markdown = render(advice, "markdown", 3).splitlines()
    assert len([line for line in markdown if line.startswith("| ") and "USD/h" not in line]) == 3


def test_assumed_lengths_shrink_with_the_model() -> None:
    advice = advise(find("openai-community/gpt2"), workload())
    assert (advice.need, advice.workload.tokens) == (1024, 1024)


def test_a_ranking_of_all_machines_takes_less_than_two_seconds() -> None:
    began = time.process_time()
    advise(find("meta-llama/Llama-3.3-70B-Instruct"), chat(users=200, ttft=1.0, itl=0.033))
    assert time.process_time() - began < 2.0


CASES: list[tuple[list[str], int, str]] = [
    (["--max-model-len", "0"], 1, "error: --max-model-len is 0: 1 to the 32,768 tokens of"),
    (["--concurrency", "-1"], 1, "error: --concurrency is -1: a positive whole number is expected"),
    (["--prompt-tokens", "0"], 1, "error: --prompt-tokens is 0: a positive whole number is expected"),
    (["--answer-tokens", "0"], 1, "error: --answer-tokens is 0: a positive whole number is expected"),
    (["--max-model-len", "1000", "--prompt-tokens", "900", "--answer-tokens", "200"], 1,
     "error: a request of 900 prompt and 200 answer tokens is longer than the context of 1,000"),
    (["--cloud", "azur"], 1, "error: --cloud is 'azur': one of aws, azure, gcp, ibm, oci is expected"),
    (["--gpu", "t5"], 1, "error: --gpu is 't5': no such GPU\nhint: `llm-serving profiles` lists them"),
    (["--gpu", "mi300x"], 1, "error: --gpu is 'mi300x': of amd; only NVIDIA GPUs are planned in this version"),
    (["--max-price", "0"], 1, "error: --max-price is 0: USD per hour above 0 are expected"),
    (["--max-price", "nan"], 1, "error: --max-price is nan: USD per hour above 0 are expected"),
    (["--top", "0"], 1, "error: --top is 0: a positive whole number is expected"),
    (["--plot", "a.pdf"], 1, "error: --plot is a.pdf: a file that ends in .svg or .png is expected"),
    (["--max-price", "0.1"], 4, "error: nothing in the data serves this workload"),
    (["--request-rate", "1e9"], 4,
     "error: nothing in the data serves this workload\nhint: the most that one kind of machine bears, 4,096 engines"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "text"), CASES, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_clear_line(words: list[str], code: int, text: str) -> None:
    done = run("advise", MISTRAL, "--offline", *words)
    assert done.returncode == code
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert "\n".join(lines).startswith(text)


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
    assert {"USD per hour, on demand", "GiB of one GPU", "KV cache", "aws"} <= texts
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
