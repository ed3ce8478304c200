"""Questions to the planner, as words of the command line: the same list for everybody who asks."""

import itertools
import random
from typing import Any

from llm_serving_planner.hardware.profiles import profile_grid
from llm_serving_planner.models import embedded
from website.bridge import ON

_SEED = 20261125
_CONTEXTS = ("2048", "8192", "32768", "131072", "1048576")
# Machine types, CPUs, several nodes, and what is refused before any arithmetic.
_OTHER_PROFILES = ("g5.48xlarge", "g6e.12xlarge", "2xg4dn.12xlarge", "cpu", "2xcpu", "2x8xh100", "4x1xl40s", "2x4xa10g")
_REFUSED = (
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt5"],
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", ""],
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xmi300x"],
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "99xt4"],
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--max-model-len=0"],
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--engine=llama.cpp"],
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--gpu-memory-utilization=1.5"],
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--kv-cache-dtype=int3"],
    ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--engine-version=0.1.0"],
)
_PINS = (
    ("--max-model-len", _CONTEXTS),
    ("--quantization", ("fp8",)),
    ("--kv-cache-dtype", ("fp8", "auto")),
    ("--engine", ("tgi", "tgis")),
    ("--dtype", ("float16", "bfloat16")),
    ("--max-num-seqs", ("1", "16", "512")),
    ("--max-num-batched-tokens", ("1024", "16384")),
    ("--gpu-memory-utilization", ("0.5", "0.8", "0.95")),
    ("--tensor-parallel-size", ("1", "2", "3", "4")),
    ("--pipeline-parallel-size", ("2", "4")),
    ("--engine-version", ("0.25.1", "0.19.0")),
    ("--platform", ("openshift",)),
    ("--controller", ("statefulset", "leaderworkerset")),
    ("--replicas", ("3",)),
    ("--name", ("my-release",)),
)
_SWITCHES = ("--enforce-eager", "--language-model-only")


def cases(count: int) -> list[list[str]]:
    """That many different questions: every model at least once, every profile, up to three pins each."""
    dice = random.Random(_SEED)
    models = itertools.cycle(dice.sample(embedded.model_ids(), len(embedded.model_ids())))
    names = [profile.name for profile in profile_grid()] + list(_OTHER_PROFILES)
    profiles = itertools.cycle(dice.sample(names, len(names)))
    found: dict[tuple[str, ...], None] = dict.fromkeys(tuple(words) for words in _REFUSED)
    while len(found) < count:
        words = [next(models), "--profile", next(profiles)]
        for pin, values in dice.sample(_PINS, dice.choice((0, 1, 1, 2, 3))):
            words.append(f"{pin}={dice.choice(values)}")
        words += [switch for switch in _SWITCHES if dice.random() < 0.06]
        words += ["--hf-token-secret=hf-token"] if dice.random() < 0.6 else []
        found[tuple(words)] = None
    return [list(words) for words in found]


def question(words: list[str]) -> dict[str, Any]:
    """The same question as the page asks it: MODEL --profile PROFILE and pins, each one word."""
    model, _, profile, *pins = words
    pairs = (pin.removeprefix("--").partition("=") for pin in pins)
    return {"model": model, "profile": profile, "options": {name: text or ON for name, _, text in pairs}}
