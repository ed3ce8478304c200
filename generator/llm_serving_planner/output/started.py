"""What a values document says of the engine's start: its flags, and facts of a model that is known offline."""

from typing import Any

from llm_serving_planner.models import embedded
from llm_serving_planner.output.chart import Values
from llm_serving_planner.planner.start import model_facts

_NUMBER_KEYS = {
    "tensor": "tensor-parallel-size",
    "pipeline": "pipeline-parallel-size",
    "data": "data-parallel-size",
}


def facts(values: Values) -> dict[str, Any]:
    """Facts of a start by the names of data/start_rules.json; what the document leaves away is left away."""
    engine, parallel = values.get("engine") or {}, values.get("parallelism") or {}
    found: dict[str, Any] = {name: parallel[key] for key, name in _NUMBER_KEYS.items() if key in parallel}
    if "expert" in parallel:
        found["enable-expert-parallel"] = parallel["expert"]
    found |= _words([str(word) for word in engine.get("extraArgs") or ()])
    found |= dict(engine.get("args") or {})
    lora, speculative = engine.get("lora") or {}, engine.get("speculative") or {}
    if lora.get("adapters"):
        found["enable-lora"] = True
        found |= {
            flag: lora[key]
            for key, flag in (("maxLoras", "max-loras"), ("maxCpuLoras", "max-cpu-loras"))
            if key in lora
        }
    if isinstance(speculative.get("tokens"), int):
        found["draft-tokens"] = speculative["tokens"]
        if isinstance(found.get("max-num-seqs"), int):
            found["decode-tokens"] = found["max-num-seqs"] * (1 + speculative["tokens"])
    return found | _of_model(values, found)


def _of_model(values: Values, found: dict[str, Any]) -> dict[str, Any]:
    """Facts of the checkpoint, where the catalogue has it."""
    spec = embedded.find(str((values.get("model") or {}).get("id") or ""))
    if spec is None:
        return {}
    limits = found.get("limit-mm-per-prompt")
    without = tuple(kind for kind, number in limits.items() if number == 0) if isinstance(limits, dict) else ()
    taken = spec.text_only() if found.get("language-model-only") is True or {"image", "video"} <= set(without) else spec
    length = found.get("max-model-len")
    return model_facts(taken, length if isinstance(length, int) else None, without)


def _words(words: list[str]) -> dict[str, Any]:
    """`--flag value`, `--flag=value`, `--flag` and `--no-flag`, as vLLM reads them; underscores count as dashes."""
    found: dict[str, Any] = {}
    for index, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, given, value = word.removeprefix("--").partition("=")
        name = name.replace("_", "-")
        if not given:
            after = words[index + 1] if index + 1 < len(words) else "--"
            value = "" if after.startswith("--") else after
        if not value:
            found[name.removeprefix("no-")] = not name.startswith("no-")
        else:
            found[name] = int(value) if value.isascii() and value.isdigit() else value
    return found
