"""The planner's front door: one plan with what speaks for another layout."""

from dataclasses import replace

from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import proposal
from llm_serving_planner.planner.sizing import size


def make_plan(spec: ModelSpec, profile: GpuProfile, options: Options | None = None) -> Plan:
    """Plan one engine on the profile; `rejected` ends with a data parallel layout where one holds more cache.

    Raises:
        InputError: an option is malformed, whatever the model.
        DoesNotFitError: physics or the engine forbid it; all reasons at once (no ways out: see `ways_out`).
    """
    plan = size(spec, profile, options or Options())
    better = proposal(plan)
    return replace(plan, rejected=(*plan.rejected, better)) if better else plan
