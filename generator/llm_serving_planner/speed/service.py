"""The front door with a workload: from names to a plan that is chosen and judged by what the service has to bear."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner import service
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan

if TYPE_CHECKING:
    from llm_serving_planner.speed.workload import Workload


def plan(
    model: str | ModelSpec,
    profile: str | GpuProfile,
    options: Options | None = None,
    *,
    workload: "Workload | None" = None,
    offline: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Size a model on GPUs: the same answer as `llm-serving plan`.

    Args:
        model: Hugging Face id, a folder that holds config.json, or facts from `resolve`.
        profile: `2xt4`, `2x8xh100` (nodes x GPUs), `g5.48xlarge`, `cpu`, a YAML file, or a parsed profile.
        options: what is pinned; lengths in tokens, memory in GiB, rates in Gbit/s, as their names say.
        workload: what the service has to bear, from `workload(...)`; the plan's `promise` then says what it gives. None
            predicts no speed.
        offline: do not ask the hub; the Hugging Face cache and the embedded catalogue still count.
        progress: told what is being waited for.
        tell: told what stands in for the hub, and why.

    Returns:
        The plan. Its estimate is in bytes per GPU; `layout` and `settings` are those of one engine.

    Raises:
        InputError: the profile or an option is malformed, or the model is neither an id nor a folder.
        HubError: the hub refused, or it is out of reach and the catalogue lacks the model.
        UnsupportedModelError: a field of the model's config is not understood.
        DoesNotFitError: physics or the engine forbid it, with every reason and the ways out.
    """
    given = options or Options()
    asked = service.read(model, profile, given, offline=offline, progress=progress, tell=tell)
    return service.decide(*asked) if workload is None else decide(*asked, workload)


def decide(spec: ModelSpec, profile: GpuProfile, options: Options, workload: "Workload") -> Plan:
    """The plan for the workload, of facts that are at hand; pure.

    Raises:
        DoesNotFitError: with every reason and the ways out.
    """
    from llm_serving_planner.planner.ways_out import ways_out
    from llm_serving_planner.speed.choice import choose

    try:
        return choose(spec, profile, options, workload)
    except DoesNotFitError as error:
        raise DoesNotFitError(str(error), error.reasons, ways_out(spec, profile, options)) from None
