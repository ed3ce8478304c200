"""Keys of the chart below `engine` that the options of use fill."""

from typing import Any

from llm_serving_planner.base.units import GIB
from llm_serving_planner.planner.features import speculative
from llm_serving_planner.planner.features.usage import Use


def using_keys(use: Use) -> dict[str, Any]:
    """`lora`, `speculative`, `chatTemplate`, `kvOffload`: only those that were asked for."""
    keys: dict[str, Any] = {}
    if use.slots is not None:
        fields = ("name", "id", "revision", "path")
        keys["lora"] = {
            "adapters": [
                {name: getattr(adapter, name) for name in fields if getattr(adapter, name)} for adapter in use.adapters
            ],
            "maxLoras": use.slots.loras,
            "maxRank": use.slots.rank,
            "maxCpuLoras": use.slots.cpu,
        }
    if use.draft is not None:
        draft = use.draft
        source = {name: getattr(draft, name) for name in ("id", "revision", "path") if getattr(draft, name)}
        keys["speculative"] = {"method": draft.method, "tokens": draft.tokens, **source}
        if speculative.options(draft):
            keys["speculative"]["options"] = speculative.options(draft)
    if use.template_file:
        keys["chatTemplate"] = {"file": use.template_file}
    elif use.template_text:
        keys["chatTemplate"] = {"text": use.template_text}
    if use.kv_offload:
        keys["kvOffload"] = {"sizeGiB": round(use.kv_offload / GIB, 3)}
    return keys


def explain_keys(use: Use) -> dict[str, str]:
    """One reason per key of `using_keys`, for the values file."""
    slots, draft = use.slots, use.draft
    return {
        "lora": f"slots for {slots.loras} adapters of rank {slots.rank} at once; the GPU's memory for them is "
        "plan.estimateGiBPerGpu.lora"
        if slots
        else "",
        "speculative": f"{draft.tokens} token(s) drafted per step; weights and cache of the draft are counted"
        if draft
        else "",
        "chatTemplate": "in place of the model's own chat template",
        "kvOffload": "GiB of the pod's memory for the KV cache, all GPUs together; it lies in memory.sharedMemory",
    }
