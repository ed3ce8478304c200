"""Quantised checkpoints of a model: those of the catalogue by name and geometry, and a table of public ones.

A name counts as the same model only when nothing but the publisher, its case and the words of the format differ:
`-base` never meets `-instruct`, and a dated or numbered release never meets another.
"""

import re
from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.base.records import replace
from llm_serving_planner.models import embedded
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec, Quantization, Weights

# Words that publishers append for the format (names of the catalogue and of data/variants.json, read 2026-11-22).
_FORMAT_WORDS = re.compile(
    r"[-_.](?:awq|gptq|fp8|nvfp4|mxfp4|int[48]|[48]bit|w\d+a\d+|bnb|unsloth|quantized|dynamic|static|block|"
    r"per-?tensor|per-?channel|bf16|hf|g\d+)$"
)
_GROUP = 128  # group size of AWQ, GPTQ and W4A16 checkpoints where nothing else is published: the tools' default


def plain_name(model_id: str) -> str:
    """The model behind an id, without publisher and format.

    `org/Meta-Llama-3.1-8B-Instruct-AWQ-INT4` becomes `llama-3.1-8b-instruct`. Numbers that NVIDIA writes with
    an underscore (`Llama-3_3`) get their point back.
    """
    name = re.sub(r"(?<=\d)_(?=\d)", ".", model_id.rstrip("/").rsplit("/", 1)[-1].lower())
    name = re.sub(r"^(?:meta-(?=llama)|nvidia-)", "", name)
    while (shorter := _FORMAT_WORDS.sub("", name)) != name:
        name = shorter
    return name


@cache
def _table() -> dict[str, Any]:
    return tables.load_data("variants.json")


def variants_of(spec: ModelSpec) -> list[ModelSpec]:
    """Quantised checkpoints of the same model with fewer bits per weight, in no order."""
    wanted, bits = plain_name(spec.model_id), spec.quantization.bits if spec.quantization else 16
    found = [
        other
        for name in embedded.model_ids()
        if plain_name(name) == wanted and (other := embedded.find(name)) is not None and _same_model(spec, other)
    ]
    if spec.quantization is None:
        known = {other.model_id.lower() for other in found}
        found += [
            _derived(spec, name, entry["kind"])
            for name, entry in _table()["variants"].items()
            if plain_name(entry["base"]) == wanted and name.lower() not in known
        ]
    return [other for other in found if other.quantization is not None and other.quantization.bits < bits]


def find(model_id: str) -> ModelSpec | None:
    """A quantised checkpoint of the table whose base model the catalogue holds, letter case aside."""
    names = {name.lower(): name for name in _table()["variants"]}
    name = names.get(model_id.lower())
    base = embedded.find(_table()["variants"][name]["base"]) if name else None
    return _derived(base, name, _table()["variants"][name]["kind"]) if base is not None and name else None


def _same_model(spec: ModelSpec, other: ModelSpec) -> bool:
    return (spec.architecture, spec.hidden_size, spec.num_layers, spec.vocab_size) == (
        other.architecture, other.hidden_size, other.num_layers, other.vocab_size,
    )  # fmt: skip


def _derived(spec: ModelSpec, model_id: str, kind: str) -> ModelSpec:
    """The base model with its linear weights in another form; embedding and head stay at 16 bits."""
    entry = formats.kinds()[kind]
    embedding = spec.vocab_size * spec.hidden_size * (1 if spec.tied else 2)
    linear = max(spec.weights.loaded_bytes // 2 - embedding, 0)
    size = _table()["bytes_per_weight"][kind]["value"]
    total = int(linear * size) + 2 * embedding
    grouped = kind in {"awq", "gptq", "compressed-tensors:wna16"}
    return replace(
        spec,
        model_id=model_id,
        revision=None,
        gated=None,
        weights=Weights(total, total, f"computed: {linear:,} weights x {size} byte, the rest at 16 bits", assumed=True),
        quantization=Quantization(
            entry["method"], entry["bits"], group_size=_GROUP if grouped else None, scheme=entry.get("scheme")
        ),
    )
