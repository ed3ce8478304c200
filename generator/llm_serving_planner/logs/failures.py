"""Lines with which an engine gives up, and the numbers in them."""

import re

from llm_serving_planner.logs.bounded import compiled
from llm_serving_planner.logs.startup import Failure

_G = r"(-?[\d.]+)"
# Order counts: the first that matches a line names it. The last two only say that something failed.
_KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    # V1 0.8 to 0.33: "models's" until 0.11, the estimated length from 0.9 on
    ("context too long",
     rf"To serve at least one request with the models?'s max seq len \((\d+)\), \(?{_G} GiB KV cache is needed, "
     rf"which is larger than the available KV cache memory \({_G} GiB\)"
     r"(?:.*?estimated maximum model length is (\d+))?", ("context", "needed", "available", "longest")),
    # V0
    ("context too long",
     r"The model's max seq len \((\d+)\) is larger than the maximum number of tokens that can be stored in KV cache "
     r"\((\d+)\)", ("context", "longest")),
    ("no room for the cache", r"No available memory for the cache blocks", ()),
    ("no room for the cache", r"Cannot auto-fit max_model_len: not enough GPU memory", ()),
    ("memory taken by others",
     rf"Free memory on device \S*?\s*\({_G}/{_G} GiB\) on startup is less than desired GPU memory utilization "
     rf"\({_G}, {_G} GiB\)", ("free", "total", "utilization", "wanted")),
    ("out of memory in the sampler", r"out of memory occurred when warming up sampler with (\d+) dummy requests",
     ("sequences",)),
    ("out of memory while loading", r"Failed to load model - not enough GPU memory", ()),
    ("too many prefill tokens", r"Not enough memory to handle (\d+) prefill tokens", ("tokens",)),
    ("too many total tokens", r"Not enough memory to handle (?:`max_total_tokens=)?(\d+)(?:`| total tokens)",
     ("tokens",)),
    ("out of memory",
     rf"CUDA out of memory\. Tried to allocate {_G} ([GMK]iB)\. GPU \d+ has a total capacity of {_G} GiB of which "
     rf"{_G} ([GMK]iB) is free", ("asked", "asked unit", "total", "free", "free unit")),
    ("out of memory", r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError", ()),
    ("no bfloat16", r"Bfloat16 is only supported on GPUs with compute capability of at least", ()),
    ("heads do not divide",
     r"Total number of attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)",
     ("heads", "ranks")),
    ("size does not divide", r"AssertionError: (\d+) is not divisible by (\d+)", ("size", "ranks")),
    ("longer than the model",
     r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len "
     r"\(max_position_embeddings=([\d.]+)", ("context", "longest")),
    ("model cannot be read",
     r"Cannot access gated repo|GatedRepoError|401 Client Error|We couldn't connect to '\S+' to load the files", ()),
    ("model newer than the engine", r"Transformers does not recognize this architecture", ()),
    ("quantisation not for this GPU",
     r"quantization method .*? is not supported for the current GPU\. Minimum capability: (\d+)\. Current "
     r"capability: (\d+)", ("minimum", "current")),
    ("driver too old",
     r"driver version is insufficient|CUDA error 803|unsupported display driver|driver on your system is too old", ()),
    # "No module named" alone is no failure: engines go on without many packages, and warn with that text
    ("a Python package is missing", r"(?:ImportError|RuntimeError): .*\brequires \S+ to be installed", ()),
    ("unknown flag", r"error: (?:unrecognized arguments|unexpected argument)", ()),
    ("a process died",
     r"Engine core initialization failed|EngineCore failed to start|EngineDeadError|Shard \d+ failed to start|"
     r"ShardCannotStart|\bWorker \S+ .*\bdied", ()),
)  # fmt: skip
_COMPILED = tuple((kind, compiled(expression, re.IGNORECASE), names) for kind, expression, names in _KINDS)
KINDS = tuple(dict.fromkeys(kind for kind, _, _ in _KINDS))
# Says that the engine failed, not why: shown only where nothing else is.
SYMPTOM = "a process died"
_UNITS = {"GiB": 1.0, "MiB": 1 / 1024, "KiB": 1 / 1024**2}
_TEXT = compiled(r"(?:\[\w+\.py:\d+\] ?|(?:\w+\.){0,10}\w*Error: )")


def failure(line: str) -> Failure | None:
    """What the line fails with, None when it is no failure.

    A line of source in a traceback (`raise ValueError("No available ...`) is one too, without numbers; the
    message proper follows it and is more telling: see `add`.
    """
    for kind, expression, names in _COMPILED:
        match = expression.search(line)
        if match is not None:
            return Failure(kind, _message(line, match.start()), _numbers(names, match.groups()))
    return None


def _message(line: str, start: int) -> str:
    """The line from its message on: what stands before is prefix."""
    begins = [match.end() for match in _TEXT.finditer(line[:start])]
    return line[begins[-1] if begins else start :].strip().lstrip("([").strip()


def _numbers(names: tuple[str, ...], texts: tuple[str | None, ...]) -> dict[str, float]:
    raw = dict(zip(names, texts, strict=True))
    found = {}
    for name, text in raw.items():
        if text is not None and not name.endswith(" unit"):
            found[name] = float(text) * _UNITS.get(raw.get(f"{name} unit") or "", 1.0)
    return found


def add(failures: list[Failure], found: Failure) -> None:
    """Keep the first failure of each kind, in the form that has numbers."""
    for index, known in enumerate(failures):
        if known.kind == found.kind:
            if found.numbers and not known.numbers:
                failures[index] = found
            return
    failures.append(found)


def cause(failures: list[Failure]) -> Failure | None:
    """The failure to speak of: the first that is more than a symptom."""
    causes = [known for known in failures if known.kind != SYMPTOM]
    return next(iter(causes or failures), None)
