"""Two pictures of a ranking in one file: price against what is served, and where the memory of one GPU goes.

Drawn with matplotlib, an optional package (`llm-serving-planner[plot]`): axes, ticks and PNG are not this project's
business.
"""

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from llm_serving_planner.advice.ranking import Advice, Row
from llm_serving_planner.advice.table import decisions, headline, name_of
from llm_serving_planner.base.units import GIB
from llm_serving_planner.base.writing import write_bytes

_BARS = 16  # bars of the second picture, unless --top says otherwise
_MOST_LABELS = 12
_TERMS = (
    ("weights", "weights", "#4c72b0"),
    ("activations", "activations", "#dd8452"),
    ("non_torch", "non-torch", "#937860"),
    ("cuda_graphs", "CUDA graphs", "#8172b3"),
    ("kv_cache", "KV cache", "#55a868"),
)
_FREE = ("outside the engine's share", "#d9d9d9")


def write_plot(advice: Advice, path: Path, top: int | None) -> None:
    """Write both pictures; the file's ending chooses SVG or PNG. The same advice gives the same bytes.

    Raises:
        InputError: the file cannot be written.
    """
    rows = [row for row, _ in decisions(advice.rows)]
    figure = Figure(figsize=(11, 11), layout="constrained")
    scatter, bars = figure.subplots(2, 1, height_ratios=(3, 2))
    figure.suptitle(headline(advice))
    _prices(scatter, advice, rows[:top])
    _memory(bars, rows[: top or _BARS])
    kind = path.suffix.lower().removeprefix(".")
    with mpl.rc_context({"svg.hashsalt": "llm-serving", "svg.fonttype": "none"}):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else {"Software": None})
    write_bytes(path, buffer.getvalue())


def _prices(axes: Axes, advice: Advice, rows: list[Row]) -> None:
    """Price per hour against what is served, with what comes drawn as a line; the frontier has names."""
    shown = [row for row in rows if row.usd_per_hour is not None]
    per = users_per_request(advice)
    for cloud in sorted({row.machine.cloud for row in shown if row.machine}):
        points = [row for row in shown if row.machine and row.machine.cloud == cloud]
        axes.plot([row.bears * per for row in points], [row.usd_per_hour or 0.0 for row in points], "o", label=cloud)
    for index, row in enumerate(frontier(shown)[:_MOST_LABELS]):
        right = bool(index % 2)
        axes.annotate(
            name_of(row), (row.bears * per, row.usd_per_hour or 0.0), fontsize=7,
            ha="left" if right else "right", xytext=(6, -9) if right else (-6, 5), textcoords="offset points",
        )  # fmt: skip
    rate = advice.workload.rate
    if rate is not None:
        axes.axvline(rate * per, color="black", linewidth=0.8, linestyle="--", label="what comes")
    if shown:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend(loc="lower right", fontsize=8)
    axes.set_xlabel("users served at the most" if advice.workload.users else "requests per second at the most")
    axes.set_ylabel("USD per hour, on demand")
    axes.grid(visible=True, which="both", linewidth=0.3)


def users_per_request(advice: Advice) -> float:
    """Users behind one request per second; 1 where the workload names none."""
    load = advice.workload
    return load.users / load.rate if load.users and load.rate else 1.0


def frontier(rows: list[Row]) -> list[Row]:
    """Rows that nothing cheaper serves more with, cheapest first."""
    found: list[Row] = []
    best = 0.0
    for row in rows:
        if row.bears > best:
            best = row.bears
            found.append(row)
    return found


def _memory(axes: Axes, rows: list[Row]) -> None:
    """One stacked bar per row: the terms of the estimate of one GPU, in GiB."""
    names = [f"{name_of(row)} {row.plan.profile.gpu.id}" for row in rows]
    places = list(range(len(rows)))
    left = [0.0] * len(rows)
    for key, label, colour in _TERMS:
        sizes = [max(getattr(row.plan.estimate, key), 0) / GIB for row in rows]
        axes.barh(places, sizes, left=left, label=label, color=colour)
        left = [start + size for start, size in zip(left, sizes, strict=True)]
    rest = [max(row.plan.estimate.total / GIB - start, 0) for row, start in zip(rows, left, strict=True)]
    axes.barh(places, rest, left=left, label=_FREE[0], color=_FREE[1])
    axes.set_yticks(places, names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("GiB of one GPU")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=len(_TERMS) + 1)
