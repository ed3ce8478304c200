"""The part of docs/accuracy.md about starts that were predicted before they were run (docs/data/starts-h200.csv)."""

import statistics
from collections.abc import Iterable

from documents.accuracy_rows import rows

TABLE = "starts-h200.csv"
NO_TEST = "no test"  # of a row whose config.json was not that of the checkpoint


def predicted() -> dict[str, str]:
    """Texts by name: the summary of what was promised, errors by class, and every start."""
    measured = [row for row in rows(TABLE) if row["date"]]
    return {
        "foretold": _summary(measured),
        "foretold_classes": _classes(measured),
        "foretold_rows": _rows(measured),
    }


def difference(row: dict[str, str]) -> float | None:
    """Predicted minus measured KV cache in GiB; None where one is not said, or the row says that it is no test."""
    if not row["predicted_kv_gib"] or not row["kv_gib"] or NO_TEST in row["remark"]:
        return None
    return float(row["predicted_kv_gib"]) - float(row["kv_gib"])


def _summary(measured: list[dict[str, str]]) -> str:
    """Counts of right and wrong verdicts; a start that failed for another reason than memory is neither.

    The starts under load were predicted after they ran and do not count here.
    """
    measured = [row for row in measured if row["kind"] != "speed"]
    own = [row for row in measured if row["kind"] == "own"]
    beyond = [row for row in measured if row["kind"] == "beyond"]
    lines = [
        "| what was predicted | what the engine did |",
        "|---|---|",
        f"| `fits` | {_outcomes(row for row in measured if row['predicted_verdict'] == 'fits')} |",
        f"| `tight` | {_outcomes(row for row in measured if row['predicted_verdict'] == 'tight')} |",
        f"| refused | {_outcomes(row for row in measured if row['predicted_verdict'] == 'refused')} |",
        f"| the planner's own largest context | {_outcomes(own)} |",
        f"| a tenth more than that | {_outcomes(beyond)} |",
    ]
    return "\n".join(lines)


def _outcomes(found: Iterable[dict[str, str]]) -> str:
    counts: dict[str, int] = {}
    for row in found:
        name = "started" if row["outcome"] == "ok" else row["outcome"]
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])) or "-"


def _classes(measured: list[dict[str, str]]) -> str:
    """Error of the KV cache by class of model, before the margin."""
    by: dict[str, list[float]] = {}
    for row in measured:
        error = difference(row)
        if error is not None:
            by.setdefault(row["class"], []).append(error)
    lines = ["| class | starts | mean error | worst |", "|---|---:|---:|---:|"]
    for name, found in sorted(by.items()):
        mean = statistics.fmean(abs(error) for error in found)
        lines.append(f"| {name} | {len(found)} | {mean:.2f} | {max(found, key=abs):+.2f} |")
    return "\n".join(lines)


def _rows(measured: list[dict[str, str]]) -> str:
    lines = [
        "| start | context | verdict | outcome | weights | rest | KV predicted | KV measured | difference | band |",
        "|---|---:|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in measured:
        error = difference(row)
        cells = [row["name"], row["max_model_len"], row["predicted_verdict"], row["outcome"]]
        cells += [_gap(row, "weights"), _gap(row, "rest"), row["predicted_kv_gib"], row["kv_gib"]]
        cells += ["" if error is None else f"{error:+.2f}", row["predicted_margin_gib"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _gap(row: dict[str, str], term: str) -> str:
    planned, truth = row[f"predicted_{term}_gib"], row[f"{term}_gib"]
    return f"{float(planned) - float(truth):+.2f}" if planned and truth else ""
