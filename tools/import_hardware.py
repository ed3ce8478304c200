"""Write the GPU and machine tables from their CSV sources.

python tools/import_hardware.py GPUS_CSV INSTANCES_CSV
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "generator" / "llm_serving_planner" / "data"
READ_ON = "2026-11-22"
# Driver reserve between nvidia-smi's total and what CUDA reports: 0.2 to 0.9 GiB on NVIDIA boards; the upper end.
RESERVE_GIB = 0.9


def number(text: str) -> float | None:
    """A cell as a number, None when empty."""
    return float(text) if text else None


def gpu(row: dict[str, str]) -> dict[str, Any]:
    """One row of the GPU table."""
    usable, smi = number(row["memory_torch_gib_min"]), number(row["memory_smi_mib"])
    basis = f"CUDA total, {row['memory_torch_confidence']}"
    if usable is None and smi is not None:
        usable, basis = round(smi / 1024 - RESERVE_GIB, 2), "nvidia-smi total less 0.9 GiB (assumption)"
    if usable is None:
        usable, basis = float(row["memory_nominal_gb"]), "nominal size (assumption)"
    return {
        "id": row["id"],
        "vendor": row["vendor"],
        "device_name": row["device_name"],
        "architecture": row["architecture"],
        "compute_capability": row["compute_capability"] or None,
        "memory_nominal_gb": number(row["memory_nominal_gb"]),
        "memory_smi_mib": smi,
        "memory_usable_gib": usable,
        "memory_basis": basis,
        "bandwidth_gb_s": number(row["mem_bandwidth_gb_s"]),
        "fp16_tflops": number(row["fp16_dense_tflops"]),
        "bf16_tflops": number(row["bf16_dense_tflops"]),
        "fp8_tflops": number(row["fp8_dense_tflops"]),
        "nvlink_gb_s": number(row["nvlink_gb_s"]),
        "resource_name": row["device_plugin_resource"],
        "gfd_product_labels": [label for label in row["gfd_product_labels"].split("|") if label],
        "source": "; ".join(text for text in (row["memory_source"], row["spec_source"]) if text),
        "date": READ_ON,
    }


def instance(row: dict[str, str]) -> dict[str, Any]:
    """One row of the machine table."""
    memory, cpu = number(row["k8s_alloc_memory_mib"]), number(row["k8s_alloc_cpu_m"])
    basis = row["k8s_alloc_basis"]
    if memory is None and row["memory_gib"]:
        memory, basis = float(row["memory_gib"]) * 1024 * 0.9, "90 % of the nominal memory (assumption)"
    if cpu is None and row["vcpu"]:
        cpu = float(row["vcpu"]) * 1000 * 0.95
    return {
        "type": row["instance_type"],
        "cloud": row["cloud"],
        "gpu": row["gpu_id"],
        "count": int(row["gpu_count"]),
        "gpu_fraction": number(row["gpu_fraction"]) or 1.0,
        "vcpu": number(row["vcpu"]),
        "memory_gib": number(row["memory_gib"]),
        "allocatable_cpu_m": int(cpu) if cpu is not None else None,
        "allocatable_memory_mib": int(memory) if memory is not None else None,
        "allocatable_basis": basis,
        "network_gbps": number(row["network_gbps"]),
        "interconnect": row["gpu_interconnect"] or "unknown",
        "usd_per_hour": number(row["usd_per_hour"]),
        "usd_region": row["usd_region"] or None,
        "usd_date": row["usd_date"] or None,
        "usd_source": row["usd_source"] or None,
        "status": row["status"],
        "source": row["source"],
        "date": READ_ON,
    }


def write(name: str, rows: list[dict[str, Any]]) -> None:
    """One record per line."""
    lines = ",\n".join(f"    {json.dumps(row)}" for row in rows)
    text = f'{{\n  "_generated": "by tools/import_hardware.py; do not edit",\n  "rows": [\n{lines}\n  ]\n}}\n'
    (DATA / name).write_text(text, encoding="utf-8")
    print(f"{name}: {len(rows)} rows", file=sys.stderr)


def main() -> None:
    """Read both tables, write both files."""
    with Path(sys.argv[1]).open(newline="", encoding="utf-8") as handle:
        write("gpus.json", [gpu(row) for row in csv.DictReader(handle)])
    with Path(sys.argv[2]).open(newline="", encoding="utf-8") as handle:
        write("instances.json", [instance(row) for row in csv.DictReader(handle)])


if __name__ == "__main__":
    main()
