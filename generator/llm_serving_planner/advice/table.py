"""The ranking as text of at most 100 columns, Markdown, CSV or JSON."""

import csv
import io
import json
import textwrap
from typing import Any

from llm_serving_planner.advice.ranking import Advice, Row

WIDTH = 100
TOP = 20  # rows of the text form when nobody says how many
_GROUPS = 6  # reasons of misfits in the text form
_NAMES = 4
_HEAD = ("USD/h", "machine or profile", "GPUs", "context", "at once", "tok/s", "band", "TTFT s", "USD/Mtok")
_SIZES = (6, 24, 14, 7, 7, 5, 11, 9)  # the last column is as wide as its head


def render(advice: Advice, form: str, top: int | None) -> str:
    """The advice in a form: text, json, csv or markdown; `top` rows of it, all for None (text: 20)."""
    if form == "json":
        return _json(advice, top)
    if form == "csv":
        return _csv(advice, top)
    return _markdown(advice, top) if form == "markdown" else _text(advice, top if top is not None else TOP)


def remarks(advice: Advice) -> list[str]:
    """What the figures are, and are not."""
    dates = sorted({row.machine.usd_date or "" for row in advice.rows if row.machine and row.usd_per_hour is not None})
    when = f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else "".join(dates)
    regions = sorted({row.machine.usd_region or "" for row in advice.rows if row.machine and row.machine.usd_region})
    bands = sorted({row.prediction.band for row in advice.rows if row.prediction}) or [(1.0, 1.0)]
    band = bands[0]
    found = [
        f"prices: on-demand list prices of {when} in {', '.join(regions)}; spot, reserved and negotiated prices are "
        "not in the data, storage and traffic come on top"
        if dates
        else "prices: none of these is known",
        f"speed: roofline, not measured here; the band is {band[0]:g} to {band[1]:g} of tok/s (docs/advice.md has the "
        "errors against measurements). TTFT: a request among running ones, to the last of all at the same moment",
    ]
    if advice.workload.assumed:
        found.append(f"assumed, as not given: {', '.join('--' + name for name in advice.workload.assumed)}")
    if any(row.prediction is None for row in advice.rows):
        found.append("no speed: bandwidth or rate of the GPU is not in the data")
    return found


def headline(advice: Advice) -> str:
    """The model and the workload in one line."""
    load = advice.workload
    return (
        f"{advice.spec.short_name}: context {load.max_model_len:,}, {load.concurrency} at once, "
        f"{load.prompt_tokens:,} prompt + {load.answer_tokens:,} answer tokens"
    )


def _cells(row: Row) -> tuple[str, ...]:
    speed = row.prediction
    place = name_of(row)
    layout = row.plan.layout
    first = "-" if speed is None else _seconds(speed.first_token_seconds)
    if speed is not None and speed.burst_seconds > speed.first_token_seconds:
        first += f"-{_seconds(speed.burst_seconds)}"
    gpus = f"{layout.gpus * row.replicas} {row.plan.profile.gpu.id}"
    return (
        "-" if row.usd_per_hour is None else f"{row.usd_per_hour:.{3 if row.usd_per_hour < 10 else 2}f}",
        place,
        gpus,
        f"{row.context}" if row.context < 1_000_000 else f"{row.context / 1e6:.2f}M",
        f"{row.at_once:.0f}",
        "-" if speed is None else _rate(speed.tokens_per_second),
        "-" if speed is None else f"{_rate(speed.low)}-{_rate(speed.high)}",
        first,
        "-" if row.usd_per_million is None else f"{row.usd_per_million:.2f}",
    )  # fmt: skip


def name_of(row: Row) -> str:
    """Machine or profile as a person orders it: `2 x g5.xlarge`, `2xa10g (g5.12xlarge)`."""
    if row.replicas > 1:
        return f"{row.replicas} x {row.profile}"
    if row.machine is None or row.profile.endswith(row.machine.type):
        return row.profile
    return f"{row.profile} ({row.machine.type})"


def _rate(value: float) -> str:
    return f"{value:.0f}" if value < 99_999 else f"{value / 1000:.0f}k"


def _seconds(value: float) -> str:
    return f"{value:.{2 if value < 1 else 1 if value < 10 else 0}f}"


def _fit(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "~"


def _line(cells: tuple[str, ...]) -> str:
    left = {1, 2}
    parts = [
        (_fit(cell, size).ljust(size) if index in left else cell.rjust(size))
        for index, (cell, size) in enumerate(zip(cells, (*_SIZES, len(_HEAD[-1])), strict=True))
    ]
    return " ".join(parts).rstrip()


def without_dearer_twins(rows: tuple[Row, ...]) -> list[tuple[Row, int]]:
    """Rows, each with the number of dearer machines of its cloud that differ in nothing that the engine sees."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        plan = row.plan
        cloud = row.machine.cloud if row.machine else None
        key = (plan.spec.model_id, plan.profile.gpu.id, plan.profile.link, plan.layout.nodes,
               plan.settings, row.replicas, cloud, row.usd_per_hour is None)  # fmt: skip
        found.setdefault(key, []).append(row)
    return [(twins[0], len(twins) - 1) for twins in found.values()]


def _text(advice: Advice, top: int) -> str:
    lines = [*_wrapped(headline(advice), "", "  "), ""]
    if advice.rows:
        lines.append(_line(_HEAD))
    several = len({row.plan.spec.model_id for row in advice.rows}) > 1
    rows = without_dearer_twins(advice.rows)
    for row, twins in rows[:top]:
        lines.append(_line(_cells(row)))
        more = _below(row, twins, several=several)
        if more:
            lines += _wrapped(more, " " * 7, " " * 7)
    if len(rows) > top:
        lines.append(f"{len(rows) - top} dearer rows are not shown: --top {len(rows)}")
    if not advice.rows:
        lines.append("nothing in the data serves this workload")
    lines.append("")
    for remark in remarks(advice):
        lines += _wrapped(remark, "", "  ")
    return "\n".join([*lines, *_misfits(advice, several=several)]) + "\n"


def _misfits(advice: Advice, *, several: bool) -> list[str]:
    groups = advice.grouped()
    lines = [f"{len(advice.misfits)} candidates do not serve it:"] if groups else []
    for model, reason, names in groups[:_GROUPS]:
        shown = ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
        which = f"{model.rsplit('/', 1)[-1]} on " if several else ""
        lines += _wrapped(f"{which}{shown}: {reason}", "  ", "    ")
    if len(groups) > _GROUPS:
        rest = sum(len(names) for _, _, names in groups[_GROUPS:])
        lines.append(f"  {rest} more for {len(groups) - _GROUPS} other reasons: --format json")
    return lines


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _below(row: Row, twins: int, *, several: bool) -> str:
    """What a row says in a second line: the checkpoint, the profile that it stands for, how the engine is spread."""
    said = [row.plan.spec.model_id] if several else []
    if len(name_of(row)) > _SIZES[1]:
        said.append(name_of(row))
    if row.same_as:
        said.append(f"cheapest {row.same_as}")
    if row.replicas > 1:
        said.append(f"{row.replicas} engines behind one Service")
    if row.plan.layout.parallel.pipeline_parallel_size > 1:
        said.append(
            f"{row.plan.layout.nodes} nodes, pipeline parallel {row.plan.layout.parallel.pipeline_parallel_size}"
        )
    if row.tight:
        said.append("memory is tight")
    if row.plan.settings.enforce_eager:
        said.append("without CUDA graphs")
    if row.machine is not None and row.usd_per_hour is None:
        said.append("not sold on demand" if row.machine.status == "no-on-demand" else "no price in the data")
    if twins:
        types = "type does" if twins == 1 else "types do"
        said.append(f"{twins} dearer {row.machine.cloud if row.machine else 'other'} {types} the same")
    return "; ".join(said)


def _markdown(advice: Advice, top: int | None) -> str:
    lines = [headline(advice), "", f"| model | {' | '.join(_HEAD)} |", "|---|" + "---:|---|---|" + "---:|" * 6]
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
    load = advice.workload
    data: dict[str, Any] = {
        "model": advice.spec.model_id,
        "workload": {
            "max_model_len": load.max_model_len, "concurrency": load.concurrency, "prompt_tokens": load.prompt_tokens,
            "answer_tokens": load.answer_tokens, "assumed": list(load.assumed),
        },
        "remarks": remarks(advice),
        "rows": [row.to_dict() for row in advice.rows[:top]],
        "misfits": [
            {"model": model, "reason": reason, "names": names} for model, reason, names in advice.grouped()
        ],
    }  # fmt: skip
    return json.dumps(data, indent=2) + "\n"
