"""Peak of an engine's profiling run, in bytes of one GPU: the sampler's logits or the fattest moment of a layer.

T = max_num_batched_tokens, S = max_num_seqs, V = vocabulary, h = hidden size, I = width of the MLP. Which tensors are
alive follows vLLM 0.25.1 `vllm/model_executor/models/`; checked on 0.25.1 (one H200) and 0.19.0 (H100).
"""

from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import tensors
from llm_serving_planner.memory.settings import Gpu, Settings
from llm_serving_planner.memory.weights import latent_chunk
from llm_serving_planner.models.spec import ModelSpec

H200_MULTIPROCESSORS = 132  # largest GPU measured; buffer of the top-k/top-p kernel, an upper bound elsewhere
# VLLM_FUSED_MOE_CHUNK_SIZE: 32,768 tokens up to 0.15, 16,384 later (vllm/envs.py, read 2026-11-25); the larger one
EXPERT_CHUNK_TOKENS = 32768
# Classes on llama.py's MLP, which lets go of gate and up before the product after them; others keep them by name
# (vLLM 0.25.1). Compiled code lets go in any case.
_FREES_GATE = frozenset({
    "LlamaForCausalLM", "LLaMAForCausalLM", "CwmForCausalLM", "IQuestCoderForCausalLM", "InternLM3ForCausalLM",
    "MistralForCausalLM", "Ministral3ForCausalLM", "Mistral3ForConditionalGeneration", "Phi3ForCausalLM",
    "Ernie4_5ForCausalLM", "GlmForCausalLM", "Glm4ForCausalLM", "DeciLMForCausalLM", "FalconH1ForCausalLM",
})  # fmt: skip
_SCALE_BLOCK = 32  # bytes of the quantised input of a block FP8 product per byte of its scales: 128 values, 4 bytes
_HOPPER, _CONSUMER = (9, 0), (12, 0)  # consumer Blackwell takes Marlin, as Ampere does
_COUNTS, _MASK_BITS = 4, 32  # vllm/v1/worker/gpu/sample/penalties.py: int32 counts, one bit per token in int32 words


def peak_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """Everything that profiling charges beside the weights."""
    constant = 0
    if settings.parallel.pipeline_parallel_size > 1:  # hidden states and residual that come from the stage before
        constant += 2 * 2 * settings.max_num_batched_tokens * spec.hidden_size
    if regime.penalties == "charged" and not settings.pooling:
        constant += penalty_bytes(spec, settings)
    forward = _forward(spec, gpu, settings)
    if not settings.enforce_eager:  # tuning happens while a layer runs, not while the sampler does
        forward += regime.compile_buffer_bytes
    moment = max(_sampler(spec, settings, regime), forward, _latent(spec, settings))
    moment += vllm.term_bytes("cublas_workspace" if gpu.capability >= _HOPPER else "cublas_workspace_small")
    # kernels are timed before the first product runs: neither its workspace nor the experts' is there yet
    text = constant + max(_expert_workspace(spec, gpu, settings, regime) + moment, _tuning(spec, settings, regime))
    return _with_encoder(spec, settings, text)


def _with_encoder(spec: ModelSpec, settings: Settings, text: int) -> int:
    """Peak with the encoder's run, which comes first and leaves its outputs until the text model has run.

    vLLM 0.33.0 v1/worker/gpu/model_runner.py:profile_run, multimodal/encoder_budget.py (read 2026-11-29): as many of
    the largest items as a step has tokens for, at least one, go through the encoder at once. An encoder that is not
    known gets a constant.
    """
    if not (spec.multimodal and settings.encoders):
        return text
    encoder = spec.encoder
    if encoder is None:
        return text + vllm.term_bytes("multimodal")
    item = encoder.largest_item(settings.max_model_len, settings.without_items)
    tokens = max(settings.max_num_batched_tokens // item, 1) * item if item else 0
    patches, size = tokens * encoder.patches_per_token, settings.parallel.tensor_parallel_size
    outputs = 2 * tokens * spec.hidden_size * (1 + encoder.deepstack)
    # pixels, five tensors of the encoder's width (positions, residual, input of the block; five are fitted to
    # Qwen3-VL-8B: 2.21 GiB), and the wider of its two inner tensors twice: before and after what is between them
    inner = max(2 * encoder.intermediate, 6 * encoder.hidden)
    peak = 2 * patches * (encoder.patch_elements + 5 * encoder.hidden + -(-inner // size)) + outputs
    return max(text + outputs, peak)


def penalty_bytes(spec: ModelSpec, settings: Settings) -> int:
    """Tables of the second model runner: which tokens were in the prompt, how often each was answered."""
    vocab = spec.vocab_size
    return settings.max_num_seqs * (_COUNTS * vocab + 4 * -(-vocab // _MASK_BITS))


def _tuning(spec: ModelSpec, settings: Settings, regime: Regime) -> int:
    """Random copies of what the compiler's first kernel reads and writes, on which it is timed.

    vLLM has combined kernels timed (`benchmark_combo_kernel`), and PyTorch 2.13's
    `_inductor/codegen/triton_combo_kernel.py:codegen_kernel_benchmark` makes a tensor for every argument, the whole
    embedding among them (read 2026-11-25). Seen with 0.25.1, 0.31.0 and 0.33.0 at an empty compile cache, and not with
    0.19.0 (gpt-oss-20b on an A100, docs/data/measurements-public.csv). Where the embedding is divided over ranks an
    all-reduce follows it and no such peak was seen; models that take images look it up outside of the compiled part.
    """
    if (
        settings.enforce_eager
        or not regime.tuning_copy
        or settings.parallel.tensor_parallel_size > 1
        or spec.multimodal
    ):
        return 0
    return 2 * spec.hidden_size * (tensors.padded_vocab(spec.vocab_size) + settings.max_num_batched_tokens)


def _sampler(spec: ModelSpec, settings: Settings, regime: Regime) -> int:
    tokens, hidden = settings.max_num_batched_tokens, spec.hidden_size
    vocab = 0 if settings.pooling else tensors.padded_vocab(spec.vocab_size)
    sequences = min(settings.max_num_seqs * settings.positions, tokens)
    total = regime.sampler_bytes * sequences * vocab + 2 * tokens * hidden + 4 * sequences * hidden
    if regime.sampler_buffer:
        total += 4 * H200_MULTIPROCESSORS * vocab
    return total + regime.sampler_constant_bytes


def _forward(spec: ModelSpec, gpu: Gpu, settings: Settings) -> int:
    """2 bytes x T x what is alive per token: a layer's dense MLP, or its attention where the MLP is made of experts."""
    hidden, tensor_parallel_size, tokens = (
        spec.hidden_size,
        settings.parallel.tensor_parallel_size,
        settings.max_num_batched_tokens,
    )
    matrices = tensors.matrices(spec)
    kept = 3 if spec.architecture in _FREES_GATE or not settings.enforce_eager else 4
    width = -(-spec.intermediate_size // tensor_parallel_size)
    dense = 2 * tokens * (matrices * width + kept * hidden)
    if spec.quantization is not None and spec.quantization.block is not None:
        dense += tokens * width + tokens * width // _SCALE_BLOCK  # the down projection's input, quantised
    if _static_fp8(spec):  # the activation is written as FP8: one byte in place of two
        dense -= tokens * width
    if spec.moe is None:
        return dense
    heads = -(-spec.num_attention_heads // tensor_parallel_size)
    widest = max((heads * group.k_dim for group in spec.layers if group.kind not in tensors.LATENT), default=0)
    alive = max(4 * hidden, 2 * hidden + 2 * widest)
    shared = (
        matrices * -(-spec.moe.shared_intermediate // tensor_parallel_size) + 4 * hidden
        if spec.moe.shared_intermediate
        else 0
    )
    if _monolithic(spec, gpu):  # gpt_oss_triton_kernels_moe.py: both products' outputs, a row per chosen expert
        inner = -(-spec.moe.intermediate // _expert_slices(settings))
        alive = max(alive, 2 * hidden + spec.moe.top_k * (inner + hidden))
    experts = 2 * tokens * max(alive, shared)
    return max(experts, dense) if spec.moe.layers < spec.num_layers else experts


def _static_fp8(spec: ModelSpec) -> bool:
    """FP8 with a scale per tensor that the checkpoint holds: 1.47 GiB of Llama-3.1-70B-Instruct-FP8, 0.33.0 on H200."""
    return spec.quantization is not None and (spec.quantization.method, spec.quantization.bits) == ("modelopt", 8)


def _expert_slices(settings: Settings) -> int:
    """Ranks that share one expert: one where experts are whole."""
    return 1 if settings.parallel.enable_expert_parallel else settings.parallel.expert_ranks


def _monolithic(spec: ModelSpec, gpu: Gpu) -> bool:
    """MXFP4 experts on Hopper and Blackwell: one kernel that makes its own buffers."""
    return spec.mxfp4 and _HOPPER <= gpu.capability < _CONSUMER


def _expert_workspace(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """Buffers between the two products of the experts, kept; the MXFP4 kernels of Hopper and Blackwell have none."""
    moe = spec.moe
    if moe is None or not regime.moe_workspace:
        return 0
    if _monolithic(spec, gpu):
        return 0
    width = -(-moe.intermediate // _expert_slices(settings))
    tokens, gathered = settings.max_num_batched_tokens, 0
    engines = settings.parallel.data_parallel_size
    if engines > 1:  # hidden states of all engines come together, go through the experts in chunks
        gathered = 2 * 2 * engines * tokens * spec.hidden_size
        tokens = max(tokens, min(tokens * engines, EXPERT_CHUNK_TOKENS))
    rows = 2 * tokens * moe.top_k
    return gathered + rows * (max(2 * width, spec.hidden_size) + max(width, spec.hidden_size))


def _latent(spec: ModelSpec, settings: Settings) -> int:
    mla = spec.mla
    if mla is None:
        return 0
    heads = -(-spec.num_attention_heads // settings.parallel.tensor_parallel_size)
    per_token = 2 * spec.hidden_size + heads * (mla.qk_nope + mla.qk_rope + mla.v_dim)
    per_token += 2 * (mla.kv_lora_rank + mla.qk_rope)
    chunk = 2 * latent_chunk(settings) * heads * (mla.qk_nope + mla.v_dim)
    return chunk + 2 * settings.max_num_batched_tokens * per_token
