"""docs/expert-parallel.md and docs/accelerators.md say what the planner and the data say."""

import re

import pytest
from llm_serving_planner.hardware.profiles import GpuType, all_gpus, parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.planner.proposals import make_plan
from support.helm import ROOT

pytestmark = pytest.mark.prose


EXPERTS = (ROOT / "docs" / "expert-parallel.md").read_text()
ACCELERATORS = (ROOT / "docs" / "accelerators.md").read_text()


def test_the_proposal_is_what_the_plan_says() -> None:
    found = embedded.find("deepseek-ai/DeepSeek-V2-Lite-Chat")
    assert found is not None
    told = [line for line in make_plan(found, parse_profile("8xh100")).rejected if line.startswith("data parallel")]
    shown = re.search(r"rejected  (data parallel.*?)\n```", EXPERTS, re.DOTALL)
    assert shown is not None
    assert [" ".join(shown.group(1).split())] == told


@pytest.mark.parametrize("gpu", [gpu for gpu in all_gpus() if gpu.vendor in {"amd", "intel"}], ids=lambda gpu: gpu.id)
def test_the_table_has_every_accelerator_with_its_memory(gpu: GpuType) -> None:
    rows = [line for line in ACCELERATORS.splitlines() if line.startswith("|") and gpu.id in line]
    assert len(rows) == 1
    assert f"{gpu.memory_usable_gib:g}" in rows[0]
    assert f"`{gpu.resource_name}`" in rows[0]
