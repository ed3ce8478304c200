"""The ranking as text of at most 80 columns, Markdown, CSV or JSON."""

import csv
import io
import json
import textwrap
from dataclasses import replace
from typing import Any

from llm_serving_planner.advice.ranking import Advice, Row
from llm_serving_planner.output.explain import typed_values
from llm_serving_planner.speed.promise import duration

WIDTH = 80
TOP = 10  # rows of the text form when nobody says how many
_GROUPS = 4  # reasons of misfits in the text form
_NAMES = 3
_HEAD = ("USD/h", "machines", "engines", "weights", "TTFT", "ITL", "tok/s", "bears/s")
_SIZES = (7, 24, 9, 8, 6, 6, 6, 7)
_LEFT = {1, 2, 3}
_SECRET = "hf-token"  # noqa: S105 - the name of a Secret that a gated model needs


def render(advice: Advice, form: str, top: int | None) -> str:
    """The advice in a form: text, json, csv or markdown; `top` rows of it, all for None (text: 10)."""
    if form == "json":
        return _json(advice, top)
    if form == "csv":
        return _csv(advice, top)
    return _markdown(advice, top) if form == "markdown" else _text(advice, top if top is not None else TOP)


def decisions(rows: tuple[Row, ...]) -> list[tuple[Row, int]]:
    """The cheapest row of each kind of GPU and width of the weights, and how many dearer ones there are."""
    found: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        quantization = row.plan.spec.quantization
        found.setdefault((quantization.bits if quantization else 16, row.plan.profile.gpu.id), []).append(row)
    return [(ways[0], len(ways) - 1) for ways in found.values()]


def remarks(advice: Advice) -> list[str]:
    """What the figures are, and are not."""
    dates = sorted({row.machine.usd_date or "" for row in advice.rows if row.machine and row.usd_per_hour is not None})
    when = f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else "".join(dates)
    found = [
        f"prices: on demand, of one region per cloud, {when}; spot and reserved prices are not in the data"
        if dates
        else "prices: none of these is known",
    ]
    labels = sorted({row.promise.ttft.label for row in advice.rows if row.promise})
    share = advice.workload.targets.percentile
    if labels:
        found.append(
            f"TTFT and ITL at {share:g} %, simulated ({', '.join(labels)}); rows with - are ranked by the closed form. "
            "bears/s: requests per second at the most"
        )
    if advice.workload.assumed:
        found.append(f"assumed, as not given: {', '.join(advice.workload.assumed)}")
    if any(row.quantised for row in advice.rows) and not advice.spec.quantization:
        found.append("quantised weights: loss of quality not measured")
    return found


def headline(advice: Advice) -> str:
    """The model and the workload in one line."""
    targets = advice.workload.targets
    wanted = [
        f"{name} {duration(value)}"
        for name, value in (("TTFT", targets.ttft), ("ITL", targets.itl), ("request", targets.e2e))
        if value is not None
    ]
    goal = f"; {', '.join(wanted)} at {targets.percentile:g} %" if wanted else ""
    return f"{advice.spec.short_name}: {advice.workload.in_words()}{goal}; context {advice.need:,}"


def name_of(row: Row) -> str:
    """Machines as a person orders them: `2 x g5.xlarge`."""
    if row.machine is None:
        return f"{row.count} x {row.profile}" if row.count > 1 else row.profile
    return f"{row.count} x {row.machine.type}"


def winner_command(advice: Advice, row: Row, *, offline: bool) -> str:
    """`llm-serving values` that writes the file of a row."""
    plan = row.plan
    options, profile = plan.options, row.profile
    units = row.engines // plan.replicas
    if plan.replicas > 1 and units > 1:
        what = row.machine.type if row.machine else f"{plan.profile.gpus_per_node}x{plan.profile.gpu.id}"
        profile = f"{units * plan.profile.nodes}x{what}"
    elif plan.replicas == 1 and units > 1:
        options = replace(options, replicas=units)
    if plan.spec.gated:
        options = replace(options, hf_token_secret=_SECRET)
    return typed_values(plan.spec.model_id, profile, options, asked=advice.workload.words, offline=offline)


def _cells(row: Row) -> tuple[str, ...]:
    made, parallel = row.promise, row.plan.layout.parallel
    width = f"TP{parallel.tensor_parallel_size}"
    if parallel.pipeline_parallel_size > 1:
        width += f"xPP{parallel.pipeline_parallel_size}"
    return (
        "-" if row.usd_per_hour is None else f"{row.usd_per_hour:.{3 if row.usd_per_hour < 10 else 2}f}",
        name_of(row),
        f"{row.engines} x {width}",
        row.quantised.rpartition(" ")[2] or row.plan.dtype,
        "-" if made is None else _time(made.ttft.value),
        "-" if made is None else _time(made.itl.value),
        "-" if made is None else _rate(made.tokens_per_second.value),
        _rate(row.bears),
    )  # fmt: skip


def _time(value: float) -> str:
    return f"{1000 * value:.0f}ms" if value < 1 else f"{value:.1f}s"


def _rate(value: float) -> str:
    return f"{value / 1000:.0f}k" if value > 99_999 else f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _fit(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "~"


def _line(cells: tuple[str, ...]) -> str:
    parts = [
        _fit(cell, size).ljust(size) if index in _LEFT else cell.rjust(size)
        for index, (cell, size) in enumerate(zip(cells, _SIZES, strict=True))
    ]
    return " ".join(parts).rstrip()


def _text(advice: Advice, top: int) -> str:
    lines = [*_wrapped(headline(advice), "", "  "), ""]
    rows = decisions(advice.rows)
    if rows:
        lines.append(_line(_HEAD))
    for row, others in rows[:top]:
        lines.append(_line(_cells(row)))
        more = _below(row, others)
        if more:
            lines += _wrapped(more, " " * 8, " " * 8)
    if len(rows) > top:
        lines.append(f"{len(rows) - top} dearer rows are not shown: --top {len(rows)}")
    if not rows:
        lines.append("nothing in the data serves this workload")
    lines.append("")
    for remark in remarks(advice):
        lines += _wrapped(remark, "", "  ")
    return "\n".join([*lines, *_misfits(advice)]) + "\n"


def _misfits(advice: Advice) -> list[str]:
    groups = advice.grouped()
    lines = [f"{len(advice.misfits)} candidates do not serve it:"] if groups else []
    for model, reason, names in groups[:_GROUPS]:
        shown = ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
        lines += _wrapped(f"{model.rsplit('/', 1)[-1]} on {shown}: {reason}", "  ", "    ")
    if len(groups) > _GROUPS:
        rest = sum(len(names) for _, _, names in groups[_GROUPS:])
        lines.append(f"  {rest} more for {len(groups) - _GROUPS} other reasons: --format json")
    return lines


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _below(row: Row, others: int) -> str:
    """What a row says in a second line."""
    said = [row.plan.spec.model_id] if row.quantised else []
    if len(name_of(row)) > _SIZES[1]:
        said.append(name_of(row))
    if row.machine is not None:
        said.append(f"{row.machine.cloud}, {row.machine.count} {row.plan.profile.gpu.id} each")
    if row.plan.verdict == "tight":
        said.append("memory is tight")
    if row.plan.settings.enforce_eager:
        said.append("without CUDA graphs")
    if row.machine is not None and row.usd_per_hour is None:
        said.append("not sold on demand" if row.machine.status == "no-on-demand" else "no price in the data")
    if others:
        said.append(f"{others} dearer way{'s' if others > 1 else ''} with such GPUs")
    return "; ".join(said)


def _markdown(advice: Advice, top: int | None) -> str:
    lines = [headline(advice), "", f"| model | {' | '.join(_HEAD)} |", "|---|---:|---|---|---|---:|---:|---:|---:|"]
    lines += [f"| {row.plan.spec.model_id} | {' | '.join(_cells(row))} |" for row in advice.rows[:top]]
    lines += ["", *(f"- {remark}" for remark in remarks(advice))]
    lines += [
        f"- do not serve it ({len(names)}): {', '.join(names)} with {model}: {reason}"
        for model, reason, names in advice.grouped()
    ]
    return "\n".join(lines) + "\n"


def _csv(advice: Advice, top: int | None) -> str:
    rows = [row.to_dict() for row in advice.rows[:top]]
    handle = io.StringIO()
    if rows:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return handle.getvalue()


def _json(advice: Advice, top: int | None) -> str:
    data: dict[str, Any] = {
        "model": advice.spec.model_id,
        "workload": advice.workload.to_dict() | {"maxModelLen": advice.need},
        "remarks": remarks(advice),
        "rows": [row.to_dict() for row in advice.rows[:top]],
        "misfits": [
            {"model": model, "reason": reason, "names": names} for model, reason, names in advice.grouped()
        ],
    }  # fmt: skip
    return json.dumps(data, indent=2) + "\n"
