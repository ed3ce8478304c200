"""Asks a started engine at a list of points with `vllm bench serve`. Standard library only: it runs beside it."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LIMIT_SECONDS = 180
# Figures of the client's result file (vLLM 0.33.0 benchmarks/serve.py, save_to_pytorch_benchmark_format apart).
_NAMES = {
    "ttft_p50_ms": "p50_ttft_ms", "ttft_p95_ms": "p95_ttft_ms", "tpot_p50_ms": "p50_tpot_ms",
    "itl_p50_ms": "p50_itl_ms", "itl_p95_ms": "p95_itl_ms", "e2e_p50_ms": "p50_e2el_ms",
    "output_tok_s": "output_throughput",
}  # fmt: skip


def ask(engine: list[str], folder: Path, served: str, port: int, points: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of each point by its id; a point that fails has `failed` alone."""
    found: dict[str, Any] = {}
    for point in points:
        count = int(point["requests"])
        _bench(engine, folder, served, port, point, max(1, min(count // 4, int(point["concurrency"]))), seed=1)
        found[str(point["id"])] = _bench(engine, folder, served, port, point, count, seed=2)
    return found


def _bench(
    engine: list[str], folder: Path, served: str, port: int, point: Mapping[str, Any], count: int, *, seed: int
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        words = [
            *engine, "bench", "serve", "--backend", "openai", "--base-url", f"http://127.0.0.1:{port}",
            "--endpoint", "/v1/completions", "--model", served, "--tokenizer", str(folder),
            "--dataset-name", "random", "--random-input-len", str(point["prompt"]),
            "--random-output-len", str(point["answer"]), "--random-range-ratio", "0", "--ignore-eos",
            "--num-prompts", str(count), "--max-concurrency", str(point["concurrency"]), "--request-rate", "inf",
            "--seed", str(seed), "--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,95,99",
            "--save-result", "--result-dir", out, "--result-filename", "result.json", "--disable-tqdm",
        ]  # fmt: skip
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_LIMIT_SECONDS)
            result = json.loads(Path(out, "result.json").read_text(encoding="utf-8"))
        except subprocess.TimeoutExpired:
            return {"failed": f"no end after {_LIMIT_SECONDS} s"}
        except (OSError, ValueError):
            return {"failed": (done.stderr or done.stdout)[-500:]}
    figures = {name: round(float(result[key]), 4) for name, key in _NAMES.items() if result.get(key) is not None}
    return {**figures, "failed": count - int(result.get("completed", count)) or ""}
