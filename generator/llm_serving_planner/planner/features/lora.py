"""LoRA adapters: which are served, and the memory of their slots.

vLLM keeps `max_loras` slots of `max_lora_rank` for every linear layer, filled or not (0.33.0 vllm/lora/layers/
base_linear.py, column_parallel_linear.py, fused_moe.py, logits_processor.py, vocab_parallel_embedding.py, read
2026-11-25): A is rank x inputs, B is outputs x rank, 16 bits each. A of column-parallel layers and B of row-parallel
ones are whole on every rank, the other half is sharded. Not measured: an upper bound.
"""

import re

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.engines import features, versions
from llm_serving_planner.models.adapters import Adapter, Slots
from llm_serving_planner.models.spec import ModelSpec

# vllm/config/lora.py:MaxLoRARanks of 0.14.0, 0.25.1 and 0.33.0 (docs.vllm.ai and the packages, read 2026-11-25). Rank 1
# is not given to releases before 0.14.0, which were not read: assumption.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
_RANK_ONE_FROM = "0.14.0"
DEFAULT_RANK = 16  # vLLM's own
_LARGEST_VOCABULARY = 258_048  # vllm/lora/layers/logits_processor.py


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9._/-]+)?")


def parse(word: str) -> Adapter:
    """`NAME=org/repo[@revision]` or `NAME=/path`.

    Raises:
        InputError: it is something else.
    """
    name, _, source = word.partition("=")
    if not _NAME.fullmatch(name) or not source:
        raise InputError(f"--lora {word}: NAME=SOURCE is expected, as in sql=org/adapter or sql=/llm/source/sql")
    if source.startswith("/"):
        return Adapter(name, path=source)
    if not _SOURCE.fullmatch(source):
        raise InputError(f"--lora {word}: {source} is neither a hub id (org/name) nor a path in the container (/...)")
    repository, _, revision = source.partition("@")
    return Adapter(name, id=repository, revision=revision)


def parse_all(words: tuple[str, ...], taken: tuple[str, ...] = ()) -> tuple[Adapter, ...]:
    """Every adapter; names must differ from each other and from the model's own.

    Raises:
        InputError: malformed, or a name twice.
    """
    found = tuple(parse(word) for word in words)
    names = [*taken, *(adapter.name for adapter in found)]
    for adapter in found:
        if names.count(adapter.name) > 1:
            raise InputError(f"--lora {adapter.name}: the name stands twice among model, aliases and adapters")
    return found


def slots(
    adapters: tuple[Adapter, ...], version: str, rank: int | None, loras: int | None, cpu: int | None, spec: ModelSpec
) -> Slots:
    """Slots for the adapters: all of them in one batch unless `loras` says otherwise.

    The rank is the smallest that takes every adapter whose own is known, vLLM's default at least where one is not.

    Raises:
        InputError: a rank that vLLM does not take, or fewer adapters in host memory than in a batch.
    """
    allowed = RANKS if versions.not_after(_RANK_ONE_FROM, version) else RANKS[1:]
    if rank is not None and rank not in allowed:
        raise InputError(
            f"--max-lora-rank is {rank}: vLLM {version} takes {', '.join(map(str, allowed))}",
            hint="give the smallest of them that is not below the r of every adapter_config.json",
        )
    widest = max(adapter.rank for adapter in adapters)
    if widest > (rank or allowed[-1]):
        names = ", ".join(adapter.name for adapter in adapters if adapter.rank > (rank or allowed[-1]))
        raise InputError(f"--lora {names}: rank {widest} is above the largest of the slots, {rank or allowed[-1]}")
    least = widest if all(adapter.rank for adapter in adapters) else max(widest, DEFAULT_RANK)
    rank = rank or next(size for size in allowed if size >= least)
    batch = loras or len(adapters)
    held = cpu or max(batch, len(adapters))
    if held < batch:
        raise InputError(f"--max-cpu-loras ({held}) is below --max-loras ({batch}); adapters pass through host memory")
    embeddings = features.serves(version, "lora_embeddings", spec.architecture)
    return Slots(batch, rank, held, embeddings)


def reasons(spec: ModelSpec, version: str, held: Slots) -> list[str]:
    """What stands against adapters on this model."""
    found = []
    if not features.serves(version, "lora", spec.architecture):
        found.append(f"vLLM {version} serves no LoRA adapters on {spec.architecture}")
    if spec.recurrent is not None:
        found.append("slots of adapters for recurrent layers are not sized: no LoRA on such a model")
    if held.embeddings and spec.vocab_size > _LARGEST_VOCABULARY:
        found.append(f"vLLM refuses LoRA on a vocabulary of {spec.vocab_size:,}: at most {_LARGEST_VOCABULARY:,}")
    return found
