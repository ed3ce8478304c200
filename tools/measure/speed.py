"""Speed of a running engine at a list of points, and what was predicted for each before it was measured.

With PYTHONPATH=tools (and generator, where this package is not installed):

    python -m measure.speed prepare --configs DIR --out FOLDER     here: config.json files, command lines, points
    python -m measure.calibrate run FOLDER --results FILE          on a machine with GPUs and vLLM: starts and asks
    python -m measure.speed append RESULTS                         here: rows into docs/data/speed-h200.csv
    python -m measure.speed predict                                here: docs/data/speed-predictions.csv
    python -m measure.speed compare                                here: errors of the predictions, by split

The points are in speed.yaml beside this file; each names its split, `fit` or `test`, before it is measured. A point is
one run of `vllm bench serve` with random prompts of one length, `concurrency` requests in flight, and answers of one
length (`--ignore-eos`), after a run of a quarter of its requests that compiles what is compiled at the first use.
Dummy weights: the times of a step do not depend on what the weights are, but for experts, which random weights choose
evenly. Every figure is the client's own.
"""

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.memory.settings import ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.speed import constants
from llm_serving_planner.speed.roofline import Engine
from llm_serving_planner.speed.simulation import Requests, percentile, percentile_of_counts, simulate
from llm_serving_planner.speed.steps import Steps

from measure import calibrate

ROOT = Path(__file__).parent.parent.parent
JOBS = Path(__file__).parent / "speed.yaml"
TABLE = ROOT / "docs" / "data" / "speed-h200.csv"
PREDICTIONS = ROOT / "docs" / "data" / "speed-predictions.csv"
GPU = "h200"
_POINT = ("id", "split", "model", "gpus", "batched_tokens", "prompt_tokens", "answer_tokens", "concurrency", "requests")
FIGURES = ("ttft_p50_ms", "ttft_p95_ms", "tpot_p50_ms", "itl_p50_ms", "itl_p95_ms", "e2e_p50_ms", "output_tok_s")
COLUMNS = (*_POINT, *FIGURES, "failed", "engine", "gpu", "driver", "date", "args", "env")
PREDICTED = (*_POINT, *FIGURES, "band_low", "band_high", "constants")


def requests_of(concurrency: int) -> int:
    """Requests of a point: enough for a median, few enough for minutes."""
    return 4 if concurrency == 1 else 3 * concurrency if concurrency <= 32 else 2 * concurrency


def points(jobs: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(job, point with its id) of every point."""
    for job in jobs:
        for point in job["points"]:
            yield job, {"id": point_id(job["name"], point), **point}


def point_id(job: str, point: dict[str, Any]) -> str:
    """`speed-llama-8b-512/1024+128x32`."""
    return f"{job}/{point['prompt']}+{point['answer']}x{point['concurrency']}"


def load_jobs() -> list[dict[str, Any]]:
    """The jobs with their points.

    Raises:
        SystemExit: a split that is none.
    """
    jobs = calibrate.load_jobs(JOBS)
    for job in jobs:
        for point in job["points"]:
            if point["split"] not in {"fit", "test"}:
                raise SystemExit(f"{JOBS}: {job['name']}: split must be fit or test, not {point['split']}")
    return jobs


def prediction(job: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    """What the simulation says of a point, as a row."""
    spec = embedded.find(job["model"])
    if spec is None:
        raise KeyError(job["model"])
    args = job["args"]
    profile = parse_profile(f"{job['gpus']}x{GPU}")
    tokens, seats = args["max-num-batched-tokens"], args["max-num-seqs"]
    settings = Settings(ParallelConfig(job["gpus"]), args["max-model-len"], seats, tokens, 0.9)
    native = spec.quantization is not None and spec.quantization.method == "fp8"
    engine = Engine(spec, profile, settings, native)
    count = requests_of(point["concurrency"])
    found = simulate(
        Steps(engine),
        Requests([(point["prompt"], point["answer"])] * count, concurrency=point["concurrency"]),
        budget=tokens,
        seats=seats,
        cache=1e9,  # dummy weights of these sizes leave room for every point
        beside=constants.request_seconds(),
        reading=constants.reading_seconds(),
    )
    figures = {
        "ttft_p50_ms": 1000 * percentile(found.first, 50),
        "ttft_p95_ms": 1000 * percentile(found.first, 95),
        "tpot_p50_ms": 1000 * percentile(found.each, 50),
        "itl_p50_ms": 1000 * percentile_of_counts(found.gaps, 50),
        "itl_p95_ms": 1000 * percentile_of_counts(found.gaps, 95),
        "e2e_p50_ms": 1000 * percentile(found.whole, 50),
        "output_tok_s": found.tokens_per_second,
    }
    band = engine.constants.band
    return {
        **_facts(job, point),
        **{name: f"{value:.4g}" for name, value in figures.items()},
        "band_low": band[0], "band_high": band[1], "constants": constants.date(),
    }  # fmt: skip


def _facts(job: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": point["id"], "split": point["split"], "model": job["model"], "gpus": f"{job['gpus']}x{GPU}",
        "batched_tokens": job["args"]["max-num-batched-tokens"], "prompt_tokens": point["prompt"],
        "answer_tokens": point["answer"], "concurrency": point["concurrency"],
        "requests": requests_of(point["concurrency"]),
    }  # fmt: skip


def rows_of(result: dict[str, Any], job: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one start: a row per point that was answered."""
    found = []
    for point in job["points"]:
        name = point_id(job["name"], point)
        measured = (result.get("points") or {}).get(name)
        if measured is None:
            continue
        found.append({
            **_facts(job, {**point, "id": name}), **{key: measured.get(key, "") for key in FIGURES},
            "failed": measured.get("failed", ""), "engine": result.get("engine", ""), "gpu": result.get("gpu", ""),
            "driver": result.get("driver", ""), "date": result.get("date", ""),
            "args": " ".join(result.get("args") or []),
            "env": " ".join(f"{key}={value}" for key, value in sorted((result.get("env") or {}).items())),
        })  # fmt: skip
    return found


def append(results: Path, table: Path) -> int:
    """Add a row per measured point; a later measurement of the same point on the same day takes its place."""
    jobs = {job["name"]: job for job in load_jobs()}
    known = {(row["id"], row["date"]): row for row in _read(table)}
    added = 0
    for line in results.read_text(encoding="utf-8").splitlines():
        result = json.loads(line) if line.strip() else {}
        for row in rows_of(result, jobs[result["name"]]) if result.get("name") in jobs else ():
            known[row["id"], row["date"]] = row
            added += 1
    _write(table, COLUMNS, list(known.values()))
    return added


def errors(table: Path = TABLE, predictions: Path = PREDICTIONS) -> list[tuple[dict[str, str], str, float, bool]]:
    """(row, figure, predicted over measured less one, inside the band) of every measured figure."""
    told = {row["id"]: row for row in _read(predictions)}
    found = []
    for row in _read(table):
        for name in FIGURES:
            said = told.get(row["id"])
            if said is None or not row[name]:
                continue
            measured, predicted = float(row[name]), float(said[name])
            low, high = float(said["band_low"]), float(said["band_high"])
            rate = measured / predicted if name == "output_tok_s" else predicted / measured
            found.append((row, name, predicted / measured - 1, low <= rate <= high))
    return found


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def _write(path: Path, columns: tuple[str, ...], rows: list[Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> int:
    """The four commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("prepare", help="config.json files, command lines and points")
    first.add_argument("--configs", type=Path, required=True, metavar="DIR", help="config.json files of the models")
    first.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    first.add_argument("--only", action="append", metavar="NAME", help="this job; repeatable")
    second = commands.add_parser("append", help="rows into docs/data")
    second.add_argument("results", type=Path)
    commands.add_parser("predict", help="what the simulation says of every point")
    commands.add_parser("compare", help="errors of the predictions")
    arguments = parser.parse_args()
    jobs = load_jobs()
    if arguments.command == "prepare":
        wanted = [
            replace_points(job, requests_of) for job in jobs if not arguments.only or job["name"] in arguments.only
        ]
        print(f"{len(calibrate.prepare(arguments.configs, arguments.out, wanted))} jobs in {arguments.out}")
    elif arguments.command == "append":
        print(f"{append(arguments.results, TABLE)} rows in {TABLE}")
    elif arguments.command == "predict":
        _write(PREDICTIONS, PREDICTED, [prediction(job, point) for job, point in points(jobs)])
        print(f"wrote {PREDICTIONS}")
    else:
        _compare()
    return 0


def replace_points(job: dict[str, Any], count: Any) -> dict[str, Any]:
    """The job with the id and the number of requests of each point, for the machine that has only this file."""
    listed = [
        {**point, "id": point_id(job["name"], point), "requests": count(point["concurrency"])}
        for point in job["points"]
    ]
    return {**job, "points": listed}


def _compare() -> None:
    rows = errors()
    for split in ("fit", "test"):
        for name in FIGURES:
            chosen = [(abs(error), inside) for row, figure, error, inside in rows
                      if row["split"] == split and figure == name]  # fmt: skip
            if chosen:
                median = statistics.median(error for error, _ in chosen)
                share = sum(inside for _, inside in chosen) / len(chosen)
                print(
                    f"{split:5} {name:12} {len(chosen):3} rows, median error {median:.1%}, {share:.0%} inside the band"
                )


if __name__ == "__main__":
    sys.exit(main())
