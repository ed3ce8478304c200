"""Laws of the planner, over the whole catalogue and all GPUs."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.engines.versions import parse_version
from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile, profile_grid
from llm_serving_planner.memory import kv_cache, pipeline
from llm_serving_planner.memory.settings import ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec, spec_from_dict
from llm_serving_planner.output.render import render_values
from llm_serving_planner.output.schema import validate
from llm_serving_planner.output.values import build_values
from llm_serving_planner.planner import rules
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import context_of
from support.laws import NIGHTLY, law

SPECS = [spec for name in embedded.model_ids() if (spec := embedded.find(name)) is not None]
models = st.sampled_from(SPECS)
profiles = st.sampled_from(profile_grid())
planned = law(40, nightly=150)


def attempt(spec: ModelSpec, profile: GpuProfile, options: Options | None = None) -> Plan | None:
    try:
        return make_plan(spec, profile, options)
    except DoesNotFitError as error:
        if not error.reasons:
            raise
        return None


def grown(profile: GpuProfile, gib: float) -> GpuProfile:
    return replace(profile, gpu=replace(profile.gpu, memory_usable_gib=profile.gpu.memory_usable_gib + gib))


@planned
@given(models, st.sampled_from([p for p in profile_grid() if p.gpu.memory_usable_gib < 50]), st.floats(0.5, 19))
def test_more_memory_never_fits_less(spec: ModelSpec, profile: GpuProfile, more: float) -> None:
    """Below 70 GiB, where the engine's usual batch does not change with the memory."""
    small = attempt(spec, profile)
    if small is None:
        return
    large = attempt(spec, grown(profile, more))
    assert large is not None
    assert large.settings.max_model_len >= small.settings.max_model_len


@planned
@given(models, st.integers(1, 200_000), st.integers(1, 50_000), st.sampled_from([1, 2, 4, 8]))
def test_longer_context_never_needs_less(spec: ModelSpec, tokens: int, more: int, size: int) -> None:
    chosen = Settings(ParallelConfig(size), tokens, 256, 2048, 0.9)
    short = kv_cache.kv_request_bytes(spec, chosen, tokens)
    assert kv_cache.kv_request_bytes(spec, chosen, tokens + more) >= short > 0


@planned
@given(models, profiles)
def test_the_size_divides_heads_and_the_bytes_add_up(spec: ModelSpec, profile: GpuProfile) -> None:
    plan = attempt(spec, profile)
    if plan is None:
        return
    assert spec.num_attention_heads % plan.settings.parallel.tensor_parallel_size == 0
    estimate = plan.estimate
    used = estimate.weights + estimate.activations + estimate.non_torch + estimate.cuda_graphs
    assert used + estimate.kv_cache == estimate.requested
    assert 0 < estimate.requested <= estimate.total
    assert plan.settings.max_model_len <= context_of(spec)
    if plan.verdict == "fits":
        assert estimate.kv_per_request <= estimate.kv_cache - estimate.margin
        assert plan.cache_tokens >= plan.settings.max_model_len


@planned
@given(models, profiles, st.integers(16, 300_000))
def test_a_pinned_context_is_obeyed_or_refused(spec: ModelSpec, profile: GpuProfile, tokens: int) -> None:
    plan = attempt(spec, profile, Options(max_model_len=tokens))
    if plan is None:
        return
    assert plan.settings.max_model_len == tokens
    free = attempt(spec, profile)
    assert free is not None or plan.verdict == "tight" or tokens < 2048


@planned
@given(
    models,
    profiles,
    st.builds(
        Options,
        max_num_seqs=st.none() | st.integers(1, 2048),
        max_num_batched_tokens=st.none() | st.integers(64, 32768),
        gpu_memory_utilization=st.none() | st.floats(0.3, 1.0).map(lambda x: round(x, 3)),
        enforce_eager=st.booleans(),
        kv_cache_dtype=st.sampled_from([None, "auto", "fp8"]),
        quantization=st.sampled_from([None, "fp8"]),
    ),
)
def test_every_pin_is_obeyed_or_refused(spec: ModelSpec, profile: GpuProfile, options: Options) -> None:
    plan = attempt(spec, profile, options)
    if plan is None:
        return
    chosen = plan.settings
    tokens = options.max_num_batched_tokens
    assert tokens in {None, chosen.max_num_batched_tokens}
    if options.max_num_seqs is not None:
        assert chosen.max_num_seqs == min(options.max_num_seqs, chosen.max_num_batched_tokens)
    assert options.gpu_memory_utilization in {None, chosen.utilization}
    assert chosen.enforce_eager or not options.enforce_eager
    assert plan.kv_cache_dtype == (options.kv_cache_dtype or "auto")
    if options.quantization and spec.quantization is None:
        assert plan.quantization == "fp8"


@planned
@given(models, profiles)
def test_values_validate_and_read_back(spec: ModelSpec, profile: GpuProfile) -> None:
    plan = attempt(spec, profile, Options(hf_token_secret="hf-token"))
    if plan is None:
        return
    text = render_values(plan)
    assert yaml.safe_load(text) == build_values(plan)
    assert text == render_values(plan)
    validate(build_values(plan), "values")


@planned
@given(models)
def test_a_model_survives_its_plain_form(spec: ModelSpec) -> None:
    assert spec_from_dict(_through_json(spec.to_dict())) == spec


def _through_json(data: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(data))
    return read


@planned
@given(st.integers(1, 9), st.integers(1, 16))
def test_a_profile_reads_back(nodes: int, count: int) -> None:
    profile = parse_profile(f"{nodes}x{count}xl4")
    assert (profile.nodes, profile.gpus_per_node) == (nodes, count)


@given(st.lists(st.integers(0, 99), min_size=2, max_size=3))
def test_versions_compare_as_numbers(parts: list[int]) -> None:
    assert parse_version(".".join(map(str, parts))) == tuple(parts)
    assert rules.capability("10.0") > rules.capability("9.0")


@pytest.mark.slow
def test_the_whole_catalogue_is_answered_on_every_profile() -> None:
    """Every pair ends in a plan or in reasons; nothing else escapes."""
    fits = 0
    for spec in SPECS:
        for profile in profile_grid()[:: 1 if NIGHTLY else 15]:
            plan = attempt(spec, profile)
            fits += plan is not None
            assert plan is None or plan.estimate.kv_cache > 0
    assert fits > 400


@planned
@given(models, profiles, st.sampled_from([2, 4, 8]))
def test_sizes_multiply_to_the_gpus_and_stages_hold_all_layers(
    spec: ModelSpec, profile: GpuProfile, nodes: int
) -> None:
    plan = attempt(spec, replace(profile, nodes=nodes))
    if plan is None:
        return
    if plan.replicas > 1:
        assert plan.layout.nodes == 1
        assert plan.replicas * plan.layout.gpus == nodes * profile.gpus_per_node
        return
    layout = plan.layout
    assert (
        layout.parallel.tensor_parallel_size * layout.parallel.pipeline_parallel_size
        == layout.nodes * layout.gpus_per_node
    )
    assert layout.nodes == nodes
    assert layout.gpus_per_node <= profile.gpus_per_node
    assert sum(pipeline.stage_layers(spec.num_layers, layout.parallel.pipeline_parallel_size)) == spec.num_layers
    values = build_values(replace(plan, spec=replace(spec, gated=False)))
    assert values["parallelism"]["pipeline"] == layout.parallel.pipeline_parallel_size
    validate(values, "law")


@planned
@given(models, st.integers(min_value=1, max_value=16))
def test_the_fullest_stage_is_a_share_of_the_model(spec: ModelSpec, stages: int) -> None:
    stages = min(stages, spec.num_layers)
    layers = pipeline.stage_layers(spec.num_layers, stages)
    assert max(layers) - min(layers) <= 1
    stage = pipeline.stage_spec(spec, stages)
    assert stage.weights.loaded_bytes <= spec.weights.loaded_bytes + 2 * spec.vocab_size * spec.hidden_size
    assert stage.weights.loaded_bytes * stages >= spec.weights.loaded_bytes // (1 if stages == 1 else 2)
    assert stage.attention_layers <= spec.attention_layers


@planned
@given(models, profiles)
def test_more_nodes_never_fit_less(spec: ModelSpec, profile: GpuProfile) -> None:
    two, four = (attempt(spec, replace(profile, nodes=nodes)) for nodes in (2, 4))
    if two is not None and spec.num_layers >= 4 * profile.gpus_per_node:
        assert four is not None
        assert four.estimate.weights <= two.estimate.weights


@planned
@given(models, profiles, st.sampled_from(["tgi", "tgis"]))
def test_frozen_engines_answer_or_refuse(spec: ModelSpec, profile: GpuProfile, kind: str) -> None:
    plan = attempt(spec, profile, Options(engine=kind))
    if plan is None:
        return
    assert spec.num_kv_heads % plan.layout.parallel.tensor_parallel_size == 0 or spec.num_kv_heads == 1
    values = build_values(replace(plan, spec=replace(spec, gated=False)))
    validate(values, "law")
    assert "servedName" not in values["model"]
