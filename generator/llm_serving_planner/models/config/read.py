"""config.json -> ModelSpec: pure reading, with every unknown refused by the name of its field.

Field names and class defaults follow the model classes of transformers 5.23.0 and vLLM 0.33.0
(read 2026-11-25). Nothing is guessed: a field that sizing needs and that is neither given nor implied by the
model class ends in UnsupportedModelError. Layers are read in `layers`, experts in `experts`.
"""

from llm_serving_planner.base.errors import UnsupportedModelError
from llm_serving_planner.base.records import replace
from llm_serving_planner.models.architectures import ARCHITECTURES, NOT_MODELLED, Architecture
from llm_serving_planner.models.config.encoder import encoder
from llm_serving_planner.models.config.experts import moe
from llm_serving_planner.models.config.fields import Config, defaulted, optional, positive, text_config
from llm_serving_planner.models.config.layers import blocks_of, layer_groups, num_layers, recurrent
from llm_serving_planner.models.config.parameters import count
from llm_serving_planner.models.config.quantization import parse_quantization
from llm_serving_planner.models.config.rotary import elements
from llm_serving_planner.models.spec import Mla, ModelSpec, Weights

_MOST_ROPE_FACTOR = 10_000
_DTYPES = ("float16", "bfloat16", "float32")


def parse(
    config: Config,
    *,
    model_id: str,
    weights: Weights,
    revision: str | None = None,
    gated: bool | None = None,
    source: str,
    quant_config: Config | None = None,
) -> ModelSpec:
    """Build the ModelSpec of a checkpoint.

    Args:
        config: config.json as a mapping.
        model_id: hub id or folder.
        weights: sizes of the checkpoint (bytes).
        revision: commit, when known.
        gated: the hub's flag, None when unknown.
        source: where the facts come from, for the plan.
        quant_config: hf_quant_config.json or quantize_config.json, where the checkpoint has one.

    Raises:
        UnsupportedModelError: a field is missing, contradictory or not understood.
    """
    architecture, traits = _architecture(config)
    text = text_config(config)
    hidden = positive(text, "hidden_size", "n_embd", "d_model", "n_embed")
    heads = positive(text, "num_attention_heads", "n_head", "num_heads")
    layers = num_layers(text)
    mla = _mla(text, traits)
    head_dim = _head_dim(text, hidden, heads, traits)
    kv_heads = _kv_heads(text, heads, architecture, traits)
    spec = ModelSpec(
        model_id=model_id,
        revision=revision,
        gated=gated,
        source=source,
        architecture=architecture,
        dtype=_dtype(config, text),
        hidden_size=hidden,
        num_layers=layers,
        num_attention_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=_intermediate(text, hidden, architecture),
        vocab_size=optional(text, "padded_vocab_size") or positive(text, "vocab_size"),
        max_position=_max_position(text, config),
        tied=_tied(text, traits),
        layers=layer_groups(text, layers, kv_heads, head_dim, mla, traits),
        weights=weights,
        recurrent=None if mla or traits.layers == "latent-as-heads" else recurrent(text, layers, traits),
        moe=moe(text, layers, traits),
        mla=mla,
        quantization=parse_quantization(config, text, quant_config),
        multimodal=traits.multimodal,
        remote_code="auto_map" in config and str(config.get("model_type")) in _REMOTE_CODE_TYPES,
        learned_positions=(_max_position(text, config) or 0) if traits.learned_positions else 0,
        encoder=encoder(config, text) if traits.multimodal else None,
        labels=_labels(config) if traits.pooling == "classify" else 0,
        rotary_elements=0 if traits.learned_positions else elements(text, config, architecture, head_dim, mla),
        notes=_notes(config),
    )
    return replace(spec, parameters=count(text, spec, traits), max_position=_usable_positions(text, spec))


def _usable_positions(text: Config, spec: ModelSpec) -> int | None:
    """Positions for tokens: those of RoBERTa begin after the padding's (roberta.py:RobertaEmbedding)."""
    if "Roberta" not in spec.architecture or spec.max_position is None:
        return spec.max_position
    return spec.max_position - (optional(text, "pad_token_id") or 1) - 1


# Classes whose tokenizer or config has no copy in transformers: the engine needs --trust-remote-code.
_REMOTE_CODE_TYPES = frozenset({"qwen", "chatglm", "baichuan", "phi3small", "minicpm3", "nemotron-nas"})


def _architecture(config: Config) -> tuple[str, Architecture]:
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise UnsupportedModelError("architectures", names, hint="the file must name the model class")
    name = names[0]
    if name in NOT_MODELLED:
        raise UnsupportedModelError("architectures", name, hint=f"not sized yet: {NOT_MODELLED[name]}")
    if name not in ARCHITECTURES:
        raise UnsupportedModelError(
            "architectures", name, hint="`llm-serving models` lists what is known; nothing is guessed"
        )
    return name, ARCHITECTURES[name]


def _labels(config: Config) -> int:
    """Scores of a classifying head: `num_labels` or the names of the labels; two as transformers' PretrainedConfig."""
    given = optional(config, "num_labels")
    names = config.get("id2label")
    return given or (len(names) if isinstance(names, dict) and names else 2)


def _notes(config: Config) -> tuple[str, ...]:
    names = defaulted(config)
    if not names:
        return ()
    return (f"config.json leaves out {', '.join(names)}: the defaults of its text model's class stand in",)


def _dtype(config: Config, text: Config) -> str | None:
    for where in (text, config):
        for key in ("torch_dtype", "dtype"):
            value = where.get(key)
            if value is None or value == "auto":
                continue
            name = value.removeprefix("torch.") if isinstance(value, str) else value
            if name not in _DTYPES:
                raise UnsupportedModelError(key, value, hint="float16, bfloat16 or float32 is expected")
            return str(name)
    return None


def _tied(text: Config, traits: Architecture) -> bool:
    value = text.get("tie_word_embeddings")
    if value is None or traits.pooling:  # no head over the vocabulary
        return traits.tied
    if not isinstance(value, bool):
        raise UnsupportedModelError("tie_word_embeddings", value, hint="true or false is expected")
    return value


def _head_dim(text: Config, hidden: int, heads: int, traits: Architecture) -> int:
    given = optional(text, "head_dim", "attention_head_dim", "kv_channels") or traits.head_dim
    if given is not None:
        return given
    if hidden % heads and optional(text, "kv_lora_rank") is None:
        raise UnsupportedModelError("head_dim", None, hint=f"{heads} heads do not divide a hidden size of {hidden}")
    return hidden // heads


def _kv_heads(text: Config, heads: int, architecture: str, traits: Architecture) -> int:
    if architecture == "FalconForCausalLM" and text.get("new_decoder_architecture"):
        return optional(text, "num_kv_heads", "n_head_kv") or heads
    if traits.multi_query:  # falcon.py, transformers GPTBigCodeConfig: one head unless switched off
        switch = text.get("multi_query", True)
        if not isinstance(switch, bool):
            raise UnsupportedModelError("multi_query", switch, hint="true or false is expected")
        return 1 if switch else heads
    if text.get("multi_query_attention"):
        return positive(text, "multi_query_group_num")
    if traits.layers == "blocks":
        counts = [n for block in blocks_of(text) if (n := optional(block["attention"], "n_heads_in_group"))]
        groups = {heads // count for count in counts}
        if len(groups) != 1:
            raise UnsupportedModelError("block_configs", "n_heads_in_group", hint="one number for all blocks is known")
        return groups.pop()
    given = optional(text, "num_key_value_heads", "num_kv_heads", "n_head_kv")
    if given is None and not traits.one_head_each:
        if optional(text, "kv_lora_rank") is not None:
            return heads
        raise UnsupportedModelError(
            "num_key_value_heads", None, hint="the field is missing, and the class implies no number"
        )
    return given or heads


def _intermediate(text: Config, hidden: int, architecture: str) -> int:
    if ARCHITECTURES[architecture].layers == "blocks":
        widest = max(float(block["ffn"].get("ffn_mult") or 0) for block in blocks_of(text))
        return -(-int(2 * widest * hidden / 3) // 256) * 256
    if architecture == "QWenLMHeadModel":  # the config gives gate and up together
        return positive(text, "intermediate_size") // 2
    given = optional(text, "ffn_hidden_size", "intermediate_size_mlp", "ff_intermediate_size")
    given = given or optional(text, "intermediate_size", "n_inner", "ffn_dim", "moe_intermediate_size")
    if given is None and ARCHITECTURES[architecture].four_hidden:
        return 4 * hidden
    if given is None:
        raise UnsupportedModelError("intermediate_size", None, hint="the field is missing")
    return given


def _max_position(text: Config, config: Config) -> int | None:
    for where in (text, config):
        value = optional(where, "max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
        if value is not None:
            return _with_rope_factor(text, str(config.get("model_type")), value)
    return None


# Rope kinds whose max_position_embeddings is the scaled one already (vLLM 0.33.0 config/model.py:
# _get_and_verify_max_len, read 2026-11-25; earlier releases multiplied the original length of yarn, never less).
_SCALED_ALREADY = frozenset({"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"})


def _with_rope_factor(text: Config, model_type: str, value: int) -> int:
    """Context after rope scaling, as the engine derives it; kinds of layers may have rope parameters of their own."""
    rope = text.get("rope_parameters") or text.get("rope_scaling")
    if rope is None or rope == {} or "gemma3" in model_type:  # Gemma 3's length is scaled already, whatever the kind
        return value
    if not isinstance(rope, dict):
        raise UnsupportedModelError("rope_scaling", rope, hint="a mapping is expected")
    nested = [entry for entry in rope.values() if isinstance(entry, dict)]
    factor: float = 1
    for entry in nested or [rope]:
        kind, given = entry.get("rope_type", entry.get("type", "default")), entry.get("factor")
        if str(kind) in _SCALED_ALREADY or given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < _MOST_ROPE_FACTOR:
            raise UnsupportedModelError("rope_scaling.factor", given, hint="a positive number is expected")
        factor = given
    return int(value * factor)


def _mla(text: Config, traits: Architecture) -> Mla | None:
    rank = optional(text, "kv_lora_rank")
    if rank is None or traits.layers == "latent-as-heads":
        return None
    return Mla(
        kv_lora_rank=rank,
        q_lora_rank=optional(text, "q_lora_rank") or 0,
        qk_rope=positive(text, "qk_rope_head_dim"),
        qk_nope=positive(text, "qk_nope_head_dim"),
        v_dim=positive(text, "v_head_dim"),
        indexer=_indexer(text) if traits.indexer else 0,
    )


def _indexer(text: Config) -> int:
    """Parameters of one indexer (deepseek_v2.py:Indexer): queries from their latent, keys and head weights."""
    heads, dim = positive(text, "index_n_heads"), positive(text, "index_head_dim")
    return positive(text, "q_lora_rank") * heads * dim + positive(text, "hidden_size") * (dim + heads) + 2 * dim
