"""What a model is used for beside plain generation: adapters, tools, drafts, offload, embeddings."""

import json
import re
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.units import GIB
from llm_serving_planner.cli.main import build_parser
from llm_serving_planner.engines import features, parsers, vllm
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.memory import extras
from llm_serving_planner.memory.activations import peak_bytes
from llm_serving_planner.memory.kv_cache import kv_request_bytes
from llm_serving_planner.memory.settings import Gpu, ParallelConfig, Settings
from llm_serving_planner.models import adapters, embedded
from llm_serving_planner.models.adapters import Draft
from llm_serving_planner.models.spec import LayerGroup, ModelSpec
from llm_serving_planner.output.report import text_report
from llm_serving_planner.output.schema import validate
from llm_serving_planner.output.values import build_values
from llm_serving_planner.planner.features import speculative
from llm_serving_planner.planner.option_checks import check_options
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.ways_out import ways_out
from support.command import run
from support.configs import BASE, EACH, LLAMA, read
from support.fake_hub import safetensors
from support.helm import ROOT, engine, flags, in_process

LLAMA_8B = "meta-llama/Llama-3.1-8B-Instruct"
QWEN = "Qwen/Qwen3-32B"
H200 = Gpu(int(139.8 * GIB), (9, 0), nvlink=True)
HEAD = Draft(
    "eagle3", 2, id="org/head", revision="abc", head_bytes=GIB, layers=(LayerGroup("full", 1, 8, 128, 128),),
    file_bytes=GIB, hidden_size=4096,
)  # fmt: skip


def spec(name: str) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


def plan(name: str, profile: str, **options: Any) -> Plan:
    return make_plan(spec(name), parse_profile(profile), Options(**options))


def reasons(name: str, profile: str, **options: Any) -> str:
    with pytest.raises(DoesNotFitError) as caught:
        plan(name, profile, **options)
    return "; ".join(caught.value.reasons)


def refused(**options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        check_options(Options(**options))
    return caught.value


# LoRA: rank x (inputs + outputs) of every linear layer, both halves of 16 bits, by hand for Llama 3.1 8B
@pytest.mark.parametrize(("ranks", "per_layer"), [(1, 81_920), (2, 55_296), (8, 35_328)])
def test_a_slot_of_llama_8b_by_hand(ranks: int, per_layer: int) -> None:
    held = adapters.Slots(1, 16, 1)
    expected = 2 * 16 * (32 * per_layer + 2 * (128_256 + 4096))
    assert extras.slot_bytes(spec(LLAMA_8B), held, ranks) == expected


def test_a_whole_adapter_has_the_parameters_that_peft_counts() -> None:
    """41,943,040 for rank 16 on all linear layers of Llama 3.1 8B, as PEFT prints it."""
    held = adapters.Slots(1, 16, 1, embeddings=False)
    assert extras.slot_bytes(spec(LLAMA_8B), held, 1) == 2 * 41_943_040


def test_experts_have_slots_of_their_own() -> None:
    dense, experts = spec("mistralai/Mistral-7B-Instruct-v0.2"), spec("mistralai/Mixtral-8x7B-Instruct-v0.1")
    held = adapters.Slots(1, 8, 1, embeddings=False)
    attention = 3 * 4096 + 4096 + 2048 + 4096 + 4096
    mlp = 2 * (4096 + 14336) + 14336 + 4096
    assert extras.slot_bytes(dense, held, 1) == 16 * 32 * (attention + mlp)
    assert extras.slot_bytes(experts, held, 1) == 16 * 32 * (attention + 8 * mlp + 4096 + 8)


def test_more_adapters_or_ranks_leave_less_cache() -> None:
    adapters = [f"a{n}=org/a{n}" for n in range(4)]
    left = [
        plan(LLAMA_8B, "1xl40s", lora=tuple(adapters[:count]), max_lora_rank=rank).estimate
        for count, rank in ((1, 16), (2, 16), (4, 16), (4, 64))
    ]
    without = plan(LLAMA_8B, "1xl40s").estimate
    caches = [without.kv_cache, *(estimate.kv_cache for estimate in left)]
    assert caches == sorted(caches, reverse=True)
    assert without.lora == 0 < left[0].lora
    for estimate in left:
        assert estimate.used + estimate.kv_cache == estimate.requested


def test_adapters_are_written_for_the_chart_and_rendered() -> None:
    made = plan(LLAMA_8B, "1xl40s", lora=("sql=org/sql@v1", "de=/llm/source/de"), max_loras=1, hf_token_secret="hf")
    values = build_values(made)
    validate(values, "values")
    assert values["engine"]["lora"] == {
        "adapters": [{"name": "sql", "id": "org/sql", "revision": "v1"}, {"name": "de", "path": "/llm/source/de"}],
        "maxLoras": 1, "maxRank": 16, "maxCpuLoras": 2,
    }  # fmt: skip
    words = engine(in_process(values))["args"]
    start = words.index("--lora-modules")
    assert [json.loads(word)["name"] for word in words[start + 1 : start + 3]] == ["sql", "de"]
    assert "lora" in values["plan"]["estimateGiBPerGpu"]
    for flag in ("enable-lora", "lora-modules", "max-loras", "max-lora-rank", "max-cpu-loras"):
        assert vllm.flag_problem(flag, made.engine_version) is None
    assert "upper bound" in " ".join(made.assumptions)


def test_host_memory_and_disk_count_the_adapters() -> None:
    one, none = plan(LLAMA_8B, "1xl40s", lora=("a=org/a",), max_lora_rank=512), plan(LLAMA_8B, "1xl40s")
    whole = extras.slot_bytes(one.spec, adapters.Slots(1, 512, 1), 1)
    assert one.resources.memory_request - none.resources.memory_request == whole
    assert one.resources.disk - none.resources.disk >= 2 * whole


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lora": ("a",)}, "--lora a: NAME=SOURCE is expected, as in sql=org/adapter or sql=/llm/source/sql"),
        ({"lora": ("a=b",)}, "--lora a=b: b is neither a hub id (org/name) nor a path in the container (/...)"),
        ({"lora": ("a=o/a", "a=o/b")}, "--lora a: the name stands twice among model, aliases and adapters"),
        ({"lora": ("a=o/a",), "alias": ("a",)}, "--lora a: the name stands twice among model, aliases and adapters"),
        ({"max_loras": 2}, "--max-loras has no use without --lora NAME=SOURCE"),
        ({"lora": ("a=o/a",), "max_loras": 0}, "--max-loras is 0: a positive whole number is expected"),
        ({"alias": ("a", "a")}, "--alias 'a': a name, told once, that does not begin with - is expected"),
        ({"alias": ("",)}, "--alias '': a name, told once, that does not begin with - is expected"),
        ({"alias": ("-x",)}, "--alias '-x': a name, told once, that does not begin with - is expected"),
        ({"task": "chat"}, "--task is 'chat': one of generate, embed, rerank, classify is expected"),
        ({"prefix_caching": "yes"}, "--prefix-caching is 'yes': one of on, off is expected"),
        ({"kv_offload_gib": 0.0}, "--kv-offload-gib is 0.0: a positive size is expected"),
        ({"limit_mm": ("image",)}, "--limit-mm image: MODALITY=N is expected (image, video, audio), as in image=2"),
        ({"limit_mm": ("smell=1",)}, "--limit-mm smell=1: MODALITY=N is expected (image, video, audio), as in image=2"),
        ({"speculative": "medusa"}, "--speculative medusa: one of ngram, eagle, eagle3, draft_model, mtp is expected, "
         "as in eagle3:org/head"),
        ({"speculative": "eagle3"}, "--speculative eagle3 needs the model that drafts: --speculative eagle3:org/name"),
        ({"speculative": "ngram:org/x"}, "--speculative ngram:org/x: ngram has no model of its own; leave org/x away"),
        ({"speculative_tokens": 3}, "--speculative-tokens has no use without --speculative METHOD"),
        ({"speculative": "ngram", "speculative_tokens": 0}, "--speculative-tokens is 0: a positive whole number is "
         "expected"),
    ],
)  # fmt: skip
def test_malformed_options_get_one_line(options: dict[str, Any], text: str) -> None:
    assert str(refused(**options)) == text


@pytest.mark.parametrize(("version", "rank"), [("0.33.0", 12), ("0.11.1", 1)])
def test_a_rank_that_the_version_does_not_take(version: str, rank: int) -> None:
    with pytest.raises(InputError, match=rf"--max-lora-rank is {rank}: vLLM {version} takes"):
        plan(LLAMA_8B, "1xl40s", lora=("a=o/a",), max_lora_rank=rank, engine_version=version)


def test_fewer_adapters_in_host_memory_than_in_a_batch() -> None:
    with pytest.raises(InputError, match=r"--max-cpu-loras \(1\) is below --max-loras \(2\)"):
        plan(LLAMA_8B, "1xl40s", lora=("a=o/a", "b=o/b"), max_cpu_loras=1)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("bigscience/bloom", "vLLM 0.33.0 serves no LoRA adapters on BloomForCausalLM"),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", "slots of adapters for recurrent layers are not sized"),
    ],
)
def test_models_without_adapters(model: str, text: str) -> None:
    assert text in reasons(model, "8xh200", lora=("a=o/a",))


@pytest.mark.parametrize("engine_type", ["tgi", "tgis"])
@pytest.mark.parametrize("option", ["lora", "speculative", "tool_calling", "task", "kv_offload_gib", "alias"])
def test_other_engines_refuse_what_is_vllms(engine_type: str, option: str) -> None:
    given: dict[str, Any] = {
        "lora": ("a=o/a",), "speculative": "ngram", "tool_calling": True, "task": "embed", "kv_offload_gib": 1.0,
        "alias": ("x",),
    }  # fmt: skip
    error = refused(engine=engine_type, **{option: given[option]})
    name = {"tgi": "TGI", "tgis": "TGIS"}[engine_type]
    assert str(error) == f"--{option.replace('_', '-')} is vLLM's, not {name}'s"
    if (engine_type, option) == ("tgi", "lora"):
        assert error.hint is not None
        assert "engine.args.lora-adapters" in error.hint


# Tools and reasoning
@pytest.mark.parametrize("family", load_data("parsers.json")["families"], ids=lambda family: family["family"])
def test_every_familys_parsers_exist_in_the_pinned_version(family: dict[str, str]) -> None:
    version = vllm.default_version()
    assert features.was_read(version)
    named = {what: family.get(what, "") for what in ("tool", "reasoning")}
    assert any(named.values())
    for what, name in named.items():
        assert not name or features.serves(version, f"{what}_parsers", name)


def test_a_family_is_found_as_by_its_pattern_alone() -> None:
    """Patterns are compiled only for names that hold their first letters."""
    families = load_data("parsers.json")["families"]
    for name in (model.rpartition("/")[2].lower() for model in embedded.model_ids()):
        expected = next((entry["family"] for entry in families if re.search(entry["names"], name)), None)
        found = parsers.family_of(replace(spec(QWEN), model_id=name, architecture="none"))
        assert (found.family if found else None) == expected
    for entry in families:  # the letters stand in every name that matches
        rest = entry["names"].lstrip(string.ascii_letters)
        assert rest == entry["names"] or (
            rest[:1] not in {"?", "*", "{", "|"} and "|" not in re.sub(r"\(.*?\)", "", rest)
        )


@pytest.mark.parametrize(
    ("model", "tool", "reasoning"),
    [
        (LLAMA_8B, "llama3_json", ""),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama4_pythonic", ""),
        ("Qwen/Qwen2.5-7B-Instruct", "hermes", ""),
        (QWEN, "hermes", "qwen3"),
        ("Qwen/Qwen3-Coder-Next", "qwen3_xml", ""),
        ("openai/gpt-oss-20b", "openai", "openai_gptoss"),
        ("deepseek-ai/DeepSeek-V3.1", "deepseek_v31", "deepseek_v3"),
        ("zai-org/GLM-4.7-Flash", "glm47", "glm47"),
        ("moonshotai/Kimi-K2-Instruct", "kimi_k2", ""),
    ],
)
def test_families_of_the_catalogue(model: str, tool: str, reasoning: str) -> None:
    family = parsers.family_of(spec(model))
    assert family is not None
    assert (family.tool, family.reasoning) == (tool, reasoning)


def test_tool_calling_is_off_and_explained_until_it_is_asked_for() -> None:
    off = plan(QWEN, "2xh100")
    assert "tool-call-parser" not in build_values(off)["engine"]["args"]
    assert "off; --tool-calling writes tool parser hermes and reasoning parser qwen3 (Qwen3)" in text_report(off)
    on = build_values(plan(QWEN, "2xh100", tool_calling=True))["engine"]["args"]
    assert (on["enable-auto-tool-choice"], on["tool-call-parser"], on["reasoning-parser"]) == (True, "hermes", "qwen3")


def test_a_family_that_needs_a_template_gets_it() -> None:
    values = build_values(plan(LLAMA_8B, "1xl40s", tool_calling=True, hf_token_secret="hf"))
    path = "/vllm-workspace/examples/tool_chat_template_llama3.1_json.jinja"
    assert values["engine"]["chatTemplate"] == {"file": path}
    assert flags(in_process(values))["--chat-template"] == path


def test_an_unknown_family_is_one_line_and_a_named_parser_helps() -> None:
    with pytest.raises(InputError) as caught:
        plan("tiiuae/falcon-7b", "1xa10g", tool_calling=True)
    assert str(caught.value) == (
        "--tool-calling: no tool parser is known for tiiuae/falcon-7b: its family is in no list"
    )
    named = plan("tiiuae/falcon-7b", "1xa10g", tool_calling=True, tool_call_parser="pythonic")
    assert named.use.args["tool-call-parser"] == "pythonic"
    with pytest.raises(InputError, match=r"--tool-call-parser qwen3_jsn: vLLM 0\.33\.0 has no such parser"):
        plan(QWEN, "2xh100", tool_call_parser="qwen3_jsn")
    with pytest.raises(InputError, match=r"--reasoning-parser hermes: vLLM 0\.33\.0 has no such parser"):
        plan(QWEN, "2xh100", reasoning_parser="hermes")


def test_a_version_that_was_not_read_is_told() -> None:
    made = plan(QWEN, "2xh100", tool_calling=True, engine_version="0.28.0")
    assert "names of parsers were read from vLLM 0.25.1, not from 0.28.0" in made.warnings


# Drafts
def test_a_draft_counts_its_weights_and_its_cache() -> None:
    without = plan(QWEN, "2xh100")
    small = spec("Qwen/Qwen3-0.6B")
    draft = Draft("draft_model", 4, id=small.model_id, spec=small, layers=small.layers, file_bytes=10**9)
    made = plan(QWEN, "2xh100", speculative="draft_model:Qwen/Qwen3-0.6B", speculative_tokens=4, draft=draft)
    one = sum(group.count * group.kv_heads * (group.k_dim + group.v_dim) for group in small.layers)
    tokens = made.settings.max_model_len
    both = kv_request_bytes(made.spec, replace(made.settings, draft=None), tokens) + tokens * one * 2 // 2
    assert made.estimate.kv_per_request == both  # 16 bits, halved over two GPUs
    assert made.estimate.draft > small.weights.loaded_bytes // 2
    assert made.estimate.kv_cache < without.estimate.kv_cache - made.estimate.draft
    assert made.estimate.used + made.estimate.kv_cache == made.estimate.requested


def test_a_head_is_written_for_the_chart() -> None:
    options = {"speculative": "eagle3:org/head@abc", "draft": HEAD, "hf_token_secret": "hf"}
    values = build_values(plan(LLAMA_8B, "1xl40s", **options))
    validate(values, "values")
    wanted = {"method": "eagle3", "tokens": 2, "id": "org/head", "revision": "abc"}
    assert values["engine"]["speculative"] == wanted
    config = json.loads(flags(in_process(values))["--speculative-config"])
    assert config == {
        "method": "eagle3", "model": "/llm/models/adapters/org--head@abc", "num_speculative_tokens": 2,
    }  # fmt: skip
    assert values["plan"]["estimateGiBPerGpu"]["draft"] > 1


def test_ngrams_need_no_model() -> None:
    values = build_values(plan(LLAMA_8B, "1xl40s", speculative="ngram", hf_token_secret="hf"))
    config = json.loads(flags(in_process(values))["--speculative-config"])
    assert config == {"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4}


def test_a_prediction_layer_is_as_large_as_a_layer_of_experts() -> None:
    model = spec("deepseek-ai/DeepSeek-V3")
    draft = speculative.with_heads(speculative.parse("mtp", None), model)
    assert draft.layers[0].kind == "mla"
    assert 10 * GIB < draft.head_bytes < 13 * GIB  # 11.5 billion parameters of 8 bits (technical report, 2024-12)
    made = plan("deepseek-ai/DeepSeek-V3", "8xh200", speculative="mtp")
    assert made.estimate.draft >= draft.head_bytes // 8


@pytest.mark.parametrize(
    ("profile", "model", "options", "text"),
    [
        ("2xh100", QWEN, {"speculative": "mtp"}, "Qwen3ForCausalLM has no prediction layers that vLLM 0.33.0 uses"),
        ("2x2xh100", QWEN, {"speculative": "ngram"}, "with pipeline parallel size 2: vLLM refuses drafts over several"),
        ("1xl40s", LLAMA_8B, {"speculative": "eagle3:o/h", "draft": replace(HEAD, hidden_size=5120)},
         "the head was made for a hidden size of 5120, the model's is 4096"),
        ("1xl40s", "tiiuae/falcon-7b", {"speculative": "eagle3:o/h", "draft": HEAD},
         "takes no EAGLE-3 head on FalconForCausalLM"),
        ("2xh100", QWEN, {"speculative": "draft_model:o/d", "draft": Draft(
            "draft_model", 5, id="o/d", spec=read(LLAMA), layers=read(LLAMA).layers)},
         "vLLM takes equal ones only"),
        ("1xl40s", LLAMA_8B, {"speculative": "mtp", "engine_version": "0.11.1"}, "is planned from vLLM 0.25.1 on"),
    ],
)  # fmt: skip
def test_drafts_that_do_not_go_with_the_model(profile: str, model: str, options: dict[str, Any], text: str) -> None:
    assert text in reasons(model, profile, **options)


def test_the_context_ends_where_the_drafts_does() -> None:
    small = replace(spec("Qwen/Qwen3-0.6B"), max_position=8192)
    draft = Draft("draft_model", 5, id="o/d", spec=small, layers=small.layers)
    assert plan(QWEN, "2xh100", speculative="draft_model:o/d", draft=draft).settings.max_model_len == 8192


def test_adapters_and_drafts_need_room_in_a_step() -> None:
    options = {"lora": ("a=o/a",), "speculative": "ngram", "max_num_seqs": 512, "max_num_batched_tokens": 2048}
    assert "512 sequences need --max-num-batched-tokens 3072" in reasons(LLAMA_8B, "1xh100", **options)


# Cache, limits
def test_offload_is_in_shared_and_in_pod_memory() -> None:
    off, on = plan(LLAMA_8B, "1xl40s"), plan(LLAMA_8B, "1xl40s", kv_offload_gib=16.0, hf_token_secret="hf")
    for name in ("shared_memory", "memory_request", "memory_limit"):
        assert getattr(on.resources, name) - getattr(off.resources, name) == 16 * GIB
    values = build_values(on)
    assert values["engine"]["kvOffload"] == {"sizeGiB": 16.0}
    assert flags(in_process(values))["--kv-offloading-size"] == "16"


def test_switches_become_flags() -> None:
    made = plan(LLAMA_8B, "1xl40s", prefix_caching="off", structured_output="xgrammar", hf_token_secret="hf")
    words = engine(in_process(build_values(made)))["args"]
    assert "--no-enable-prefix-caching" in words
    assert words[words.index("--structured-outputs-config") + 1] == '{"backend":"xgrammar"}'


def test_without_images_no_encoder_runs() -> None:
    model, name = spec("Qwen/Qwen2.5-VL-7B-Instruct"), "Qwen/Qwen2.5-VL-7B-Instruct"
    few = plan(name, "1xl40s", limit_mm=("image=2",))
    none = plan(name, "1xl40s", limit_mm=("image=0", "video=0"))
    regime = vllm.regime("0.33.0", model.architecture, moe=False, hybrid=False)
    assert few.settings.encoders
    assert not none.settings.encoders
    assert none.settings.without_items == ("image", "video")
    with_encoder = peak_bytes(model, H200, few.settings, regime)
    assert with_encoder > peak_bytes(model, H200, replace(few.settings, encoders=False), regime) + GIB
    values = build_values(few)
    assert flags(in_process(values))["--limit-mm-per-prompt"] == '{"image":2}'
    with pytest.raises(InputError, match="--limit-mm: Qwen3-32B takes text only"):
        plan(QWEN, "2xh100", limit_mm=("image=1",))


def test_the_first_name_is_the_one_that_answers() -> None:
    values = build_values(plan(LLAMA_8B, "1xl40s", served_name="llama", alias=("a", "b"), hf_token_secret="hf"))
    words = engine(in_process(values))["args"]
    assert words[words.index("--served-model-name") :][:4] == ["--served-model-name", "llama", "a", "b"]


# Vectors and scores
BERT = {**EACH, "architectures": ["BertModel"], "max_position_embeddings": 512}


def test_an_encoder_caches_nothing_and_takes_a_prompt_whole() -> None:
    model = read(BERT)
    made = make_plan(model, parse_profile("1xt4"), Options(max_num_batched_tokens=256))
    assert (made.use.task, made.estimate.kv_per_request, made.cache_tokens) == ("embed", 0, 0)
    assert made.settings.max_num_batched_tokens == 512
    assert "nothing is cached" in text_report(made)
    values = build_values(made)
    validate(values, "values")
    assert "max-model-len" not in values["engine"]["args"]
    words = engine(in_process(values))["args"]
    assert words[words.index("--runner") + 1] == "pooling"
    pinned = make_plan(model, parse_profile("1xt4"), Options(max_model_len=128))
    assert build_values(pinned)["engine"]["args"]["max-model-len"] == 128


def test_no_logits_are_sampled_for_vectors() -> None:
    model = spec("Qwen/Qwen3-Embedding-8B")
    regime = vllm.regime("0.33.0", model.architecture, moe=False, hybrid=False)
    settings = Settings(ParallelConfig(1), 8192, 1024, 8192, 0.9)
    pooled = peak_bytes(model, H200, replace(settings, pooling=True), regime)
    assert pooled < peak_bytes(model, H200, settings, regime)


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({"architectures": ["BertModel"]}, "embed"),
        ({"architectures": ["XLMRobertaForSequenceClassification"], "num_labels": 1}, "rerank"),
        ({"architectures": ["XLMRobertaForSequenceClassification"], "id2label": {"0": "LABEL_0"}}, "rerank"),
        ({"architectures": ["BertForSequenceClassification"]}, "classify"),
        ({"architectures": ["Qwen3ForSequenceClassification"], "num_labels": 1}, "rerank"),
        ({"architectures": ["LlamaForCausalLM"]}, "generate"),
    ],
)
def test_the_class_says_what_a_model_is_for(fields: dict[str, Any], task: str) -> None:
    made = make_plan(read({**BASE, **fields}), parse_profile("1xt4"), Options(dtype="float16"))
    assert made.use.task == task
    assert build_values(made)["model"].get("task", "generate") == task


def test_roberta_begins_after_the_paddings_position() -> None:
    fields = {**EACH, "max_position_embeddings": 514, "pad_token_id": 1}
    assert read({**fields, "architectures": ["XLMRobertaModel"]}).max_position == 512
    assert read({**fields, "architectures": ["XLMRobertaModel"]}).learned_positions == 514


@pytest.mark.parametrize(
    ("architecture", "options", "text"),
    [
        ("BertModel", {"task": "generate"}, "BertModel gives vectors, no text: no --task generate"),
        ("BertModel", {"task": "rerank"}, "--task rerank needs a model with a classifying head"),
        ("BertForSequenceClassification", {"task": "rerank"}, "--task rerank needs one score per pair, m gives 2"),
        ("LlamaForCausalLM", {"task": "embed", "speculative": "ngram"}, "--speculative has no use with --task embed"),
        ("BertModel", {"kv_offload_gib": 1.0}, "--kv-offload-gib: m keeps no cache"),
    ],
)
def test_tasks_that_do_not_go_with_the_class(architecture: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(DoesNotFitError) as caught:
        make_plan(read({**BASE, "architectures": [architecture]}), parse_profile("1xt4"), Options(**options))
    assert text in "; ".join(caught.value.reasons)


# The command
def test_the_written_command_makes_the_same_plan(tmp_path: Path) -> None:
    words = (
        "values", QWEN, "--profile", "2xh100", "--offline", "--lora", "a=o/a", "--lora", "b=/llm/source/b",
        "--alias", "x", "--alias", "y", "--tool-calling", "--speculative", "ngram", "--kv-offload-gib", "8",
    )  # fmt: skip
    first = run(*words, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    command = next(line for line in first.stdout.splitlines() if line.startswith("#   llm-serving values"))
    again = run(*command.split()[2:], "--offline", cwd=tmp_path)
    assert again.stdout == first.stdout
    assert yaml.safe_load(first.stdout)["plan"]["pinned"]["lora"] == "a=o/a, b=/llm/source/b"


def test_a_template_of_ones_own_travels_in_the_values(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{% for m in messages %}{{ m.content }}\n{% endfor %}")
    done = run("values", QWEN, "--profile", "2xh100", "--offline", "--chat-template", "chat.jinja", cwd=tmp_path)
    values = yaml.safe_load(done.stdout)
    assert values["engine"]["chatTemplate"] == {"text": (tmp_path / "chat.jinja").read_text()}
    (tmp_path / "empty.jinja").write_text(" ")
    done = run("values", QWEN, "--profile", "2xh100", "--offline", "--chat-template", "empty.jinja", cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "error: --chat-template empty.jinja: the file is empty",
    )


def test_every_option_is_in_the_documents_and_in_the_help(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "using.md").read_text()
    text = run("plan", "--help", cwd=tmp_path).stdout
    assert build_parser().prog in text
    named = ("task", "alias", "lora", "max-lora-rank", "max-loras", "max-cpu-loras", "tool-calling",
             "tool-call-parser", "reasoning-parser", "chat-template", "speculative", "speculative-tokens",
             "kv-offload-gib", "prefix-caching", "structured-output", "limit-mm")  # fmt: skip
    for name in named:
        assert f"--{name}" in text
        assert f"`--{name}" in page


def test_a_plan_as_json_tells_the_use() -> None:
    data = json.loads(json.dumps(plan(LLAMA_8B, "1xl40s", lora=("a=o/a",), speculative="ngram").to_dict()))
    assert data["use"]["lora"]["rank"] == 16
    assert data["use"]["speculative"]["method"] == "ngram"


def test_safetensors_of_a_bert_in_float32_are_counted_at_16_bits(tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**BERT, "torch_dtype": "float32"}))
    model = read(BERT)
    count = model.parameters
    (folder / "model.safetensors").write_bytes(safetensors({"embeddings.word.weight": ("F32", [count])}))
    done = run("plan", "./bert", "--profile", "1xl4", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["model"]["weights"]["loaded_bytes"] == 2 * count
    assert (found["dtype"], found["use"]["task"]) == ("float16", "embed")


def test_ways_out_give_up_what_serves_beside_the_model() -> None:
    adapters = tuple(f"a{n}=o/a{n}" for n in range(8))
    options = Options(lora=adapters, max_lora_rank=512, max_model_len=8192)
    profile = parse_profile("1xa10g")
    with pytest.raises(DoesNotFitError):
        make_plan(spec("Qwen/Qwen2.5-3B-Instruct"), profile, options)
    ways = ways_out(spec("Qwen/Qwen2.5-3B-Instruct"), profile, options)
    assert "--max-loras 1 (one adapter in a batch at a time)" in ways
    drafted = Options(speculative="eagle3:o/h", draft=replace(HEAD, head_bytes=8 * GIB), max_model_len=4096)
    assert "leave --speculative eagle3:o/h away" in ways_out(spec(LLAMA_8B), profile, drafted)


def test_a_pod_on_cpus_holds_its_adapters() -> None:
    one, none = plan("Qwen/Qwen3-0.6B", "cpu", lora=("a=o/a",), max_lora_rank=512), plan("Qwen/Qwen3-0.6B", "cpu")
    assert one.resources.memory_request >= none.resources.memory_request + GIB
