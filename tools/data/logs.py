"""Whole logs of start-ups -> docs/data/measurements-h100.csv, read by the package's own reader.

python tools/import_logs.py FOLDER...

The logs are those of a validation campaign that other people ran and published: vLLM 0.19.0 at level DEBUG on H100
80GB, github.com/jgchn/llm-d-planner 6417620 and github.com/llm-d-incubation/llm-d-planner d3121e0 (both of
2026-04-22, Apache-2.0), accuracy/results/v0.19.0/logs. The numbers are kept, the logs are not. Starts that failed are
left out, and so is a repeated one. Of several ranks the one with the smallest cache is the row.
"""

import csv
import sys
from pathlib import Path

from import_measurements import known
from llm_serving_planner.logs.reading import read_log
from llm_serving_planner.logs.startup import Startup

TARGET = Path(__file__).parent.parent / "docs" / "data" / "measurements-h100.csv"
# Checkpoints in the logs that the catalogue lists under another name of equal geometry and bytes.
SIBLINGS = {
    "RedHatAI/Llama-3.3-70B-Instruct-fp8-dynamic": "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic",
    "redhatai/Llama-3.3-70B-Instruct-quantized.w8a8": "RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8",
}
_GIB = (
    ("total", "total_gib"), ("requested", "requested_gib"), ("weights", "weights_gib"),
    ("activations", "activation_peak_gib"), ("non_torch", "non_torch_gib"), ("graphs", "cudagraph_gib"),
    ("graphs_estimated", "cudagraph_estimated_gib"), ("free", "free_gib"),
)  # fmt: skip


def row_of(startup: Startup, name: str) -> dict[str, str] | None:
    """The row of a start; None when it failed, or says no cache."""
    fullest = startup.fullest
    if fullest is None or startup.failures or not startup.ready:
        return None
    settings = startup.settings
    model = settings["model"]
    numbers = {column: startup.largest(term) for term, column in _GIB}
    return {
        "name": name,
        "model": model,
        "catalogue_model": known(SIBLINGS.get(model, model)),
        "engine": f"vllm {startup.version}",
        "gpu": "NVIDIA H100 80GB",
        "tp": settings["tensor_parallel_size"],
        "pp": settings["pipeline_parallel_size"],
        "dtype": settings.get("dtype", ""),
        "quantization": settings.get("quantization", ""),
        "kv_cache_dtype": settings.get("kv_cache_dtype", "auto"),
        "gpu_memory_utilization": settings.get("gpu_memory_utilization") or f"{startup.largest('utilization'):g}",
        "max_model_len": settings["max_model_len"],
        "max_num_batched_tokens": settings["max_num_batched_tokens"],
        "max_num_seqs": settings["max_num_seqs"],
        "enforce_eager": settings["enforce_eager"],
        **{column: "" if value is None else f"{value:g}" for column, value in numbers.items()},
        "kv_cache_gib": f"{fullest.kv_cache:.2f}",
        "kv_tokens": str(startup.kv_tokens or ""),
        "max_concurrency": str(startup.concurrency or ""),
        "load_s": f"{startup.slowest('load_seconds') or 0:.1f}",
        "compile_s": f"{startup.slowest('compile_seconds') or 0:.1f}",
        "graphs_s": f"{startup.slowest('graph_seconds') or 0:g}",
        "start_s": f"{startup.total_seconds or 0:g}",
    }


def main() -> None:
    """All logs of the folders, by name; the first of a name counts."""
    paths: dict[str, Path] = {}
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).glob("*.log")):
            paths.setdefault(path.stem, path)
    rows = []
    for name, path in sorted(paths.items()):
        with path.open(encoding="utf-8", errors="replace") as handle:
            row = row_of(read_log(handle), name)
        print(f"{name}: {'left out' if row is None else row['kv_cache_gib'] + ' GiB'}", file=sys.stderr)
        rows += [row] if row else []
    with TARGET.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    models = sum(bool(row["catalogue_model"]) for row in rows)
    print(f"{TARGET.name}: {len(rows)} rows, {models} of known models", file=sys.stderr)


if __name__ == "__main__":
    main()
