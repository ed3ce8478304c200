"""Two pictures of a ranking in one file: price against throughput, and where the memory of one GPU goes.

Drawn with matplotlib, an optional package (`llm-serving-planner[plot]`): axes, ticks and PNG are not this project's
business.
"""

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from llm_serving_planner.advice.ranking import Advice, Row
from llm_serving_planner.advice.table import headline, name_of, without_dearer_twins
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
    rows = [row for row, _ in without_dearer_twins(advice.rows)]
    figure = Figure(figsize=(11, 11), layout="constrained")
    scatter, bars = figure.subplots(2, 1, height_ratios=(3, 2))
    figure.suptitle(headline(advice))
    _prices(scatter, rows[:top])
    _memory(bars, rows[: top or _BARS])
    kind = path.suffix.lower().removeprefix(".")
    with mpl.rc_context({"svg.hashsalt": "llm-serving", "svg.fonttype": "none"}):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else {"Software": None})
    write_bytes(path, buffer.getvalue())


def _prices(axes: Axes, rows: list[Row]) -> None:
    """Price per hour against answer tokens per second with their band; the frontier has names."""
    shown = [row for row in rows if row.usd_per_hour is not None and row.prediction is not None]
    clouds = sorted({row.machine.cloud for row in shown if row.machine})
    for cloud in clouds:
        points = [(r.usd_per_hour or 0.0, r.prediction) for r in shown if r.machine and r.machine.cloud == cloud]
        known = [(cost, speed) for cost, speed in points if speed is not None]
        rates = [speed.tokens_per_second for _, speed in known]
        below = [speed.tokens_per_second - speed.low for _, speed in known]
        above = [speed.high - speed.tokens_per_second for _, speed in known]
        axes.errorbar(
            [cost for cost, _ in known], rates, yerr=[below, above], fmt="o", markersize=4, elinewidth=0.6, label=cloud
        )
    for index, row in enumerate(frontier(shown)[:_MOST_LABELS]):
        if row.prediction is not None and row.usd_per_hour is not None:
            right = bool(index % 2)
            axes.annotate(
                name_of(row), (row.usd_per_hour, row.prediction.tokens_per_second), fontsize=7,
                ha="left" if right else "right", xytext=(6, -9) if right else (-6, 5), textcoords="offset points",
            )  # fmt: skip
    if shown:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend(loc="lower right", fontsize=8)
    axes.set_xlabel("USD per hour, on demand")
    axes.set_ylabel("answer tokens/s, predicted, with band")
    axes.grid(visible=True, which="both", linewidth=0.3)


def frontier(rows: list[Row]) -> list[Row]:
    """Rows that nothing cheaper outruns, cheapest first."""
    found: list[Row] = []
    best = 0.0
    for row in rows:
        if row.prediction is not None and row.prediction.tokens_per_second > best:
            best = row.prediction.tokens_per_second
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
