"""What the planner knows of a model: plain facts, no I/O.

`ModelSpec` is the one form of a model between its sources (hub, folder, catalogue) and the planner.
Bytes are integers; counts are per model, not per GPU.
"""

from typing import Any, Literal

from llm_serving_planner.base.records import asdict, record, replace

LayerKind = Literal["full", "sliding", "chunked", "mla", "index"]


@record
class LayerGroup:
    """Attention layers that cache alike.

    `kv_heads` heads of `k_dim` + `v_dim` elements per token and layer; for kind `mla` one latent of `k_dim`
    elements (kv_lora_rank + qk_rope_head_dim) and `v_dim` 0; for kind `index` the keys of a sparse attention's
    indexer, `k_dim` bytes whatever the cache's dtype. `window` is in tokens, None = unbounded.
    """

    kind: LayerKind
    count: int
    kv_heads: int
    k_dim: int
    v_dim: int
    window: int | None = None


@record
class Recurrent:
    """State of `count` mamba or linear-attention layers, in bytes per sequence for all layers together.

    `group_parameters` of all layers belong to `groups` groups of heads: a rank keeps at least one group whole.
    """

    count: int
    state_bytes: int
    groups: int = 0
    group_parameters: int = 0


@record
class Moe:
    """Mixture-of-experts part: `layers` of the layers hold `experts`, `top_k` of them active per token."""

    layers: int
    experts: int
    top_k: int
    intermediate: int
    shared_intermediate: int = 0


@record
class Mla:
    """Multi-head latent attention; `q_lora_rank` 0 means that queries are not compressed.

    `indexer` is the number of parameters of one indexer of sparse attention, 0 without.
    """

    kv_lora_rank: int
    q_lora_rank: int
    qk_rope: int
    qk_nope: int
    v_dim: int
    indexer: int = 0


@record
class Quantization:
    """How the checkpoint's linear weights are stored. `method` in vLLM's spelling, `bits` per weight.

    `scheme` tells the formats of compressed-tensors apart (wna16, w8a8-fp8 ...), None for other methods.
    """

    method: str
    bits: int
    group_size: int | None = None
    block: tuple[int, int] | None = None
    kv_fp8: bool = False
    scheme: str | None = None


@record
class Encoder:
    """Encoder of images and videos.

    Attributes:
        layers, hidden, intermediate: its transformer; `intermediate` is gate and up together where it has both.
        patch_elements: pixels of one patch, all channels and frames.
        patches_per_token: patches that become one token of the text model.
        deepstack: layers whose outputs go into the text model beside the last one's.
        items: (kind, tokens) of the largest item of each kind.
        video_pairs: as many of a video's largest pairs of frames are taken as the context holds.
        two_way: tokens of an item see each other both ways, so that an item is never cut between steps.
    """

    layers: int
    hidden: int
    intermediate: int
    patch_elements: int
    patches_per_token: int
    deepstack: int
    items: tuple[tuple[str, int], ...]
    video_pairs: int = 1
    two_way: bool = False

    def largest_item(self, max_model_len: int, without: tuple[str, ...] = ()) -> int:
        """Tokens of the largest item of a prompt; kinds in `without` are not taken. 0 where none is."""
        found = 0
        for kind, tokens in self.items:
            if kind not in without:
                pairs = max(1, min(self.video_pairs, max_model_len // tokens)) if kind == "video" else 1
                found = max(found, pairs * tokens)
        return found


@record
class Weights:
    """Sizes of the checkpoint.

    Attributes:
        loaded_bytes: what the engine keeps on the GPUs at 16-bit (or the checkpoint's quantised) width,
            all ranks together, without multi-token-prediction layers and second copies of a tied head.
        file_bytes: what is downloaded and kept on disk.
        basis: how the two are known ("safetensors headers", "index", "catalogue: ...").
        assumed: a rule of thumb stands in for a published figure.
        encoder_bytes: the part of `loaded_bytes` that belongs to encoders of images or sound.
    """

    loaded_bytes: int
    file_bytes: int
    basis: str
    assumed: bool = False
    encoder_bytes: int = 0


# Fields that are left out of plain data where they are 0.
_ZERO_IS_NONE = (
    ("weights", "encoder_bytes"),
    ("mla", "indexer"),
    ("recurrent", "groups"),
    ("recurrent", "group_parameters"),
)


@record
class ModelSpec:
    """All that sizing needs to know of one model.

    `learned_positions` is the number of rows of a position embedding, 0 where positions are rotated;
    `rotary_elements` the size of the tables that rotation needs, at 16 bits; `parameters` is what the dimensions of
    the text model make, a check of the weights and never their source. `labels` is the number of scores that a
    classifying head gives, 0 without such a head.
    """

    model_id: str
    revision: str | None
    gated: bool | None
    source: str
    architecture: str
    dtype: str | None
    hidden_size: int
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    max_position: int | None
    tied: bool
    layers: tuple[LayerGroup, ...]
    weights: Weights
    recurrent: Recurrent | None = None
    moe: Moe | None = None
    mla: Mla | None = None
    quantization: Quantization | None = None
    multimodal: bool = False
    remote_code: bool = False
    learned_positions: int = 0
    rotary_elements: int = 0
    parameters: int = 0
    labels: int = 0
    encoder: Encoder | None = None
    notes: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """By the fields in which models of one name differ: a plan asks for the same model's shares again and again."""
        return hash((self.model_id, self.num_layers, self.weights.loaded_bytes))

    @property
    def short_name(self) -> str:
        """Last part of the model id, as people call the model."""
        return self.model_id.rstrip("/").rsplit("/", 1)[-1]

    @property
    def mxfp4(self) -> bool:
        """Experts in MXFP4, whose kernels keep buffers of their own."""
        return self.quantization is not None and self.quantization.method == "mxfp4"

    @property
    def attention_layers(self) -> int:
        """Number of layers that keep a KV cache."""
        return sum(group.count for group in self.layers if group.kind != "index")

    @property
    def hybrid(self) -> bool:
        """More than one kind of cache: windows, recurrent state."""
        if self.recurrent is not None or len(self.layers) < 2:
            return self.recurrent is not None
        return len([group for group in self.layers if group.kind != "index"]) > 1

    def text_only(self) -> "ModelSpec":
        """The model without its encoders, as `--language-model-only` serves it."""
        weights = replace(
            self.weights, loaded_bytes=self.weights.loaded_bytes - self.weights.encoder_bytes, encoder_bytes=0
        )
        return replace(self, multimodal=False, weights=weights, encoder=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the catalogue and for JSON output."""
        data = {key: value for key, value in asdict(self).items() if value is not None and value != ()}
        if data.get("quantization", {}).get("scheme", "") is None:
            del data["quantization"]["scheme"]
        for part, key in _ZERO_IS_NONE:
            if data.get(part, {}).get(key) == 0:
                del data[part][key]
        for key in ("learned_positions", "rotary_elements", "labels"):
            if not data[key]:
                del data[key]
        return data


def spec_from_dict(data: dict[str, Any]) -> ModelSpec:
    """Inverse of `ModelSpec.to_dict` (a law that the tests hold it to).

    Raises:
        KeyError, TypeError: the data were not written by `to_dict`.
    """
    fields = dict(data)
    for optional in ("revision", "gated", "dtype", "max_position"):
        fields.setdefault(optional, None)
    fields["layers"] = tuple(LayerGroup(**group) for group in fields.get("layers", ()))
    fields["weights"] = Weights(**fields["weights"])
    nested: tuple[tuple[str, type], ...] = (("recurrent", Recurrent), ("moe", Moe), ("mla", Mla))
    for key, kind in nested:
        if fields.get(key) is not None:
            fields[key] = kind(**fields[key])
    if fields.get("encoder") is not None:
        held = dict(fields["encoder"])
        held["items"] = tuple((kind, tokens) for kind, tokens in held["items"])
        fields["encoder"] = Encoder(**held)
    if fields.get("quantization") is not None:
        quantization = dict(fields["quantization"])
        if quantization.get("block") is not None:
            quantization["block"] = tuple(quantization["block"])
        fields["quantization"] = Quantization(**quantization)
    fields["notes"] = tuple(fields.get("notes", ()))
    return ModelSpec(**fields)
