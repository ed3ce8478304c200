"""Options of use: what a model serves beside plain generation. They belong to every command that plans."""

import argparse


def add_use(command: argparse.ArgumentParser) -> None:
    """Add the group; all of it is vLLM's, and off unless asked for."""
    command.set_defaults(adapters=(), draft=None, template_text=None)
    use = command.add_argument_group("use", "adapters, tools, drafts, embeddings (vllm; docs/using.md)")

    def each(flag: str, metavar: str, text: str) -> None:
        use.add_argument(flag, action="append", default=[], metavar=metavar, help=text)

    use.add_argument("--task", metavar="T", help="generate, embed, rerank or classify (default: what the class gives)")
    each("--alias", "NAME", "one more name of the model in the API (repeatable)")
    each("--lora", "NAME=SOURCE", "LoRA adapter: hub id[@revision], or a path in the container (repeatable)")
    use.add_argument("--max-lora-rank", type=int, metavar="R", help="largest rank of the adapters (16)")
    use.add_argument("--max-loras", type=int, metavar="N", help="adapters in one batch (all of them)")
    use.add_argument("--max-cpu-loras", type=int, metavar="N", help="adapters in host memory (all of them)")
    use.add_argument(
        "--tool-calling", action="store_true", help="read tool calls and thoughts as the model writes them"
    )
    use.add_argument("--tool-call-parser", metavar="P", help="parser of tool calls, in place of the family's")
    use.add_argument("--reasoning-parser", metavar="P", help="parser of thoughts, in place of the family's")
    use.add_argument("--chat-template", metavar="FILE", help="your template, or one of the engine's examples by name")
    use.add_argument("--speculative", metavar="M[:MODEL]", help="ngram, eagle, eagle3, draft_model or mtp")
    use.add_argument("--speculative-tokens", type=int, metavar="N", help="tokens drafted in a step")
    use.add_argument(
        "--kv-offload-gib", type=float, metavar="G", help="host memory for the KV cache, all GPUs together"
    )
    use.add_argument("--prefix-caching", metavar="S", help="on or off (default: the engine's, on for generation)")
    use.add_argument("--structured-output", metavar="B", help="backend of structured output, such as xgrammar")
    each("--limit-mm", "KIND=N", "images, videos or sounds of one prompt, as in image=2 (repeatable)")
