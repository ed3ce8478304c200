"""Figures of vLLM that its rules of attention, formats and versions share: data/engines.json."""

from functools import cache

from llm_serving_planner.base.tables import Json, load_data
from llm_serving_planner.hardware.compute_capability import Capability, capability


@cache
def facts() -> Json:
    """data/engines.json."""
    return load_data("engines.json")


@cache
def cache_types() -> Json:
    """Data types of the KV cache by vLLM's name."""
    types: Json = facts()["cache_types"]["types"]
    return types


def cache_bytes(kind: str) -> tuple[float, int]:
    """(bytes of an element, bytes of the scales of one head and token) of a type; 16 bits for `auto`."""
    entry = cache_types().get(kind, {})
    return entry.get("bytes", 2), entry.get("scale_bytes", 0)


@cache
def lowest_capability(name: str) -> Capability:
    """A compute capability of data/engines.json by name, such as fp8_native."""
    return capability(facts()["capabilities"][name]["value"])
