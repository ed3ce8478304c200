"""Real start-ups of vLLM with dummy weights, for the rows of docs/data/measurements-gpu.csv. It refits nothing.

With PYTHONPATH=tools (and generator, where this package is not installed):

    python -m measure.calibrate prepare --configs DIR --out FOLDER   here: config.json files and command lines
    python -m measure.calibrate run FOLDER --results FILE            on a machine with GPUs and vLLM
    python -m measure.calibrate append RESULTS                       here: rows into docs/data

`make calibrate CONFIGS=DIR` does all three on one machine. DIR holds the models' config.json files as
`<org>__<name>.json`; they are the models' own and never come into this repository. The jobs are in calibration.yaml
beside this file: starts with flags of their own, and committed values files with exactly the arguments that the chart
renders for them (only the model's place and the port differ, and the share where a smaller card is imitated).
"""

import argparse
import csv
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
JOBS = Path(__file__).parent / "calibration.yaml"
TABLE = ROOT / "docs" / "data" / "measurements-gpu.csv"
# The columns of measurements-h200.csv first, then what more is known; lists and mappings as JSON.
COLUMNS = (
    "model", "engine", "gpu", "tp", "pp", "dtype", "kv_cache_dtype", "gpu_memory_utilization", "max_model_len",
    "max_num_batched_tokens", "max_num_seqs", "enforce_eager", "weights_gib", "activation_peak_gib",
    "non_torch_gib", "cudagraph_gib", "kv_cache_gib", "kv_tokens", "max_concurrency", "catalogue_model", "name",
    "date", "driver", "nodes", "outcome", "consumed_gib", "cudagraph_estimated_gib", "total_gib", "used_mib",
    "load_s", "compile_s", "graphs_s", "ready_s", "bench", "action", "ranks", "failure", "args", "env",
)  # fmt: skip
_REPLACED = {"--host": 1, "--port": 1, "--revision": 1, "--served-model-name": 1}


def rendered_arguments(values: Path) -> list[str]:
    """The engine's arguments as the chart renders them, without the model, host, port, revision and served name."""
    sys.path.insert(0, str(ROOT / "tests"))
    from llm_serving_planner.base.documents import load_values
    from support.helm import engine, in_process

    words = [str(word) for word in engine(in_process(load_values(values)))["args"]][1:]
    kept, skip = [], 0
    for word in words:
        if skip:
            skip -= 1
        elif word in _REPLACED:
            skip = _REPLACED[word]
        else:
            kept.append(word)
    return kept


def prepare(configs: Path, out: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write `out`: a folder per model with its config.json, and jobs.json.

    Raises:
        SystemExit: a model's config.json is not in `configs`.
    """
    ready = []
    for job in jobs:
        source = configs / f"{job['model'].replace('/', '__')}.json"
        if not source.exists():
            raise SystemExit(f"{job['name']}: {source} is missing")
        config = json.loads(source.read_text(encoding="utf-8")) | job.get("config", {})
        name = f"{source.stem}-{job['name']}" if job.get("config") else source.stem
        (out / name).mkdir(parents=True, exist_ok=True)
        (out / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
        arguments = rendered_arguments(ROOT / job["values"]) if "values" in job else []
        for flag, value in (job.get("args") or {}).items():
            arguments += [f"--{flag}"] if value is True else [f"--{flag}", str(value)]
        served = ["--served-model-name", job["name"]]
        ready.append({**job, "config": name, "args": [*served, *arguments], "served": job["name"]})
    (out / "jobs.json").write_text(json.dumps(ready, indent=1), encoding="utf-8")
    return ready


def load_jobs(path: Path) -> list[dict[str, Any]]:
    """The jobs, checked as far as a start could otherwise fail for a slip of the pen.

    Raises:
        SystemExit: a job lacks a field, has an unknown one, or a name stands twice.
    """
    import yaml

    jobs: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    known = {
        "name", "model", "gpus", "args", "values", "config", "nodes", "imitate_gib", "timeout", "bench", "action",
        "env", "catalogue", "points",
    }  # fmt: skip
    names = [job.get("name") for job in jobs]
    for job in jobs:
        if not {"name", "model", "gpus"} <= job.keys() <= known:
            raise SystemExit(
                f"{path}: job {job.get('name')}: name, model and gpus are needed; known are {sorted(known)}"
            )
        if names.count(job["name"]) > 1:
            raise SystemExit(f"{path}: two jobs are named {job['name']}")
    return jobs


def row_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """One result as a row of the table."""
    log = result.get("log") or {}
    ranks, settings = log.get("ranks") or {}, log.get("settings") or {}
    fullest: dict[str, Any] = ranks.get(result.get("fullest")) or next(iter(ranks.values()), {})
    words: list[str] = result.get("args") or []

    def flag(name: str, default: str) -> str:
        option = f"--{name}"
        if option in words:
            return words[words.index(option) + 1]
        return str(settings.get(name.replace("-", "_"), default))

    def largest(term: str) -> Any:
        found = [rank[term] for rank in ranks.values() if rank.get(term) is not None]
        return fullest[term] if fullest.get(term) is not None else max(found, default="")

    row = {
        "model": result["model"], "engine": result.get("engine", ""), "gpu": result.get("gpu", ""),
        "tp": flag("tensor-parallel-size", "1"), "pp": flag("pipeline-parallel-size", "1"),
        "dtype": flag("dtype", "auto"), "kv_cache_dtype": flag("kv-cache-dtype", "auto"),
        "gpu_memory_utilization": flag("gpu-memory-utilization", ""), "max_model_len": flag("max-model-len", ""),
        "max_num_batched_tokens": flag("max-num-batched-tokens", ""), "max_num_seqs": flag("max-num-seqs", ""),
        "enforce_eager": str("--enforce-eager" in words), "weights_gib": largest("weights"),
        "activation_peak_gib": largest("activations"), "non_torch_gib": largest("non_torch"),
        "cudagraph_gib": largest("graphs"), "kv_cache_gib": largest("kv_cache"), "kv_tokens": log.get("kv_tokens"),
        "max_concurrency": log.get("concurrency"), "catalogue_model": result.get("catalogue", result["model"]),
        "name": result["name"], "date": result.get("date", ""), "driver": result.get("driver", ""),
        "nodes": flag("nnodes", "1"), "outcome": result["outcome"], "consumed_gib": largest("consumed"),
        "cudagraph_estimated_gib": largest("graphs_estimated"), "total_gib": largest("total"),
        "used_mib": result.get("used_mib"), "load_s": largest("load_seconds"), "compile_s": largest("compile_seconds"),
        "graphs_s": largest("graph_seconds"), "ready_s": result.get("ready_seconds"), "bench": result.get("bench"),
        "action": result.get("action"), "ranks": ranks if len(ranks) > 1 else None,
        "failure": (result.get("failure") or {}).get("line"), "args": " ".join(words),
        "env": " ".join(f"{key}={value}" for key, value in sorted((result.get("env") or {}).items())),
    }  # fmt: skip
    return {key: _text(value) for key, value in row.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else str(value)


def append(results: Path, table: Path) -> int:
    """Add a row per result; a result that is there already (name and date) is not added twice. Number of rows."""
    old: list[dict[str, str]] = []
    if table.exists():
        with table.open(newline="", encoding="utf-8") as handle:
            old = list(csv.DictReader(handle))
    known = {(row["name"], row["date"], row["engine"], row["gpu"]) for row in old}
    new = [row_of(json.loads(line)) for line in results.read_text(encoding="utf-8").splitlines() if line.strip()]
    new = [row for row in new if (row["name"], row["date"], row["engine"], row["gpu"]) not in known]
    with table.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*old, *new])
    return len(new)


def main() -> int:
    """The three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("prepare", help="config.json files and command lines")
    first.add_argument("--configs", type=Path, required=True, metavar="DIR", help="config.json files of the models")
    first.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    first.add_argument("--jobs", type=Path, default=JOBS, metavar="FILE")
    first.add_argument("--only", action="append", metavar="NAME", help="this job; repeatable")
    second = commands.add_parser("run", help="start the engines, on the machine with the GPUs")
    second.add_argument("folder", type=Path)
    second.add_argument("--results", type=Path, required=True, metavar="FILE")
    second.add_argument("--engine", default="vllm", help="the program (default: vllm)")
    second.add_argument("--deadline", type=float, default=3600, metavar="S", help="no start after that many seconds")
    second.add_argument("--gpus", type=int, metavar="N", help="use the first N (default: all)")
    third = commands.add_parser("append", help="rows into docs/data")
    third.add_argument("results", type=Path)
    third.add_argument("--table", type=Path, default=TABLE, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.command == "prepare":
        jobs = [job for job in load_jobs(arguments.jobs) if not arguments.only or job["name"] in arguments.only]
        print(f"{len(prepare(arguments.configs, arguments.out, jobs))} jobs in {arguments.out}", file=sys.stderr)
    elif arguments.command == "run":
        from measure.calibrate_engine import run

        words = arguments.engine.split()
        count = run(arguments.folder, arguments.results, words, arguments.deadline, arguments.gpus)
        print(f"{count} results in {arguments.results}", file=sys.stderr)
    else:
        print(f"{append(arguments.results, arguments.table)} rows added to {arguments.table}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
