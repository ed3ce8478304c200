"""A tiny Llama: its config, its tensors, its number of parameters."""

from typing import Any

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def tensors(layers: int = 2, dtype: str = "BF16") -> dict[str, tuple[str, list[int]]]:
    """Tensors of CONFIG."""
    found: dict[str, tuple[str, list[int]]] = {
        "model.embed_tokens.weight": (dtype, [512, 64]),
        "lm_head.weight": (dtype, [512, 64]),
        "model.norm.weight": (dtype, [64]),
    }
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        found |= {
            f"{prefix}.self_attn.q_proj.weight": (dtype, [64, 64]),
            f"{prefix}.self_attn.k_proj.weight": (dtype, [32, 64]),
            f"{prefix}.self_attn.v_proj.weight": (dtype, [32, 64]),
            f"{prefix}.self_attn.o_proj.weight": (dtype, [64, 64]),
            f"{prefix}.mlp.gate_proj.weight": (dtype, [128, 64]),
            f"{prefix}.mlp.up_proj.weight": (dtype, [128, 64]),
            f"{prefix}.mlp.down_proj.weight": (dtype, [64, 128]),
        }
    return found


PARAMETERS = 2 * 512 * 64 + 64 + 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64)
