"""Speculative decoding: which drafts go with a model, and what they cost. Facts in data/speculative.json.

A draft's weights lie beside the model's on the same GPUs, its layers have a cache of their own for every token, and a
step verifies `tokens` + 1 positions per sequence. Not measured: upper bounds.
"""

from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import replace
from llm_serving_planner.engines import features, versions
from llm_serving_planner.models.adapters import Draft
from llm_serving_planner.models.spec import LayerGroup, ModelSpec
from llm_serving_planner.planner.rules import tensor_parallel_reasons


@cache
def _data() -> dict[str, Any]:
    return tables.load_data("speculative.json")


def methods() -> tuple[str, ...]:
    """Names of the methods that are planned."""
    return tuple(_data()["methods"])


def parse(word: str, tokens: int | None) -> Draft:
    """`METHOD[:MODEL[@REVISION]]`.

    Raises:
        InputError: an unknown method, a model too many or too few, or no tokens.
    """
    method, _, source = word.partition(":")
    if method not in methods():
        raise InputError(f"--speculative {word}: one of {', '.join(methods())} is expected, as in eagle3:org/head")
    facts = _data()["methods"][method]
    if facts["draft"] and not source:
        raise InputError(f"--speculative {method} needs the model that drafts: --speculative {method}:org/name")
    if not facts["draft"] and source:
        raise InputError(f"--speculative {word}: {method} has no model of its own; leave {source} away")
    count = facts["tokens"] if tokens is None else tokens
    if count < 1:
        raise InputError(f"--speculative-tokens is {count}: a positive whole number is expected")
    if source.startswith("/"):
        return Draft(method, count, path=source)
    model, _, revision = source.partition("@")
    return Draft(method, count, id=model, revision=revision)


def with_heads(draft: Draft, target: ModelSpec) -> Draft:
    """The draft with what the target's own checkpoint adds: one prediction layer for mtp.

    Its bytes are those of the target's largest kind of layer and a projection of two hidden states (0.33.0
    vllm/model_executor/models/deepseek_mtp.py); embedding and head are the target's.
    """
    if draft.method != "mtp":
        return draft
    embedding = target.vocab_size * target.hidden_size * 2 * (1 if target.tied else 2)
    body = max(target.weights.loaded_bytes - embedding, 0)
    layer = body // (target.moe.layers if target.moe and target.moe.layers else target.num_layers)
    largest = max(target.layers, key=lambda group: group.kv_heads * (group.k_dim + group.v_dim), default=None)
    layers: tuple[LayerGroup, ...] = (
        (LayerGroup(largest.kind, 1, largest.kv_heads, largest.k_dim, largest.v_dim),) if largest else ()
    )
    index = next((group for group in target.layers if group.kind == "index"), None)
    if index is not None:
        layers += (LayerGroup("index", 1, index.kv_heads, index.k_dim, index.v_dim),)
    return replace(draft, head_bytes=layer + 4 * target.hidden_size**2, layers=layers)


def reasons(draft: Draft, target: ModelSpec, version: str, tensor: int, pipeline: int) -> list[str]:
    """What stands against the draft on this model and layout."""
    facts = _data()["methods"][draft.method]
    found = []
    if not versions.not_after(facts["from"], version):
        found.append(f"--speculative {draft.method} is planned from vLLM {facts['from']} on, this is {version}")
    if pipeline > 1:
        found.append(
            f"--speculative {draft.method} with pipeline parallel size {pipeline}: vLLM refuses drafts over several "
            "stages for most classes; tensor parallelism alone, or no draft"
        )
    if draft.method == "mtp" and target.architecture not in _data()["mtp_architectures"]["names"]:
        found.append(f"--speculative mtp: {target.architecture} has no prediction layers that vLLM {version} uses")
    if draft.method == "eagle3" and not features.serves(version, "eagle3", target.architecture):
        found.append(f"--speculative eagle3: vLLM {version} takes no EAGLE-3 head on {target.architecture}")
    if draft.spec is not None and draft.spec.vocab_size != target.vocab_size:
        found.append(
            f"--speculative draft_model: the draft's vocabulary has {draft.spec.vocab_size:,} entries, the model's "
            f"{target.vocab_size:,}; vLLM takes equal ones only"
        )
    if draft.spec is not None:
        found += [f"draft model: {reason}" for reason in tensor_parallel_reasons(draft.spec, tensor)]
    if draft.hidden_size not in {None, target.hidden_size}:
        found.append(
            f"--speculative {draft.method}: the head was made for a hidden size of {draft.hidden_size}, the model's is "
            f"{target.hidden_size}"
        )
    return found


def context(draft: Draft | None, target: ModelSpec) -> int | None:
    """Longest context that an independent draft allows below the model's own; None where it does not bind.

    vLLM 0.33.0 vllm/config/vllm.py lowers max_model_len to the draft's.
    """
    if draft is None or draft.spec is None or draft.spec.max_position is None:
        return None
    own = target.max_position
    return draft.spec.max_position if own is None or draft.spec.max_position < own else None


def options(draft: Draft) -> dict[str, Any]:
    """What the method's JSON holds besides method, model and tokens."""
    return dict(_data()["methods"][draft.method].get("config", {}))
