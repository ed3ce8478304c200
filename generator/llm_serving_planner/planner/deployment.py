"""Which workload runs the layout, how its nodes work together, and where each keeps the model."""

from llm_serving_planner.base.records import record
from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options

_OWN_IMAGE = (
    'FROM vllm/vllm-openai:v{version} with `uv pip install --system "ray[default]"`, named by --image NAME:TAG '
    "--image-has-ray"
)


@record
class Deployment:
    """Kind of workload, executor of several nodes, storage type, and what stands against them."""

    controller: str
    executor: str
    storage: str
    reasons: tuple[str, ...] = ()


def choose_deployment(layout: Layout, options: Options, version: str) -> Deployment:
    """One node: a Deployment with one claim. Several: a StatefulSet without any operator, a claim for each pod."""
    several = layout.nodes > 1
    executor = options.executor or ("ray" if options.controller == "raycluster" else "mp")
    controller = options.controller or ("statefulset" if several else "deployment")
    storage = options.storage or _storage(controller, several)
    reasons = []
    if several and controller == "deployment":
        reasons.append(
            f"controller deployment runs one node, the layout has {layout.nodes}: statefulset (no operator), "
            "leaderworkerset or raycluster"
        )
    if not several and executor == "ray":
        reasons.append("executor ray: one node needs no Ray")
    if controller == "raycluster" and executor != "ray":
        reasons.append(f"controller raycluster needs executor ray, not {executor}")
    if executor == "ray" and several and not (options.image_has_ray or engine_of(options.engine).has_ray(version)):
        reasons.append(
            f"executor ray: stock images have no Ray since vLLM {vllm.since('ray-dropped')} (this is {version}): "
            f"executor mp, or an image {_OWN_IMAGE.format(version=version)}"
        )
    if storage == "perReplica" and controller not in {"statefulset", "leaderworkerset"}:
        reasons.append(f"storage perReplica: controller {controller} makes no claim per pod")
    return Deployment(controller, executor, storage, tuple(reasons))


def _storage(controller: str, several: bool) -> str:
    if not several:
        return "pvc"
    return "perReplica" if controller in {"statefulset", "leaderworkerset"} else "emptyDir"
