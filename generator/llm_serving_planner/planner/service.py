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


def plan(
    model: str | ModelSpec,
    profile: str | GpuProfile,
    options: Options | None = None,
    *,
    offline: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Size a model on GPUs: the same answer as `llm-serving plan`.

    Args:
        model: Hugging Face id, a folder that holds config.json, or facts from `resolve`.
        profile: `2xt4`, `2x8xh100` (nodes x GPUs), `g5.48xlarge`, `cpu`, a YAML file, or a parsed profile.
        options: what is pinned; lengths in tokens, memory in GiB, rates in Gbit/s, as their names say.
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
    return decide(*read(model, profile, options or Options(), offline=offline, progress=progress, tell=tell))


def read(
    model: str | ModelSpec,
    profile: str | GpuProfile,
    options: Options,
    *,
    offline: bool,
    progress: Callable[[str], None],
    tell: Callable[[str], None],
) -> tuple[ModelSpec, GpuProfile, Options]:
    """What `plan` decides on: everything that a hub, a cache or a file must tell. Arguments and errors as there."""
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
