"""Pages that show plans: one per committed values file, and the planner with a first answer in place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from llm_serving_planner.hardware.profiles import all_gpus, all_instances, parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.resolve import resolve
from llm_serving_planner.output import home
from llm_serving_planner.output.committed import load_catalog
from llm_serving_planner.output.explain import command_line
from llm_serving_planner.output.render import render_values
from llm_serving_planner.output.report import next_command
from llm_serving_planner.planner.devices.registry import is_measured
from llm_serving_planner.planner.options import Declaration, table
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.speed.workload import names
from markupsafe import Markup

from website.bars import Bar, memory_bar
from website.bridge import answer
from website.cells import rounded
from website.highlight import highlight
from website.view import plan_html

PRESET = ("mistralai/Mistral-7B-Instruct-v0.2", "t4", 2)


class StaleValuesError(Exception):
    """A committed values file is not what the generator writes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One committed values file."""

    stem: str
    plan: Plan
    text: str
    bar: Bar
    at_once: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the planner's form.

    Attributes:
        name: of the option, without dashes before it.
        label: beside the field.
        kind: checkbox, select, number or text.
        unset: what stands in the empty field.
        entries: of a select, value -> text, besides the unset one.
        limits: min, max and step of a number.
    """

    name: str
    label: str
    kind: str
    unset: str = ""
    entries: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


def entries(root: Path) -> list[Entry]:
    """Every values file of the catalog, planned again.

    Raises:
        StaleValuesError: a file differs from its plan.
    """
    found = []
    for item in load_catalog(root / "values" / "catalog.yaml"):
        plan = make_plan(resolve(item.model, offline=True), parse_profile(item.profile), item.options)
        path = root / "values" / f"{plan.file_stem}.yaml"
        text = render_values(plan)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise StaleValuesError(f"{path.name} is stale: run make generate")
        found.append(Entry(plan.file_stem, plan, text, memory_bar(plan), rounded(plan.estimate.concurrency)))
    return found


def entry_page(entry: Entry) -> dict[str, Any]:
    """What the template plan_page.html.j2 needs."""
    plan, path = entry.plan, Path("values") / f"{entry.stem}.yaml"
    return {
        "plan": plan,
        "stem": entry.stem,
        "body": Markup(plan_html(plan)),
        "values": highlight(entry.text, "yaml"),
        "query": query(plan),
        "commands": [
            ("From a clone", next_command(plan, path, "charts/llm-serving")),
            ("From the registry, with the downloaded file", next_command(plan, Path(path.name), published_chart())),
            ("Try it", f"helm test {plan.release_name}"),
            ("Write the file again", f"{command_line(plan)} -o values/"),
        ],
    }


def published_chart() -> str:
    """The chart's OCI reference."""
    return f"{home.CHARTS}/llm-serving"


def query(plan: Plan) -> str:
    """The planner's form for a plan, as its address says it."""
    profile = plan.profile
    pairs: dict[str, Any] = {"model": plan.spec.model_id}
    if profile.instance is not None:
        pairs["machine"] = profile.instance.type
    else:
        pairs |= {"gpu": profile.gpu.id, "count": profile.gpus_per_node}
    pairs["nodes"] = profile.nodes
    for name, value in plan.options.pinned().items():
        pairs[name.replace("_", "-")] = "on" if value is True else value
    return urlencode(pairs, safe="/")


def planner_page(megabytes: str) -> dict[str, Any]:
    """What the template planner.html.j2 needs; its first answer is that of the planner for the form's first state."""
    model, gpu, count = PRESET
    first = answer(model, f"{count}x{gpu}", {})
    preset = {**first, "model": model, "gpu": gpu, "count": count, "html": Markup(first["html"])}
    preset["text"] = highlight(first["values"], "yaml")
    return {
        "megabytes": megabytes,
        "preset": preset,
        "models": sorted(embedded.model_ids(), key=str.lower),
        "gated": Markup(json.dumps(_gated())),
        "gpus": [kind for kind in all_gpus() if is_measured(kind)],
        "machines": _machines(),
        "sections": sections(),
    }


def sections() -> dict[str, list[Field]]:
    """Fields of the planner's form by the heading that they stand under, switches last: the table's own."""
    found: dict[str, list[Field]] = {}
    for row in table():
        if row.form is not None:
            found.setdefault(row.form.section, []).append(_field(row))
    kept = {name: sorted(rows, key=lambda each: each.kind == "checkbox") for name, rows in found.items()}
    return {"Workload": workload_fields(), **kept}


def workload_fields() -> list[Field]:
    """What the service has to bear, and what its users expect."""
    whole = {"min": "1", "step": "1"}
    return [
        Field("workload", "Kind of service", "select", "none: no speed is predicted", {name: name for name in names()}),
        Field("users", "Users", "number", "8 requests at once", limits=whole),
        Field("prompt-tokens", "Prompt in tokens", "number", "the kind's", limits=whole),
        Field("answer-tokens", "Answer in tokens", "number", "the kind's", limits=whole),
        Field("ttft", "First token within", "text", "no target; 1s"),
        Field("itl", "Between tokens", "text", "no target; 33ms"),
    ]


def _field(row: Declaration) -> Field:
    form = row.form
    assert form is not None
    name = row.flag.removeprefix("--")
    if row.type is bool:
        return Field(name, form.label, "checkbox")
    if form.offers is not None:
        unset, *others = form.offers()
        return Field(name, form.label, "select", unset, {other: other for other in others})
    entries = form.labels or {
        choice: form.named(choice) for choice in row.offered if choice not in {row.default, "auto"}
    }
    if entries:
        return Field(name, form.label, "select", form.unset, entries)
    if row.type in {int, float}:
        step = form.step or 1
        bounds = {"min": step if row.minimum is None else row.minimum, "max": row.maximum, "step": step}
        limits = {key: f"{value:g}" for key, value in bounds.items() if value is not None}
        return Field(name, form.label, "number", form.unset, limits=limits)
    return Field(name, form.label, "text", form.unset)


def _gated() -> list[str]:
    specs = (embedded.find(name) for name in embedded.model_ids())
    return [spec.model_id for spec in specs if spec is not None and spec.gated]


def _machines() -> list[Any]:
    measured = {kind.id for kind in all_gpus() if is_measured(kind)}
    return [
        machine
        for machine in all_instances()
        if machine.gpu in measured and machine.gpu_fraction == 1 and machine.status != "delisted"
    ]
