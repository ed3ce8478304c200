"""What a plan says beside its numbers: what it assumes, and what may surprise."""

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import frozen, vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.hardware import profiles
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.memory.settings import Estimate, Settings
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.devices import cpu, rocm_gaudi
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.resources import DEFAULT_DOWNLOAD_GBPS
from llm_serving_planner.planner.search import FALLBACK_CONTEXT


def assumptions(
    spec: ModelSpec, profile: GpuProfile, options: Options, regime: Regime, version: str
) -> tuple[str, ...]:
    """Facts that a default or an estimate stands in for."""
    found = []
    if options.download_gbps is None:
        found.append(f"download at {DEFAULT_DOWNLOAD_GBPS:g} Gbit/s")
    if rocm_gaudi.is_other(profile):
        found += rocm_gaudi.assumptions(profile.gpu, options, version)
    elif not regime.measured:
        name = frozen.label(options.engine)
        found.append(f"no start-up of {name} {version} was measured: terms are upper bounds")
    elif not profile.gpu.compute_capability.startswith("9."):
        name = frozen.label(options.engine)
        found.append(f"{name} {version} was measured on Hopper GPUs only: a wider band elsewhere")
    if spec.weights.assumed:
        found.append(f"size of the weights is an estimate ({spec.weights.basis})")
    if options.language_model_only and not spec.weights.encoder_bytes:
        found.append("the size of the encoders is not known: their weights count although they are left out")
    if spec.max_position is None:
        found.append(f"config.json names no longest context: {FALLBACK_CONTEXT} as in vLLM")
    if spec.gated is None:
        found.append("whether the model is gated is not known: no token is demanded")
    if spec.revision is None and spec.source == "catalogue" and options.revision is None:
        found.append("commit of the checkpoint is not known offline: the newest is served")
    if cpu.is_cpu(profile):
        found.append(f"{profiles.PROCESS_MEMORY_GIB} GiB of memory for each engine process")
    stock = options.image is None and not rocm_gaudi.is_other(profile)
    if "assumption" in frozen.facts(options.engine) and stock:
        found.append(frozen.facts(options.engine)["assumption"])
    if profile.node_memory_mib is None:
        found.append("host memory and CPU of the node are not known: requests are not checked against it")
    return (*found, *spec.notes)


def warnings(
    estimate: Estimate, settings: Settings, options: Options, version: str, profile: GpuProfile, layout: Layout
) -> tuple[str, ...]:
    """What may surprise, though it starts."""
    found = list(frozen.facts(options.engine).get("warnings", ()))
    if cpu.is_cpu(profile):
        return (*found, "CPUs serve one or two users at most: for trying the chart out")
    if settings.enforce_eager and not options.enforce_eager and options.engine != "tgis":
        found.append(
            "CUDA graphs are given up to make room for the cache: decoding is slower; --max-model-len chooses another "
            "balance"
        )
    if estimate.total - estimate.requested < estimate.outside:
        found.append(
            f"{(estimate.total - estimate.requested) / GIB:.2f} GiB stay outside the engine's share, "
            f"{estimate.outside / GIB:.2f} GiB are expected there: lower --gpu-memory-utilization"
        )
    if layout.gpus_per_node < profile.gpus_per_node:
        unused = profile.gpus_per_node - layout.gpus_per_node
        found.append(
            f"{unused} of {profile.gpus_per_node} GPUs stay unused{' in each node' if layout.nodes > 1 else ''}"
        )
    if layout.nodes > 1:
        found.append(
            "several nodes: every node downloads or mounts the whole model, and the network carries activations"
        )
    if rocm_gaudi.is_other(profile):
        found += rocm_gaudi.notes(profile.gpu)
    elif options.engine == "vllm" and vllm.at_least(version, "driver-580"):
        found.append(f"vLLM {version} images hold CUDA 13: NVIDIA driver 580 or newer on the node")
    if options.storage == "emptyDir":
        found.append("emptyDir: every new pod downloads the model again")
    return tuple(found)
