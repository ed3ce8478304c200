"""What a model class implies that its config.json does not say.

One row per `architectures[0]` that vLLM serves as a generator and whose memory is understood here.
Sources: vLLM 0.33.0 `vllm/model_executor/models/registry.py` and the model files beside it, the parameter
counts of transformers 5.23.0 (read 2026-11-25). A class without a row is refused by name.
"""

from typing import Literal

from llm_serving_planner.base.records import record, replace

WindowRule = Literal["config", "opt-in", "alternate", "one-in-six", "one-in-four", "chunked-one-in-four"]
LayerRule = Literal[
    "alike", "encoder", "linear", "hybrid", "blocks", "cross", "flags", "parallel", "period", "latent-as-heads",
]  # fmt: skip


@record
class Architecture:
    """Traits of a model class.

    Attributes:
        gated_mlp: the MLP has three matrices (gate, up, down); otherwise two.
        tied: value of `tie_word_embeddings` where the config is silent.
        window: which layers keep a sliding window where `layer_types` is absent; opt-in asks for `use_sliding_window`.
        layers: how kinds of layers are told where no list names them (module `layers`).
        head_dim: the class's own head size where the config has none; None is hidden size by heads.
        one_head_each: as many KV heads as heads where the config is silent.
        multi_query: one KV head unless `multi_query` is false.
        four_hidden: the MLP is four times the hidden size where the config is silent.
        learned_positions: an embedding of positions, whole on every rank.
        indexer: sparse attention with an indexer and a cache of its keys.
        output_gate: a projection of the queries' size that gates the output of attention.
        state_field: the field that names the dtype of recurrent states; `state_default` where it is absent.
        float16: the engine accepts float16 for it (vLLM 0.33.0 `_FLOAT16_NOT_SUPPORTED_MODELS`).
        pooling: vectors (embed) or scores (classify), no text; `layers` encoder is attention both ways, uncached.
        multimodal: carries an encoder whose activations are not modelled exactly.
        until: last vLLM release that serves it (0.33.0 registry.py, _PREVIOUSLY_SUPPORTED_MODELS).
    """

    gated_mlp: bool = True
    tied: bool = False
    window: WindowRule = "config"
    layers: LayerRule = "alike"
    head_dim: int | None = None
    one_head_each: bool = False
    multi_query: bool = False
    four_hidden: bool = False
    learned_positions: bool = False
    indexer: bool = False
    output_gate: bool = False
    state_field: str | None = None
    state_default: str = "auto"
    float16: bool = True
    pooling: Literal["", "embed", "classify"] = ""
    multimodal: bool = False
    until: str | None = None


_PLAIN = Architecture()
_TIED = Architecture(tied=True)
_EACH = Architecture(one_head_each=True)
_MULTIMODAL = Architecture(multimodal=True)
_OPT_IN = Architecture(window="opt-in")
_OPT_IN_128 = Architecture(window="opt-in", head_dim=128)
_INDEXED = Architecture(indexer=True)
_GPT2 = Architecture(gated_mlp=False, tied=True, one_head_each=True, four_hidden=True, learned_positions=True)
_GEMMA3 = Architecture(tied=True, window="one-in-six", head_dim=256, float16=False)
_QWEN3_5 = Architecture(layers="linear", state_field="mamba_ssm_dtype", output_gate=True)
_NEMOTRON_H = Architecture(
    gated_mlp=False, layers="hybrid", state_field="mamba_ssm_cache_dtype", state_default="float32"
)

# bert.py, roberta.py, modernbert.py: no head over the vocabulary, so the embedding counts once
_ENCODER = Architecture(
    gated_mlp=False, tied=True, layers="encoder", one_head_each=True, learned_positions=True, pooling="embed"
)
_SCORES = replace(_ENCODER, pooling="classify")
_MODERN = replace(_ENCODER, gated_mlp=True, learned_positions=False)

ARCHITECTURES: dict[str, Architecture] = {
    "ApertusForCausalLM": Architecture(gated_mlp=False, one_head_each=True),
    "ArceeForCausalLM": Architecture(gated_mlp=False, one_head_each=True),
    "BaiChuanForCausalLM": Architecture(one_head_each=True, until="0.23.0"),
    "BaichuanForCausalLM": Architecture(one_head_each=True, until="0.23.0"),
    "BambaForCausalLM": Architecture(layers="hybrid", until="0.23.0"),
    "BertForSequenceClassification": _SCORES,
    "BertModel": _ENCODER,
    "BloomForCausalLM": Architecture(gated_mlp=False, tied=True, one_head_each=True, four_hidden=True),
    "ChatGLMForConditionalGeneration": _EACH,
    "ChatGLMModel": _EACH,
    "Cohere2ForCausalLM": Architecture(tied=True, window="one-in-four", one_head_each=True),
    "CohereForCausalLM": Architecture(tied=True, one_head_each=True),
    "CwmForCausalLM": Architecture(head_dim=128),
    "DeciLMForCausalLM": Architecture(layers="blocks"),
    "DeepseekForCausalLM": _EACH,
    "DeepseekV2ForCausalLM": _PLAIN,
    "DeepseekV32ForCausalLM": _INDEXED,
    "DeepseekV3ForCausalLM": _PLAIN,
    "Ernie4_5ForCausalLM": Architecture(tied=True, head_dim=128),
    "Ernie4_5_MoeForCausalLM": _TIED,
    "Exaone4ForCausalLM": _PLAIN,
    "ExaoneForCausalLM": _PLAIN,
    "FalconForCausalLM": Architecture(gated_mlp=False, tied=True, multi_query=True, four_hidden=True),
    "FalconH1ForCausalLM": Architecture(layers="parallel"),
    "GPT2LMHeadModel": _GPT2,
    "GPTBigCodeForCausalLM": Architecture(
        gated_mlp=False, tied=True, multi_query=True, four_hidden=True, learned_positions=True
    ),
    "GPTJForCausalLM": Architecture(gated_mlp=False, one_head_each=True, four_hidden=True),
    "GPTNeoXForCausalLM": Architecture(gated_mlp=False, one_head_each=True),
    "Gemma2ForCausalLM": Architecture(tied=True, window="alternate", head_dim=256, float16=False),
    "Gemma3ForCausalLM": _GEMMA3,
    "Gemma3ForConditionalGeneration": replace(_GEMMA3, multimodal=True),
    "Gemma3TextModel": replace(_GEMMA3, layers="encoder", pooling="embed"),
    "Gemma4ForCausalLM": Architecture(tied=True, layers="hybrid"),
    "Gemma4ForConditionalGeneration": Architecture(tied=True, layers="hybrid", multimodal=True),
    "GemmaForCausalLM": Architecture(tied=True, head_dim=256),
    "Glm4ForCausalLM": Architecture(head_dim=128, float16=False),
    "Glm4MoeForCausalLM": _PLAIN,
    "Glm4MoeLiteForCausalLM": _PLAIN,
    "GlmForCausalLM": Architecture(head_dim=128),
    "GlmMoeDsaForCausalLM": _INDEXED,
    "GptOssForCausalLM": Architecture(window="alternate", head_dim=64),
    "GraniteForCausalLM": _EACH,
    "GraniteMoeForCausalLM": _EACH,
    "GraniteMoeHybridForCausalLM": Architecture(layers="hybrid", one_head_each=True),
    "GraniteMoeSharedForCausalLM": _EACH,
    "HunYuanDenseV1ForCausalLM": _EACH,
    "IQuestCoderForCausalLM": _EACH,
    "InternLM2ForCausalLM": _PLAIN,
    "InternLM3ForCausalLM": Architecture(head_dim=128),
    "InternLMForCausalLM": Architecture(one_head_each=True, until="0.23.0"),
    "JambaForCausalLM": Architecture(layers="period"),
    "KimiK25ForConditionalGeneration": _MULTIMODAL,
    "LLaMAForCausalLM": _EACH,
    "LagunaForCausalLM": Architecture(head_dim=128),
    "Lfm2ForCausalLM": Architecture(tied=True, layers="hybrid"),
    "Llama4ForCausalLM": Architecture(window="chunked-one-in-four"),
    "Llama4ForConditionalGeneration": Architecture(window="chunked-one-in-four", multimodal=True),
    "LlamaForCausalLM": _EACH,
    "LlamaForSequenceClassification": replace(_EACH, tied=True, pooling="classify"),
    "LlamaModel": replace(_EACH, tied=True, pooling="embed"),
    "LlavaForConditionalGeneration": Architecture(one_head_each=True, multimodal=True),
    "MiMoForCausalLM": _OPT_IN,
    "MiMoV2FlashForCausalLM": Architecture(layers="flags"),
    "MiniCPM3ForCausalLM": Architecture(tied=True, layers="latent-as-heads", one_head_each=True),
    "MiniCPMForCausalLM": _TIED,
    "MiniMaxM2ForCausalLM": Architecture(head_dim=128),
    "Ministral3ForCausalLM": Architecture(head_dim=128),
    "Mistral3ForConditionalGeneration": _MULTIMODAL,
    "MistralForCausalLM": _PLAIN,
    "MistralModel": Architecture(tied=True, pooling="embed"),
    "MixtralForCausalLM": _PLAIN,
    "ModernBertForSequenceClassification": replace(_MODERN, pooling="classify"),
    "ModernBertModel": _MODERN,
    "MllamaForConditionalGeneration": Architecture(layers="cross", multimodal=True, until="0.10.2"),
    "MuseGlimmerForConditionalGeneration": Architecture(output_gate=True, multimodal=True),
    "NemotronForCausalLM": Architecture(gated_mlp=False, one_head_each=True),
    "NemotronHForCausalLM": _NEMOTRON_H,
    "OPTForCausalLM": Architecture(gated_mlp=False, tied=True, one_head_each=True, learned_positions=True),
    "Olmo2ForCausalLM": _EACH,
    "Olmo3ForCausalLM": Architecture(window="one-in-four", one_head_each=True),
    "OlmoForCausalLM": _EACH,
    "OlmoeForCausalLM": _EACH,
    "Phi3ForCausalLM": _EACH,
    "Phi3SmallForCausalLM": Architecture(tied=True, until="0.9.2"),
    "Phi3VForCausalLM": Architecture(one_head_each=True, multimodal=True),
    "PhiForCausalLM": Architecture(gated_mlp=False, one_head_each=True, four_hidden=True),
    "PhiMoEForCausalLM": _PLAIN,
    "QWenLMHeadModel": Architecture(one_head_each=True, until="0.23.0"),
    "Qwen2ForCausalLM": _OPT_IN,
    "Qwen2ForSequenceClassification": replace(_OPT_IN, tied=True, pooling="classify"),
    "Qwen2Model": replace(_OPT_IN, tied=True, pooling="embed"),
    "Qwen2MoeForCausalLM": _OPT_IN,
    "Qwen2VLForConditionalGeneration": replace(_OPT_IN, multimodal=True),
    "Qwen2_5_VLForConditionalGeneration": replace(_OPT_IN, multimodal=True),
    "Qwen3ForCausalLM": _OPT_IN_128,
    "Qwen3ForSequenceClassification": replace(_OPT_IN_128, tied=True, pooling="classify"),
    "Qwen3MoeForCausalLM": _OPT_IN,
    "Qwen3NextForCausalLM": Architecture(layers="linear", head_dim=256, output_gate=True),
    "Qwen3VLForConditionalGeneration": replace(_OPT_IN_128, multimodal=True),
    "Qwen3VLMoeForConditionalGeneration": replace(_OPT_IN_128, multimodal=True),
    "Qwen3_5ForCausalLM": _QWEN3_5,
    "Qwen3_5ForConditionalGeneration": replace(_QWEN3_5, multimodal=True),
    "Qwen3_5MoeForCausalLM": _QWEN3_5,
    "Qwen3_5MoeForConditionalGeneration": replace(_QWEN3_5, multimodal=True),
    "RobertaForSequenceClassification": _SCORES,
    "RobertaModel": _ENCODER,
    "SeedOssForCausalLM": Architecture(head_dim=128),
    "SmolLM3ForCausalLM": _TIED,
    "StableLmForCausalLM": _PLAIN,
    "Starcoder2ForCausalLM": Architecture(gated_mlp=False, tied=True),
    "XLMRobertaForSequenceClassification": _SCORES,
    "XLMRobertaModel": _ENCODER,
}

# Known by name and refused, each with its reason (vLLM 0.33.0 registry.py and the files named, read 2026-11-25).
NOT_MODELLED: dict[str, str] = {
    "BartForConditionalGeneration": "an encoder-decoder; vLLM 0.33.0 serves none but those for speech and documents",
    "DeepseekV4ForCausalLM": (
        "its layers cache every 4th or 128th token, compressor states and windows, in pages that "
        "vllm/models/deepseek_v4/attention.py aligns to each other (not verified)"
    ),
    "FalconMambaForCausalLM": "a model without attention",
    "KimiK3ForConditionalGeneration": "its mix of KDA and latent attention has no verified cache rule",
    "KimiLinearForCausalLM": "its mix of KDA and latent attention has no verified cache rule",
    "Mamba2ForCausalLM": "a model without attention",
    "MambaForCausalLM": "a model without attention",
    "MiniMaxM3ForCausalLM": "vLLM 0.33.0 has no such class (its own is MiniMaxM3SparseForCausalLM)",
    "MiniMaxM3SparseForCausalLM": "the cache of its sparse attention has no verified size rule",
    "RWForCausalLM": "the old name of Falcon, which vLLM 0.33.0 does not know",
    "Step3p7FlashForCausalLM": "vLLM 0.33.0 has no such class (its own is Step3p7ForConditionalGeneration)",
    "T5ForConditionalGeneration": "an encoder-decoder; vLLM 0.33.0 serves none but those for speech and documents",
    "WhisperForConditionalGeneration": "it transcribes speech: no chat, and its cross-attention cache is not sized",
}
