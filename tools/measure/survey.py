"""`python -m measure.survey`: which plans of the grid give up throughput, and what for. No network, no GPU.

The grid is that of docs/performance.md: every model of the catalogue on 1, 2, 4 and 8 of every NVIDIA GPU, nothing
pinned. A step (max-num-batched-tokens) below the engine's own is in vain where that one leaves room for as long a
context with the margin of the estimate kept free, and crippling where the model is served with the engine's own, if
with a shorter context. Exit 3 when there is either.
"""

import sys
from collections import Counter
from dataclasses import replace

from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.cli.exits import Exit
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.profiles import GpuProfile, profile_grid
from llm_serving_planner.memory import pipeline
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.devices.registry import device_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import SHORTEST_USEFUL_CONTEXT, Search, context_of


def usual_step(plan: Plan) -> int:
    """The step that the engine takes by itself on that GPU."""
    profile = replace(plan.profile, gpus_per_node=plan.layout.gpus_per_node)
    device, engine = device_of(profile.gpu), engine_of(plan.options.engine)
    regime = device.regime(engine.regime(plan.engine_version, plan.spec), profile.gpu)
    stage = pipeline.stage_spec(plan.spec, plan.layout.parallel.pipeline_parallel_size)
    search = Search(stage, device.gpu(profile), regime, plan.options, plan.layout, plan.kv_cache_dtype, None, plan.use)
    return search.usual_settings().max_num_batched_tokens


def with_step(spec: ModelSpec, profile: GpuProfile, tokens: int) -> Plan | None:
    """The plan with a pinned step."""
    try:
        return make_plan(spec, profile, Options(max_num_batched_tokens=tokens))
    except DoesNotFitError:
        return None


def main() -> int:
    """Plan the grid and print the counts, then each plan that gives up throughput for nothing."""
    counts: Counter[str] = Counter()
    wrong = []
    for name in embedded.model_ids():
        spec = embedded.find(name)
        if spec is None:
            continue
        for profile in profile_grid():
            try:
                plan = make_plan(spec, profile)
            except DoesNotFitError:
                continue
            counts["plans that fit"] += 1
            counts["several replicas"] += plan.replicas > 1
            counts["without CUDA graphs"] += plan.settings.enforce_eager and not plan.device.only_machines
            tokens = usual_step(plan)
            if plan.settings.max_num_batched_tokens >= tokens:
                continue
            counts["step below the engine's own"] += 1
            own = with_step(spec, profile, tokens)
            serves = own is not None and own.verdict == "fits" and not own.settings.enforce_eager
            context = own.settings.max_model_len if own and serves else 0
            if context >= plan.settings.max_model_len:
                counts["of these in vain: the engine's own leaves as long a context"] += 1
            elif context >= min(SHORTEST_USEFUL_CONTEXT, context_of(spec)):
                counts["of these crippling: the engine's own serves, with a shorter context"] += 1
            else:
                continue
            wrong.append(f"{name} on {profile.name}: {plan.settings.max_num_batched_tokens} for {tokens}")
    for what, count in counts.items():
        print(f"{count:7,} {what}")
    for line in wrong:
        print(line)
    return Exit.DIFFERS if wrong else Exit.OK


if __name__ == "__main__":
    sys.exit(main())
