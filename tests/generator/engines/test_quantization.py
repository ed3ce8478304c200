"""Quantised checkpoints: how they are read, and which engine runs them on which GPU."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_serving_planner.base.errors import DoesNotFitError, HubError, InputError, UnsupportedModelError
from llm_serving_planner.engines import format_support, versions
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.compute_capability import Capability, capability
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.config.quantization import parse_quantization
from llm_serving_planner.models.hub import fetch
from llm_serving_planner.models.spec import Quantization
from llm_serving_planner.output.flags import engine_args
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.proposals import make_plan
from support.fake_hub import FakeHub, FakeModel
from support.tiny import CONFIG

V100, T4, A10G, L4, H100, B200, RTX = (7, 0), (7, 5), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)
GPUS = (V100, T4, (8, 0), A10G, L4, H100, B200, RTX)
VERSIONS = (
    "0.11.1",
    "0.13.0",
    "0.14.1",
    "0.16.0",
    "0.19.1",
    "0.20.0",
    "0.23.0",
    "0.26.0",
    "0.27.1",
    "0.28.0",
    "0.33.0",
)


def groups(weights: dict[str, Any], activations: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    group = {"weights": weights, "input_activations": activations}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, **more}


INT8, FP8 = {"num_bits": 8, "type": "int"}, {"num_bits": 8, "type": "float"}
FP4 = {"num_bits": 4, "type": "float", "group_size": 16}
W4 = {"num_bits": 4, "type": "int", "group_size": 128}
BLOCKS: list[tuple[dict[str, Any], Quantization, str]] = [
    ({"quant_method": "awq", "bits": 4, "group_size": 128}, Quantization("awq", 4, 128), "awq"),
    ({"quant_method": "gptq", "bits": 4, "group_size": 128}, Quantization("gptq", 4, 128), "gptq"),
    ({"quant_method": "gptq", "bits": 3, "group_size": -1}, Quantization("gptq", 3), "gptq-narrow"),
    ({"bits": 4, "group_size": 32}, Quantization("gptq", 4, 32), "gptq"),
    ({"quant_method": "fp8"}, Quantization("fp8", 8), "fp8"),
    (
        {"quant_method": "fp8", "weight_block_size": [128, 128]},
        Quantization("fp8", 8, block=(128, 128)),
        "fp8-block",
    ),
    ({"quant_method": "fbgemm_fp8"}, Quantization("fbgemm_fp8", 8), "fbgemm_fp8"),
    (groups(W4), Quantization("compressed-tensors", 4, 128, scheme="wna16"), "compressed-tensors:wna16"),
    (groups(INT8), Quantization("compressed-tensors", 8, scheme="wna16"), "compressed-tensors:wna16"),
    (groups(INT8, INT8), Quantization("compressed-tensors", 8, scheme="w8a8-int8"), "compressed-tensors:w8a8-int8"),
    (groups(FP8, FP8), Quantization("compressed-tensors", 8, scheme="w8a8-fp8"), "compressed-tensors:w8a8-fp8"),
    (groups(FP8), Quantization("compressed-tensors", 8, scheme="w8a16-fp8"), "compressed-tensors:w8a16-fp8"),
    (groups(W4, FP8), Quantization("compressed-tensors", 4, 128, scheme="w4a8-fp8"), "compressed-tensors:w4a8-fp8"),
    (groups(FP4, FP4), Quantization("compressed-tensors", 4, 16, scheme="nvfp4"), "compressed-tensors:nvfp4"),
    (groups(FP4), Quantization("compressed-tensors", 4, 16, scheme="nvfp4a16"), "compressed-tensors:nvfp4a16"),
    (
        groups({**FP4, "group_size": 32}, format="mxfp4-pack-quantized"),
        Quantization("compressed-tensors", 4, 32, scheme="mxfp4"),
        "compressed-tensors:mxfp4",
    ),
    ({"quant_method": "mxfp4"}, Quantization("mxfp4", 4), "mxfp4"),
    ({"quant_algo": "FP8"}, Quantization("modelopt", 8), "modelopt"),
    ({"quantization": {"quant_algo": "NVFP4"}}, Quantization("modelopt_fp4", 4, 16), "modelopt_fp4"),
    ({"quant_algo": "MIXED_PRECISION"}, Quantization("modelopt_mixed", 4, 16), "modelopt_mixed"),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, Quantization("bitsandbytes", 4), "bitsandbytes"),
    ({"quant_method": "bitsandbytes", "load_in_8bit": True}, Quantization("bitsandbytes", 8), "bitsandbytes"),
    ({"quant_method": "experts_int8"}, Quantization("experts_int8", 8), "experts_int8"),
    ({"quant_method": "torchao", "quant_type": "Int4WeightOnlyConfig"}, Quantization("torchao", 4), "torchao"),
    ({"quant_method": "auto-round", "bits": 4, "group_size": 128}, Quantization("auto-round", 4, 128), "auto-round"),
    ({"quant_method": "fp_quant"}, Quantization("fp_quant", 4), "fp_quant"),
    (
        {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}},
        Quantization("hqq", 4, 64),
        "hqq",
    ),
    ({"quant_method": "exl2", "bits": 4.65}, Quantization("exl2", 5), "exl2"),
    ({"quant_method": "eetq"}, Quantization("eetq", 8), "eetq"),
    ({"quant_method": "marlin", "group_size": 128}, Quantization("marlin", 4, 128), "marlin"),
]


@pytest.mark.parametrize(
    ("block", "expected", "kind"), BLOCKS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_block_is_read(block: dict[str, Any], expected: Quantization, kind: str) -> None:
    found = parse_quantization({"quantization_config": block}, {}, None)
    assert found == expected
    assert formats.kind_of(expected) == kind


def test_what_is_read_is_in_the_data_and_the_other_way_round() -> None:
    assert {kind for _, _, kind in BLOCKS} == {name for name, entry in formats.kinds().items() if entry["read"]}
    used = {formats.kind_of(s.quantization) for n in embedded.model_ids() if (s := embedded.find(n)) and s.quantization}
    assert used <= set(formats.kinds())


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ({"quant_method": "magic"}, "quantization_config.quant_method"),
        ({"quant_method": "gguf"}, "quantization_config.quant_method"),
        ({"quant_method": "awq", "bits": 99}, "quantization_config.bits"),
        ({"quant_method": "exl2"}, "quantization_config.bits"),
        ({"quant_method": "hqq"}, "quantization_config.bits"),
        ({"quant_method": "torchao", "quant_type": "Other"}, "quantization_config.quant_type"),
        (groups({"num_bits": 2, "type": "int"}), "quantization_config.config_groups"),
        (groups(INT8, FP8), "quantization_config.config_groups"),
        (groups({"num_bits": 4, "type": "float", "group_size": 64}), "quantization_config.config_groups"),
        ({"quant_method": "compressed-tensors"}, "quantization_config.config_groups"),
        ({"quant_algo": "INT3"}, "quantization_config.quant_algo"),
        ({"quant_algo": "FP8_SOMEHOW"}, "quantization_config.quant_algo"),
        ({"quant_method": "bitsandbytes"}, "quantization_config.load_in_4bit"),
        ({"quant_method": "fp8", "activation_scheme": "sometimes"}, "quantization_config.activation_scheme"),
        ({}, "quantization_config"),
    ],
)
def test_an_unknown_block_is_refused_by_its_field(block: dict[str, Any], field: str) -> None:
    with pytest.raises(UnsupportedModelError) as refused:
        parse_quantization({"quantization_config": block}, {}, None)
    assert refused.value.field == field


BNB = "no longer reads bitsandbytes (--engine-version 0.27.1, or the plugin vllm-bnb-plugin in an image of yours)"
# kind, GPU, vLLM version -> kernel, or the whole refusal
CASES: list[tuple[str, Capability, str, str]] = [
    ("awq", T4, "0.13.0", "AWQ, weights only"),
    ("awq", T4, "0.14.1", "Marlin, weights only"),
    ("awq", V100, "0.19.1", "quantisation awq needs compute capability 7.5, it has 7.0"),
    ("gptq", V100, "0.19.1", "ExLlama, weights only"),
    ("gptq", T4, "0.33.0", "Marlin, weights only"),
    ("gptq", H100, "0.33.0", "Machete, weights only"),
    ("gptq-narrow", A10G, "0.20.0", "ExLlama, weights only"),
    ("gptq-narrow", A10G, "0.21.0", "vLLM 0.21.0 no longer reads gptq of 2 or 3 bits (--engine-version 0.20.0)"),
    (
        "fp8", T4, "0.13.0",
        "quantisation fp8 needs compute capability 8.0, it has 7.5 (7.5 is enough from vLLM 0.14.1 on)",
    ),
    ("fp8", T4, "0.33.0", "Marlin, weights only"),
    ("fp8-block", A10G, "0.33.0", "Marlin, weights only"),
    ("fp8", L4, "0.33.0", "FP8 GEMM"),
    ("compressed-tensors:w8a8-fp8", T4, "0.16.0", "Marlin, weights only"),
    ("compressed-tensors:w8a8-int8", T4, "0.33.0", "INT8 GEMM"),
    (
        "compressed-tensors:w8a8-int8", RTX, "0.33.0",
        "quantisation compressed-tensors w8a8-int8 runs up to compute capability 9.0 only, it has 12.0 "
        "(a checkpoint in FP8)",
    ),
    ("compressed-tensors:w4a8-fp8", H100, "0.33.0", "CUTLASS W4A8"),
    ("mxfp4", A10G, "0.33.0", "Marlin, weights only"),
    ("mxfp4", T4, "0.33.0", "quantisation mxfp4 needs compute capability 8.0, it has 7.5"),
    ("modelopt_fp4", T4, "0.33.0", "Marlin, weights only"),
    ("modelopt_fp4", B200, "0.33.0", "FP4 GEMM"),
    ("modelopt_mixed", H100, "0.18.0",
     "vLLM 0.18.0 does not read modelopt_mixed yet (--engine-version 0.19.1 or newer)"),
    (
        "modelopt", A10G, "0.26.0",
        "quantisation modelopt needs compute capability 8.9, it has 8.6 (8.0 is enough from vLLM 0.27.1 on)",
    ),
    ("modelopt", A10G, "0.27.0", "quantisation modelopt needs compute capability 8.9, it has 8.6 (8.0 is enough from "
     "vLLM 0.27.1 on)"),
    ("modelopt", A10G, "0.33.0", "Marlin, weights only"),
    ("bitsandbytes", T4, "0.26.0", "bitsandbytes, weights only"),
    ("bitsandbytes", V100, "0.19.1", "bitsandbytes, weights only"),
    ("bitsandbytes", T4, "0.33.0", f"vLLM 0.33.0 {BNB}"),
    ("gguf", T4, "0.23.0", "GGUF, weights only"),
    (
        "gguf", T4, "0.24.0",
        "vLLM 0.24.0 no longer reads gguf (--engine-version 0.23.0, or the plugin vllm-gguf-plugin in an image of "
        "yours)",
    ),
    ("fp_quant", H100, "0.33.0", "quantisation fp_quant needs compute capability 10.0, it has 9.0"),
    ("exl2", A10G, "0.33.0", "vLLM does not read exl2 checkpoints (TGI with --quantize exl2)"),
    ("magic", A10G, "0.33.0", "quantisation magic is not known to vLLM 0.33.0"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "gpu", "version", "expected"), CASES, ids=lambda value: str(value)[:30])
def test_a_kind_runs_or_is_refused(kind: str, gpu: Capability, version: str, expected: str) -> None:
    found = format_support.support(kind, version, gpu)
    assert (found.kernel if found.ok else format_support.refusal(found, "it", gpu)) == expected


@pytest.mark.parametrize(
    ("engine", "kind", "gpu", "bits", "expected"),
    [
        ("tgi", "awq", A10G, 4, ("awq",)),
        ("tgi", "gptq", A10G, 4, ("gptq", "marlin")),
        ("tgi", "bitsandbytes", A10G, 4, ("bitsandbytes", "bitsandbytes-nf4", "bitsandbytes-fp4")),
        ("tgi", "compressed-tensors:wna16", A10G, 4, ("compressed-tensors",)),
        ("tgi", "awq", T4, 4, "TGI needs compute capability 8.0 for awq, it has 7.5 (vLLM)"),
        ("tgi", "mxfp4", A10G, 4, "TGI does not read mxfp4 checkpoints (vLLM)"),
        ("tgis", "gptq", A10G, 4, ("gptq",)),
        ("tgis", "gptq", A10G, 8, "TGIS does not read gptq of 8 bits (vLLM)"),
        ("tgis", "awq", A10G, 4, "TGIS does not read awq checkpoints (vLLM)"),
        ("tgis", "exl2", A10G, 4, "TGIS does not read exl2 checkpoints (TGI with --quantize exl2)"),
    ],
)
def test_tgi_and_tgis(engine: str, kind: str, gpu: Capability, bits: int, expected: Any) -> None:
    found = engine_of(engine).support(kind, "", gpu, bits=bits)
    assert (found.quantize if found.ok else format_support.refusal(found, "it", gpu)) == expected


def test_every_value_of_quantize_in_tgi_loads_some_kind() -> None:
    """The closed list of TGI 3.3.7's launcher, read 2026-11-22."""
    listed = {
        "awq", "compressed-tensors", "eetq", "exl2", "gptq", "marlin", "bitsandbytes", "bitsandbytes-nf4",
        "bitsandbytes-fp4", "fp8",
    }  # fmt: skip
    assert {
        value for kind in formats.kinds().values() for value in kind.get("tgi", {"quantize": []})["quantize"]
    } == listed
    assert not engine_of("tgi").support("exl2", "", A10G).tensor_parallel


@given(
    st.sampled_from(sorted(formats.kinds())), st.sampled_from(VERSIONS), st.sampled_from(GPUS), st.sampled_from(GPUS)
)
def test_a_newer_gpu_never_runs_less_unless_the_data_say_so(kind: str, version: str, one: Any, other: Any) -> None:
    older, newer = sorted((one, other))
    first, second = (
        format_support.support(kind, version, older),
        format_support.support(kind, version, newer),
    )
    held = versions.entry_for(formats.kinds()[kind]["vllm"], version)
    if first.ok and not second.ok:
        assert held is not None
        assert newer > capability(held["maximum"])
    if first.ok and second.ok:
        assert second.native >= first.native


@given(st.sampled_from(sorted(formats.kinds())), st.sampled_from(GPUS))
def test_every_refusal_says_why_and_every_version_named_keeps_its_word(kind: str, gpu: Any) -> None:
    for version in VERSIONS:
        found = format_support.support(kind, version, gpu)
        assert found.ok != bool(found.reason)
        last = (formats.kinds()[kind].get("until") or {}).get("version")
        if f"--engine-version {last}" in found.way_out:
            assert format_support.support(kind, str(last), gpu).ok


def test_the_data_are_ordered_and_sourced() -> None:
    for name, kind in formats.kinds().items():
        ranges = kind["vllm"]
        assert [versions.parse_version(row["from"]) for row in ranges] == sorted(
            versions.parse_version(row["from"]) for row in ranges
        )
        for row in ranges:
            assert row["source"], name
            assert row["kernels"][0]["from"] == row["minimum"], name
            floors = [capability(kernel["from"]) for kernel in row["kernels"]]
            assert floors == sorted(floors), name
        for key in ("until", "tgi", "tgis"):
            assert key not in kind or kind[key]["source"], name


def spec_of(quantization: Quantization) -> Any:
    spec = embedded.find("meta-llama/Llama-3.1-8B-Instruct")
    assert spec is not None
    return replace(spec, quantization=quantization, weights=replace(spec.weights, loaded_bytes=6_000_000_000))


def test_bitsandbytes_is_planned_with_the_version_that_reads_it() -> None:
    spec = spec_of(Quantization("bitsandbytes", 4))
    profile = parse_profile("g4dn.12xlarge")  # four T4
    with pytest.raises(DoesNotFitError) as refused:
        make_plan(spec, profile)
    assert refused.value.reasons[0] == f"vLLM 0.33.0 {BNB}"
    plan = make_plan(spec, profile, Options(engine_version="0.26.0"))
    assert plan.engine_version == "0.26.0"
    assert plan.settings.parallel.tensor_parallel_size == 1
    assert plan.replicas == 4
    assert plan.rejected[0].startswith("tensor parallel size 4: a bitsandbytes checkpoint is not divided over GPUs")
    with pytest.raises(DoesNotFitError, match="does not run") as refused:
        make_plan(spec, profile, Options(engine_version="0.26.0", tensor_parallel_size=2))
    assert "a bitsandbytes checkpoint is not divided over GPUs: tensor parallel size 1 only" in refused.value.reasons


def test_a_deprecated_method_gets_its_flag_where_the_flag_exists() -> None:
    spec = embedded.find("meta-llama/Llama-3.1-405B-Instruct-FP8")
    assert spec is not None
    plan = make_plan(spec, parse_profile("8xh200"), Options(hf_token_secret="s"))
    assert engine_args(plan)["allow-deprecated-quantization"] is True
    older = make_plan(spec, parse_profile("8xh200"), Options(hf_token_secret="s", engine_version="0.13.0"))
    assert "allow-deprecated-quantization" not in engine_args(older)


def test_a_width_that_computes_in_one_type_gets_it() -> None:
    narrow = spec_of(Quantization("gptq", 3))
    plan = make_plan(narrow, parse_profile("1xl4"), Options(engine_version="0.20.0"))
    assert plan.dtype == "float16"
    assert "gptq of 2 or 3 bits weights compute in float16 only: float16 is used" in plan.warnings
    with pytest.raises(DoesNotFitError) as refused:
        make_plan(spec_of(Quantization("mxfp4", 4)), parse_profile("1xl4"), Options(dtype="float16"))
    assert "mxfp4 weights compute in bfloat16 only" in refused.value.reasons


GGUF = "holds only GGUF files, which vLLM reads up to 0.23.0"


@pytest.mark.parametrize("with_config", [True, False])
def test_gguf_is_recognised(hub: FakeHub, tmp_path: Path, *, with_config: bool) -> None:
    files = {"m-Q4_K_M.gguf": b"GGUF", **({"config.json": json.dumps(CONFIG).encode()} if with_config else {})}
    hub.models["org/m-GGUF"] = FakeModel(files)
    with pytest.raises(HubError, match=GGUF):
        fetch("org/m-GGUF")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=GGUF):
        fetch(str(tmp_path))
    with pytest.raises(InputError, match=GGUF):
        fetch(str(tmp_path / "m-Q4_K_M.gguf"))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="cut short"):
        fetch(str(tmp_path))


def test_no_checkpoint_of_the_catalogue_is_lighter_than_its_width() -> None:
    """8 bits per weight are at least a byte: a size that stands in for an unpublished one must not undercut it."""
    for name in embedded.model_ids():
        spec = embedded.find(name)
        assert spec is not None
        if spec.quantization is None or "parameters x" not in spec.weights.basis:
            continue
        parameters = int(spec.weights.basis.split(":")[1].split("parameters")[0].replace(",", ""))
        assert spec.weights.loaded_bytes >= parameters * spec.quantization.bits / 8, name
