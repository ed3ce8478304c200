"""docs/accuracy.md says what the rows say, and the constants that came of them hold on them."""

import csv
import sys

import pytest
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.memory import terms
from llm_serving_planner.memory.settings import Gpu, ParallelConfig, Settings
from llm_serving_planner.memory.weights import weights_bytes
from llm_serving_planner.models import embedded
from support.helm import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from documents.accuracy_rows import TERMS, Start, errors, own_starts, verdict

H100 = own_starts("measurements-h100.csv")[0]
GPU = own_starts("measurements-gpu.csv")[0]


def of(model: str, tp: int) -> Start:
    return next(start for start in H100 if start.row["model"] == model and start.row["tp"] == str(tp))


@pytest.mark.parametrize("start", H100, ids=lambda start: start.row["name"])
def test_the_cache_is_never_over_promised_by_more_than_half_a_gib(start: Start) -> None:
    """Far inside the band that a version without measurements of our own gets."""
    difference = start.estimate.kv_cache / GIB - float(start.row["kv_cache_gib"])
    assert -0.5 < difference < 0.55
    assert abs(difference) < start.estimate.margin / GIB


@pytest.mark.parametrize("start", H100, ids=lambda start: start.row["name"])
def test_what_lies_outside_the_budget_is_covered(start: Start) -> None:
    """Context and NCCL were taken before the engine began, graphs come on top: forgotten, they end the start."""
    taken = float(start.row["total_gib"]) - float(start.row["free_gib"]) + float(start.row["cudagraph_gib"])
    assert start.estimate.outside / GIB > taken - 0.12


@pytest.mark.parametrize("start", GPU, ids=lambda start: start.row["name"])
def test_what_the_newest_version_gave_is_within_the_band(start: Start) -> None:
    difference = start.estimate.kv_cache / GIB - float(start.row["kv_cache_gib"])
    assert abs(difference) <= start.estimate.margin / GIB
    assert difference < 0.25, "less than promised"
    assert verdict(start.estimate) != "does not fit"


def test_the_rows_of_the_newest_version_cover_its_regimes() -> None:
    assert len(GPU) >= 25
    assert {start.row["tp"] for start in GPU} == {"1", "2"}
    kinds = {start.spec.quantization.method for start in GPU if start.spec.quantization}
    assert kinds == {"awq", "gptq", "fp8", "mxfp4"}
    eager = [start for start in GPU if start.row["enforce_eager"] == "True"]
    assert {start.graphs for start in eager} == {0}
    assert all(start.graphs > 0 for start in GPU if start not in eager)
    assert any(start.spec.mla for start in GPU)
    assert any(start.spec.moe and not start.spec.mla for start in GPU)


def test_llama_4s_rotary_table_is_whole() -> None:
    spec = embedded.find("meta-llama/Llama-4-Scout-17B-16E-Instruct")
    assert spec is not None
    assert spec.max_position == 10_485_760
    table = 2 * spec.max_position * spec.head_dim
    assert table / GIB == pytest.approx(2.5)
    measured = float(of("meta-llama/Llama-4-Scout-17B-16E-Instruct", 4).row["weights_gib"])
    assert weights_bytes(spec, 4) / GIB == pytest.approx(measured, abs=0.25)


def test_a_mixture_of_experts_has_one_more_group() -> None:
    spec = embedded.find("mistralai/Mixtral-8x7B-Instruct-v0.1")
    assert spec is not None
    regime = vllm.regime("0.19.0", spec.architecture, moe=True, hybrid=False)
    settings = Settings(ParallelConfig(2), 8192, 1024, 8192, 0.95, enforce_eager=True)
    nvlink, pcie = (Gpu(int(79.19 * GIB), (9, 0), nvlink=link) for link in (True, False))
    got = terms.outside_bytes(spec, nvlink, settings, regime) / GIB
    row = of("mistralai/Mixtral-8x7B-Instruct-v0.1", 2).row
    assert got == pytest.approx(float(row["total_gib"]) - float(row["free_gib"]), abs=0.05)
    assert terms.outside_bytes(spec, pcie, settings, regime) == vllm.term_bytes("context")


def test_the_page_names_every_file_and_term() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text()
    for name in ("measurements-h200.csv", "measurements-h100.csv", "measurements-public.csv"):
        for term, column, planned in TERMS[:3]:
            if name != "measurements-public.csv" and errors(own_starts(name)[0], column, planned):
                assert f"| {name} | {term} |" in page
        assert (ROOT / "docs" / "data" / name).exists()
    assert "Less cache than promised by more than the band, supported versions: none." in page


def test_the_tables_parse_and_name_their_machine() -> None:
    with (ROOT / "docs" / "data" / "nccl-2xh100.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    first = next(
        row for row in rows if row["what"].startswith("first communicator") and row["nccl_cumem_enable"] == "default"
    )
    assert float(first["most"]) < vllm.facts()["terms"]["outside_nvlink_hopper_mib"]["value"]
    second = next(row for row in rows if row["what"] == "second communicator" and row["nccl_cumem_enable"] == "default")
    assert float(second["most"]) < vllm.facts()["terms"]["outside_expert_group_mib"]["value"]
    assert {row["gpu"] for row in rows} == {"NVIDIA H100 80GB HBM3"}
