"""Whole logs -> `Startup`: of several starts in one log the last counts, of several pods all ranks."""

import math
from collections.abc import Iterable, Iterator
from typing import IO

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import MIB
from llm_serving_planner.logs import failures, lines
from llm_serving_planner.logs.startup import Rank, Startup

_WHOLE = {"kv_tokens", "concurrency", "concurrency_tokens", "init_seconds"}
_INTEGERS = {"blocks", "kv_tokens", "concurrency_tokens"}

# The longest line with a figure has 400 characters, a configuration that the engine prints 6,000.
MOST_LINE = 10_000
# 400 MiB are a day of requests at level INFO; what is looked for stands in the first minutes.
MOST_LOG = 1024 * MIB
MOST_RANKS = 4096  # 512 nodes of eight GPUs


def text_lines(handle: IO[bytes]) -> Iterator[str]:
    """Lines of a log, each cut at MOST_LINE bytes: the rest of a longer one is read and dropped.

    Raises:
        InputError: the log never ends.
    """
    read, whole = 0, True
    while block := handle.readline(MOST_LINE):
        read += len(block)
        if read > MOST_LOG:
            raise InputError(f"the log is longer than {MOST_LOG // MIB:,} MiB", hint="give the part of one start")
        if whole:
            yield block.decode("utf-8", "replace")
        whole = block.endswith(b"\n")


def read_log(text: Iterable[str], pod: str = "") -> Startup:
    """What the last start in the log says. `pod` goes in front of the ranks' names."""
    startup = Startup()
    for raw in text:
        line = lines.clean(raw[:MOST_LINE])
        if not line.strip():
            continue
        if lines.begins(line) and (startup.ranks or startup.failures or startup.ready):
            startup = _restart(startup, line)
        _take(startup, line, pod)
    startup.complete()
    return startup


def _restart(startup: Startup, line: str) -> Startup:
    """A new start, unless it is another engine of the same one (data parallel): those begin before any has weights."""
    weighed = any(rank.weights is not None for rank in startup.ranks.values())
    return Startup() if weighed or startup.failures or "API server version" in line else startup


def _take(startup: Startup, line: str, pod: str) -> None:
    startup.lines += 1
    _whole_engine(startup, line)
    if (known := failures.failure(line)) is not None:
        failures.add(startup.failures, known)
        return  # its numbers are not measurements
    name = "/".join(part for part in (pod, lines.rank_of(line)) if part)
    for key, value in lines.numbers(line):
        if key.startswith("."):
            setattr(startup, key[1:], int(value) if key[1:] in _INTEGERS else value)
        elif math.isfinite(value) and (name in startup.ranks or len(startup.ranks) < MOST_RANKS):
            setattr(startup.rank(name), key, int(value) if key in _INTEGERS else value)


def _whole_engine(startup: Startup, line: str) -> None:
    moment = lines.stamp(line)
    if moment is not None and startup.first_stamp is None:
        startup.first_stamp = moment
    if not startup.ready and lines.is_ready(line):
        startup.ready, startup.ready_stamp = True, moment
    told = lines.version(line)
    if told is not None:
        startup.engine, startup.version = told
    startup.engine = startup.engine or lines.engine(line)
    for name, expression in lines.SETTINGS.items():
        if (match := expression.search(line)) is not None:
            startup.settings[name] = match.group(1)
    if startup.ready_stamp is None and startup.ready and moment is not None:
        startup.ready_stamp = moment


def merge(parts: Iterable[Startup]) -> Startup:
    """One start-up of several pods' logs, the first pod's word counting for the whole engine."""
    whole = Startup()
    for part in parts:
        for name, rank in part.ranks.items():
            whole.ranks[name] = rank
        for name in ("engine", "version", *_WHOLE):
            if not getattr(whole, name):
                setattr(whole, name, getattr(part, name))
        for key, value in part.settings.items():
            whole.settings.setdefault(key, value)
        for known in part.failures:
            failures.add(whole.failures, known)
        if part.ready:
            whole.ready, whole.ready_stamp = True, part.ready_stamp
        whole.first_stamp = _earlier(whole.first_stamp, part.first_stamp)
        whole.lines += part.lines
    return whole


def _earlier(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)


def is_empty(startup: Startup) -> bool:
    """True when the log says nothing of memory and of no failure."""
    return not (startup.failures or startup.kv_tokens or any(_says_something(rank) for rank in startup.ranks.values()))


def _says_something(rank: Rank) -> bool:
    return any(value is not None for value in (rank.weights, rank.kv_cache, rank.blocks, rank.total))
