"""Measured start-ups (docs/data/*.csv) and what the planner says of the same settings."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import versions, vllm
from llm_serving_planner.hardware.profiles import all_gpus
from llm_serving_planner.memory import graphs, kv_cache, pipeline, terms
from llm_serving_planner.memory.settings import Estimate, Gpu, ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec, Quantization

DATA = Path(__file__).parent.parent.parent / "docs" / "data"
H200 = Gpu(int(139.80 * GIB), (9, 0), nvlink=True)
# GPU names in logs, to the rows of the GPU table; a name that is not here leaves the row out.
NAMES = {
    "Tesla T4": "t4", "RTX 3090": "", "NVIDIA L4": "l4", "L40S": "l40s", "H200": "h200", "A100 80GB": "a100-80gb",
    "H100 80GB": "h100-80gb", "NVIDIA H100 80GB HBM3": "h100-80gb", "RTX 4090": "rtx-4090", "V100 32GB": "v100-32gb",
}  # fmt: skip
_STARTED = ("ok", "cache made")  # the cache was made and printed, whatever ended the process later
WITHOUT_FLASHINFER = 6  # bytes per logit: the logits and their float32 copy (vLLM 0.33.0, data/engines.json)
# Compute capabilities of GPUs that only logs name.
UNLISTED = {"RTX 3090": (8, 6), "Turing 22GB": (7, 5), "RTX 5080": (12, 0)}


@dataclass(frozen=True, slots=True)
class Start:
    """One start: row, model, the estimate for its settings, and the CUDA graphs that were expected, in bytes."""

    row: dict[str, str]
    spec: ModelSpec
    estimate: Estimate
    graphs: int


# GiB outside PyTorch before 0.11, median of what docs/data/measurements-public.csv prints: 12 logs of one GPU, 4 of
# several over PCIe. Read from those rows, so that their non-torch term is no test.
OLD_NON_TORCH, OLD_NON_TORCH_PARALLEL = 0.07, 0.2


# Term, column of the tables, the planner's value. The outside is what was not free when the engine began.
TERMS: tuple[tuple[str, str, Callable[[Start], float]], ...] = (
    ("weights", "weights_gib", lambda start: start.estimate.weights),
    ("activations", "activation_peak_gib", lambda start: start.estimate.activations),
    ("non-torch", "non_torch_gib", lambda start: start.estimate.non_torch),
    ("both", "rest_gib", lambda start: start.estimate.activations + start.estimate.non_torch),
    ("CUDA graphs", "cudagraph_gib", lambda start: start.graphs),
    ("KV cache", "kv_cache_gib", lambda start: start.estimate.kv_cache),
)


def rows(name: str) -> list[dict[str, str]]:
    """Rows of one table; none where it is not there."""
    path = DATA / name
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def errors(starts: list[Start], column: str, planned: Callable[[Start], float]) -> list[tuple[float, Start]]:
    """Planned minus measured in GiB, of the rows that say the term."""
    said = [start for start in starts if re.fullmatch(r"-?[\d.]+", start.row.get(column) or "")]
    return [(planned(start) / GIB - float(start.row[column]), start) for start in said]


def predict(spec: ModelSpec, gpu: Gpu, settings: Settings, version: str, env: str = "") -> Estimate:
    """Estimate with the regime of a version; older ones than the first regime take the first.

    `env` are the variables of the start: without FlashInfer's sampler no mask and no probabilities are made, without
    NVLS and what goes with it NCCL takes less.
    """
    oldest = vllm.facts()["oldest"]
    old = versions.parse_version(version) < versions.parse_version(oldest)
    version = oldest if old else version
    regime = vllm.regime(version, spec.architecture, moe=spec.moe is not None, hybrid=spec.hybrid)
    if "VLLM_USE_FLASHINFER_SAMPLER=0" in env:
        regime = replace(regime, sampler_bytes=min(regime.sampler_bytes, WITHOUT_FLASHINFER))
    if "NCCL_NVLS_ENABLE=0" in env:
        settings = replace(settings, multicast=False)
    estimate = terms.estimate(spec, gpu, settings, regime)
    if old and not (settings.parallel.gpus > 1 and gpu.nvlink):
        taken = int((OLD_NON_TORCH_PARALLEL if settings.parallel.gpus > 1 else OLD_NON_TORCH) * GIB)
        given_back = estimate.non_torch - taken
        estimate = replace(estimate, non_torch=taken, kv_cache=estimate.kv_cache + given_back)
    return estimate


def own_starts(name: str) -> tuple[list[Start], list[dict[str, str]]]:
    """(predicted, left out) rows of a table with whole settings: measurements-h200, -h100 and -gpu.

    Left out: models that the catalogue does not have, float32, data parallel engines, and what did not start.
    """
    found, left = [], []
    for row in rows(name):
        spec = embedded.find(row["catalogue_model"]) if row["catalogue_model"] else None
        plain = row.get("dtype") != "float32" and row.get("outcome", "ok").startswith(_STARTED)
        plain = plain and "--data-parallel-size" not in (row.get("args") or "")  # experts then lie on other engines too
        if spec is None or not plain or not row["kv_cache_gib"]:
            left.append(row)
            continue
        if row.get("weights_override_gib"):
            loaded = int(float(row["weights_override_gib"]) * GIB)
            awq = Quantization("awq", 4, group_size=128)  # the one row with a block put over the model's config
            spec = replace(spec, weights=replace(spec.weights, loaded_bytes=loaded), quantization=awq)
        parallel = ParallelConfig(
            int(row["tp"]), int(row["pp"]), enable_expert_parallel="--enable-expert-parallel" in (row.get("args") or "")
        )
        settings = Settings(
            parallel,
            int(row["max_model_len"]),
            int(row["max_num_seqs"]),
            int(row["max_num_batched_tokens"]),
            float(row["gpu_memory_utilization"]),
            kv_element_bytes=1 if row["kv_cache_dtype"].startswith("fp8") else 2,
            enforce_eager=row["enforce_eager"] == "True",
            runtime_fp8=row.get("quantization") == "fp8" and spec.quantization is None,
        )
        version = row["engine"].removeprefix("vllm ")
        spec = pipeline.stage_spec(spec, settings.parallel.pipeline_parallel_size)
        settings = _as_version(
            spec, own_gpu(row), settings, version, pooling="--runner pooling" in (row.get("args") or "")
        )
        estimate = predict(spec, own_gpu(row), settings, version, row.get("env") or "")
        expected = estimate.cuda_graphs or graphs.graph_bytes(spec, enforce_eager=settings.enforce_eager)
        found.append(Start(_as_charged(row), spec, estimate, expected))
    return found, left


def _as_version(spec: ModelSpec, gpu: Gpu, settings: Settings, version: str, *, pooling: bool) -> Settings:
    """Settings with what the version's cache does beside them: tokens in flight, pages of states, a declared type."""
    regime = vllm.regime(version, spec.architecture, moe=spec.moe is not None, hybrid=spec.hybrid)
    pages, step = kv_cache.state_rules(spec, gpu, regime, prefixes=True)
    declared = spec.quantization is not None and spec.quantization.kv_fp8
    return replace(
        settings,
        pooling=pooling,
        batches_ahead=0 if pooling else regime.cache.batches_ahead,
        state_pages=pages,
        state_step=step,
        kv_element_bytes=1 if declared else settings.kv_element_bytes,
    )


def _as_charged(row: dict[str, str]) -> dict[str, str]:
    """The row's terms as the planner has them.

    Versions that print weights and non-torch memory in one charge an estimate of their CUDA graphs, and print it with
    the activations: the estimate is what counts, and of activations and non-torch memory only the sum (`rest_gib`) is
    said: what profiling freed and what it kept are no such terms.
    """
    if row.get("kind"):  # such rows say the rest themselves
        charged = row["cudagraph_estimated_gib"] or row["cudagraph_gib"]
        return {**row, "cudagraph_gib": charged, "activation_peak_gib": "", "non_torch_gib": ""}
    if not row.get("consumed_gib"):
        return row
    charged = row["cudagraph_estimated_gib"] or row["cudagraph_gib"]
    kept = float(row["consumed_gib"]) - float(row["weights_gib"])
    rest = kept + float(row["activation_peak_gib"]) - float(row["cudagraph_estimated_gib"] or 0)
    return {**row, "cudagraph_gib": charged, "activation_peak_gib": "", "non_torch_gib": "", "rest_gib": f"{rest:.2f}"}


def own_gpu(row: dict[str, str]) -> Gpu:
    """The card of a row that we know: an H200 by its own words, else by the table of GPUs."""
    if "H200" in row["gpu"]:
        return H200
    gpu = _gpu({"gpu_name": row["gpu"], "gpu_mem_gib_log": row.get("total_gib", "")})
    if gpu is None:
        raise KeyError(row["gpu"])
    return gpu


def _gpu(row: dict[str, str]) -> Gpu | None:
    for name, capability in UNLISTED.items():
        if row["gpu_name"].removeprefix("NVIDIA ").startswith(name) and row["gpu_mem_gib_log"]:
            return Gpu(int(float(row["gpu_mem_gib_log"]) * GIB), capability, nvlink=False)
    for name, identity in NAMES.items():
        if identity and name in row["gpu_name"]:
            gpu = next(gpu for gpu in all_gpus() if gpu.id == identity)
            total = float(row["gpu_mem_gib_log"] or gpu.memory_usable_gib)
            major, minor = gpu.compute_capability.split(".")
            return Gpu(int(total * GIB), (int(major), int(minor)), nvlink=bool(gpu.nvlink_gb_s))
    return None


def _batch(row: dict[str, str], version: str, spec: ModelSpec, gpu: Gpu) -> tuple[int, int]:
    """(tokens of a step, sequences) of a posted start: as printed, else the default of its version and GPU.

    V0 took whole prompts, above 32 k tokens 512 a step, MLA apart (vLLM 0.6.4 arg_utils.py). V1 takes 8,192 tokens and
    1,024 sequences on 70 GiB and more, A100 apart, else 2,048 and 256 (0.10.2 get_batch_defaults); before 0.8.5 1,024
    sequences everywhere (what row M212 reports).
    """
    length, parsed = int(row["max_model_len"]), versions.parse_version(version)
    if "V0" in row["engine_version"] or parsed < (0, 8):
        tokens, sequences = 512 if length > 32768 and spec.mla is None else max(length, 2048), 256
    elif gpu.total_bytes >= 70 * GIB and "A100" not in row["gpu_name"]:
        tokens, sequences = 8192, 1024
    else:
        tokens, sequences = 2048, 1024 if parsed < (0, 8, 5) else 256
    return int(row["max_num_batched_tokens"] or tokens), int(row["max_num_seqs"] or sequences)


def public_starts() -> list[Start]:
    """Posted start-ups that say enough to be predicted: model, GPU, sizes, share, length, KV cache in GiB."""
    found = []
    for row in rows("measurements-public.csv"):
        spec = embedded.find(row["catalogue_model"]) if row["catalogue_model"] else None
        gpu = _gpu(row)
        version = re.search(r"\d+\.\d+(\.\d+)?", row["engine_version"])
        numbers = ("gpu_memory_utilization", "max_model_len", "tp", "kv_gib_per_gpu")
        plain = all(re.fullmatch(r"[\d.]+", row[key]) for key in numbers)
        if spec is None or gpu is None or version is None or not plain or row["pp"] not in {"", "1"}:
            continue
        if row["nodes"] not in {"", "1"} or (row["quantization"] and spec.quantization is None):
            continue
        length = int(row["max_model_len"])
        tokens, sequences = _batch(row, version.group(), spec, gpu)
        settings = Settings(
            ParallelConfig(int(row["tp"])),
            length,
            sequences,
            tokens,
            float(row["gpu_memory_utilization"]),
            enforce_eager=row["enforce_eager"] == "True",
        )
        known = {"weights_gib": row["weights_gib_per_gpu"], "kv_cache_gib": row["kv_gib_per_gpu"]}
        supported = versions.parse_version(version.group()) >= versions.parse_version(vllm.facts()["oldest"])
        shown = row | known | {"supported": "yes" if supported else ""}
        expected = graphs.graph_bytes(spec, enforce_eager=settings.enforce_eager)
        found.append(Start(shown, spec, predict(spec, gpu, settings, version.group()), expected))
    return found


def verdict(estimate: Estimate) -> str:
    """What the planner says of settings that a user pinned."""
    if estimate.kv_per_request <= estimate.kv_cache - estimate.margin:
        return "fits"
    return "tight" if estimate.kv_per_request <= estimate.kv_cache + estimate.margin else "does not fit"
