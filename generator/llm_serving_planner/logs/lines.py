"""One line of a log -> what it says. A table of patterns; which engine and version prints which is beside each.

Prefixes differ by executor and by who collects the log: `(Worker_TP0 pid=5)`, `(VllmWorker rank=1 pid=5)`,
`vllm-1  | `, dates, colours. Patterns are searched for, never matched from the line's start.
Sources: vLLM 0.6.3 to 0.33.0 (gpu_worker.py, gpu_model_runner.py, kv_cache_utils.py, worker.py of V0), read
2026-11-22; TGI db931fc and the IBM/ODH fork 1db8cf0, read 2026-11-25.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from llm_serving_planner.engines import registry
from llm_serving_planner.logs.bounded import compiled

_NUMBER = r"(-?[\d,]+(?:\.\d+)?)"
_COLOURS = compiled(r"\x1b\[[0-9;]*m")
_STAMP = compiled(r"(?:INFO|WARNING|ERROR|DEBUG) (\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)")
_ISO_STAMP = compiled(r"\d{4}-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)")
# All ranks in a line; Ray puts its own worker before the engine's: the last one counts.
_RANK = compiled(r"\(([A-Za-z]\w*(?: rank=\d+)?) pid=\d+[^)]*\)|\[rank(\d+)\]:")
_DAYS = (0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335)


Mark = tuple[str, re.Pattern[str]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A line and the names of its groups; a name with a dot in front belongs to the whole engine, not to a rank."""

    expression: re.Pattern[str]
    names: tuple[str, ...]


def _pattern(expression: str, *names: str) -> Pattern:
    return Pattern(compiled(expression.replace("NUMBER", _NUMBER), re.IGNORECASE), names)


PATTERNS = (
    # V1 from 0.8 (GiB with or without the word memory; 0.7 wrote GB and meant GiB), both model runners of 0.25
    _pattern(r"Model loading took NUMBER Gi?B(?: memory)? and NUMBER seconds", "weights", "load_seconds"),
    # V0, and V1 of 0.7
    _pattern(r"Loading model weights took NUMBER Gi?B", "weights"),
    _pattern(r"Loading weights took NUMBER seconds", "load_seconds"),
    # V0 from 0.6.6 on
    _pattern(r"can use total_gpu_memory \(NUMBER ?GiB\) x gpu_memory_utilization \(NUMBER\) = NUMBER ?GiB",
             "total", "utilization", "requested"),
    _pattern(r"model weights take\s+NUMBER ?GiB", "weights"),
    _pattern(r"non_torch_memory takes NUMBER ?GiB", "non_torch"),
    _pattern(r"PyTorch activation peak memory takes NUMBER ?GiB", "activations"),
    _pattern(r"reserved for KV Cache is NUMBER ?GiB", "kv_cache"),
    # V0 0.6.5: the same, a line each
    _pattern(r"\btotal_gpu_memory\s+NUMBER ?GiB", "total"),
    _pattern(r"\bnon_torch_memory\s+NUMBER ?GiB", "non_torch"),
    _pattern(r"PyTorch activation peak memory\s+NUMBER ?GiB", "activations"),
    _pattern(r"\bavailable_kv_cache_memory\s+NUMBER ?GiB", "kv_cache"),
    _pattern(r"\bgpu_memory_utilization\s{2,}NUMBER$", "utilization"),
    _pattern(r"current vLLM instance can use\s{2,}NUMBER ?GiB", "requested"),
    # V0 0.6.3 and 0.6.4
    _pattern(r"Memory profiling results: total_gpu_memory=NUMBER ?GiB initial_memory_usage=\S+ "
             r"peak_torch_memory=\S+ .*?non_torch_memory=NUMBER ?GiB kv_cache_size=NUMBER ?GiB "
             r"gpu_memory_utilization=NUMBER", "total", "non_torch", "kv_cache", "utilization"),
    # V1 at level DEBUG, every rank: the INFO line below is printed by the first one only
    _pattern(r"Requested memory: [\d.]+ \(util\), NUMBER ?GiB", "requested"),
    _pattern(r"Total non KV cache memory: NUMBER ?GiB; torch peak memory increase: NUMBER ?GiB; non-torch forward "
             r"increase memory: NUMBER ?GiB; weights memory: NUMBER ?GiB", "non_cache", "activations", "non_torch",
             "weights"),
    # V1, all
    _pattern(r"Available KV cache memory: NUMBER GiB", "kv_cache"),
    _pattern(r"reserved NUMBER GiB memory for KV Cache as specified by kv_cache_memory_bytes", "kv_cache"),
    _pattern(r"KV cache size: NUMBER tokens", ".kv_tokens"),
    _pattern(r"Maximum concurrency for NUMBER tokens per request: NUMBERx", ".concurrency_tokens", ".concurrency"),
    _pattern(r"# (?:GPU|CUDA) blocks: NUMBER", "blocks"),
    # graphs: V0 and V1, with the estimate from 0.18 on
    _pattern(r"Graph capturing finished in NUMBER secs?, took NUMBER GiB", "graph_seconds", "graphs"),
    _pattern(r"Graph capturing finished in NUMBER secs?", "graph_seconds"),
    _pattern(r"CUDA graph pool memory: NUMBER GiB \(actual\), NUMBER GiB \(estimated\)", "graphs", "graphs_estimated"),
    _pattern(r"Estimated CUDA graph memory: NUMBER GiB", "graphs_estimated"),
    # the summary: until about 0.27, then in two numbers
    _pattern(r"Free memory on device \S*?\s*\(NUMBER/NUMBER GiB\) on startup\. Desired GPU memory utilization is "
             r"\(NUMBER, NUMBER GiB\)", "free", "total", "utilization", "requested"),
    _pattern(r"NUMBER GiB for weights?, NUMBER GiB for peak activation, NUMBER GiB for non-torch memory, and "
             r"NUMBER GiB for CUDAGraph memory", "weights", "activations", "non_torch", "graphs"),
    _pattern(r"NUMBER GiB for consumed memory \(weights \+ non-torch\), NUMBER GiB for peak activation, and "
             r"NUMBER GiB for CUDAGraph memory", "consumed", "activations", "graphs"),
    _pattern(r"torch\.compile (?:and initial profiling/warmup run together )?(?:takes|took) NUMBER s in total",
             "compile_seconds"),
    _pattern(r"init engine \(profile, create kv[ _]cache, warmup model\) took NUMBER s", ".init_seconds"),
    # TGI: blocks of the flash models, then the tokens of all requests together
    _pattern(r"KV-cache blocks: NUMBER, size: \d+", "blocks"),
    _pattern(r"Setting max batch total tokens to NUMBER", ".kv_tokens"),
    _pattern(r"Shard ready in NUMBERs", "load_seconds"),
    # TGIS: the weight limit is the tokens of a batch
    _pattern(r"Using batch weight limit: NUMBER", ".kv_tokens"),
)  # fmt: skip
# What the settings were: V0 and V1 print the configuration, the API server what was not a default.
SETTINGS = {
    "max_model_len": compiled(r"(?:max_seq_len=|'max_model_len': |[(, ]max_model_len=|Using max model len )(\d+)"),
    "tensor_parallel_size": compiled(r"tensor_parallel_size(?:=|': )(\d+)"),
    "pipeline_parallel_size": compiled(r"pipeline_parallel_size(?:=|': )(\d+)"),
    "gpu_memory_utilization": compiled(r"gpu_memory_utilization(?:=|': )([\d.]+)"),
    "max_num_seqs": compiled(r"max_num_seqs(?:=|': | to )(\d+)"),
    "max_num_batched_tokens": compiled(r"max_num_batched_tokens(?:=|': | to )(\d+)"),
    "enforce_eager": compiled(r"enforce_eager(?:=|': )(True|False)"),
    "kv_cache_dtype": compiled(r"[, ]kv_cache_dtype=([\w.]+)"),
    "model": compiled(r"with config: model='([^']+)'"),
    "dtype": compiled(r"[, ]dtype=torch\.(\w+)"),
    "quantization": compiled(r"[, ]quantization=([\w-]+)"),
    "graphs_charged": compiled(r"CUDA graph memory profiling is (enabled)"),
    "auto_fit_max_model_len": compiled(r"Auto-fit max_model_len: reduced from \d+ to (\d+)"),
}
_BEGIN = compiled(r"vLLM API server version|Initializing an? (?:V1 )?LLM engine|text_generation_launcher: Args")
_READY = compiled(r"Application startup complete|Uvicorn running on|text_generation_router.*: Connected$")


@cache
def _engines(names: tuple[str, ...]) -> tuple[tuple[Mark, ...], tuple[Mark, ...]]:
    """(lines that tell the version, lines that only that engine writes), both of the engines named."""
    engines = [registry.engine_of(name) for name in names]
    versions = tuple((one.name, compiled(text)) for one in engines for text in one.version_lines)
    # The default is the last resort: its marks are the least peculiar.
    marks = tuple((one.name, compiled(one.log_marks)) for one in reversed(engines) if one.log_marks)
    return versions, marks


def version(line: str) -> tuple[str, str] | None:
    """(engine, version) where the line tells them."""
    for name, expression in _engines(registry.names())[0]:
        if (match := expression.search(line)) is not None:
            return name, match.group(1)
    return None


def engine(line: str) -> str:
    """The engine by a line that no other writes; empty where it could be any."""
    return next((name for name, mark in _engines(registry.names())[1] if mark.search(line)), "")


def clean(line: str) -> str:
    """The line without colours and trailing space."""
    return _COLOURS.sub("", line).rstrip("\r\n │|").rstrip()


def rank_of(line: str) -> str:
    """Name of the process that wrote the line, "" where there is one only (or it is V0's driver)."""
    found = ""
    for name, number in _RANK.findall(line):
        found = name or f"rank{number}"
    return "" if found == "APIServer" else found


def stamp(line: str) -> float | None:
    """Seconds since the year began; logs of vLLM have no year."""
    match = _STAMP.search(line) or _ISO_STAMP.search(line)
    if match is None:
        return None
    month, day, hours, minutes, seconds = (int(text) for text in match.groups())
    if not 1 <= month <= 12:
        return None
    return float((((_DAYS[month - 1] + day) * 24 + hours) * 60 + minutes) * 60 + seconds)


def numbers(line: str) -> Iterator[tuple[str, float]]:
    """(name, value) of everything that the table knows in the line."""
    for pattern in PATTERNS:
        match = pattern.expression.search(line)
        if match is not None:
            yield from zip(pattern.names, (_float(text) for text in match.groups()), strict=True)


def _float(text: str) -> float:
    return float(text.replace(",", ""))


def begins(line: str) -> bool:
    """True where an engine says that it starts."""
    return _BEGIN.search(line) is not None


def is_ready(line: str) -> bool:
    """True where the server says that it answers."""
    return _READY.search(line) is not None
