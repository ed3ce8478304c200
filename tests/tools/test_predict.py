"""tools/measure/predict.py: predictions stand before measurements, and stay as they were."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.helm import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from measure import predict

SMALL = {"gpu-memory-utilization": 0.0937, "max-num-seqs": 256, "max-num-batched-tokens": 2048, "enforce-eager": True}
TABLE: dict[str, Any] = {
    "engine": "vllm 0.33.0",
    "env": {"VLLM_USE_FLASHINFER_SAMPLER": 1},
    "jobs": [
        {"name": "own", "model": "Qwen/Qwen3-4B", "gpus": 1, "kind": "own", "class": "dense", "args": SMALL},
        {"name": "full", "model": "Qwen/Qwen3-32B", "gpus": 1, "kind": "breadth", "class": "dense", "args": SMALL},
    ],
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    found = predict.starts(TABLE, tmp_path_factory.mktemp("configs"))
    return {row["name"]: row for row in found}


def test_a_context_of_its_own_is_followed_by_one_a_tenth_longer(rows: dict[str, dict[str, Any]]) -> None:
    assert list(rows) == ["own", "own-beyond", "full"]
    own, beyond = rows["own"], rows["own-beyond"]
    assert (own["kind"], own["predicted_verdict"]) == ("own", "fits")
    assert beyond["max_model_len"] == -(-own["max_model_len"] * 11 // 10)
    assert beyond["predicted_verdict"] != "fits"
    assert float(own["predicted_request_gib"]) < float(own["predicted_kv_gib"])


def test_a_refusal_is_a_prediction_with_its_reason(rows: dict[str, dict[str, Any]]) -> None:
    assert rows["full"]["predicted_verdict"] == "refused"
    assert "Qwen/Qwen3-32B does not run on 1xh200" in rows["full"]["reason"]


def test_a_measured_row_keeps_its_prediction(tmp_path: Path, rows: dict[str, dict[str, Any]]) -> None:
    table, results = tmp_path / "starts.csv", tmp_path / "results.jsonl"
    predict.merge(table, [{**row, "planner": "old"} for row in rows.values()])
    rank = {"weights": 7.55, "consumed": 7.9, "activations": 0.5, "kv_cache": 4.7, "graphs_estimated": None}
    said = {"start": "own", "outcome": "ok", "date": "2026-11-29", "driver": "580", "log": {"ranks": {"0": rank}}}
    results.write_text(json.dumps(said) + "\n")
    assert predict.fill(results, table) == 1
    again = [{**row, "planner": "new", "predicted_kv_gib": "0"} for row in rows.values()]
    assert predict.merge(table, again) == 2
    kept, *others = predict.read(table)
    assert (kept["planner"], kept["kv_gib"], kept["rest_gib"]) == ("old", "4.7", "0.85")
    assert kept["predicted_kv_gib"] == rows["own"]["predicted_kv_gib"]
    assert {row["planner"] for row in others} == {"new"}
    assert predict.fill(results, table) == 0, "filled once"


def test_nothing_is_filled_in_without_a_prediction(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text('{"start": "unknown", "outcome": "ok", "date": "2026-11-29", "driver": ""}\n')
    with pytest.raises(SystemExit, match="no prediction of unknown; write the predictions first"):
        predict.fill(results, tmp_path / "starts.csv")


def test_every_row_has_a_prediction_and_a_planner() -> None:
    with predict.STARTS.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert sum(bool(row["date"]) for row in rows) >= 30
    for row in rows:
        assert row["planner"]
        assert not row["planner"].endswith("+"), "predicted by a planner that no commit has"
        assert row["predicted_kv_gib"] or row["reason"]


def test_no_start_was_promised_that_the_engine_refused() -> None:
    rows = [row for row in predict.read(predict.STARTS) if row["date"]]
    assert not [row["name"] for row in rows if row["predicted_verdict"] == "fits" and row["outcome"] == "refused"]
    assert not [row["name"] for row in rows if row["predicted_verdict"] == "refused" and row["outcome"] == "ok"]
