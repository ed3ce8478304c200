"""`make compare CONFIGS=DIR`: what hf-mem and aiconfigurator say of the measured starts, into docs/data/comparison.csv.

Both come from PyPI, each in an environment of its own under build/compare. No hub is asked: hf-mem reads from a server
on loopback, aiconfigurator from folders. Both get the model's real config.json (DIR holds `<org>__<name>.json`);
hf-mem also a safetensors header with the catalogue's bytes, because weight files are not here.
"""

import argparse
import csv
import datetime as dt
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from documents.accuracy_rows import DATA, Start, own_gpu, own_starts
from llm_serving_planner.base.units import GIB

ROOT = Path(__file__).parent.parent.parent
BUILD = ROOT / "build" / "compare"
RIVALS = Path(__file__).parent / "rivals"
TABLE = DATA / "comparison.csv"
FILES = ("measurements-h200.csv", "measurements-h100.csv", "measurements-gpu.csv")
# Its collected data that lie nearest to the engine of the rows: h100_sxm and h200_sxm have 0.24.0 for vLLM alone.
DATA_VERSION = "0.24.0"
COLUMNS = (
    "file", "row", "model", "tp", "requested_gib", "kv_cache_gib", "weights_gib", "request_gib", "hf_mem_weights_gib",
    "hf_mem_request_gib", "hf_mem_refused", "aic_source", "aic_weights_gib", "aic_activations_gib", "aic_kv_cache_gib",
    "aic_tokens", "aic_refused", "hf_mem", "aiconfigurator", "date",
)  # fmt: skip


def pinned() -> dict[str, str]:
    """Names and versions of both tools."""
    lines = (RIVALS / "requirements.txt").read_text(encoding="utf-8").split()
    return dict(line.split("==") for line in lines)


def environment(name: str) -> Path:
    """Python of the tool's own environment, made where it is missing."""
    folder = BUILD / name
    python = folder / "bin" / "python"
    wanted = f"{name}=={pinned()[name]}"
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing {wanted} into {folder.relative_to(ROOT)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def config_of(configs: Path, start: Start) -> dict[str, Any] | None:
    """The model's config.json, with the quantisation that the row put over it; None where DIR has none."""
    name = start.row["catalogue_model"]
    path = configs / f"{name.replace('/', '__')}.json"
    if not path.exists():
        return None
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if start.row.get("weights_override_gib"):
        config["quantization_config"] = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}
    return config


def settings_of(start: Start) -> dict[str, Any]:
    """Settings of a start as aiconfigurator takes them."""
    row, gpu = start.row, own_gpu(start.row)
    return {
        "system": "h200_sxm" if "H200" in row["gpu"] else "h100_sxm",
        "data_version": DATA_VERSION,
        "tp": int(row["tp"]),
        "experts": start.spec.moe is not None,
        "tokens": int(row["max_num_batched_tokens"]),
        "sequences": int(row["max_num_seqs"]),
        "utilization": float(row["gpu_memory_utilization"]),
        "kv_fp8": row["kv_cache_dtype"].startswith("fp8"),
        "fp8": row.get("quantization") == "fp8",
        "total": gpu.total_bytes,
    }


def ask_aiconfigurator(starts: list[tuple[Start, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Its answers, one per start."""
    rows = []
    for index, (start, config) in enumerate(starts):
        folder = BUILD / "models" / str(index)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        rows.append({**settings_of(start), "folder": str(folder)})
    words = [environment("aiconfigurator"), RIVALS / "aiconfigurator_rows.py"]
    text = json.dumps(rows)
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=True, cwd=BUILD)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def serve(starts: list[tuple[Start, dict[str, Any]]]) -> Any:
    """A hub on loopback with one repository per start."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.fake_hub import FakeHub, FakeModel, safetensors

    hub = FakeHub()
    for index, (start, config) in enumerate(starts):
        loaded = start.spec.weights.loaded_bytes
        kind, count = ("BF16", loaded // 2) if start.spec.quantization is None else ("I32", loaded // 4)
        files = {
            "config.json": json.dumps(config).encode(),
            "model.safetensors": safetensors({"model.weight": (kind, [count])}),
        }
        hub.models[f"start/{index:04}"] = FakeModel(files)
    return hub


def ask_hf_mem(endpoint: str, name: str, start: Start) -> dict[str, Any]:
    """Its answer: weights, and the cache of one request of the row's length."""
    kind = "fp8" if start.row["kv_cache_dtype"].startswith("fp8") else "bfloat16"
    words = [
        str(environment("hf-mem")), str(RIVALS / "hf_mem_cli.py"), "--model-id", name, "--experimental",
        "--max-model-len", start.row["max_model_len"], "--kv-cache-dtype", kind, "--json-output",
    ]  # fmt: skip
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "HF_ENDPOINT": endpoint}
    )
    if done.returncode:
        said = [text for text in (done.stderr + done.stdout).strip().splitlines() if "Error" in text]
        return {"refused": (said or ["no message"])[-1][:200]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def line(file: str, start: Start, hf_mem: dict[str, Any], aic: dict[str, Any]) -> dict[str, str]:
    """One row of the table."""
    row = start.row
    request = float(row["kv_cache_gib"]) / float(row["max_concurrency"]) if row["max_concurrency"] else None

    def gib(value: float | None) -> str:
        return "" if value is None else f"{value / GIB:.3f}"

    versions = pinned()
    return {
        "file": file, "row": row.get("name", ""), "model": row["model"].split(" (")[0], "tp": row["tp"],
        "requested_gib": gib(start.estimate.requested), "kv_cache_gib": row["kv_cache_gib"],
        "weights_gib": row["weights_gib"],
        "request_gib": "" if request is None else f"{request:.3f}",
        "hf_mem_weights_gib": gib(hf_mem.get("memory")), "hf_mem_request_gib": gib(hf_mem.get("kv_cache")),
        "hf_mem_refused": hf_mem.get("refused", ""), "aic_source": aic.get("source", ""),
        "aic_weights_gib": gib(aic.get("weights")), "aic_activations_gib": gib(aic.get("activations")),
        "aic_kv_cache_gib": gib(aic.get("kv_bytes")), "aic_tokens": str(aic.get("tokens", "")),
        "aic_refused": aic.get("refused", ""), "hf_mem": versions["hf-mem"],
        "aiconfigurator": versions["aiconfigurator"],
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }  # fmt: skip


def main() -> int:
    """Ask both, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=Path, required=True, metavar="DIR")
    configs = parser.parse_args().configs
    named = [(name, start) for name in FILES for start in own_starts(name)[0]]
    having = [(name, start, config) for name, start in named if (config := config_of(configs, start)) is not None]
    starts = [(start, config) for _, start, config in having]
    hub = serve(starts)
    hf_mem = [ask_hf_mem(hub.url, f"start/{index:04}", start) for index, (start, _) in enumerate(starts)]
    hub.close()
    aic = ask_aiconfigurator(starts)
    lines = [line(name, start, hf_mem[index], aic[index]) for index, (name, start, _) in enumerate(having)]
    with TABLE.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    print(f"{len(lines)} of {len(named)} rows in {TABLE.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
