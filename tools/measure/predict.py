"""Predictions of starts that are written down before anything is measured; those of speed are in speed.py.

    python -m measure.predict starts --configs DIR        docs/data/starts-h200.csv from starts.yaml
    python -m measure.predict fill RESULTS                its measured columns, where they are empty

With PYTHONPATH=tools (and generator, where this package is not installed). A start is asked for as a user would, by
`llm-serving plan` with the settings pinned; a model that the catalogue does not have is a folder with its config.json.
Rows name the commit of the planner. A row that was measured keeps its prediction, whatever the planner says later.

RESULTS has a JSON document a line: {"start": name, "outcome", "log" (as in calibrate_engine.py), "date", "driver"}.
"""

import argparse
import contextlib
import csv
import io
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from llm_serving_planner.base.units import GIB
from llm_serving_planner.cli.main import main as llm_serving
from llm_serving_planner.models import embedded

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
STARTS = ROOT / "docs" / "data" / "starts-h200.csv"
PROFILE = "1xh200"
BEYOND = 1.1  # a context that much longer than the planner's own largest must not start
COLUMNS = (
    "name", "engine", "model", "kind", "class", "max_model_len", "args", "env", "planner", "predicted_verdict",
    "reason", "predicted_weights_gib", "predicted_rest_gib", "predicted_graphs_gib", "predicted_extra_gib",
    "predicted_kv_gib", "predicted_request_gib", "predicted_tokens", "predicted_concurrency", "predicted_margin_gib",
    "date", "driver", "outcome", "weights_gib", "rest_gib", "graphs_gib", "graphs_estimated_gib", "kv_gib",
    "kv_tokens", "concurrency", "total_gib", "activation_peak_gib", "consumed_gib", "failure", "remark",
)  # fmt: skip
# Flags of the engine that `plan` has under the same name; the others change nothing that it sizes.
_PINS = {
    "gpu-memory-utilization", "max-num-seqs", "max-num-batched-tokens", "max-model-len", "kv-cache-dtype",
    "enforce-eager", "language-model-only", "tensor-parallel-size", "pipeline-parallel-size", "quantization",
}  # fmt: skip


def commit() -> str:
    """Short name of the commit whose planner speaks; `+` where files of the planner are changed.

    Raises:
        subprocess.CalledProcessError: this is no git repository.
    """
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run([*git, "status", "--porcelain", "generator"], capture_output=True, text=True, check=True)
    return name.strip() + ("+" if changed.stdout else "")


def ask(words: list[str]) -> tuple[dict[str, Any] | None, str]:
    """(answer of `plan`, "") or (None, why it was refused)."""
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        code = llm_serving(["plan", *words, "--profile", PROFILE, "--offline", "--format", "json"])
    if code == 0:
        return json.loads(out.getvalue()), ""
    lines = [line for line in told.getvalue().splitlines() if not line.startswith(("note:", "reading "))]
    return None, " ".join(line.strip() for line in lines)


def options(job: Mapping[str, Any]) -> list[str]:
    """The pins of a job, as `plan` takes them."""
    words = []
    for flag, value in job["args"].items():
        if flag in _PINS and value is not False:
            words += [f"--{flag}"] if value is True else [f"--{flag}", str(value)]
    return [*words, *map(str, job.get("ask", []))]


def source(job: Mapping[str, Any], configs: Path, folder: Path) -> str:
    """Id of a catalogue model, else a folder with the model's config.json."""
    if embedded.find(job["model"]) is not None:
        return str(job["model"])
    path = folder / job["model"].replace("/", "__")
    path.mkdir(exist_ok=True)
    text = (configs / f"{path.name}.json").read_text(encoding="utf-8")
    (path / "config.json").write_text(text, encoding="utf-8")
    return str(path)


def predicted(name: str, job: Mapping[str, Any], model: str, length: int | None) -> tuple[dict[str, Any], int | None]:
    """(row, context that was planned) of one start; `length` pins the context."""
    words = [model, *options(job), *([] if length is None else ["--max-model-len", str(length)])]
    answer, reason = ask(words)
    row: dict[str, Any] = {key: job[key] for key in ("model", "kind", "class")} | {"name": name}
    row["args"] = json.dumps(job["args"], separators=(",", ":"))
    row["env"] = " ".join(f"{key}={value}" for key, value in sorted(job["env"].items()))
    if answer is None:
        return {**row, "max_model_len": length or "", "predicted_verdict": "refused", "reason": reason}, None
    estimate, planned = answer["estimate"], int(answer["settings"]["max_model_len"])
    terms = {
        "weights": estimate["weights"],
        "rest": estimate["activations"] + estimate["non_torch"],
        "graphs": estimate["cuda_graphs"],
        "extra": estimate["lora"] + estimate["draft"],
        "kv": estimate["kv_cache"],
        "request": estimate["kv_per_request"],
        "margin": estimate["margin"],
    }
    row |= {f"predicted_{term}_gib": f"{value / GIB:.3f}" for term, value in terms.items()}
    return {
        **row,
        "max_model_len": planned,
        "predicted_verdict": answer["verdict"],
        "predicted_tokens": answer["cache_tokens"],
        "predicted_concurrency": answer["concurrency"],
        "reason": answer["context_limit"],
    }, planned


def starts(table: Mapping[str, Any], configs: Path) -> Iterator[dict[str, Any]]:
    """A row per start; two for the planner's own context, where memory limits it."""
    with tempfile.TemporaryDirectory() as folder:
        for listed in table["jobs"]:
            job = {**listed, "env": {**table["env"], **listed.get("env", {})}}
            model = source(job, configs, Path(folder))
            row, length = predicted(job["name"], job, model, None)
            yield row
            # Without --enforce-eager the planner may give CUDA graphs up for the longer context: another start.
            if job["kind"] == "own" and row.get("reason") == "memory" and job["args"].get("enforce-eager"):
                asked = math.ceil((length or 0) * BEYOND)
                yield predicted(f"{job['name']}-beyond", {**job, "kind": "beyond"}, model, asked)[0]


def measured_start(result: Mapping[str, Any]) -> dict[str, Any]:
    """The measured columns of a start. `rest` is what profiling adds to the weights: what it keeps and its peak.

    The engine charges an estimate of its CUDA graphs with the peak (docs/accuracy.md); `rest` is without them.
    """
    row: dict[str, Any] = {key: result.get(key, "") for key in ("date", "driver", "outcome", "failure", "remark")}
    log = result.get("log") or {}
    ranks = list((log.get("ranks") or {}).values())
    rank = next((rank for rank in ranks if rank.get("kv_cache") is not None), ranks[0] if ranks else {})
    names = {
        "weights_gib": "weights", "graphs_gib": "graphs", "graphs_estimated_gib": "graphs_estimated",
        "kv_gib": "kv_cache", "total_gib": "total", "activation_peak_gib": "activations", "consumed_gib": "consumed",
    }  # fmt: skip
    row |= {column: rank.get(term) for column, term in names.items()}
    row |= {"kv_tokens": log.get("kv_tokens"), "concurrency": log.get("concurrency")}
    terms = [rank.get(term) for term in ("consumed", "activations", "weights")]
    known = [float(term) for term in terms if term is not None]
    if len(known) == len(terms):
        consumed, peak, weights = known
        row["rest_gib"] = f"{consumed + peak - weights - float(rank.get('graphs_estimated') or 0):.2f}"
    return {key: "" if value is None else value for key, value in row.items()}


def fill(results: Path, table: Path) -> int:
    """Put what was measured into rows that have no measurement yet. Number of rows filled.

    Raises:
        SystemExit: a result has no row, hence no prediction.
    """
    found = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines() if line.strip()]
    made = {result["start"]: measured_start(result) for result in found if "start" in result}
    rows, filled = read(table), 0
    missing = made.keys() - {row["name"] for row in rows}
    if missing:
        raise SystemExit(f"{table}: no prediction of {', '.join(sorted(missing))}; write the predictions first")
    for row in rows:
        if row["name"] in made and not row["date"]:
            row.update(made[row["name"]])
            filled += 1
    save(table, rows)
    return filled


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a table; none where it is not there."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def save(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the whole table."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)


def merge(path: Path, rows: list[dict[str, Any]]) -> int:
    """Write the predictions: measured rows stay as they are, the others are made anew. Number of the new ones."""
    old = {row["name"]: row for row in read(path) if row["date"]}
    save(path, [old.pop(row["name"], row) for row in rows] + list(old.values()))
    return sum(not row["date"] for row in read(path))


def main() -> int:
    """The two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=STARTS, metavar="FILE", help="table of the starts")
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("starts", help="memory of the starts in starts.yaml")
    first.add_argument("--configs", type=Path, required=True, metavar="DIR", help="config.json files of the models")
    first.add_argument("--jobs", type=Path, default=HERE / "starts.yaml", metavar="FILE")
    second = commands.add_parser("fill", help="what was measured")
    second.add_argument("results", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "fill":
        print(f"{fill(arguments.results, arguments.table)} rows filled", file=sys.stderr)
        return 0
    planner, table = commit(), yaml.safe_load(arguments.jobs.read_text(encoding="utf-8"))
    rows = [{**row, "planner": planner, "engine": table["engine"]} for row in starts(table, arguments.configs)]
    print(f"{merge(arguments.table, rows)} predictions", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
