"""What a plan says of nodes' taints, and of how several engines are replaced."""

from dataclasses import replace

import pytest
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models.resolve import resolve
from llm_serving_planner.output.values import build_values
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.proposals import make_plan


@pytest.mark.parametrize(("replicas", "mode"), [(1, "auto"), (2, "replaceOneByOne")])
def test_several_engines_are_replaced_one_by_one(replicas: int, mode: str) -> None:
    plan = make_plan(resolve("Qwen/Qwen3-8B", offline=True), parse_profile("1xl40s"), Options(replicas=replicas))
    assert build_values(plan)["rollout"] == {"mode": mode}


def test_nodes_of_slices_carry_the_taint_of_whole_gpus() -> None:
    whole = parse_profile("1xl40s")
    plan = make_plan(resolve("Qwen/Qwen3-8B", offline=True), whole, Options())
    tolerate = plan.device.tolerations
    assert [taint["key"] for taint in tolerate(whole.gpu)] == ["nvidia.com/gpu"]

    slices = replace(whole.gpu, resource_name="nvidia.com/mig-3g.40gb")
    assert [taint["key"] for taint in tolerate(slices)] == ["nvidia.com/gpu", "nvidia.com/mig-3g.40gb"]
