"""From a failure, or a cache that is smaller than planned, to the flag that mends it, with its number."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from llm_serving_planner.engines import vllm
from llm_serving_planner.logs import failures
from llm_serving_planner.logs.promise import Promise
from llm_serving_planner.logs.startup import Failure, Startup
from llm_serving_planner.memory.kv_cache import BLOCK_TOKENS

_SLACK = 0.1  # GiB that a corrected share leaves beyond what was missing; two prints of two decimals and one round-up
_OUTSIDE = 0.6  # GiB outside the budget where no plan says more: CUDA context of 0.51 measured on H200 (engines.json)


@dataclass(frozen=True, slots=True)
class Advice:
    """One way out: the engine's flag with its new value (or the chart's key), and why that number."""

    flag: str
    value: str
    why: str

    def __str__(self) -> str:
        """As a user would type it."""
        return f"{self.flag} {self.value}: {self.why}" if self.value else f"{self.flag}: {self.why}"


def advise(startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    """Ways out, the best first; none where the start went as planned."""
    cause = failures.cause(startup.failures)
    if cause is None:
        yield from _smaller_cache(startup, promise)
        yield from _slow_start(startup, promise)
        return
    yield from _FOR.get(cause.kind, _nothing)(cause, startup, promise)


def _nothing(_: Failure, __: Startup, ___: Promise | None) -> Iterator[Advice]:
    yield from ()


def _share(startup: Startup, promise: Promise | None) -> float | None:
    text = startup.settings.get("gpu_memory_utilization")
    if text is not None:
        return float(text)
    return startup.largest("utilization") or (promise.args.get("gpu-memory-utilization") if promise else None)


def _total(startup: Startup, promise: Promise | None) -> float | None:
    return startup.largest("total") or (promise.gib["total"] if promise else None)


def _larger_share(missing: float, startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    """A share that holds `missing` GiB more, where the GPU has them."""
    share, total = _share(startup, promise), _total(startup, promise)
    if share is None or total is None:
        return
    wanted = math.ceil(100 * (share + (missing + _SLACK) / total)) / 100
    outside = promise.gib["outside"] if promise else _OUTSIDE
    if wanted <= (total - outside) / total:
        yield Advice(
            "--gpu-memory-utilization",
            f"{wanted:.2f}",
            f"{missing:.2f} GiB more than the {share:.2f} of {total:.2f} GiB, {total * (1 - wanted):.2f} GiB stay free",
        )


def _too_long(cause: Failure, startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    needed, available = cause.numbers.get("needed"), cause.numbers.get("available")
    longest = cause.numbers.get("longest")
    context = cause.numbers.get("context")
    if longest is None and context and needed and available is not None:
        longest = context * available / needed
    if longest and longest >= BLOCK_TOKENS:
        yield Advice(
            "--max-model-len",
            str(int(longest) // BLOCK_TOKENS * BLOCK_TOKENS),
            "the longest request that the cache holds",
        )
    if needed is not None and available is not None:
        yield from _larger_share(needed - available, startup, promise)
        if needed / 2 <= available and startup.settings.get("kv_cache_dtype", "auto") == "auto":
            yield Advice(
                "--kv-cache-dtype", "fp8", f"halves the {needed:.2f} GiB of a request (compute capability 8.9)"
            )


def _no_room(_: Failure, startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    """Nothing is left after weights and activations: how much is missing, or what to make smaller."""
    fullest = startup.fullest
    if fullest is not None and fullest.kv_cache is not None and promise is not None:
        yield from _larger_share(promise.gib["kvCachePerRequest"] - fullest.kv_cache, startup, promise)
    elif fullest is not None and fullest.kv_cache is not None:
        yield from _larger_share(max(1.0 - fullest.kv_cache, 0.0), startup, promise)
    yield from _halved(startup, promise, "max-num-batched-tokens", "activations grow with the tokens of a step")
    yield from _halved(startup, promise, "max-num-seqs", "the sampler's logits grow with the sequences")
    weights, share, total = startup.largest("weights"), _share(startup, promise), _total(startup, promise)
    if weights is not None and share is not None and total is not None and weights > share * total:
        ranks = int(startup.settings.get("tensor_parallel_size", promise.tensor if promise else 1))
        yield Advice("parallelism.tensor", str(2 * ranks), f"weights of {weights:.2f} GiB fill the {share * total:.2f}")


def _halved(startup: Startup, promise: Promise | None, flag: str, why: str) -> Iterator[Advice]:
    text = startup.settings.get(flag.replace("-", "_")) or (promise.args.get(flag) if promise else None)
    if text is not None and int(text) >= 2:
        yield Advice(f"--{flag}", str(int(text) // 2), why)


def _taken(cause: Failure, _: Startup, __: Promise | None) -> Iterator[Advice]:
    free, total = cause.numbers["free"], cause.numbers["total"]
    share = math.floor(100 * free / total) / 100
    why = f"{total - free:.2f} of {total:.2f} GiB are in use by something else; find it with nvidia-smi"
    yield Advice("--gpu-memory-utilization", f"{share:.2f}", why)


def _sampler(cause: Failure, startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    sequences = int(cause.numbers["sequences"])
    yield Advice("--max-num-seqs", str(max(1, sequences // 2)), f"the sampler ran out of memory with {sequences}")
    yield from _smaller_share(cause, startup, promise)


def _smaller_share(cause: Failure, startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    """Out of memory although the budget was kept: more must stay outside it."""
    share, total = _share(startup, promise), cause.numbers.get("total") or _total(startup, promise)
    if share is None or total is None:
        return
    missing = cause.numbers["asked"] - cause.numbers["free"] if "asked" in cause.numbers else 0.02 * total
    lower = math.floor(100 * (share - (max(missing, 0.0) + _SLACK) / total)) / 100
    if lower > 0.05:
        yield Advice(
            "--gpu-memory-utilization", f"{lower:.2f}", f"{max(missing, 0.0):.2f} GiB were missing outside the budget"
        )


def _loading(_: Failure, startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    ranks = int(startup.settings.get("tensor_parallel_size", promise.tensor if promise else 1))
    yield Advice("parallelism.tensor", str(2 * ranks), "the weights alone do not fit one GPU")


def _out_of_memory(cause: Failure, startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    if startup.largest("weights") is None and not startup.ready:
        yield from _loading(cause, startup, promise)
        return
    yield from _smaller_share(cause, startup, promise)
    yield from _halved(startup, promise, "max-num-batched-tokens", "transients grow with the tokens of a step")


def _prefill(cause: Failure, _: Startup, __: Promise | None) -> Iterator[Advice]:
    tokens = int(cause.numbers["tokens"])
    yield Advice("--max-batch-prefill-tokens", str(tokens // 2), f"a prefill of {tokens} tokens ran out of memory")


def _total_tokens(cause: Failure, _: Startup, __: Promise | None) -> Iterator[Advice]:
    tokens = int(cause.numbers["tokens"])
    yield Advice("--max-total-tokens", str(tokens // 2), f"a request of {tokens} tokens does not fit the cache")


def _half(_: Failure, __: Startup, ___: Promise | None) -> Iterator[Advice]:
    yield Advice("--dtype", "half", "GPUs before compute capability 8.0 have no bfloat16")


def _heads(cause: Failure, _: Startup, __: Promise | None) -> Iterator[Advice]:
    heads, ranks = int(cause.numbers["heads"]), int(cause.numbers["ranks"])
    size = next(size for size in range(min(ranks, heads), 0, -1) if heads % size == 0)
    yield Advice("parallelism.tensor", str(size), f"the largest size up to {ranks} that divides {heads} heads")


def _divides(cause: Failure, _: Startup, __: Promise | None) -> Iterator[Advice]:
    value, ranks = int(cause.numbers["size"]), int(cause.numbers["ranks"])
    size = next(size for size in range(ranks, 0, -1) if value % size == 0)
    yield Advice("parallelism.tensor", str(size), f"the largest size up to {ranks} that divides {value}")


def _longer(cause: Failure, _: Startup, __: Promise | None) -> Iterator[Advice]:
    yield Advice(
        "--max-model-len", str(int(cause.numbers["longest"])), "the longest request that the model was made for"
    )


def _unread(_: Failure, __: Startup, ___: Promise | None) -> Iterator[Advice]:
    yield Advice("auth.hfToken.existingSecret", "", "a gated model needs a token; else the pod has no way to the hub")


def _newer(_: Failure, startup: Startup, __: Promise | None) -> Iterator[Advice]:
    newest = vllm.default_version()
    if startup.version != newest:
        yield Advice("engine.version", newest, f"{startup.version or 'this version'} does not know the model's class")


def _flag(_: Failure, __: Startup, ___: Promise | None) -> Iterator[Advice]:
    yield Advice("llm-serving validate FILE", "", "names the flags that the version does not have")


def _driver(_: Failure, __: Startup, ___: Promise | None) -> Iterator[Advice]:
    older = [version for version in vllm.facts()["read_versions"] if not vllm.at_least(version, "driver-580")]
    yield Advice("engine.version", older[-1], "later images hold CUDA 13; or NVIDIA driver 580 on the node")


def _smaller_cache(startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    """It started, with a cache that is smaller than planned by more than the band."""
    fullest = startup.fullest
    if promise is None or fullest is None or fullest.kv_cache is None:
        return
    missing = promise.gib["kvCache"] - fullest.kv_cache
    if missing > promise.margin:
        yield from _larger_share(missing, startup, promise)
        per_request = promise.gib["kvCachePerRequest"]
        if per_request:
            requests = fullest.kv_cache / per_request
            yield Advice(
                "--max-num-seqs",
                str(max(1, int(requests))),
                f"the cache holds {requests:.2f} of the longest requests, {promise.concurrency:.2f} were planned",
            )


def _slow_start(startup: Startup, promise: Promise | None) -> Iterator[Advice]:
    """A start that came near the startup probe's budget."""
    seconds = startup.total_seconds
    if promise is None or promise.budget_seconds is None or seconds is None:
        return
    if seconds > 0.8 * promise.budget_seconds:
        wanted = math.ceil(2 * seconds / 60) * 60
        why = f"the start took {seconds:.0f} s of the {promise.budget_seconds} s after which the probe kills the pod"
        yield Advice("startup.budgetSeconds", str(wanted), why)


_FOR = {
    "context too long": _too_long,
    "no room for the cache": _no_room,
    "memory taken by others": _taken,
    "out of memory in the sampler": _sampler,
    "out of memory while loading": _loading,
    "too many prefill tokens": _prefill,
    "too many total tokens": _total_tokens,
    "out of memory": _out_of_memory,
    "no bfloat16": _half,
    "heads do not divide": _heads,
    "size does not divide": _divides,
    "longer than the model": _longer,
    "model cannot be read": _unread,
    "model newer than the engine": _newer,
    "unknown flag": _flag,
    "driver too old": _driver,
}
