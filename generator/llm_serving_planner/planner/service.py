"""The planner's front door: from names to a plan, with what speaks for another layout and the ways out of a refusal."""

from collections.abc import Callable

from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile
from llm_serving_planner.models.resolve import resolve
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.option_checks import check_options
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan


def read(
    model: str | ModelSpec,
    profile: str | GpuProfile,
    options: Options,
    *,
    offline: bool,
    progress: Callable[[str], None],
    tell: Callable[[str], None],
) -> tuple[ModelSpec, GpuProfile, Options]:
    """What a plan is decided on: everything that a hub, a cache or a file must tell.

    Arguments and errors are those of `speed.service.plan`.
    """
    check_options(options)
    target = parse_profile(profile) if isinstance(profile, str) else profile
    spec = model
    if isinstance(spec, str):
        spec = resolve(spec, revision=options.revision, offline=offline, progress=progress, tell=tell)
    if options.lora or options.speculative is not None or options.chat_template is not None:
        from llm_serving_planner.planner.features.resolving import resolved

        options = resolved(options, offline=offline, progress=progress, tell=tell)
    return spec, target, options


def decide(spec: ModelSpec, profile: GpuProfile, options: Options) -> Plan:
    """The plan of facts that are at hand; pure.

    Raises:
        DoesNotFitError: with every reason and the ways out.
    """
    try:
        return make_plan(spec, profile, options)
    except DoesNotFitError as error:
        from llm_serving_planner.planner.ways_out import ways_out

        raise DoesNotFitError(str(error), error.reasons, ways_out(spec, profile, options)) from None
