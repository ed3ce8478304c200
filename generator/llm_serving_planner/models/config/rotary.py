"""Tables of rotary positions that an engine keeps beside the weights, whole on every rank.

Lengths by kind of scaling from vLLM 0.25.1 and 0.33.0 `vllm/model_executor/layers/rotary_embedding/` (one file per
kind, read 2026-11-25). A model has one table per set of rope parameters; layers share it.
"""

from llm_serving_planner.models.config.fields import Config, optional
from llm_serving_planner.models.spec import Mla

_MROPE_FACTOR = 4  # mrope.py: positions of videos go beyond the text's
_FLOAT32_KINDS = ("deepseek_yarn",)  # deepseek_scaling_rope.py leaves the table in float32 for FlashInfer's kernel
_LONG = ("longrope", "su")  # phi3_long_rope_scaled_rope.py keeps the short and the long table
_FROM_ORIGINAL = ("yarn", "deepseek_yarn", "deepseek_llama_scaling")
_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


def elements(text: Config, config: Config, architecture: str, head_dim: int, mla: Mla | None) -> int:
    """Elements of all tables, counted at 16 bits.

    Raises:
        UnsupportedModelError: a length is no positive number.
    """
    rows = next((found for where in (text, config) if (found := optional(where, *_NAMES)) is not None), None)
    if rows is None:
        return 0
    width = mla.qk_rope if mla else head_dim
    total = 0
    for kind, entry in _entries(text, architecture):
        own = optional(text, "global_head_dim") if kind == "full_attention" else None
        total += _rows(text, entry, rows, latent=mla is not None) * int((own or width) * _share(text, entry, width))
    return total


def _entries(text: Config, architecture: str) -> list[tuple[str, Config]]:
    """(kind of layer, rope parameters) of every table."""
    rope = text.get("rope_parameters") or text.get("rope_scaling")
    rope = rope if isinstance(rope, dict) else {}
    nested = [(kind, entry) for kind, entry in rope.items() if isinstance(entry, dict)]
    found: list[tuple[str, Config]] = [*nested] if nested else [("", rope)]
    if not nested and architecture.startswith("Gemma3"):  # gemma3.py: window layers have a table without scaling
        found.append(("", {}))
    return found


def _share(text: Config, entry: Config, width: int) -> float:
    for where in (entry, text):
        for name in ("partial_rotary_factor", "rotary_pct"):
            value = where.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
                return float(value)
    dim = text.get("rotary_dim")  # gpt_j.py
    return min(dim / width, 1.0) if isinstance(dim, int) and not isinstance(dim, bool) and dim > 0 else 1.0


def _rows(text: Config, entry: Config, rows: int, *, latent: bool) -> int:
    kind = str(entry.get("rope_type", entry.get("type", "default")))
    if kind == "yarn" and latent:  # deepseek_v2.py renames it
        kind = "deepseek_yarn"
    given = entry.get("factor")
    factor = float(given) if isinstance(given, int | float) and not isinstance(given, bool) and given > 0 else 1.0
    original = optional(entry, "original_max_position_embeddings") or optional(text, "original_max_position_embeddings")
    if kind in _LONG:
        rows += original or 0
    elif kind == "linear":
        rows = int(rows * factor)
    elif kind in _FROM_ORIGINAL and original is not None:
        rows = int(original * factor)
    if "mrope_section" in entry:
        rows *= _MROPE_FACTOR
    return rows * (2 if kind in _FLOAT32_KINDS else 1)
