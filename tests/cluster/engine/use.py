"""What the stand-in for vLLM keeps of adapters, drafts, chat templates, KV offload and pooling models.

As the real engine: adapters and drafts are loaded before it serves and must be there, a rank above --max-lora-rank is
refused, several adapters in host memory never are fewer than in a batch, the offloaded cache must fit /dev/shm, a
parser without --enable-auto-tool-choice (and the reverse) ends it, and a pooling engine has no completions.
"""

import json
import os
import pathlib
import sys

VALUES = (
    "--runner", "--max-loras", "--max-lora-rank", "--max-cpu-loras", "--speculative-config", "--kv-offloading-size",
    "--chat-template", "--tool-call-parser", "--reasoning-parser", "--limit-mm-per-prompt",
    "--structured-outputs-config",
)  # fmt: skip
SWITCHES = ("--enable-lora", "--enable-auto-tool-choice", "--enable-prefix-caching", "--no-enable-prefix-caching")


def add_arguments(parser):
    """The flags."""
    for flag in VALUES:
        parser.add_argument(flag)
    for flag in SWITCHES:
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--lora-modules", nargs="+", type=json.loads, default=[])


def prepare(options):
    """Names, adapters and what else is loaded; ends the engine where the real one would end."""
    served = options.served_model_name
    options.names = served if isinstance(served, list) else [served]
    options.pools = getattr(options, "runner", None) == "pooling" or os.environ.get("STANDIN_POOLS") == "1"
    options.adapters = {}
    if not hasattr(options, "lora_modules"):  # another engine's stand-in
        return
    if options.enable_auto_tool_choice and not options.tool_call_parser:
        sys.exit("--enable-auto-tool-choice requires --tool-call-parser")
    if options.chat_template and not pathlib.Path(options.chat_template).read_text(encoding="utf-8"):
        sys.exit(f"{options.chat_template} is empty")
    shm = os.statvfs("/dev/shm")
    if float(options.kv_offloading_size or 0) * 2**30 > shm.f_frsize * shm.f_blocks:
        sys.exit("the offloaded cache does not fit /dev/shm")
    config = json.loads(options.speculative_config or "{}")
    if "model" in config and not (pathlib.Path(config["model"]) / "config.json").is_file():
        sys.exit(f"no draft model in {config['model']}")
    if options.enable_lora and int(options.max_cpu_loras) < int(options.max_loras):
        sys.exit("max_cpu_loras must be >= max_loras")
    for module in options.lora_modules:
        options.adapters[module["name"]] = load(module, int(options.max_lora_rank))


def load(module, largest):
    """The adapter's folder, when its config is there and its rank fits."""
    path = pathlib.Path(module["path"])
    try:
        rank = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    except OSError as error:
        sys.exit(f"no adapter {module['name']} in {path}: {error.strerror}")
    if rank > largest:
        sys.exit(f"LoRA rank {rank} is greater than max_lora_rank {largest}")
    return str(path)


def pooled(path, body):
    """(status, answer) of a pooling engine."""
    if path in {"/v1/rerank", "/rerank", "/v2/rerank"}:
        scored = [
            {"index": i, "document": {"text": t}, "relevance_score": 1 / (1 + i)}
            for i, t in enumerate(body["documents"])
        ]
        return 200, {"model": body["model"], "results": scored}
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if path == "/v1/embeddings":
        data = [
            {"index": i, "object": "embedding", "embedding": [float(len(t)), 1.0, -0.5]} for i, t in enumerate(texts)
        ]
    elif path == "/classify":
        data = [{"index": i, "label": "LABEL_0", "probs": [0.75, 0.25], "num_classes": 2} for i, _ in enumerate(texts)]
    elif path == "/pooling":
        data = [{"index": i, "object": "pooling", "data": [0.5, 0.25]} for i, _ in enumerate(texts)]
    else:
        return 404, {"error": path}
    return 200, {"object": "list", "model": body["model"], "data": data}
