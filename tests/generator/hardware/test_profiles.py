"""Profiles: every GPU and machine of the data, what people write, and what is refused."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from llm_serving_planner.base.errors import DoesNotFitError, InputError, LlmServingError
from llm_serving_planner.hardware.profiles import all_gpus, all_instances, parse_profile, profile_grid
from llm_serving_planner.models import embedded
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.sizing import size
from support.command import run
from support.helm import ROOT


def test_the_data_are_whole_and_sourced() -> None:
    assert (len(all_gpus()), len(all_instances())) == (64, 137)
    assert all(gpu.source and gpu.date and gpu.memory_basis for gpu in all_gpus())
    assert all(machine.source and machine.date for machine in all_instances())
    ids = {gpu.id for gpu in all_gpus()}
    assert {machine.gpu for machine in all_instances()} <= ids
    priced = [machine for machine in all_instances() if machine.usd_per_hour is not None]
    assert all(machine.usd_region and machine.usd_date for machine in priced)


def _row(**keys: Any) -> dict[str, Any]:
    return {"type": "object", "properties": keys, "required": list(keys), "additionalProperties": False}


def _number(least: float, most: float) -> dict[str, Any]:
    return {"type": ["number", "null"], "minimum": least, "maximum": most}


TEXT = {"type": "string", "minLength": 1}
DATE = {"type": "string", "pattern": r"^20\d\d-\d\d-\d\d$"}
# Ranges are wide: they catch a slipped digit or unit, not a wrong fact.
ROWS = {
    "gpus.json": _row(
        id={"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"},
        vendor={"enum": ["amd", "google", "intel", "nvidia"]},
        device_name=TEXT,
        architecture=TEXT,
        compute_capability={"type": ["string", "null"], "pattern": r"^\d{1,2}\.\d$"},
        memory_nominal_gb={"type": "number", "minimum": 8, "maximum": 1024},
        memory_smi_mib=_number(8000, 1_000_000),
        memory_usable_gib={"type": "number", "minimum": 7, "maximum": 1000},
        memory_basis=TEXT,
        bandwidth_gb_s=_number(100, 50_000),
        fp16_tflops=_number(10, 20_000),
        bf16_tflops=_number(10, 20_000),
        fp8_tflops=_number(10, 40_000),
        nvlink_gb_s=_number(0, 10_000),
        resource_name={"type": "string", "pattern": "^[a-z.]+/[a-z]+$"},
        gfd_product_labels={"type": "array", "items": TEXT},
        source=TEXT,
        date=DATE,
    ),
    "instances.json": _row(
        type=TEXT,
        cloud={"enum": ["aws", "azure", "gcp", "ibm", "oci"]},
        gpu=TEXT,
        count={"type": "integer", "minimum": 1, "maximum": 16},
        gpu_fraction={"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        vcpu=_number(2, 1000),
        memory_gib=_number(4, 10_000),
        allocatable_cpu_m=_number(1000, 1_000_000),
        allocatable_memory_mib=_number(4000, 10_000_000),
        allocatable_basis={"type": "string"},
        network_gbps=_number(0.1, 10_000),
        interconnect={"enum": ["NVLink", "NVSwitch", "PCIe", "RoCE", "none", "unknown", "xGMI"]},
        usd_per_hour=_number(0.05, 1000),
        usd_region={"type": ["string", "null"]},
        usd_date={"anyOf": [DATE, {"type": "null"}]},
        usd_source={"type": ["string", "null"]},
        status={"enum": ["delisted", "listed", "no-on-demand", "unverified"]},
        source=TEXT,
        date=DATE,
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_a_person_edits_are_well_formed(name: str) -> None:
    rows = json.loads((ROOT / "generator" / "llm_serving_planner" / "data" / name).read_text())["rows"]
    errors = [
        f"{row.get('id') or row.get('type')}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
        for row in rows
        for error in jsonschema.Draft202012Validator(ROWS[name]).iter_errors(row)
    ]
    assert errors == []
    keys = [row.get("id") or row["type"] for row in rows]
    assert len(keys) == len(set(keys))
    for row in rows:
        for day in filter(None, (row["date"], row.get("usd_date"))):
            date.fromisoformat(day)
        if name == "gpus.json":
            assert row["memory_usable_gib"] <= row["memory_nominal_gb"] * 1e9 / 2**30 * 1.08, row["id"]
        else:
            assert (row["allocatable_memory_mib"] or 0) <= (row["memory_gib"] or 1e9) * 1024, row["type"]
            assert (row["allocatable_cpu_m"] or 0) <= (row["vcpu"] or 1e9) * 1000, row["type"]


def test_a_row_whose_page_nobody_opened_says_so() -> None:
    rows = json.loads((ROOT / "generator" / "llm_serving_planner" / "data" / "gpus.json").read_text())["rows"]
    remembered = [row for row in rows if "nominal memory" in row["source"]]
    assert remembered
    for row in remembered:
        assert row["source"].startswith("assumed: "), row["id"]
        assert "page was not opened" in row["source"], row["id"]


@pytest.mark.parametrize(
    ("text", "nodes", "count", "gpu", "link"),
    [
        ("2xt4", 1, 2, "t4", "pcie"),
        ("1xT4", 1, 1, "t4", "none"),
        ("8xA10G", 1, 8, "a10g", "pcie"),
        ("4xl40s", 1, 4, "l40s", "pcie"),
        ("2x8xh100", 2, 8, "h100-80gb", "nvlink"),
        ("8xa100", 1, 8, "a100-80gb", "nvlink"),
        ("1xrtx-4090", 1, 1, "rtx-4090", "none"),
        ("g5.48xlarge", 1, 8, "a10g", "pcie"),
        ("2xg4dn.12xlarge", 2, 4, "t4", "pcie"),
        ("Standard_ND96isr_H100_v5", 1, 8, "h100-80gb", "nvswitch"),
    ],
)
def test_what_people_write(text: str, nodes: int, count: int, gpu: str, link: str) -> None:
    profile = parse_profile(text)
    assert (profile.nodes, profile.gpus_per_node, profile.gpu.id, profile.link) == (nodes, count, gpu, link)


def test_the_hint_for_an_unknown_card_is_a_file_that_reads(tmp_path: Path) -> None:
    """The command line prints its lines as lines: as one line it is no YAML."""
    said = run("plan", "mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt5", "--offline", cwd=tmp_path).stderr
    (tmp_path / "card.yaml").write_text(said.split("card.yaml:\n")[1])
    assert parse_profile(str(tmp_path / "card.yaml")).gpu.memory_usable_gib == 23.5


def test_a_profiles_name_reads_back() -> None:
    for profile in profile_grid():
        assert parse_profile(profile.name) == profile


def test_a_machine_brings_its_node() -> None:
    profile = parse_profile("g4dn.12xlarge")
    assert profile.node_memory_mib == 178933
    assert profile.node_cpu_m == 47810
    assert not profile.exact_count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("0xt4", "at least one"),
        ("2x0xt4", "at least one"),
        ("-1xt4", "not understood"),
        ("3.5xt4", "not understood"),
        ("2x2x2xt4", "not understood"),
        ("2xt5", "not understood"),
        ("17xt4", "17 GPUs in one node"),
        ("t4", "not understood"),
        ("1xtpu-v5e", "GPUs of NVIDIA and AMD and Intel's Gaudi are planned"),
        ("Standard_NV6ads_A10_v5", "slices"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_profile(text)


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError) as refused:
        parse_profile("2xa100-80g2")
    assert refused.value.hint is not None
    assert "did you mean a100-80g" in refused.value.hint


GOOD = """
gpusPerNode: 2
gpu: {name: My GPU, usableMemoryGiB: 30, computeCapability: "8.9"}
node: {cpu: 8, memoryGiB: 64}
"""


def test_a_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    profile = parse_profile(str(path))
    assert (profile.gpus_per_node, profile.gpu.memory_usable_gib, profile.node_cpu_m) == (2, 30.0, 8000)
    path.write_text("gpusPerNode: 4\ngpu: L4\n")
    assert parse_profile(str(path)).gpu.id == "l4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpusPerNode: 2\ngpusPerNode: 3\ngpu: t4\n", "line 2: key 'gpusPerNode' stands twice"),
        ("gpusPerNode: two\ngpu: t4\n", "/gpusPerNode: 'two' is not of type 'integer'"),
        ("gpusPerNode: 2\n", "'gpu' is a required property"),
        ("gpusPerNode: 2\ngpu: t5\n", "'t5' is not a known GPU"),
        ("gpusPerNodes: 2\ngpu: t4\n", "/gpusPerNodes: unknown key; did you mean gpusPerNode"),
        (GOOD.replace('"8.9"', "8.9"), "8.9 is not of type 'string'"),
        ("[1]\n", "holds a list"),
        ("", "is empty"),
        ("a: [", "line 2"),
    ],
)
def test_a_users_broken_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(LlmServingError, match=r"mine\.yaml") as refused:
        parse_profile(str(path))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("2x3090", "rtx-3090"), ("1xrtx-3080", "rtx-3080"), ("8xh20", "h20"), ("4xa40", "a40"), ("1xgb10", "gb10"),
        ("2xl20", "l20"), ("8xa800", "a800-80gb"), ("8xh800", "h800"), ("1xrtx-6000-ada", "rtx-6000-ada"),
        ("1xrtx-5080", "rtx-5080"), ("4x2080ti", "rtx-2080-ti"), ("1xthor", "jetson-thor"), ("4xa16", "a16"),
        ("1xa2", "a2"), ("2xa5000", "rtx-a5000"), ("1xa4000", "rtx-a4000"), ("1xp100", "p100-16gb"),
        ("1xrtx-4060-ti-16gb", "rtx-4060-ti-16gb"), ("1x3060", "rtx-3060"), ("1xrtx-pro-5000", "rtx-pro-5000"),
    ],
)  # fmt: skip
def test_cards_that_people_name(name: str, gpu: str) -> None:
    found = parse_profile(name).gpu
    assert found.id == gpu
    assert found.source
    assert found.date


@pytest.mark.parametrize("name", ["2xrtx-3070", "1xb400", "8xh30", "1xfoo"])
def test_another_number_is_another_card(name: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_profile(name)
    assert "did you mean" not in str(refused.value.hint)
    assert "usableMemoryGiB" in str(refused.value.hint)


def test_slices_by_name() -> None:
    found = parse_profile("2x4xh100-80gb:3g.40gb")
    assert (found.nodes, found.gpus_per_node, found.link) == (2, 4, "none")
    assert found.gpu.part
    assert found.gpu.resource_name == "nvidia.com/mig-3g.40gb"
    assert found.gpu.memory_usable_gib == pytest.approx(79.1 / 2 * 0.98, abs=0.01)
    assert not parse_profile("4xh100").gpu.part
    for wrong in ("1xl4:1g.5gb", "1xh100:3g.90gb"):
        with pytest.raises(InputError, match="MIG slice"):
            parse_profile(wrong)


@pytest.mark.parametrize(
    "words",
    [
        {"resourceName": "nvidia.com/mig-3g.40gb"},
        {"productLabel": "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb"},
        {"productLabel": "NVIDIA-A10G-SHARED"},
        {"resourceName": "nvidia.com/gpu.shared"},
    ],
)
def test_parts_of_a_gpu_in_a_file(words: dict[str, str], tmp_path: Path) -> None:
    gpu = {"name": "NVIDIA H100 MIG 3g.40gb", "usableMemoryGiB": 39.25, "computeCapability": "9.0", **words}
    path = tmp_path / "slices.yaml"
    path.write_text(json.dumps({"gpusPerNode": 2, "gpu": gpu}))
    profile = parse_profile(str(path))
    assert profile.gpu.part
    spec = embedded.find("Qwen/Qwen3-8B")
    assert spec is not None
    plan = size(spec, profile, Options())
    assert plan.layout.gpus == 1
    assert any("--replicas 2" in note for note in plan.warnings)
    assert not any("unused" in note for note in size(spec, profile, Options(replicas=2)).warnings)
    for options in (
        Options(tensor_parallel_size=2),
        Options(pipeline_parallel_size=2),
        Options(data_parallel_size=2),
    ):
        with pytest.raises(DoesNotFitError) as refused:
            size(spec, profile, options)
        assert "sees one slice" in " ".join(refused.value.reasons)
    assert plan.device.tolerations(profile.gpu)[0]["key"] == "nvidia.com/gpu"
