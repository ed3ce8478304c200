"""docs/accuracy.md: how long real starts took against the budget, and how fast they answered against the roofline."""

from llm_serving_planner.engines import vllm
from llm_serving_planner.memory import kernels
from llm_serving_planner.models import embedded
from llm_serving_planner.planner import resources

from documents import advice_page
from documents.accuracy_rows import own_gpu, rows


def start_times() -> str:
    """Phases of every start, and what the start-up budget has for them, as a table."""
    lines = [
        "| start | load | compile | capture | ready | expected | budget, dummy weights | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in sorted(rows("measurements-gpu.csv"), key=lambda row: (row["enforce_eager"] == "True", row["name"])):
        spec = embedded.find(row["catalogue_model"])
        if spec is None or not row["ready_s"]:
            continue
        regime = vllm.regime(
            row["engine"].removeprefix("vllm "), spec.architecture, moe=spec.moe is not None, hybrid=spec.hybrid
        )
        eager = row["enforce_eager"] == "True"
        deep_gemm = kernels.compiles_at_start(spec, own_gpu(row).capability, regime)
        found = resources.startup(spec, enforce_eager=eager, download_gbps=1.0, deep_gemm=deep_gemm)
        ready, expected = float(row["ready_s"]), found.base + found.compile
        phases = [f"{float(row[key]):.0f}" if row[key] else "" for key in ("load_s", "compile_s", "graphs_s")]
        budget = max(resources.LEAST_BUDGET_SECONDS, 2 * expected)
        remark = "longer than expected" if ready > expected else ""
        cells = [row["name"], *phases, f"{ready:.0f}", str(expected), str(budget), remark]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def throughput() -> tuple[str, int, int]:
    """Measured and predicted speed of the starts that were put under load: table, figures inside the band, figures."""
    found = [item for item in advice_page.comparisons() if item.row["source"] == "docs/data/measurements-gpu.csv"]
    lines = [
        "| row | model | GPUs | requests | measured s | predicted s | band | error | |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for item in (item for item in found if item.row["metric"] == "total_s"):
        row = item.row
        numbers = [f"{item.measured:.2f}", f"{item.predicted:.2f}", f"{item.low:.2f} to {item.high:.2f}"]
        cells = [row["id"], row["model"], row["gpus"], row["concurrency"], *numbers, f"{item.error:+.0%}"]
        lines.append(f"| {' | '.join(cells)} | {'' if item.inside else 'outside'} |")
    return "\n".join(lines), sum(item.inside for item in found), len(found)
