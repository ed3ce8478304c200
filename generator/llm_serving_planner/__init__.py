"""From a model and a GPU profile to a computed, explained Helm values file.

    from llm_serving_planner import Options, plan, values

    found = plan("mistralai/Mistral-7B-Instruct-v0.2", "2xt4", Options(max_model_len=16384), offline=True)
    print(found.settings.max_num_seqs, values(found))

`plan` sizes a model on GPUs, `values` writes the values file of a plan, `resolve` reads the facts of a model, and
`ways_out` names settings and machines on which a model fits. With `workload=workload("chat", users=200, ttft=1.0)` a
plan is chosen and judged by what the service has to bear; its `promise` says what it gives. What `__all__` does not
list may change with any version.
"""

import importlib
from typing import TYPE_CHECKING, Any

from llm_serving_planner.base.errors import (
    DoesNotFitError,
    HubError,
    HubUnreachableError,
    InputError,
    LlmServingError,
    SchemaError,
    ServerError,
    UnsupportedModelError,
)
from llm_serving_planner.base.version import __version__

if TYPE_CHECKING:
    from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile
    from llm_serving_planner.models.resolve import resolve
    from llm_serving_planner.models.spec import ModelSpec
    from llm_serving_planner.output.render import render_values as values
    from llm_serving_planner.planner.options import Options
    from llm_serving_planner.planner.plan import Plan
    from llm_serving_planner.planner.ways_out import ways_out
    from llm_serving_planner.speed.service import plan
    from llm_serving_planner.speed.workload import Workload, workload

__all__ = [
    "DoesNotFitError",
    "GpuProfile",
    "HubError",
    "HubUnreachableError",
    "InputError",
    "LlmServingError",
    "ModelSpec",
    "Options",
    "Plan",
    "SchemaError",
    "ServerError",
    "UnsupportedModelError",
    "Workload",
    "__version__",
    "parse_profile",
    "plan",
    "resolve",
    "values",
    "ways_out",
    "workload",
]

# Loaded when they are asked for: `llm-serving --version` and the clients need no planner.
_PLACES = {
    "GpuProfile": "hardware.profiles",
    "ModelSpec": "models.spec",
    "Options": "planner.options",
    "Plan": "planner.plan",
    "Workload": "speed.workload",
    "parse_profile": "hardware.profiles",
    "plan": "speed.service",
    "resolve": "models.resolve",
    "values": "output.render",
    "ways_out": "planner.ways_out",
    "workload": "speed.workload",
}


def __getattr__(name: str) -> Any:
    """A public name from its module, at first use."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_PLACES[name]}")
    return getattr(module, "render_values" if name == "values" else name)
