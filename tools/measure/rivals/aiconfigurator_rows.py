"""What aiconfigurator says of starts: JSON rows on standard input, answers on standard output; in its environment.

Its own function for the KV cache of an engine is asked (`aiconfigurator_core.sdk.memory.estimate_kv_cache`), with the
memory that the log printed, and its fallback for models that its tables do not have is allowed.
"""

import contextlib
import json
import sys
from importlib import import_module
from typing import Any


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """The estimate, or why there is none."""
    memory = import_module("aiconfigurator_core.sdk.memory")
    try:
        found = memory.estimate_kv_cache(
            row["folder"], row["system"], "vllm", row["data_version"],
            max_num_tokens=row["tokens"], max_batch_size=row["sequences"],
            memory_fraction_kind="of_total", memory_fraction_value=row["utilization"], tp_size=row["tp"],
            moe_tp_size=row["tp"] if row["experts"] else None, moe_ep_size=1 if row["experts"] else None,
            kvcache_quant_mode="fp8" if row["kv_fp8"] else None, gemm_quant_mode="fp8" if row["fp8"] else None,
            gpu_memory_capacity_bytes_override=row["total"], allow_naive_fallback=True,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001, whatever it refuses with is its answer
        return {"refused": f"{type(error).__name__}: {error}"[:200]}
    return {
        "source": found["source"],
        "kv_bytes": found["total_kv_size_bytes"],
        "tokens": found["total_kv_size_tokens"],
        "weights": (found["memory_breakdown"] or {}).get("weights_bytes"),
        "activations": (found["memory_breakdown"] or {}).get("activations_bytes"),
    }


def main() -> None:
    """One answer per row; what the tool prints itself goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        answers = [answer(row) for row in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
