"""Kinds of quantized checkpoints and their labels, from data/quantization.json."""

from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.models.spec import Quantization


@cache
def kinds() -> dict[str, dict[str, Any]]:
    """Kinds of checkpoints by name, as data/quantization.json has them."""
    found: dict[str, dict[str, Any]] = tables.load_data("quantization.json")["kinds"]
    return found


def kind_of(quantization: Quantization) -> str:
    """Name of the kind: method and scheme, blocks of FP8 and odd widths of GPTQ apart.

    A combination that is not in the data comes back as the method's own name, which `support` then refuses.
    """
    method = quantization.method
    if quantization.scheme is not None:
        return f"{method}:{quantization.scheme}"
    if method == "fp8" and quantization.block is not None:
        return "fp8-block"
    if method == "gptq" and quantization.bits in kinds()["gptq-narrow"]["widths"]:
        return "gptq-narrow"
    return method


def label(kind: str) -> str:
    """The kind as engines spell it: `compressed-tensors w8a8-int8`, `fp8`."""
    return kind.replace(":", " ").replace("-narrow", " of 2 or 3 bits").removesuffix("-block")


def gguf_problem(model: str) -> tuple[str, str]:
    """(what is wrong, what to do) about a model of which only GGUF files exist: their sizes are not planned."""
    until = kinds()["gguf"]["until"]
    return (
        f"{model} holds only GGUF files, which vLLM reads up to {until['version']} (later with the plugin "
        f"{until['plugin']} in an image of yours) and whose sizes are not planned",
        "choose the repository with safetensors (AWQ, GPTQ and FP8 are planned)",
    )
