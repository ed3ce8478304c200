"""Build the embedded catalogue from model configs and a table of published facts.

    python tools/build_catalogue.py --models models.csv --configs DIR

DIR holds `<org>__<name>.json` files (config.json) and `<org>__<name>.hf_quant_config.json`. Only derived facts
are written: dimensions, bytes, gated flag. The configs themselves have licences of their own and stay outside.
"""

import argparse
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_serving.errors import UnsupportedModelError
from llm_serving.model import ModelSpec, Quantization, Weights
from llm_serving.parse import parse

TARGET = Path(__file__).parent.parent / "generator" / "llm_serving" / "data" / "catalogue.json"
READ_ON = "2026-11-22"
# ModelOpt NVFP4: 4 bits per weight plus one fp8 scale per 16 weights; attention, router, embedding and head
# mostly stay at 16 bits. 0.62 byte per parameter is an assumption, and marked as one in every plan.
NVFP4_BYTES_PER_PARAMETER = 0.62
# FP8 without a published size, assumptions on the safe side: block checkpoints keep little but the embedding at 16
# bits; the others often keep attention there too (Llama-3.1-405B-Instruct-FP8: 330 of 406 billion weights are FP8).
FP8_BLOCK_BYTES_PER_PARAMETER = 1.05
FP8_BYTES_PER_PARAMETER = 1.2


def whole(row: dict[str, str], key: str) -> int | None:
    """A cell as int, None when empty."""
    return int(float(row[key])) if row[key] else None


def weights_of(row: dict[str, str], quantization: Quantization | None, dtype_bytes: int) -> Weights | None:
    """Loaded and stored bytes of one row, the published figure first."""
    text, total = whole(row, "params_text_formula"), whole(row, "params_best")
    meta, stored = whole(row, "params_transformers_meta"), whole(row, "weights_bytes")
    resident = meta or text or total
    if quantization is None:
        if resident is None:
            return None
        file_bytes = stored or (total or resident) * dtype_bytes
        return Weights(2 * resident, file_bytes, f"catalogue: {resident:,} parameters x 2 bytes")
    if stored is not None:
        share = min(1.0, text / total) if text and total and total > text else 1.0
        published = row["weights_bytes_confidence"].startswith(("seen", "computed, verified"))
        return Weights(int(stored * share), stored, f"catalogue: {stored:,} bytes", assumed=not published)
    if resident is None:
        return None
    per_parameter = NVFP4_BYTES_PER_PARAMETER
    if quantization.bits == 8:
        per_parameter = FP8_BLOCK_BYTES_PER_PARAMETER if quantization.block else FP8_BYTES_PER_PARAMETER
    estimate = int(resident * per_parameter)
    return Weights(estimate, estimate, f"catalogue: {resident:,} parameters x {per_parameter} byte", assumed=True)


def entry(row: dict[str, str], configs: Path) -> ModelSpec:
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
    config["tie_word_embeddings"] = row["tie_effective"] == "True"
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
    weights = weights_of(row, spec.quantization, dtype_bytes)
    if weights is None:
        raise UnsupportedModelError("weights", None, hint="no published size and no parameter count")
    notes: tuple[str, ...] = ()
    if row["config_kind"] in {"reconstructed", "fragment", "memory"}:
        notes = (f"config of the catalogue is {row['config_kind']}: {row['config_source'][:80]}",)
    return replace(spec, weights=weights, notes=notes)


def check_kv(spec: ModelSpec, row: dict[str, str]) -> str | None:
    """Difference between the parsed cache width and the table's own count, in bytes per token at 16 bits."""
    expected = whole(row, "kv_bytes_per_token_16bit_all_layers")
    got = sum(g.count * g.kv_heads * (g.k_dim + g.v_dim) * 2 for g in spec.layers)
    if expected and expected != got:
        return f"{spec.model_id}: KV {got} bytes per token, table says {expected} ({row['kv_kind']})"
    return None


def main() -> None:
    """Write the catalogue and report what was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--configs", type=Path, required=True)
    options = parser.parse_args()
    with options.models.open(newline="", encoding="utf-8") as handle:
        rows = sorted(csv.DictReader(handle), key=lambda row: row["hf_id"].lower())
    entries: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for row in rows:
        try:
            spec = entry(row, options.configs)
        except UnsupportedModelError as error:
            refused[row["hf_id"]] = f"{error}" + (f" ({error.hint})" if error.hint else "")
            continue
        if problem := check_kv(spec, row):
            print("differs:", problem, file=sys.stderr)
        entries[row["hf_id"]] = spec.to_dict()
    lines = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in entries.items()]
    refused_lines = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in refused.items()]
    TARGET.write_text(
        '{\n  "_generated": "by tools/build_catalogue.py; do not edit",\n'
        f'  "date": "{READ_ON}",\n'
        '  "source": "public copies of config.json and of checkpoint indexes; derived facts only",\n'
        '  "models": {\n' + ",\n".join(lines) + '\n  },\n  "refused": {\n' + ",\n".join(refused_lines) + "\n  }\n}\n",
        encoding="utf-8",
    )
    print(f"{len(entries)} models, {len(refused)} refused", file=sys.stderr)
    for key, reason in refused.items():
        print(f"refused: {key}: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
