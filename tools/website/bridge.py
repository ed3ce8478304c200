"""What the planner's page asks: a form's fields in, an answer of JSON and HTML out. Also runs in the browser.

The fields go through the table of options and the planner's front door, so that the page cannot say anything else than
`llm-serving plan` and `llm-serving values` say with `--offline`.
"""

import difflib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import DoesNotFitError, InputError, LlmServingError
from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.output import home
from llm_serving_planner.output.render import render_values
from llm_serving_planner.output.report import next_command
from llm_serving_planner.planner.option_checks import check_options
from llm_serving_planner.planner.options import Options, options_of_texts
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.service import decide
from llm_serving_planner.speed.service import decide as decide_for
from llm_serving_planner.speed.workload import FIELDS, Workload, workload_of_texts

from website.view import plan_html, refusal_html

ON = "on"  # text of a switch, as a form sends it


def answer(model: str, profile: str, options: Mapping[str, str]) -> dict[str, Any]:
    """The plan of `llm-serving plan MODEL --profile PROFILE --offline`, with its values file.

    Args:
        model: id of a model of the embedded catalogue.
        profile: as on the command line.
        options: text by name of the option, without dashes before it.

    Returns:
        ok: whether it fits; html: what to show; command: what to type.
        When ok: plan (as `--format json`), file (name of the values file), values (its text, or None) and
        missing (what the values file lacks, or None), install (the command that comes next).
        Else: error, reasons, ways_out, hint.
    """
    pins = [f"--{name}" if text == ON else f"--{name}={text}" for name, text in options.items()]
    command = shlex.join(["llm-serving", "values", model, "--profile", profile, *pins, "--offline"])
    try:
        load = workload_of_texts(options)
        pinned = {name: text for name, text in options.items() if name not in FIELDS}
        return {"ok": True, "command": command, **_planned(*_read(model, profile, pinned), load)}
    except LlmServingError as error:
        return {"ok": False, "command": command, **_refused(error)}


def _refused(error: LlmServingError) -> dict[str, Any]:
    reasons, ways = (error.reasons, error.ways_out) if isinstance(error, DoesNotFitError) else ((), ())
    return {
        "html": refusal_html(error),
        "error": str(error),
        "hint": error.hint,
        "reasons": list(reasons),
        "ways_out": list(ways),
    }


def answer_json(text: str) -> str:
    """`answer` over JSON, for the worker."""
    return json.dumps(answer(**json.loads(text)))


def _read(model: str, profile: str, options: Mapping[str, str]) -> tuple[ModelSpec, GpuProfile, Options]:
    chosen = options_of_texts(options)
    check_options(chosen)
    target = parse_profile(profile)
    return _spec(model), target, chosen


def _spec(model: str) -> ModelSpec:
    spec = embedded.find(model)
    if spec is not None:
        return spec
    reason = embedded.refusal(model)
    if reason is not None:
        raise InputError(f"{model}: {reason}")
    lower = {name.lower(): name for name in embedded.model_ids()}
    near = difflib.get_close_matches(model.lower(), lower, n=1, cutoff=0.7)
    other = "the command line reads any other model from the hub"
    hint = f"did you mean {lower[near[0]]}? Else {other}" if near else other
    raise InputError(f"the embedded catalogue has no {model}", hint=hint)


def _planned(spec: ModelSpec, profile: GpuProfile, options: Options, load: Workload | None) -> dict[str, Any]:
    plan = decide(spec, profile, options) if load is None else decide_for(spec, profile, options, load)
    values, missing = _values(plan)
    return {
        "html": plan_html(plan),
        "plan": plan.to_dict(),
        "file": f"{plan.file_stem}.yaml",
        "install": next_command(plan, Path(f"{plan.file_stem}.yaml"), f"{home.CHARTS}/llm-serving"),
        "values": values,
        "missing": missing,
    }


def _values(plan: Plan) -> tuple[str | None, str | None]:
    if plan.verdict == "doubtful":
        return None, "predicted not to start, inside the error band: the command line writes it with --force"
    try:
        return render_values(plan), None
    except InputError as error:
        return None, f"{error}: {error.hint}" if error.hint else str(error)
