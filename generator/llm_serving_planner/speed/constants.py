"""Constants of the step-time model: measured by GPU class and kernel family, from data/speed.json."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from llm_serving_planner.base.tables import load_data
from llm_serving_planner.hardware.profiles import GpuType
from llm_serving_planner.models.spec import ModelSpec

OTHER = "other"


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = load_data("speed.json")
    return data


@dataclass(frozen=True, slots=True)
class Constants:
    """Of one GPU class and one family of kernels; times in seconds.

    Attributes:
        bandwidth_share: share of the peak bandwidth that a step reaches.
        compute_share, compute_share_parallel: of the peak rate, on one GPU and on several.
        base: work of a step that neither bytes nor layers shorten.
        layer: the same per layer.
        band: shares of a rate between which a measurement is expected; times lie within their inverse.
        measured: whether rows of that class exist; else those of other GPUs stand in.
    """

    bandwidth_share: float
    compute_share: float
    compute_share_parallel: float
    base: float
    layer: float
    band: tuple[float, float]
    measured: bool


@cache
def of(architecture: str, family: str, *, eager: bool) -> Constants:
    """Constants of a GPU architecture (as in data/gpus.json) and a family, `dense` or `moe`."""
    data = _data()
    name = architecture.lower()
    row = data["classes"].get(name, data["classes"][OTHER])[family]
    layer = data["eager"][f"{family}_us"] if eager else row["layer_us"]
    return Constants(
        bandwidth_share=row["bandwidth_share"],
        compute_share=row["compute_share"],
        compute_share_parallel=row["compute_share_parallel"],
        base=0.0 if eager else row["base_us"] / 1e6,
        layer=layer / 1e6,
        band=(row["band"][0], row["band"][1]),
        measured=name in data["classes"] and not eager,
    )


def for_model(gpu: GpuType, spec: ModelSpec, *, eager: bool) -> Constants:
    """Constants of a model on a GPU."""
    return of(gpu.architecture, "moe" if spec.moe else "dense", eager=eager)


def date() -> str:
    """Day on which the constants were chosen."""
    return str(_data()["date"])


def reading_seconds() -> float:
    """What the API server takes for a request, one after the other."""
    return float(_data()["reading_ms"]["value"]) / 1000


def request_seconds() -> float:
    """What a request takes outside of the engine's steps."""
    return float(_data()["request_ms"]["value"]) / 1000
