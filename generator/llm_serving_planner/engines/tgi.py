"""TGI, Hugging Face's text-generation-inference, in its last release."""

from collections.abc import Mapping
from typing import Any

from llm_serving_planner.base.words import counted
from llm_serving_planner.engines import figures
from llm_serving_planner.engines.attention import Attention, facts
from llm_serving_planner.engines.base import Start
from llm_serving_planner.engines.frozen import Frozen
from llm_serving_planner.hardware.compute_capability import Capability, capability, dotted
from llm_serving_planner.models.spec import ModelSpec

_GRAPHS = "1,2,4,8,16,32"  # TGI v3.3.7 launcher/src/main.rs: default of --cuda-graphs
SHARE = 0.90  # TGI v3.3.7 globals.py: TGI_WIGGLE_ROOM, by which --cuda-memory-fraction is multiplied
ANSWER_TOKENS = 1  # of a request that no prompt may take: max-input-tokens is to be below max-total-tokens


class Tgi(Frozen):
    """text-generation-inference."""

    root_only = True
    version_lines = (r"ghcr\.io/huggingface/text-generation-inference:(\d+\.\d+[\w.]*)",)
    log_marks = "text_generation_launcher|text_generation_router"
    # TGI v3.3.7 launcher/src/main.rs
    lacks: Mapping[str, str] = {
        "lora": "TGI's own is engine.args.lora-adapters in the values (name=hub id, by commas); it is not sized here",
        "speculative": "TGI's own is engine.args.speculate in the values (n-grams or Medusa); it is not sized here",
        "tool_calling": "TGI reads tool calls of any model by itself",
    }
    flag_names: Mapping[str, str] = {
        "max-total-tokens": "max-model-len",
        "max-concurrent-requests": "max-num-seqs",
        "max-batch-prefill-tokens": "max-num-batched-tokens",
        "quantize": "quantization",
    }

    def __init__(self) -> None:
        """Read its entry."""
        super().__init__("tgi")

    @property
    def flag_reasons(self) -> Mapping[str, str]:
        """Of the launcher's flags."""
        kept = counted(ANSWER_TOKENS, "token")
        return {
            "max-input-tokens": f"all but {kept} of a request may be prompt",
            "cuda-memory-fraction": f"the launcher takes {SHARE:.2f} of this share",
            "cuda-graphs": "batch sizes of the captured graphs; 0 captures none",
            "usage-stats": "nothing is sent out of the cluster",
        }

    def args(self, start: Start) -> dict[str, Any]:
        """Flags of the launcher."""
        args: dict[str, Any] = {
            "max-total-tokens": start.max_model_len,
            "max-input-tokens": start.max_model_len - ANSWER_TOKENS,
            "max-batch-prefill-tokens": start.max_num_batched_tokens,
            "max-concurrent-requests": start.max_num_seqs,
            "cuda-memory-fraction": min(1.0, int(100 * start.utilization / SHARE) / 100),
            "cuda-graphs": "0" if start.enforce_eager else _GRAPHS,
            "usage-stats": "off",
        }
        if start.quantization:
            args["quantize"] = start.quantization
        elif start.spec.quantization is None:
            args["dtype"] = start.dtype  # excludes --quantize, which a quantised checkpoint implies
        if start.kv_cache_dtype == "fp8":
            args["kv-cache-dtype"] = "fp8_e4m3fn"
        return args

    def attention(
        self, version: str, spec: ModelSpec, compute: Capability, kv_cache_dtype: str, *, tensor_parallel_size: int = 1
    ) -> Attention:
        """Flashinfer where it takes the heads; an FP8 cache with nothing else."""
        held = facts()[self.name]
        fallback = "flashdecoding" if compute >= capability(held["flashdecoding_minimum"]) else "paged"
        if spec.architecture in held["not_flashinfer"]:
            found = Attention(fallback, f"TGI keeps {spec.architecture} off flashinfer")
        elif spec.head_dim not in held["flashinfer_heads"]:
            found = Attention(fallback, f"flashinfer has no head size {spec.head_dim}; prefix caching is off")
        else:
            found = Attention("flashinfer", f"first choice, head size {spec.head_dim}")
        if kv_cache_dtype.startswith("fp8") and found.backend != held["fp8_backend"]:
            return Attention(
                "", f"TGI keeps an FP8 cache with flashinfer only, not with {found.backend}: {found.reason}"
            )
        return found

    def cache_reasons(self, version: str, spec: ModelSpec, device: str, compute: Capability) -> list[str]:
        """Only in hardware."""
        native = figures.lowest_capability("fp8_native")
        if compute >= native:
            return []
        return [f"TGI's FP8 KV cache needs {dotted(native)}, {device} has {dotted(compute)}"]
