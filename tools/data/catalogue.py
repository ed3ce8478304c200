"""data/catalogue.json: the models that are known offline, from their config.json files and a table of published facts.

DIR holds `<org>__<name>.json` (config.json) and, where a model has one, `<org>__<name>.hf_quant_config.json`, as
`hf download ORG/NAME config.json hf_quant_config.json` brings them. They have licences of their own, some are gated,
and none comes into this repository: only derived facts are written (dimensions, bytes, whether the model is gated).

The table (tools/data/models.csv) has a row for every model: parameters and bytes that were published or counted,
with their source, and what this project's author found for the KV cache, which the parser is held against. A model is
added with a row and a config; numbers that nobody published stay empty. `config_source` says where the public copy of a
config was found when the table was made (2026-11-22); the hub's own file is as good or better.
"""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import InputError, UnsupportedModelError
from llm_serving_planner.models.config.read import parse
from llm_serving_planner.models.spec import ModelSpec, Weights

ROOT = Path(__file__).parent.parent.parent
TARGET = ROOT / "generator" / "llm_serving_planner" / "data" / "catalogue.json"
FACTS = Path(__file__).parent / "models.csv"
# ModelOpt NVFP4: 4 bits per weight plus one fp8 scale per 16 weights; attention, router, embedding and head
# mostly stay at 16 bits. 0.62 byte per parameter is an assumption, and marked as one in every plan.
NVFP4_BYTES_PER_PARAMETER = 0.62
# AWQ and GPTQ: embedding and head stay at 16 bits, every group of the other weights has a 16-bit scale and a zero of
# as many bits as a weight. Llama-2-13B-chat-GPTQ was 0.70 GiB too large by the figure above (docs/accuracy.md).
GROUPED = frozenset({"awq", "gptq"})
# FP8 without a published size, assumptions on the safe side: block checkpoints keep little but the embedding at 16
# bits; the others often keep attention there too (Llama-3.1-405B-Instruct-FP8: 330 of 406 billion weights are FP8).
FP8_BLOCK_BYTES_PER_PARAMETER = 1.05
FP8_BYTES_PER_PARAMETER = 1.2

# Checkpoints whose public config copy lacks the quantisation block: what their publishers say of them. Marked as an
# assumption in every plan. `like` is a checkpoint of the same geometry and format whose size is published.
# Longest contexts that the public copy of a config leaves out: (tokens, source), read 2026-11-29.
POSITIONS: dict[str, tuple[int, str]] = {
    "Qwen/Qwen3-Coder-Next": (262_144, "its model card: context length 262,144 natively"),
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16": (262_144, "config.json of its FP8 and NVFP4 checkpoints"),
    "allenai/OLMoE-1B-7B-0125-Instruct": (4096, "its model card and config.json of OLMoE-1B-7B-0924: 4,096"),
    "bigscience/bloom": (2048, "its model card: sequence length of 2,048 tokens used; ALiBi names no bound"),
    "tiiuae/falcon-40b-instruct": (2048, "its model card: sequence length 2,048"),
    "tiiuae/falcon-180B-chat": (2048, "its model card: sequence length 2,048"),
}

OVERRIDES: dict[str, dict[str, Any]] = {
    "zai-org/GLM-4.7-FP8": {
        "block": {
            "quant_method": "compressed-tensors",
            "config_groups": {
                "group_0": {
                    "weights": {"num_bits": 8, "type": "float", "strategy": "channel"},
                    "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True},
                }
            },
        },
        "source": "the hub's total is GLM-4.5's geometry plus scales per channel, to the parameter (2026-11-22)",
    },
    "moonshotai/Kimi-K2-Thinking": {
        "block": {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}},
        },
        "like": "moonshotai/Kimi-K2.5",
        "source": "block of moonshotai/Kimi-K2.5, same text geometry, released in the same INT4 format (2026-11-22)",
    },
    "nvidia/NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4": {
        "block": {"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}},
        "source": "hf_quant_config.json of nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4, same geometry (2026-11-22)",
    },
    "mistralai/Ministral-3-3B-Instruct-2512": {
        "block": {"quant_method": "fp8", "activation_scheme": "static"},
        "source": "published size, 1.2 bytes per parameter; block of Devstral-Small-2-24B-Instruct-2512 (2026-11-22)",
    },
    "TheBloke/WizardCoder-15B-1.0-GPTQ": {
        "block": {"bits": 4, "group_size": 128, "desc_act": True},
        "source": "file size of the checkpoint, which 4 bits in groups of 128 make to 0.002 % (2026-11-22)",
    },
}


def whole(row: dict[str, str], key: str) -> int | None:
    """A cell as int, None when empty."""
    return int(float(row[key])) if row[key] else None


def grouped(spec: ModelSpec, parameters: int) -> Weights:
    """Bytes of a grouped checkpoint whose size is not published."""
    quantization = spec.quantization
    if quantization is None or not quantization.group_size:
        raise ValueError(spec.model_id)
    embedding = spec.vocab_size * spec.hidden_size * (1 if spec.tied else 2)
    each = quantization.bits / 8 + (2 + quantization.bits / 8) / quantization.group_size
    total = 2 * embedding + int((parameters - embedding) * each)
    basis = f"catalogue: {parameters - embedding:,} weights x {each:.4f} byte, the rest at 16 bits"
    return Weights(total, total, basis, assumed=True)


def weights_of(row: dict[str, str], spec: ModelSpec, dtype_bytes: int) -> Weights | None:
    """Loaded and stored bytes of one row, the published figure first."""
    quantization = spec.quantization
    text, total = whole(row, "params_text_formula"), whole(row, "params_best")
    meta, stored = whole(row, "params_transformers_meta"), whole(row, "weights_bytes")
    resident = meta or text or total
    vision = whole(row, "vision_params") or 0
    if vision and text:  # the count of transformers leaves parts of some wrappers out; published totals are complete
        published_total = whole(row, "params_total_published")
        resident = text + vision
        if published_total and "MTP" not in row["published_includes"] and quantization is None:
            resident = published_total
    encoders = 2 * (resident - text if vision and text and resident else vision)
    if quantization is None:
        if resident is None:
            return None
        file_bytes = stored or (total or resident) * dtype_bytes
        basis = f"catalogue: {resident:,} parameters x 2 bytes"
        return Weights(2 * resident, file_bytes, basis, encoder_bytes=encoders)
    if stored is not None:
        share = min(1.0, (text + vision) / total) if text and total else 1.0
        published = row["weights_bytes_confidence"].startswith(("seen", "computed, verified"))
        basis = f"catalogue: {stored:,} bytes"
        return Weights(int(stored * share), stored, basis, assumed=not published, encoder_bytes=encoders)
    if resident is None:
        return None
    if quantization.method in GROUPED and quantization.group_size and not encoders:
        return grouped(spec, resident)
    per_parameter = NVFP4_BYTES_PER_PARAMETER
    if quantization.bits == 8:
        per_parameter = FP8_BLOCK_BYTES_PER_PARAMETER if quantization.block else FP8_BYTES_PER_PARAMETER
    estimate = int((resident - encoders // 2) * per_parameter) + encoders
    basis = f"catalogue: {resident:,} parameters x {per_parameter} byte"
    return Weights(estimate, estimate, basis, assumed=True, encoder_bytes=encoders)


def entry(row: dict[str, str], configs: Path, sizes: dict[str, str]) -> ModelSpec:
    """The ModelSpec of one row.

    Raises:
        UnsupportedModelError: the config is not understood, or no size is known.
    """
    stem = row["hf_id"].replace("/", "__")
    config: dict[str, Any] = json.loads((configs / f"{stem}.json").read_text())
    if not config.get("architectures") and row["architecture"]:
        config["architectures"] = [row["architecture"]]
    if row["max_position_embeddings"] and not any(
        key in config for key in ("max_position_embeddings", "text_config", "n_positions", "seq_length")
    ):
        config["max_position_embeddings"] = int(row["max_position_embeddings"])
    side = configs / f"{stem}.hf_quant_config.json"
    quant_config = json.loads(side.read_text()) if side.exists() else None
    override = OVERRIDES.get(row["hf_id"])
    if override is not None:
        config["quantization_config"] = override["block"]
        if "like" in override:
            row = {**row, "weights_bytes": sizes[override["like"]], "weights_bytes_confidence": "of a sibling"}
    if row["hf_id"] in POSITIONS:
        config["max_position_embeddings"] = POSITIONS[row["hf_id"]][0]
    probe = Weights(0, 0, "")
    gated = {"yes": True, "no": False}.get(row["gated"])
    spec = parse(
        config,
        model_id=row["hf_id"],
        weights=probe,
        gated=gated,
        source="catalogue",
        quant_config=quant_config,
    )
    dtype_bytes = 4 if spec.dtype == "float32" else 2
    weights = weights_of(row, spec, dtype_bytes)
    if weights is None:
        raise UnsupportedModelError("weights", None, hint="no published size and no parameter count")
    notes: tuple[str, ...] = ()
    if row["config_kind"] in {"reconstructed", "fragment", "memory"}:
        notes = (f"config of the catalogue is {row['config_kind']}: {row['config_source'][:80]}",)
    if override is not None:
        notes = (*notes, f"quantisation is not in the public config: {override['source']}")
    return replace(spec, weights=weights, notes=(*spec.notes, *notes))


def check_kv(spec: ModelSpec, row: dict[str, str]) -> str | None:
    """Difference between the parsed cache width and the table's own count, in bytes per token at 16 bits."""
    expected = whole(row, "kv_bytes_per_token_16bit_all_layers")
    got = sum(g.count * g.kv_heads * (g.k_dim + g.v_dim) * 2 for g in spec.layers if g.kind != "index")
    if expected and expected != got:
        return f"{spec.model_id}: KV {got} bytes per token, table says {expected} ({row['kv_kind']})"
    return None


def build(configs: Path, facts: Path, date: str) -> str:
    """Text of the catalogue; what is refused or differs from the table goes to stderr. Unchanged, it keeps its date.

    Args:
        configs: folder of config.json files.
        facts: CSV with a row per model.
        date: today.

    Raises:
        InputError: a model of the table has no config in the folder.
    """
    with facts.open(newline="", encoding="utf-8") as handle:
        rows = sorted(csv.DictReader(handle), key=lambda row: row["hf_id"].lower())
    missing = [row["hf_id"] for row in rows if not (configs / f"{row['hf_id'].replace('/', '__')}.json").exists()]
    if missing:
        hint = f"hf download {missing[0]} config.json"
        raise InputError(f"{configs}: no config of {len(missing)} models: {', '.join(missing[:5])}", hint=hint)
    sizes = {row["hf_id"]: row["weights_bytes"] for row in rows}
    entries: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for row in rows:
        try:
            spec = entry(row, configs, sizes)
        except UnsupportedModelError as error:
            refused[row["hf_id"]] = f"{error}" + (f" ({error.hint})" if error.hint else "")
            continue
        if problem := check_kv(spec, row):
            print("differs:", problem, file=sys.stderr)
        entries[row["hf_id"]] = spec.to_dict()
    print(f"{len(entries)} models, {len(refused)} refused", file=sys.stderr)
    kept = json.loads(TARGET.read_text(encoding="utf-8"))
    same = (kept["models"], kept["refused"]) == (json.loads(json.dumps(entries)), refused)
    return _text(entries, refused, kept["date"] if same else date)


def _text(entries: dict[str, Any], refused: dict[str, str], date: str) -> str:
    models, reasons = (
        ",\n".join(f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in table.items())
        for table in (entries, refused)
    )
    return (
        '{\n  "_generated": "by tools/data/catalogue.py; do not edit",\n'
        f'  "date": "{date}",\n'
        '  "source": "public copies of config.json and of checkpoint indexes; derived facts only",\n'
        f'  "models": {{\n{models}\n  }},\n  "refused": {{\n{reasons}\n  }}\n}}\n'
    )
