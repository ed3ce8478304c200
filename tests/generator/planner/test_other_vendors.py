"""AMD GPUs and Intel Gaudi in the planner: data, refusals, values, and that nothing is claimed to be measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.errors import DoesNotFitError, InputError, SchemaError
from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.units import GIB
from llm_serving_planner.hardware.profiles import all_gpus, parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec, Quantization
from llm_serving_planner.output.render import render_values
from llm_serving_planner.output.schema import validate
from llm_serving_planner.output.values import build_values
from llm_serving_planner.planner.devices.registry import device_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.ways_out import ways_out
from support.helm import engine, flags, in_process

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"
OTHERS = [gpu for gpu in all_gpus() if gpu.vendor in {"amd", "intel"}]


def spec(name: str = MISTRAL) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


def plan(profile: str, model: str = MISTRAL, **options: Any) -> Plan:
    return make_plan(spec(model), parse_profile(profile), Options(**options))


def reasons(profile: str, model: ModelSpec | None = None, **options: Any) -> str:
    with pytest.raises(DoesNotFitError) as refused:
        make_plan(model or spec(), parse_profile(profile), Options(**options))
    return "; ".join(refused.value.reasons)


def test_every_accelerator_has_memory_bandwidth_source_and_generation() -> None:
    known = load_data("accelerators.json")["generations"]
    assert {gpu.id for gpu in OTHERS} == {
        "mi210", "mi250x", "mi300x", "mi325x", "mi355x", "gaudi1", "gaudi2", "gaudi3",
    }  # fmt: skip
    for gpu in OTHERS:
        assert gpu.generation in known
        assert gpu.source
        assert gpu.date
        assert gpu.bandwidth_gb_s
        assert gpu.resource_name == {"amd": "amd.com/gpu", "intel": "habana.ai/gaudi"}[gpu.vendor]


def test_one_device_of_an_mi250_is_half_a_board() -> None:
    by_id = {gpu.id: gpu for gpu in OTHERS}
    assert parse_profile("2xmi250").gpu is by_id["mi250x"]
    assert (by_id["mi250x"].memory_usable_gib, by_id["mi250x"].bandwidth_gb_s) == (63.98, 1638.5)


@pytest.mark.parametrize("gpu", [gpu.id for gpu in OTHERS if gpu.id != "gaudi1"])
def test_a_plan_says_what_is_not_known(gpu: str) -> None:
    made = plan(f"1x{gpu}")
    told = "\n".join(made.assumptions)
    assert "was never measured: terms are those of NVIDIA GPUs, with a band of 8%" in told
    assert "nvidia.com" not in render_values(made)
    assert made.estimate.margin >= max(0.08 * made.estimate.total - 1, 2 * GIB)
    assert not any("CUDA 13" in line for line in made.warnings)
    values = yaml.safe_load(render_values(made))
    validate(values, "values")
    container = engine(in_process(values))
    assert container["resources"]["limits"][made.profile.gpu.resource_name] == "1"


def test_amd_values() -> None:
    values = build_values(plan("2xmi300x"))
    assert values["gpu"]["vendor"] == "amd"
    assert values["gpu"]["nodeSelector"] == {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}
    assert values["gpu"]["tolerations"][0]["key"] == "amd.com/gpu"
    assert values["gpu"]["supplementalGroups"] == [44, 109]
    assert values["engine"]["image"]["repository"] == "vllm/vllm-openai-rocm"
    assert values["engine"]["image"]["tag"] == "v0.30.0"  # the newest that was seen
    assert not any("vllm-openai-rocm" in line for line in plan("1xmi300x").assumptions)
    newer = plan("1xmi300x", engine_version="0.33.0").assumptions
    assert any("image vllm/vllm-openai-rocm:v0.33.0 exists (tags up to v0.30.0 were seen)" in line for line in newer)
    assert build_values(plan("1xmi325x"))["gpu"]["nodeSelector"] == {}  # two labels are known: none is demanded


def test_gaudi_values() -> None:
    made = plan("2xgaudi3", tensor_parallel_size=2)
    values = build_values(made)
    assert made.engine_version == "0.26.0"
    assert (made.dtype, made.settings.max_num_batched_tokens) == ("bfloat16", 2048)
    assert values["gpu"]["hugepages"] == "2376Mi"
    assert "nodeSelector" in values["gpu"]
    assert values["engine"]["image"]["registry"] == "vault.habana.ai"
    tenth = 0.1 * (made.estimate.total * 0.9 - made.estimate.weights)  # HPU graphs
    assert made.estimate.total * 0.9 - made.estimate.requested == pytest.approx(tenth, abs=0.1 * GIB)


def test_the_first_gaudi_runs_tgi_only() -> None:
    profile = parse_profile("dl1.24xlarge")
    assert (profile.gpu.device_name, profile.gpus_per_node) == ("Gaudi HL-205", 8)
    assert "vllm-gaudi serves Gaudi 2 and 3 only" in reasons("dl1.24xlarge")
    assert any("--engine tgi" in line for line in ways_out(spec(), profile, Options()))
    made = plan("dl1.24xlarge", engine="tgi")
    values = yaml.safe_load(render_values(made))
    assert values["engine"]["image"]["tag"] == "3.3.5-gaudi"
    assert not {"--cuda-memory-fraction", "--cuda-graphs"} & set(flags(in_process(values)))
    assert values["gpu"]["nodeSelector"] == {"node.kubernetes.io/instance-type": "dl1.24xlarge"}


def quantised(method: str, bits: int, **more: Any) -> ModelSpec:
    return replace(spec(), quantization=Quantization(method, bits, **more))


AWQ = quantised("awq", 4, group_size=128)
GPTQ = quantised("gptq", 4, group_size=128)
FP8 = quantised("fp8", 8)
REFUSED: list[tuple[str, ModelSpec | None, dict[str, Any], str]] = [
    ("1xmi210", FP8, {}, "fp8 weights: AMD Instinct MI210 has no FP8 arithmetic"),
    ("1xmi210", None, {"quantization": "fp8"}, "fp8 weights: AMD Instinct MI210 has no FP8 arithmetic"),
    ("1xmi250", None, {"kv_cache_dtype": "fp8"}, "FP8 cache: AMD Instinct MI250X has no FP8 arithmetic"),
    ("8xgaudi1", AWQ, {"engine": "tgi"}, "awq weights are not listed for Gaudi HL-205"),
    ("8xgaudi1", GPTQ, {"engine": "tgi"}, "gptq weights are not listed for Gaudi HL-205"),
    ("8xgaudi1", FP8, {"engine": "tgi"}, "fp8 weights: Gaudi HL-205 has no FP8 arithmetic"),
    ("1xgaudi2", None, {"quantization": "fp8"}, "needs a calibration by Intel Neural Compressor"),
    ("1xgaudi2", None, {"kv_cache_dtype": "fp8"}, "an FP8 cache on Gaudi needs a calibration"),
    ("1xgaudi2", None, {"dtype": "float16"}, "HL-225 computes in bfloat16 only, not float16"),
    ("2xgaudi2", None, {"pipeline_parallel_size": 2}, "no pipeline parallel inference"),
    ("2x2xgaudi2", None, {}, "no pipeline parallel inference and no multi-node serving"),
    ("1xmi300x", None, {"engine": "tgi"}, "TGI is not planned on AMD Instinct MI300X OAM: --engine vllm"),
    ("1xmi300x", None, {"engine": "tgis"}, "TGIS is not planned on AMD Instinct MI300X OAM: --engine vllm"),
    ("1xmi300x", None, {"engine_version": "0.13.0"}, "AMD images of vLLM begin with 0.14.0, this is 0.13.0"),
    ("1xgaudi3", None, {"engine_version": "0.33.0"}, "no stock image of vLLM 0.33.0 for Intel Gaudi is known"),
    ("1xmi300x", quantised("bitsandbytes", 4), {"quantization": "awq"}, "--quantization awq contradicts it"),
    ("1xmi300x", None, {"quantization": "awq"}, "--quantization awq needs a checkpoint of that kind"),
]


@pytest.mark.parametrize(("profile", "model", "options", "text"), REFUSED)
def test_what_the_device_does_not_support_is_refused(
    profile: str, model: ModelSpec | None, options: dict[str, Any], text: str
) -> None:
    assert text in reasons(profile, model, **options)


@pytest.mark.parametrize(
    ("profile", "model", "options"),
    [
        ("1xmi300x", FP8, {}), ("1xmi300x", None, {"quantization": "fp8", "kv_cache_dtype": "fp8"}),
        ("1xmi210", AWQ, {}), ("1xgaudi2", GPTQ, {}), ("1xgaudi3", FP8, {}), ("2xgaudi2", None, {"engine": "tgi"}),
        ("1xmi300x", None, {"engine_version": "0.14.1"}), ("2xgaudi3", None, {"data_parallel_size": 2}),
        ("1xgaudi3", None, {"engine_version": "0.33.0", "image": "mirror.example.com/vllm-gaudi:0.33.0"}),
    ],
)  # fmt: skip
def test_the_neighbour_is_planned(profile: str, model: ModelSpec | None, options: dict[str, Any]) -> None:
    assert make_plan(model or spec(), parse_profile(profile), Options(**options)).verdict == "fits"


def test_experts_on_gaudi_are_refused() -> None:
    assert "does not list expert parallel" in reasons(
        "8xgaudi3", spec("Qwen/Qwen3-30B-A3B"), enable_expert_parallel=True
    )


def test_another_version_of_the_frozen_engine_is_bad_input() -> None:
    with pytest.raises(InputError, match=r"TGI 3\.3\.7 is not known on Gaudi HL-205: 3\.3\.5 is"):
        plan("8xgaudi1", engine="tgi", engine_version="3.3.7")


def test_ways_out_of_other_accelerators_are_no_nvidia_versions() -> None:
    told = ways_out(spec(), parse_profile("1xmi210"), Options(quantization="fp8"))
    assert "leave --quantization away" in told
    assert not any(line.startswith("--engine-version") for line in told)
    assert not any("MI300X" in line for line in ways_out(spec("meta-llama/Llama-3.1-70B-Instruct"),
                                                         parse_profile("1xt4"), Options()))  # fmt: skip


def described(folder: Path, text: str) -> str:
    path = folder / "gpus.yaml"
    path.write_text(text)
    return str(path)


FILE = "gpusPerNode: 2\ngpu: {{name: MI308X, usableMemoryGiB: 191.0{}}}\n"


def test_a_file_may_describe_another_accelerator(tmp_path: Path) -> None:
    made = plan(described(tmp_path, FILE.format(", vendor: amd, generation: gfx942")))
    assert (made.profile.gpu.resource_name, made.attention) == ("amd.com/gpu", "ROCM_ATTN")
    assert device_of(made.profile.gpu).vendor == "amd"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (", vendor: amd", "'generation' is a required property"),
        ("", "'computeCapability' is a required property"),
        (", vendor: amd, generation: gfx906", "is not one of "),
        (", vendor: tpu", "is not one of "),
    ],
)
def test_a_half_description_is_refused(tmp_path: Path, more: str, text: str) -> None:
    path = described(tmp_path, FILE.format(more))
    with pytest.raises(SchemaError) as refused:
        parse_profile(path)
    assert text in str(refused.value)
