"""docs/accuracy.md: predicted against measured memory of real start-ups (docs/data/*.csv).

The text is accuracy.md beside this file; here are its tables, and the numbers in its sentences.
"""

import statistics
from pathlib import Path
from string import Template

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm

from documents.accuracy_predicted import predicted
from documents.accuracy_rivals import rivals
from documents.accuracy_rows import TERMS, Start, errors, own_starts, public_starts, rows, verdict
from documents.accuracy_times import start_times, throughput

TEXT = Path(__file__).parent / "accuracy.md"
# Terms of a table from which constants were taken: there the error says how well a rule holds, and no more than that.
# The other terms follow from the engines' and PyTorch's source; that a row was wrong showed where to read on.
FITTED = {
    "measurements-h200.csv": {"activations", "non-torch", "CUDA graphs", "KV cache"},
    "measurements-h100.csv": {"non-torch", "CUDA graphs"},
    "measurements-gpu.csv": {"both", "CUDA graphs", "KV cache"},
    "measurements-h200-033.csv": {"weights", "both", "CUDA graphs", "KV cache"},
    "measurements-public.csv": {"non-torch"},
}
OWN = {
    "h200": "measurements-h200.csv",
    "h100": "measurements-h100.csv",
    "gpu": "measurements-gpu.csv",
    "edges": "measurements-h200-033.csv",
}
HEAD = "| Model | TP | context | batched tokens | seqs | share | eager | measured | predicted | difference | band |"
RULE = "|---|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|"


def accuracy_page() -> str:
    """Text of the page."""
    own = {name: own_starts(file) for name, file in OWN.items()}
    public = public_starts()
    every = [start for starts, _ in own.values() for start in starts] + public
    supported = [start for start in public if start.row["supported"]]
    older = [start for start in public if not start.row["supported"]]
    terms = vllm.facts()["terms"]
    speeds, inside, figures = throughput()
    parts = {
        **{name: _table(*pair) for name, pair in own.items()},
        **rivals(),
        **predicted(),
        **_verdicts(every),
        "targets": _targets(own["h200"][0], public, every),
        "terms": _terms({OWN[name]: starts for name, (starts, _) in own.items()} | {"measurements-public.csv": public}),
        "graph_experts": terms["graph_experts_mib"]["value"],
        "expert_group": terms["outside_expert_group_mib"]["value"],
        "communicator": terms["outside_nvlink_hopper_mib"]["value"],
        "start_times": start_times(),
        "throughput": speeds,
        "inside": inside,
        "figures": figures,
        "oldest": vllm.facts()["oldest"],
        "public": _public(public),
        "errors_supported": f"Supported versions, {_error_line(supported)}",
        "errors_older": f"Older ones, {_error_line(older)}",
        "nccl": _nccl(),
    }
    return Template(TEXT.read_text(encoding="utf-8")).substitute(parts)


def _targets(h200: list[Start], public: list[Start], every: list[Start]) -> str:
    """The project's targets and what the rows say."""
    text = [start for start in h200 if not start.spec.multimodal]
    sizes = [abs(error) for error, _ in errors(text, "kv_cache_gib", lambda start: start.estimate.kv_cache)]
    shares = [abs(start.estimate.kv_cache / GIB / float(start.row["kv_cache_gib"]) - 1) for start in public]
    started = [start for start in every if start.row.get("outcome", "ok") == "ok"]
    wrong = sum(verdict(start.estimate) == "does not fit" for start in started)
    lines = [
        "| target | found |",
        "|---|---|",
        f"| KV cache of text models on one H200, vLLM 0.25.1: mean below 0.1 GiB, worst below 0.3 | {len(sizes)} rows: "
        f"mean {statistics.fmean(sizes):.3f}, worst {max(sizes):.2f} |",
        f"| posted logs: median below 3 % of the cache | {len(shares)} rows: median "
        f"{100 * statistics.median(shares):.1f} %, {sum(share < 0.03 for share in shares)} below 3 % |",
        f"| never `does not fit` for what started | {wrong} of {len(started)} rows |",
        f"| never `fits` for what ended with out of memory | {_ended(every)} |",
    ]
    return "\n".join(lines)


def _ended(starts: list[Start]) -> str:
    ended = [start for start in starts if start.row.get("outcome") in {"oom", "no_kv_memory"}]
    if not ended:
        return "no such row says enough to be predicted (model, GPU, settings)"
    return f"{sum(verdict(start.estimate) == 'fits' for start in ended)} of {len(ended)} rows"


def _terms(tables: dict[str, list[Start]]) -> str:
    """Errors per term and file, the worst row named."""
    lines = [
        "| file | term | rows | used | mean error | median | worst | of |",
        "|---|---|---:|---|---:|---:|---:|---|",
    ]
    for name, starts in tables.items():
        for term, column, planned in TERMS:
            found = errors(starts, column, planned)
            if not found:
                continue
            sizes = [abs(error) for error, _ in found]
            worst, start = max(found, key=lambda pair: abs(pair[0]))
            used = "used" if term in FITTED.get(name, ()) else ""
            lines.append(
                f"| {name} | {term} | {len(found)} | {used} | {statistics.fmean(sizes):.2f} | "
                f"{statistics.median(sizes):.2f} | {worst:+.2f} | {_name(start)} |"
            )
    return "\n".join(lines)


def _name(start: Start) -> str:
    row = start.row
    name = (row.get("model") or f"{row['id']} {row['model_id']}").split(" (")[0]
    return f"{name}, TP {row['tp']}" if row["tp"] not in {"", "1"} else name


def _table(starts: list[Start], left: list[dict[str, str]]) -> str:
    """Every start of a file, its error, and the rows that were not predicted."""
    lines = [HEAD, RULE]
    for start in starts:
        row, estimate = start.row, start.estimate
        got, truth = estimate.kv_cache / GIB, float(row["kv_cache_gib"])
        extras = [row.get("quantization", "").removeprefix("None"), row["kv_cache_dtype"].removeprefix("auto")]
        extras += [f"pipeline of {row['pp']}"] if row["pp"] != "1" else []
        label = " ".join([row["model"].split(" (")[0], *(f"({extra})" for extra in extras if extra)])
        given = ("tp", "max_model_len", "max_num_batched_tokens", "max_num_seqs", "gpu_memory_utilization")
        cells = [label, *(row[key] for key in given), "yes" if row["enforce_eager"] == "True" else "no"]
        numbers = [f"{truth:.2f}", f"{got:.2f}", f"{got - truth:+.2f}", f"{estimate.margin / GIB:.2f}"]
        lines.append(f"| {' | '.join([*cells, *numbers])} |")
    lines += ["", _error_line(starts)]
    if left:
        models = sorted({row["model"] for row in left})
        lines += ["", f"Not predicted: {len(left)} rows (not in the catalogue, float32): {', '.join(models)}."]
    return "\n".join(lines)


def _error_line(starts: list[Start]) -> str:
    sizes = [abs(start.estimate.kv_cache / GIB - float(start.row["kv_cache_gib"])) for start in starts]
    if not sizes:
        return "No rows."
    mean, median = statistics.fmean(sizes), statistics.median(sizes)
    return f"{len(sizes)} rows: mean error {mean:.2f} GiB, median {median:.2f}, worst {max(sizes):.2f}."


def _public(public: list[Start]) -> str:
    lines = [
        "| Row | vLLM | supported | Model | GPU | TP | measured | predicted | difference | outcome | verdict |",
        "|---|---|---|---|---|---:|---:|---:|---:|---|---|",
    ]
    for start in public:
        row, got, truth = start.row, start.estimate.kv_cache / GIB, float(start.row["kv_cache_gib"])
        source = row["source_url"].split(",")[0]
        link = f"[{row['id']}]({source})" if source.startswith("http") else row["id"]
        cells = [link, *(row[key] for key in ("engine_version", "supported", "model_id", "gpu_name", "tp"))]
        numbers = [f"{truth:.2f}", f"{got:.2f}", f"{got - truth:+.2f}", row["outcome"], verdict(start.estimate)]
        lines.append(f"| {' | '.join([*cells, *numbers])} |")
    return "\n".join(lines)


def _nccl() -> str:
    lines = [
        "| step | unit | least | most |",
        "|---|---|---:|---:|",
    ]
    lines += [
        f"| {row['what']} | {row['unit']} | {row['least']} | {row['most']} |"
        for row in rows("nccl-2xh100.csv")
        if row["ranks"] == "2" and row["nccl_cumem_enable"] == "default"
    ]
    return "\n".join(lines)


def _verdicts(starts: list[Start]) -> dict[str, str]:
    """Starts where the page's last section names what would have misled."""
    refused = [_name(start) for start in starts if start.row.get("outcome", "ok") == "ok"
               and verdict(start.estimate) == "does not fit"]  # fmt: skip
    promised = [
        _name(start)
        for start in starts
        if start.row.get("supported", "yes")
        and start.estimate.kv_cache - start.estimate.margin > (float(start.row["kv_cache_gib"]) + 0.01) * GIB
    ]
    return {"refused": ", ".join(refused) or "none", "promised": ", ".join(promised) or "none"}
