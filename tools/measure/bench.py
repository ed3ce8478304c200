"""`make bench`: cost of plan, ranking and grid beside hf-mem and aiconfigurator, into docs/data/bench.json.

All commands take turns in one run, because machines are noisy; each is a process of its own. Wall time is what a user
waits, CPU time what the command costs: the two part where the machine is shared. The rivals come from
`tools/measure/compare.py`'s environments. No network: hf-mem reads metadata on loopback, aiconfigurator its own files.
"""

import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.hardware.profiles import profile_grid
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.proposals import make_plan

from measure.compare import RIVALS, environment, pinned

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "docs" / "data" / "bench.json"
MODEL, PROFILE = "meta-llama/Llama-3.1-8B-Instruct", "1xh200"
ROUNDS = 9
SLOW_ROUNDS = 3  # of what takes seconds
SHARES = (8, 4, 2, 1)  # every eighth model of the catalogue, every fourth ...


# Starts the command from a process that is small itself: a child's largest resident set is never below its parent's.
LAUNCHER = """
import os, sys, time
words, said = sys.argv[1:], os.open(os.devnull, os.O_WRONLY)
started = time.perf_counter()
actions = [(os.POSIX_SPAWN_DUP2, said, 1)]
child = os.posix_spawn(words[0], words, os.environ, file_actions=actions)
_, status, usage = os.wait4(child, 0)
print(status, time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def measured(words: list[str], environ: dict[str, str]) -> dict[str, float]:
    """Seconds and MiB of one process.

    Raises:
        SystemExit: it failed, with what it said.
    """
    launch = [sys.executable, "-S", "-c", LAUNCHER, *words]
    seen = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environ}  # as installed: modules are compiled once
    done = subprocess.run(launch, capture_output=True, text=True, check=True, env=seen)
    status, wall, cpu, mib = map(float, done.stdout.split())
    if status:
        raise SystemExit(f"{' '.join(words)}: {done.stderr[-2000:]}")
    return {"wall": wall, "cpu": cpu, "mib": mib}


def hub_of(spec: ModelSpec) -> Any:
    """A hub on loopback that has the model: a config of the catalogue's facts and a header with its bytes."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.fake_hub import FakeHub, FakeModel, safetensors

    config = {
        "architectures": [spec.architecture], "hidden_size": spec.hidden_size, "torch_dtype": "bfloat16",
        "num_hidden_layers": spec.num_layers, "num_attention_heads": spec.num_attention_heads,
        "num_key_value_heads": spec.num_kv_heads, "head_dim": spec.head_dim, "vocab_size": spec.vocab_size,
        "intermediate_size": spec.intermediate_size, "max_position_embeddings": spec.max_position,
    }  # fmt: skip
    hub = FakeHub()
    header = safetensors({"model.weight": ("BF16", [spec.weights.loaded_bytes // 2])})
    hub.models[spec.model_id] = FakeModel({"config.json": json.dumps(config).encode(), "model.safetensors": header})
    return hub


def commands(endpoint: str) -> dict[str, tuple[int, list[str], dict[str, str]]]:
    """Name to (rounds, command line, environment)."""
    ours = [sys.executable, "-m", "llm_serving_planner"]
    hf_mem = [str(environment("hf-mem")), str(RIVALS / "hf_mem_cli.py"), "--model-id", MODEL, "--experimental"]
    aic = [
        str(environment("aiconfigurator").parent / "aiconfigurator"), "cli", "estimate", "--no-color",
        "--model-path", "meta-llama/Meta-Llama-3.1-8B", "--system", "h200_sxm", "--backend", "vllm",
        "--estimate-mode", "static", "--isl", "7168", "--osl", "1024", "--batch-size", "16", "--max-seq-len", "8192",
    ]  # fmt: skip
    return {
        "python -c pass": (ROUNDS, [sys.executable, "-c", "pass"], {}),
        "plan": (ROUNDS, [*ours, "plan", MODEL, "--profile", PROFILE, "--offline"], {}),
        "hf-mem": (ROUNDS, [*hf_mem, "--max-model-len", "8192"], {"HF_ENDPOINT": endpoint}),
        "advise": (ROUNDS, [*ours, "advise", MODEL, "--offline"], {}),
        "aiconfigurator": (SLOW_ROUNDS, aic, {"HF_HUB_OFFLINE": "1"}),
    }


def grid() -> list[dict[str, float]]:
    """CPU seconds of planning shares of the catalogue on all profiles, one core."""
    specs = [spec for name in embedded.model_ids() if (spec := embedded.find(name)) is not None]
    profiles = profile_grid()
    found = []
    for share in SHARES:
        started, fits, chosen = time.process_time(), 0, specs[::share]
        for spec in chosen:
            for profile in profiles:
                try:
                    make_plan(spec, profile)
                except DoesNotFitError:
                    continue
                fits += 1
        seconds = time.process_time() - started
        plans = len(chosen) * len(profiles)
        found.append({"models": len(chosen), "profiles": len(profiles), "plans": plans, "fit": fits, "cpu": seconds})
    return found


def main() -> int:
    """Run everything, write the table, print the ratios."""
    spec = embedded.find(MODEL)
    if spec is None:
        raise KeyError(MODEL)
    hub = hub_of(spec)
    runs: dict[str, list[dict[str, float]]] = {}
    todo = commands(hub.url)
    for turn in range(ROUNDS):
        for name, (rounds, words, environ) in todo.items():
            if turn < rounds:
                runs.setdefault(name, []).append(measured(words, environ))
    hub.close()
    table: dict[str, Any] = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[1]},
        "versions": {"llm-serving": metadata.version("llm-serving-planner"), **pinned()},
        "model": MODEL,
        "profile": PROFILE,
        "runs": {name: [{key: round(value, 4) for key, value in run.items()} for run in runs[name]] for name in runs},
        "grid": [{key: round(value, 3) for key, value in step.items()} for step in grid()],
    }
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    for name, tries in runs.items():
        least = {key: min(run[key] for run in tries) for key in ("wall", "cpu", "mib")}
        print(
            f"{name:16} wall {least['wall']:.3f} s  cpu {least['cpu']:.3f} s  {least['mib']:.0f} MiB", file=sys.stderr
        )
    pairs = zip(runs["plan"], runs["python -c pass"], strict=True)
    ratio = statistics.median(plan["cpu"] / nothing["cpu"] for plan, nothing in pairs)
    whole = table["grid"][-1]
    print(
        f"plan costs {ratio:.1f} times the CPU time of python -c pass (at most 6), one plan of the grid "
        f"{1e6 * whole['cpu'] / whole['plans']:.0f} us",
        file=sys.stderr,
    )
    print(f"wrote {TABLE.relative_to(ROOT)}; make generate writes docs/performance.md from it", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
