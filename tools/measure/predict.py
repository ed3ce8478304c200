"""Predictions that are written down before anything is measured: of starts and of speed.

    python -m measure.predict starts --configs DIR        docs/data/starts-h200.csv from starts.yaml
    python -m measure.predict speed                       docs/data/speed-h200.csv from speed.yaml
    python -m measure.predict fill RESULTS                measured columns of both, where they are empty

With PYTHONPATH=tools (and generator, where this package is not installed). A start is asked for as a user would, by
`llm-serving plan` with the settings pinned; a model that the catalogue does not have is a folder with its config.json.
Rows name the commit of the planner. A row that was measured keeps its prediction, whatever the planner says later.

RESULTS has a JSON document a line: {"start": name, "outcome", "log" (as in calibrate_engine.py), "date", "driver"} or
{"point": id, "result" (what `vllm bench serve` saves), "date", "driver"}.
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
SPEED = ROOT / "docs" / "data" / "speed-h200.csv"
PROFILE = "1xh200"
BEYOND = 1.1  # a context that much longer than the planner's own largest must not start
COLUMNS = (
    "name", "engine", "model", "kind", "class", "max_model_len", "args", "env", "planner", "predicted_verdict",
    "reason", "predicted_weights_gib", "predicted_rest_gib", "predicted_graphs_gib", "predicted_extra_gib",
    "predicted_kv_gib", "predicted_request_gib", "predicted_tokens", "predicted_concurrency", "predicted_margin_gib",
    "date", "driver", "outcome", "weights_gib", "rest_gib", "graphs_gib", "graphs_estimated_gib", "kv_gib",
    "kv_tokens", "concurrency", "total_gib", "activation_peak_gib", "consumed_gib", "failure", "remark",
)  # fmt: skip
SPEED_COLUMNS = (
    "id", "start", "split", "engine", "model", "gpus", "args", "batched_tokens", "prompt_tokens", "answer_tokens",
    "concurrency", "prompts", "seed", "predicted_ttft_ms", "predicted_itl_ms", "predicted_output_tok_s", "planner",
    "date", "driver", "ttft_p50_ms", "ttft_mean_ms", "ttft_p99_ms", "itl_p50_ms", "itl_mean_ms", "itl_p99_ms",
    "tpot_mean_ms", "e2el_p50_ms", "output_tok_s", "requests_s", "duration_s", "completed", "remark",
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


def speed(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row per point of each start, with what `advise` computes for it; every second one is for testing."""
    from documents.advice_page import compare

    seed = 1000
    for number, start in enumerate(table["starts"]):
        for index, (prompt, answer, concurrency, prompts) in enumerate(start["points"]):
            seed += 1
            args = {**table["args"], **start.get("args", {})}
            tensor = int(args.get("tensor-parallel-size", 1))
            row = {
                "id": f"{start['name']}-{index + 1}",
                "start": start["name"],
                "split": "test" if (index + number) % 2 else "fit",
                "engine": table["engine"],
                "model": start["model"],
                "gpus": f"{tensor}xh200",
                "args": json.dumps(args, separators=(",", ":")),
                "batched_tokens": args["max-num-batched-tokens"],
                "prompt_tokens": prompt,
                "answer_tokens": answer,
                "concurrency": concurrency,
                "prompts": prompts,
                "seed": seed,
            }
            asked = {"id": row["id"], "catalogue_model": start["model"], "weights_gib": "", "quantization": ""}
            asked |= {"eager": "no", "prompts_cached": "no", "value": "1", "gpus": row["gpus"]}
            asked |= {key: str(row[key]) for key in ("batched_tokens", "prompt_tokens", "answer_tokens", "concurrency")}
            for metric, column in (("ttft_ms", "ttft_ms"), ("itl_p50_ms", "itl_ms"), ("output_tok_s", "output_tok_s")):
                row[f"predicted_{column}"] = f"{compare({**asked, 'metric': metric}).predicted:.2f}"
            yield row


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
    if None not in terms:
        consumed, peak, weights = map(float, terms)
        row["rest_gib"] = f"{consumed + peak - weights - float(rank.get('graphs_estimated') or 0):.2f}"
    return {key: "" if value is None else value for key, value in row.items()}


def measured_point(result: Mapping[str, Any]) -> dict[str, Any]:
    """The measured columns of a point, from what `vllm bench serve` saves."""
    found = result["result"]
    names = {
        "ttft_p50_ms": "median_ttft_ms", "ttft_mean_ms": "mean_ttft_ms", "ttft_p99_ms": "p99_ttft_ms",
        "itl_p50_ms": "median_itl_ms", "itl_mean_ms": "mean_itl_ms", "itl_p99_ms": "p99_itl_ms",
        "tpot_mean_ms": "mean_tpot_ms", "e2el_p50_ms": "median_e2el_ms", "output_tok_s": "output_throughput",
        "requests_s": "request_throughput", "duration_s": "duration",
    }  # fmt: skip
    row: dict[str, Any] = {column: f"{float(found[name]):.3f}" for column, name in names.items() if name in found}
    row |= {key: result.get(key, "") for key in ("date", "driver", "remark")}
    return row | {"completed": found.get("completed", "")}


def fill(results: Path, starts_table: Path, speed_table: Path) -> int:
    """Put what was measured into rows that have no measurement yet. Number of rows filled.

    Raises:
        SystemExit: a result has no row, hence no prediction.
    """
    found = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines() if line.strip()]
    made: dict[str, dict[str, dict[str, Any]]] = {
        "start": {result["start"]: measured_start(result) for result in found if "start" in result},
        "point": {result["point"]: measured_point(result) for result in found if "point" in result},
    }
    filled = 0
    for kind, path, key, columns in (
        ("start", starts_table, "name", COLUMNS),
        ("point", speed_table, "id", SPEED_COLUMNS),
    ):
        rows = read(path)
        missing = made[kind].keys() - {row[key] for row in rows}
        if missing:
            raise SystemExit(f"{path}: no prediction of {', '.join(sorted(missing))}; write the predictions first")
        for row in rows:
            if row[key] in made[kind] and not row["date"]:
                row.update(made[kind][row[key]])
                filled += 1
        save(path, columns, rows)
    return filled


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a table; none where it is not there."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def save(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Write the whole table."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)


def merge(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]], key: str) -> int:
    """Write the predictions: measured rows stay as they are, the others are made anew. Number of the new ones."""
    old = {row[key]: row for row in read(path) if row["date"]}
    save(path, columns, [old.pop(row[key], row) for row in rows] + list(old.values()))
    return sum(not row.get("date") for row in read(path))


def main() -> int:
    """The three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=Path, default=STARTS, metavar="FILE", help="table of the starts")
    parser.add_argument("--speed", type=Path, default=SPEED, metavar="FILE", help="table of the speeds")
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("starts", help="memory of the starts in starts.yaml")
    first.add_argument("--configs", type=Path, required=True, metavar="DIR", help="config.json files of the models")
    first.add_argument("--jobs", type=Path, default=HERE / "starts.yaml", metavar="FILE")
    second = commands.add_parser("speed", help="speed of the points in speed.yaml")
    second.add_argument("--points", type=Path, default=HERE / "speed.yaml", metavar="FILE")
    third = commands.add_parser("fill", help="what was measured")
    third.add_argument("results", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "fill":
        count = fill(arguments.results, arguments.starts, arguments.speed)
        print(f"{count} rows filled", file=sys.stderr)
        return 0
    planner = commit()
    if arguments.command == "starts":
        table = yaml.safe_load(arguments.jobs.read_text(encoding="utf-8"))
        rows = [{**row, "planner": planner, "engine": table["engine"]} for row in starts(table, arguments.configs)]
        count = merge(arguments.starts, COLUMNS, rows, "name")
    else:
        points = yaml.safe_load(arguments.points.read_text(encoding="utf-8"))
        count = merge(arguments.speed, SPEED_COLUMNS, [{**row, "planner": planner} for row in speed(points)], "id")
    print(f"{count} predictions", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
