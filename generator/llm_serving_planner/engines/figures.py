"""Figures of vLLM that its rules of attention, formats and versions share: data/engines.json."""

from functools import cache

from llm_serving_planner.base.tables import Json, load_data
from llm_serving_planner.hardware.compute_capability import Capability, capability


@cache
def facts() -> Json:
    """data/engines.json."""
    return load_data("engines.json")


@cache
def lowest_capability(name: str) -> Capability:
    """A compute capability of data/engines.json by name, such as fp8_native."""
    return capability(facts()["capabilities"][name]["value"])
