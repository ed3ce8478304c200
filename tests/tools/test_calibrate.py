"""tools/measure/calibrate.py from the job table to the rows, with a stand-in for vLLM."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.helm import ROOT

TOOL = [sys.executable, "-m", "measure.calibrate"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
ENGINE = f"{sys.executable} {ROOT / 'tests' / 'tools' / 'fake_vllm.py'}"
JOBS: list[dict[str, Any]] = [
    {"name": "plain", "model": "org/tiny", "gpus": 2, "args": {"tensor-parallel-size": 2, "max-model-len": 8192},
     "bench": [1, 4]},
    {"name": "chart", "model": "org/tiny", "gpus": 2, "values": "values/mistral-2xt4.yaml", "imitate_gib": 0.5},
    {"name": "full", "model": "org/tiny", "gpus": 1, "args": {"model-behaviour": "no-room"}},
    {"name": "stuck", "model": "org/tiny", "gpus": 1, "args": {"model-behaviour": "silent"}, "timeout": 1},
    {"name": "nodes", "model": "org/tiny", "gpus": 2, "nodes": 2, "args": {"pipeline-parallel-size": 2}},
    {"name": "kill", "model": "org/tiny", "gpus": 1, "action": "kill-rank"},
    {"name": "stop", "model": "org/tiny", "gpus": 1, "action": "stop-under-load"},
    {"name": "wide", "model": "org/tiny", "gpus": 8},
]  # fmt: skip


def tool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOOL, *words], capture_output=True, text=True, check=False, timeout=120, env=ENVIRONMENT)


def prepare(folder: Path, jobs: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    configs, table = folder / "configs", folder / "jobs.yaml"
    configs.mkdir(exist_ok=True)
    (configs / "org__tiny.json").write_text(json.dumps({"vocab_size": 1000, "hidden_size": 64}))
    table.write_text(yaml.safe_dump({"jobs": jobs}))
    return tool("prepare", "--configs", str(configs), "--out", str(folder / "models"), "--jobs", str(table))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("calibrate")
    done = prepare(folder, JOBS)
    assert done.stderr == f"{len(JOBS)} jobs in {folder / 'models'}\n"
    results, table = folder / "results.jsonl", folder / "table.csv"
    words = ("run", str(folder / "models"), "--results", str(results), "--engine", ENGINE, "--gpus", "2")
    ran = tool(*words)
    assert ran.returncode == 0, ran.stderr
    for added in (len(JOBS), 0):  # the same results add nothing
        assert tool("append", str(results), "--table", str(table)).stderr.startswith(f"{added} rows added")
    with table.open(newline="") as handle:
        return {row["name"]: row for row in csv.DictReader(handle)}


def test_every_job_has_a_row_whatever_became_of_it(rows: dict[str, dict[str, str]]) -> None:
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "plain": "ok", "chart": "ok", "full": "failed", "stuck": "timeout", "nodes": "ok", "kill": "ok",
        "stop": "ok", "wide": "needs 8 GPUs, 2 are there",
    }  # fmt: skip


def test_a_row_holds_what_the_log_said(rows: dict[str, dict[str, str]]) -> None:
    row = rows["plain"]
    assert (row["weights_gib"], row["kv_cache_gib"], row["kv_tokens"]) == ("3.6", "9.0", "147456")
    assert (row["tp"], row["max_model_len"], row["engine"], row["load_s"]) == ("2", "8192", "vllm 0.25.1", "8.0")
    assert sorted(json.loads(row["ranks"])) == ["Worker_TP0", "Worker_TP1"]
    bench = json.loads(row["bench"])
    assert sorted(bench) == ["1", "4"]
    assert bench["4"]["tokens_per_second"] > 0
    assert rows["full"]["failure"].startswith("No available memory for the cache blocks")


def test_one_host_plays_two_nodes(rows: dict[str, dict[str, str]]) -> None:
    row = rows["nodes"]
    assert (row["pp"], row["outcome"]) == ("2", "ok")
    assert row["kv_cache_gib"] == "9.0"


def test_a_values_file_starts_with_the_charts_own_arguments(rows: dict[str, dict[str, str]]) -> None:
    words = rows["chart"]["args"].split()
    for pair in (("--tensor-parallel-size", "2"), ("--max-model-len", "32768"), ("--shutdown-timeout", "60")):
        assert words[words.index(pair[0]) + 1] == pair[1]
    assert float(rows["chart"]["gpu_memory_utilization"]) == pytest.approx(0.92 * 0.5, abs=1e-4)  # of 1 GiB here


def test_a_killed_rank_and_a_stop_are_timed(rows: dict[str, dict[str, str]]) -> None:
    killed, stopped = json.loads(rows["kill"]["action"]), json.loads(rows["stop"]["action"])
    assert killed["exit_code"] == 7
    assert killed["exit_seconds"] < 10
    assert (stopped["exit_code"], stopped["streams"], stopped["finished"]) == (0, 8, 0)
    assert 0 < stopped["chunks"] < stopped["asked"]


def test_the_committed_jobs_are_well_formed_and_name_real_values() -> None:
    jobs = yaml.safe_load((ROOT / "tools" / "measure" / "calibration.yaml").read_text())["jobs"]
    for job in jobs:
        assert "/" in job["model"]
        assert "values" not in job or (ROOT / job["values"]).exists()
    assert {job.get("action") for job in jobs} == {None, "kill-rank", "kill-rank-under-load", "stop-under-load"}


@pytest.mark.parametrize(
    ("job", "text"),
    [
        ({"name": "a", "model": "org/none", "gpus": 1}, "org__none.json is missing"),
        ({"name": "a", "model": "org/tiny"}, "job a: name, model and gpus are needed"),
        (
            {"name": "a", "model": "org/tiny", "gpus": 1, "argz": {}},
            "job a: name, model and gpus are needed; known are",
        ),
    ],
)
def test_a_slip_of_the_pen_is_named(tmp_path: Path, job: dict[str, Any], text: str) -> None:
    assert text in prepare(tmp_path, [job]).stderr
