"""Run the parser over a folder of configs, compare with known figures, and keep what comes out.

    PYTHONPATH=tools python -m measure.coverage DIR [--known CSV] [--write]

DIR is a folder as `python -m data catalogue` takes it, with the configs of these models and of others. Only derived
facts are kept (`--write`): counts, refusals with their reason, disagreements. The configs stay where they are.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.catalogue import FACTS
from llm_serving_planner.base.errors import UnsupportedModelError
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.config.read import parse
from llm_serving_planner.models.spec import ModelSpec, Weights

TARGET = Path(__file__).parent.parent.parent / "docs" / "data" / "coverage.json"
SIDE = ".hf_quant_config.json"
PARAMETERS_WITHIN = 0.002  # biases and scales of single numbers are not counted
Row = dict[str, str]

# Disagreements that were looked into, with the reason why the parser's figure stays (read 2026-11-25).
EXPLAINED = {
    ("openbmb/MiniCPM3-4B", "kv_bytes"): "the table counts the latent; vLLM 0.33.0 minicpm3.py caches whole heads",
    ("microsoft/Phi-3-small-8k-instruct", "tied"): "the class's default where the field is absent is tied",
}


@dataclass
class Coverage:
    """What a run over a folder found."""

    configs: int = 0
    side_files: int = 0
    classes: dict[str, Counter[str]] = field(default_factory=dict)
    traits: Counter[str] = field(default_factory=Counter)
    quantisation: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, str]] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    differences: list[dict[str, str]] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Configs that became a ModelSpec."""
        return self.configs - len(self.refused)


def cover(folder: Path, known: dict[str, Row]) -> Coverage:
    """Parse every config of the folder."""
    found = Coverage()
    for path in sorted(folder.glob("*.json"), key=lambda path: path.name.lower()):
        if path.name.endswith(SIDE):
            found.side_files += 1
            continue
        found.configs += 1
        model_id = path.stem.replace("__", "/", 1)
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        name = str((config.get("architectures") or ["(none)"])[0])
        counts = found.classes.setdefault(name, Counter())
        side = path.with_name(path.stem + SIDE)
        quant_config = json.loads(side.read_text(encoding="utf-8")) if side.exists() else None
        try:
            spec = parse(
                config, model_id=model_id, weights=Weights(0, 0, ""), source="folder", quant_config=quant_config
            )
        except UnsupportedModelError as error:
            counts["refused"] += 1
            reason = error.hint or str(error)
            found.refused.append({"model": model_id, "field": error.field, "class": name, "reason": reason})
            continue
        counts["answered"] += 1
        found.traits.update(traits(spec))
        found.quantisation[formats.kind_of(spec.quantization) if spec.quantization else "none"] += 1
        if model_id in known:
            for what, parsed, expected in compare(spec, known[model_id], found.compared):
                why = EXPLAINED.get((model_id, what), "not explained")
                found.differences.append(
                    {"model": model_id, "what": what, "parsed": parsed, "known": expected, "why": why}
                )
    return found


def traits(spec: ModelSpec) -> Iterator[str]:
    """What is special in a model, one word each; a model may have several."""
    kinds = {group.kind for group in spec.layers}
    heads = {group.kv_heads for group in spec.layers if group.kind not in {"mla", "index"}}
    if kinds & {"mla"}:
        yield "latent attention (MLA)"
    elif heads == {1} and spec.num_attention_heads > 1:
        yield "one KV head (MQA)"
    elif heads == {spec.num_attention_heads}:
        yield "as many KV heads as heads (MHA)"
    else:
        yield "grouped KV heads (GQA)"
    yield "experts" if spec.moe else "dense"
    for present, name in (
        ("index" in kinds, "sparse attention with an indexer"),
        ("sliding" in kinds, "sliding window"),
        ("chunked" in kinds, "chunked attention"),
        (spec.recurrent is not None, "mamba, linear or convolution layers"),
        (spec.moe is not None and spec.moe.shared_intermediate > 0, "shared experts"),
        (spec.multimodal, "multimodal"),
        (spec.tied, "tied embeddings"),
    ):
        if present:
            yield name


def compare(spec: ModelSpec, row: Row, compared: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """Figures of the table that the parser does not reproduce: what, parsed, known."""
    caches = [group for group in spec.layers if group.kind != "index"]
    width = sum(g.count * g.kv_heads * (g.k_dim + g.v_dim) * 2 for g in caches)
    limit = spec.max_position or 0
    windowed = sum(
        g.count * g.kv_heads * (g.k_dim + g.v_dim) * 2 for g in caches if g.window is not None and g.window < limit
    )
    states = json.loads(row["recurrent_state_per_seq"] or "{}")
    checks: list[tuple[str, int | str | None, str]] = [
        ("kv_bytes", width, row["kv_bytes_per_token_16bit_all_layers"]),
        ("kv_windowed_bytes", windowed, row["kv_bytes_per_token_16bit_windowed"]),
        ("layers_with_state", spec.recurrent.count if spec.recurrent else 0, str(states.get("layers", ""))),
        ("tied", str(spec.tied), row["tie_effective"]),
        ("experts", spec.moe.experts if spec.moe else None, row["num_experts"]),
    ]
    for what, parsed, expected in checks:
        if expected:
            compared[what] += 1
            if str(parsed) != expected:
                yield what, str(parsed), expected
    if states and spec.recurrent:
        compared["state_bytes"] += 1
        allowed = {width * states["ssm_elems"] + 2 * states["conv_elems"] for width in (2, 4)}
        if spec.recurrent.state_bytes not in allowed:
            yield "state_bytes", str(spec.recurrent.state_bytes), " or ".join(str(size) for size in sorted(allowed))
    yield from compare_parameters(spec, row, compared)


def compare_parameters(spec: ModelSpec, row: Row, compared: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """The text model's parameters, where the table has them or has a total and the encoder's."""
    expected = int(row["params_text_formula"] or 0)
    if not expected and row["params_transformers_meta"]:
        expected = int(row["params_transformers_meta"]) - int(row["vision_params"] or 0)
    if expected:
        compared["parameters"] += 1
        if abs(spec.parameters - expected) > PARAMETERS_WITHIN * expected:
            yield "parameters", str(spec.parameters), str(expected)


def as_data(found: Coverage, date: str) -> dict[str, Any]:
    """Plain data in a stable order."""
    return {
        "_generated": "by tools/measure/coverage.py; do not edit",
        "date": date,
        "configs": found.configs,
        "side_files": found.side_files,
        "answered": found.answered,
        "classes": {name: dict(sorted(found.classes[name].items())) for name in sorted(found.classes)},
        "traits": dict(sorted(found.traits.items())),
        "quantisation": dict(sorted(found.quantisation.items())),
        "compared": dict(sorted(found.compared.items())),
        "refused": found.refused,
        "differences": found.differences,
    }


def main() -> int:
    """Print the table; 1 when a difference is not explained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--known", type=Path, default=FACTS, help="CSV of known figures (default: tools/data/models.csv)"
    )
    parser.add_argument("--write", action="store_true", help=f"keep the result in {TARGET.name}")
    options = parser.parse_args()
    with options.known.open(newline="", encoding="utf-8") as handle:
        known: dict[str, Row] = {row["hf_id"]: row for row in csv.DictReader(handle)}
    found = cover(options.folder, known)
    for name, counts in sorted(found.classes.items()):
        print(f"{name:45} answered {counts['answered']:3}  refused {counts['refused']:3}")
    for refusal in found.refused:
        print(f"refused   {refusal['model']}: {refusal['field']} ({refusal['class']}): {refusal['reason']}")
    for entry in found.differences:
        print(f"differs   {entry['model']}: {entry['what']} {entry['parsed']}, known {entry['known']}: {entry['why']}")
    share = 100 * found.answered / found.configs if found.configs else 0.0
    print(f"{found.answered} of {found.configs} answered ({share:.1f} %), compared: {dict(found.compared)}")
    if options.write:
        data = as_data(found, datetime.now(UTC).date().isoformat())
        TARGET.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return 1 if any(entry["why"] == "not explained" for entry in found.differences) else 0


if __name__ == "__main__":
    sys.exit(main())
