"""LoRA adapters, their slots in the engine, and draft models: plain types."""

from llm_serving_planner.base.records import record
from llm_serving_planner.models.spec import LayerGroup, ModelSpec


@record
class Adapter:
    """One adapter: a hub id (with revision) or an absolute path inside the container; `rank` is 0 where unknown."""

    name: str
    id: str = ""
    revision: str = ""
    path: str = ""
    rank: int = 0


@record
class Slots:
    """What the engine makes room for: `loras` adapters of `rank` in a batch, `cpu` in host memory."""

    loras: int
    rank: int
    cpu: int
    embeddings: bool = True


@record
class Draft:
    """What drafts.

    Attributes:
        method: vLLM's name of it.
        tokens: drafted per step.
        id, revision, path: where the draft model is; all empty where there is none of its own (ngram, mtp).
        spec: an independent draft model, sized like any model.
        head_bytes: weights of a head or prediction layers, held whole by every rank.
        layers: layers with a cache of their own.
        file_bytes: what is downloaded besides the model.
    """

    method: str
    tokens: int
    id: str = ""
    revision: str = ""
    path: str = ""
    spec: ModelSpec | None = None
    head_bytes: int = 0
    layers: tuple[LayerGroup, ...] = ()
    file_bytes: int = 0
    hidden_size: int | None = None
    gated: bool = False
