"""The pages of the fit matrix: cells as short texts, one page per number of GPUs in a node."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from llm_serving_planner.base.units import GIB
from llm_serving_planner.models.spec import ModelSpec

from website import cells
from website.cells import Cell, Column, Row

MARKS = {"fits": "✓", "tight": "≈", "quantised": "Q", "nodes": "N", "no": "\N{EN DASH}"}  # legible without colour
LABELS = {
    "fits": "Fits",
    "tight": "Tight",
    "quantised": "Quantised only",
    "nodes": "Several nodes",
    "no": "No",
}


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A cell as the template needs it; `query` opens the same plan in the planner."""

    kind: str
    text: str
    beside: str
    query: str


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A model and its cells; `gib` are its weights."""

    spec: ModelSpec
    gib: str
    cells: list[ShownCell]


def page(count: int) -> dict[str, Any]:
    """What the template fit.html.j2 needs for profiles of that many GPUs."""
    columns = cells.columns(count)
    dates = sorted({str(column.machine.usd_date) for column in columns if column.machine})
    return {
        "count": count,
        "counts": cells.COUNTS,
        "columns": columns,
        "rows": [_row(row, columns) for row in cells.rows(columns)],
        "kinds": cells.KINDS,
        "marks": MARKS,
        "labels": LABELS,
        "priced": f"prices read {dates[0]} to {dates[-1]}" if dates else "no prices known",
    }


def _row(row: Row, columns: list[Column]) -> ShownRow:
    shown = [_cell(cell, column) for cell, column in zip(row.cells, columns, strict=True)]
    return ShownRow(row.spec, f"{row.spec.weights.loaded_bytes / GIB:.1f}", shown)


def _cell(cell: Cell, column: Column) -> ShownCell:
    profile = column.profile
    pairs = {"model": cell.model, "gpu": profile.gpu.id, "count": profile.gpus_per_node, "nodes": cell.nodes}
    if cell.quantization:
        pairs["quantization"] = cell.quantization
    query = urlencode(pairs, safe="/")
    if cell.kind == "no":
        return ShownCell("no", MARKS["no"], "", query)
    mark = f"{cell.nodes}N" if cell.kind == "nodes" else MARKS[cell.kind]
    usd = "" if cell.usd_per_hour is None else f", ${cell.usd_per_hour:.2f}"
    text = f"{mark} {cells.short(cell.context)}"
    return ShownCell(cell.kind, text, f"{cells.rounded(cell.at_once)} at once{usd}", query)
