"""What a model class implies that its config.json does not say.

One row per `architectures[0]` that vLLM serves as a generator and whose memory is understood here.
Sources: vLLM 0.33.0 `vllm/model_executor/models/registry.py` and the model files beside it, the parameter
counts of transformers 5.23.0 (read 2026-11-22). A class without a row is refused by name.
"""

from dataclasses import dataclass
from typing import Literal

WindowRule = Literal["config", "alternate", "one-in-six", "one-in-four", "chunked-one-in-four", "never"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """Traits of a model class.

    Attributes:
        gated_mlp: the MLP has three matrices (gate, up, down); otherwise two.
        tied: value of `tie_word_embeddings` where the config is silent.
        window: which layers keep a sliding window where `layer_types` is absent.
        float16: the engine accepts float16 for it (vLLM 0.33.0 `_FLOAT16_NOT_SUPPORTED_MODELS`).
        multimodal: carries an encoder whose activations are not modelled exactly.
        until: last vLLM release that serves it (0.33.0 registry.py, _PREVIOUSLY_SUPPORTED_MODELS).
    """

    gated_mlp: bool = True
    tied: bool = False
    window: WindowRule = "config"
    float16: bool = True
    multimodal: bool = False
    until: str | None = None


_PLAIN = Architecture()
_TIED = Architecture(tied=True)
_TWO_MATRICES = Architecture(gated_mlp=False)
_TWO_MATRICES_TIED = Architecture(gated_mlp=False, tied=True)
_MULTIMODAL = Architecture(multimodal=True)

ARCHITECTURES: dict[str, Architecture] = {
    "ApertusForCausalLM": _TWO_MATRICES,
    "ArceeForCausalLM": _TWO_MATRICES,
    "BaiChuanForCausalLM": Architecture(until="0.23.0"),
    "BaichuanForCausalLM": Architecture(until="0.23.0"),
    "BloomForCausalLM": _TWO_MATRICES_TIED,
    "ChatGLMForConditionalGeneration": _PLAIN,
    "ChatGLMModel": _PLAIN,
    "Cohere2ForCausalLM": Architecture(tied=True, window="one-in-four"),
    "CohereForCausalLM": _TIED,
    "DeciLMForCausalLM": _PLAIN,
    "DeepseekForCausalLM": _PLAIN,
    "DeepseekV2ForCausalLM": _PLAIN,
    "DeepseekV32ForCausalLM": _PLAIN,
    "DeepseekV3ForCausalLM": _PLAIN,
    "Ernie4_5ForCausalLM": _TIED,
    "Ernie4_5_MoeForCausalLM": _TIED,
    "Exaone4ForCausalLM": _PLAIN,
    "ExaoneForCausalLM": _PLAIN,
    "FalconForCausalLM": _TWO_MATRICES_TIED,
    "GPT2LMHeadModel": _TWO_MATRICES_TIED,
    "GPTBigCodeForCausalLM": _TWO_MATRICES_TIED,
    "GPTJForCausalLM": _TWO_MATRICES,
    "GPTNeoXForCausalLM": _TWO_MATRICES,
    "Gemma2ForCausalLM": Architecture(tied=True, window="alternate", float16=False),
    "Gemma3ForCausalLM": Architecture(tied=True, window="one-in-six", float16=False),
    "Gemma3ForConditionalGeneration": Architecture(tied=True, window="one-in-six", float16=False, multimodal=True),
    "Gemma4ForCausalLM": _TIED,
    "Gemma4ForConditionalGeneration": Architecture(tied=True, multimodal=True),
    "GemmaForCausalLM": _TIED,
    "Glm4ForCausalLM": Architecture(float16=False),
    "Glm4MoeForCausalLM": _PLAIN,
    "Glm4MoeLiteForCausalLM": _PLAIN,
    "GlmForCausalLM": _PLAIN,
    "GlmMoeDsaForCausalLM": _PLAIN,
    "GptOssForCausalLM": _PLAIN,
    "GraniteForCausalLM": _PLAIN,
    "GraniteMoeForCausalLM": _TIED,
    "GraniteMoeHybridForCausalLM": _TIED,
    "InternLM2ForCausalLM": _PLAIN,
    "InternLM3ForCausalLM": _PLAIN,
    "KimiK25ForConditionalGeneration": _MULTIMODAL,
    "LagunaForCausalLM": _PLAIN,
    "Llama4ForCausalLM": Architecture(window="chunked-one-in-four"),
    "Llama4ForConditionalGeneration": Architecture(window="chunked-one-in-four", multimodal=True),
    "LlamaForCausalLM": _PLAIN,
    "LlavaForConditionalGeneration": _MULTIMODAL,
    "MiMoForCausalLM": _PLAIN,
    "MiniCPM3ForCausalLM": _PLAIN,
    "MiniCPMForCausalLM": _PLAIN,
    "MiniMaxM2ForCausalLM": _PLAIN,
    "Ministral3ForCausalLM": _PLAIN,
    "Mistral3ForConditionalGeneration": _MULTIMODAL,
    "MistralForCausalLM": _PLAIN,
    "MixtralForCausalLM": _PLAIN,
    "MllamaForConditionalGeneration": Architecture(multimodal=True, until="0.10.2"),
    "MuseGlimmerForConditionalGeneration": _MULTIMODAL,
    "NemotronForCausalLM": _TWO_MATRICES,
    "NemotronHForCausalLM": _TWO_MATRICES,
    "Olmo2ForCausalLM": _PLAIN,
    "Olmo3ForCausalLM": _PLAIN,
    "OlmoForCausalLM": _PLAIN,
    "OlmoeForCausalLM": _PLAIN,
    "OPTForCausalLM": _TWO_MATRICES_TIED,
    "Phi3ForCausalLM": _PLAIN,
    "Phi3SmallForCausalLM": Architecture(tied=True, until="0.9.2"),
    "Phi3VForCausalLM": _MULTIMODAL,
    "PhiForCausalLM": _TWO_MATRICES,
    "PhiMoEForCausalLM": _PLAIN,
    "QWenLMHeadModel": Architecture(until="0.23.0"),
    "Qwen2ForCausalLM": _PLAIN,
    "Qwen2MoeForCausalLM": _PLAIN,
    "Qwen2VLForConditionalGeneration": _MULTIMODAL,
    "Qwen2_5_VLForConditionalGeneration": _MULTIMODAL,
    "Qwen3ForCausalLM": _PLAIN,
    "Qwen3MoeForCausalLM": _PLAIN,
    "Qwen3NextForCausalLM": _PLAIN,
    "Qwen3VLForConditionalGeneration": _MULTIMODAL,
    "Qwen3VLMoeForConditionalGeneration": _MULTIMODAL,
    "Qwen3_5ForCausalLM": _PLAIN,
    "Qwen3_5ForConditionalGeneration": _MULTIMODAL,
    "Qwen3_5MoeForCausalLM": _PLAIN,
    "Qwen3_5MoeForConditionalGeneration": _MULTIMODAL,
    "SeedOssForCausalLM": _PLAIN,
    "SmolLM3ForCausalLM": _TIED,
    "StableLmForCausalLM": _PLAIN,
    "Starcoder2ForCausalLM": _TWO_MATRICES_TIED,
}

# In the catalogue, but their caches follow rules that are not derived here (read 2026-11-22):
# refused, each with its reason.
NOT_MODELLED: dict[str, str] = {
    "DeepseekV4ForCausalLM": "its compressed attention cache has no known size rule",
    "KimiK3ForConditionalGeneration": "its mix of KDA and latent attention has no verified cache rule",
    "MiMoV2FlashForCausalLM": "its window layers have other head sizes than its full ones (not verified)",
    "MiniMaxM3ForCausalLM": "the cache of its sparse attention has no known size rule",
    "Step3p7FlashForCausalLM": "its cache rule is not verified",
}
