"""The points of speed: enough, split before they are run, each with a prediction; results become rows."""

import json
from pathlib import Path

import pytest
from measure import speed


def test_the_points_are_what_was_promised() -> None:
    jobs = speed.load_jobs()
    points = [point for _, point in speed.points(jobs)]
    assert len(points) >= 60
    assert len(jobs) <= 14
    assert len({job["model"] for job in jobs}) >= 8
    assert len({point["id"] for point in points}) == len(points)
    assert 2 * sum(point["split"] == "test" for point in points) == len(points)
    lengths, together = {point["prompt"] for point in points}, {point["concurrency"] for point in points}
    assert (min(lengths), max(lengths), min(together), max(together)) == (128, 16384, 1, 256)
    steps = {(job["model"], job["args"]["max-num-batched-tokens"]) for job in jobs}
    assert sum({(model, 512), (model, 2048), (model, 8192)} <= steps for model, _ in steps) >= 2


def test_every_point_was_predicted() -> None:
    told = {row["id"]: row for row in speed._read(speed.PREDICTIONS)}
    for _, point in speed.points(speed.load_jobs()):
        row = told[point["id"]]
        assert row["split"] == point["split"]
        assert all(float(row[name]) > 0 for name in speed.FIGURES)


def test_results_become_rows_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = speed.load_jobs()[0]
    first = speed.point_id(job["name"], job["points"][0])
    measured = {"ttft_p50_ms": 20.0, "output_tok_s": 190.0, "failed": ""}
    result = {"name": job["name"], "engine": "vllm 0.33.0", "date": "2026-11-29", "points": {first: measured}}
    results, table = tmp_path / "results.jsonl", tmp_path / "rows.csv"
    results.write_text(json.dumps(result) + "\n")
    assert speed.append(results, table) == 1
    assert speed.append(results, table) == 1, "once more takes the place of the first"
    (row,) = speed._read(table)
    assert (row["id"], row["ttft_p50_ms"], row["requests"]) == (first, "20.0", "4")
    found = {name: error for _, name, error, _ in speed.errors(table, speed.PREDICTIONS)}
    assert set(found) == {"ttft_p50_ms", "output_tok_s"}
    predicted = speed.prediction(job, {**job["points"][0], "id": first})
    assert found["ttft_p50_ms"] == pytest.approx(float(predicted["ttft_p50_ms"]) / 20.0 - 1)
