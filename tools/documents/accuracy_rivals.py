"""Tables of docs/accuracy.md: hf-mem and aiconfigurator on the rows of docs/data/comparison.csv, and the planner."""

import statistics
from dataclasses import dataclass, field

from llm_serving_planner.base.units import GIB

from documents.accuracy_rows import Start, own_starts, rows

FILES = ("measurements-h200.csv", "measurements-h100.csv", "measurements-gpu.csv")


@dataclass
class Found:
    """Differences in GiB of one tool, by what was asked; and how many rows it answered of how many."""

    weights: list[float] = field(default_factory=list)
    request: list[float] = field(default_factory=list)
    budget: list[float] = field(default_factory=list)
    asked: int = 0
    answered: int = 0

    def add(self, row: dict[str, str], weights: float | None, request: float | None, budget: float | None) -> None:
        """Hold one answer against the measured row."""
        self.asked += 1
        self.answered += budget is not None
        pairs = (
            (self.weights, weights, "weights_gib"),
            (self.request, request, "request_gib"),
            (self.budget, budget, "kv_cache_gib"),
        )
        for errors, value, column in pairs:
            if value is not None and row[column]:
                errors.append(value - float(row[column]))


def rivals() -> dict[str, str]:
    """Two tables and what was compared when: the parts of docs/accuracy.md by name."""
    table = rows("comparison.csv")
    ours = {(name, _key(start.row)): start for name in FILES for start in own_starts(name)[0]}
    head = [
        "| tool | rows answered | weights | cache of one request | KV cache of the engine | median of it |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    single, parallel = (_fill(table, ours, parallel=several) for several in (False, True))
    several = [_line(title, found) for title, found in parallel.items() if title != HF_MEM and found.asked]
    return {
        "rivals_single": "\n".join([*head, *(_line(title, found) for title, found in single.items())]),
        "rivals_parallel": "\n".join([*head, *several]),
        "hf_mem": table[0]["hf_mem"],
        "aiconfigurator": table[0]["aiconfigurator"],
        "compared_on": table[0]["date"],
    }


OURS, HF_MEM = "llm-serving", "hf-mem"
NATIVE, NAIVE = "aiconfigurator, its own model", "aiconfigurator, its fallback"


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return (row.get("name", ""), row["model"].split(" (")[0], row["tp"], row["kv_cache_gib"], row["weights_gib"])


def _fill(
    table: list[dict[str, str]], ours: dict[tuple[str, tuple[str, ...]], Start], *, parallel: bool
) -> dict[str, Found]:
    found = {OURS: Found(), HF_MEM: Found(), NATIVE: Found(), NAIVE: Found()}
    for row in table:
        key = (row["file"], (row["row"], row["model"], row["tp"], row["kv_cache_gib"], row["weights_gib"]))
        start = ours.get(key)
        if start is None or (row["tp"] != "1") is not parallel:
            continue
        estimate = start.estimate
        found[OURS].add(row, estimate.weights / GIB, estimate.kv_per_request / GIB, estimate.kv_cache / GIB)
        weights = _number(row["hf_mem_weights_gib"])
        left = None if weights is None else float(row["requested_gib"]) - weights
        found[HF_MEM].add(row, weights, _number(row["hf_mem_request_gib"]), left)
        source = NAIVE if row["aic_source"] == "naive_fallback" or row["aic_refused"] else NATIVE
        budget = _number(row["aic_kv_cache_gib"])
        per_token = budget / float(row["aic_tokens"]) if budget and row["aic_tokens"] else None
        request = None if per_token is None else per_token * float(start.row["max_model_len"])
        found[source].add(row, _number(row["aic_weights_gib"]), request, budget)
    return found


def _number(text: str) -> float | None:
    return float(text) if text else None


def _line(title: str, found: Found) -> str:
    cells = [title, f"{found.answered} of {found.asked}"]
    for errors in (found.weights, found.request, found.budget):
        worst = max(errors, key=abs, default=0.0)
        cells.append(f"{statistics.fmean(map(abs, errors)):.2f} ({worst:+.2f})" if errors else "no answer")
    cells.append(f"{statistics.median(map(abs, found.budget)):.2f}" if found.budget else "")
    return f"| {' | '.join(cells)} |"
