"""docs/accuracy.md: how long real starts took against the budget, and how fast they answered against the roofline."""

import advice_page
from accuracy_rows import own_gpu, rows
from documents.prose import prose
from llm_serving_planner.engines import vllm
from llm_serving_planner.memory import kernels
from llm_serving_planner.models import embedded
from llm_serving_planner.planner import resources


def start_times() -> list[str]:
    """Phases of every start, and what the start-up budget has for them."""
    lines = [
        "## Time to start",
        "",
        *prose(
            """The same starts: seconds of each phase as logged, and from the process's start to the first answer of
            `/health`. Weights were made up on the GPU, so the planner's download and load are left out: what remains
            of its sum is `expected`, and the start-up budget is twice the sum, 600 s at least. Torch's and Triton's
            caches were empty at each model's first start and not at later ones. Before its graphs are captured 0.33
            captures some of them once to estimate their memory, which no column but `ready` has."""
        ),
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
    return [
        *lines,
        "",
        *prose(
            """All of them within the budget, by a factor of more than two. Block FP8 is the one that takes longer
            than its size says: DeepGEMM compiles a kernel for each shape, here while graphs were first captured (117
            s instead of 10), because its own warm-up was switched off; the budget has 120 s for that since."""
        ),
    ]


def throughput() -> list[str]:
    """Measured and predicted speed of the starts that were put under load."""
    found = [item for item in advice_page.comparisons() if item.row["source"] == "docs/data/measurements-gpu.csv"]
    lines = [
        "## Speed of these starts",
        "",
        *prose(
            """Requests of 512 and 128 tokens all at once, seconds until the last has ended, against the roofline of
            [advice.md](advice.md), which has every other measurement and the times to the first token. The engine was
            warmed up with as many requests before, so that no kernel was compiled in between."""
        ),
        "| row | model | GPUs | requests | measured s | predicted s | band | error | |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for item in (item for item in found if item.row["metric"] == "total_s"):
        row = item.row
        numbers = [f"{item.measured:.2f}", f"{item.predicted:.2f}", f"{item.low:.2f} to {item.high:.2f}"]
        cells = [row["id"], row["model"], row["gpus"], row["concurrency"], *numbers, f"{item.error:+.0%}"]
        lines.append(f"| {' | '.join(cells)} | {'' if item.inside else 'outside'} |")
    inside = sum(item.inside for item in found)
    return [
        *lines,
        "",
        *prose(
            f"""{inside} of {len(found)} figures are inside the band, times to the first token included. The 100 us per
            layer of a mixture of experts were chosen between 55 us (Qwen3-30B-A3B, S59 and S61) and 200 us. S63 to
            S78, made later, confirm the spread and not the middle: OLMoE takes 95 us with one request,
            Qwen3-30B-A3B 55 us again. The constant stays, and with it the wide band: what tells such models apart
            beforehand was not found."""
        ),
    ]
