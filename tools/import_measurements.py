"""Copy start-ups of real engines into docs/data, with the catalogue's name of each model beside it.

python tools/import_measurements.py H200_CSV PUBLIC_CSV
"""

import csv
import re
import sys
from pathlib import Path

from llm_serving_planner.models import embedded

TARGET = Path(__file__).parent.parent / "docs" / "data"
# Names in logs that the catalogue lists under a sibling of equal geometry.
SIBLINGS = {
    "meta-llama/llama-3.1-8b": "meta-llama/Llama-3.1-8B-Instruct",
    "unsloth/qwen3-4b-base": "Qwen/Qwen3-4B",
    "qwen/qwen2.5-7b-instruct": "Qwen/Qwen2.5-7B",
    "qwen/qwen3-30b-a3b-instruct-2507-fp8": "Qwen/Qwen3-30B-A3B-FP8",
    "meta-llama/meta-llama-3.1-70b-instruct": "meta-llama/Llama-3.1-70B-Instruct",
    "deepseek-ai/deepseek-r1-distill-qwen-7b": "Qwen/Qwen2.5-7B",
    "thudm/glm-4-32b-0414": "",
}
AWQ_WEIGHTS_GIB = "3.87"  # 4-bit weights with group 128 of Mistral-7B: 3.87 GiB before repacking
PUBLIC = ("id", "source_url", "engine_version", "model_id", "gpu_name", "gpu_mem_gib_log", "tp", "pp", "dp", "nodes",
          "gpu_memory_utilization", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "enforce_eager",
          "quantization", "kv_cache_dtype", "weights_gib_per_gpu", "activation_peak_gib", "non_torch_gib",
          "kv_gib_per_gpu", "max_concurrency", "outcome", "remarks")  # fmt: skip


def known(model: str) -> str:
    """Catalogue name of a model in a log; empty when there is none."""
    name = re.split(r"[\s(]", model.strip(), maxsplit=1)[0]
    name = SIBLINGS.get(name.lower(), name)
    found = embedded.find(name) if name else None
    return found.model_id if found else ""


def write(name: str, rows: list[dict[str, str]]) -> None:
    """A CSV with LF ends."""
    with (TARGET / name).open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{name}: {len(rows)} rows", file=sys.stderr)


def main() -> None:
    """Both tables."""
    h200 = []
    with Path(sys.argv[1]).open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            awq = "AWQ" in row["model"]
            row["catalogue_model"] = known("mistralai/Mistral-7B-Instruct-v0.2" if awq else row["model"])
            row["weights_override_gib"] = AWQ_WEIGHTS_GIB if awq else ""
            h200.append(row)
    write("measurements-h200.csv", h200)
    with Path(sys.argv[2]).open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["engine"] == "vllm"]
    write("measurements-public.csv", [
        {**{key: row[key] for key in PUBLIC}, "catalogue_model": known(row["model_id"])} for row in rows
    ])  # fmt: skip


if __name__ == "__main__":
    main()
