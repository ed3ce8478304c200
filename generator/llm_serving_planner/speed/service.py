"""A plan that is chosen for a workload, from facts that are at hand."""

from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.ways_out import ways_out
from llm_serving_planner.speed.choice import choose
from llm_serving_planner.speed.workload import Workload


def decide(spec: ModelSpec, profile: GpuProfile, options: Options, workload: Workload) -> Plan:
    """The plan for the workload; pure.

    Raises:
        DoesNotFitError: with every reason and the ways out.
    """
    try:
        return choose(spec, profile, options, workload)
    except DoesNotFitError as error:
        raise DoesNotFitError(str(error), error.reasons, ways_out(spec, profile, options)) from None
