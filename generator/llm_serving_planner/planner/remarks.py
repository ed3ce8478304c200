"""What a plan says beside its numbers: what it assumes, and what may surprise."""

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.memory.settings import Estimate, Settings
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.devices.registry import device_of
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.resources import DEFAULT_DOWNLOAD_GBPS

_LATENT_GROWTH = int(5.3 * GIB)  # one H200, vLLM 0.33.0, 2026-11-29; profiling runs without attention (skip_attn)


def assumptions(
    spec: ModelSpec, profile: GpuProfile, options: Options, regime: Regime, version: str
) -> tuple[str, ...]:
    """Facts that a default or an estimate stands in for."""
    engine, device = engine_of(options.engine), device_of(profile.gpu)
    found = []
    if options.download_gbps is None:
        found.append(f"download at {DEFAULT_DOWNLOAD_GBPS:g} Gbit/s")
    found += device.memory_assumptions(profile.gpu, options, engine, version, regime)
    if spec.weights.assumed:
        found.append(f"size of the weights is an estimate ({spec.weights.basis})")
    if options.language_model_only and not spec.weights.encoder_bytes:
        found.append("the size of the encoders is not known: their weights count although they are left out")
    if spec.gated is None:
        found.append("whether the model is gated is not known: no token is demanded")
    if spec.revision is None and spec.source == "catalogue" and options.revision is None:
        found.append("commit of the checkpoint is not known offline: the newest is served")
    found += device.pod_assumptions()
    if engine.assumption and device.runs_stock and options.image is None:
        found.append(engine.assumption)
    if profile.node_memory_mib is None:
        found.append("host memory and CPU of the node are not known: requests are not checked against it")
    return (*found, *spec.notes)


def warnings(
    estimate: Estimate,
    settings: Settings,
    options: Options,
    version: str,
    profile: GpuProfile,
    layout: Layout,
    *,
    latent: bool = False,
) -> tuple[str, ...]:
    """What may surprise, though it starts."""
    engine, device = engine_of(options.engine), device_of(profile.gpu)
    found = list(engine.warnings)
    if device.caveat:
        return (*found, device.caveat)
    if settings.enforce_eager and not options.enforce_eager and engine.captures_graphs:
        found.append(
            "CUDA graphs are given up to make room for the cache: decoding is slower; --max-model-len chooses another "
            "balance"
        )
    if estimate.total - estimate.requested < estimate.outside:
        found.append(
            f"{(estimate.total - estimate.requested) / GIB:.2f} GiB stay outside the engine's share, "
            f"{estimate.outside / GIB:.2f} GiB are expected there: lower --gpu-memory-utilization"
        )
    slices = profile.gpus_per_node * profile.nodes
    if profile.gpu.part:
        if options.replicas < slices:
            found.append(f"{slices - options.replicas} of {slices} slices stay unused: --replicas {slices}")
    elif layout.gpus_per_node < profile.gpus_per_node:
        unused = profile.gpus_per_node - layout.gpus_per_node
        found.append(
            f"{unused} of {profile.gpus_per_node} GPUs stay unused{' in each node' if layout.nodes > 1 else ''}"
        )
    if latent and estimate.total - estimate.requested < _LATENT_GROWTH:
        found.append(
            f"latent attention may grow by {_LATENT_GROWTH / GIB:.1f} GiB outside the engine's share under load, which "
            "profiling leaves out (GLM-4.7-Flash on vLLM 0.33.0; nine models of other kinds 0.43 at most): where the "
            "engine dies while serving, lower --gpu-memory-utilization"
        )
    if layout.nodes > 1:
        found.append(
            "several nodes: every node downloads or mounts the whole model, and the network carries activations"
        )
    found += device.notes(profile.gpu, engine, version)
    if options.storage == "emptyDir":
        found.append("emptyDir: every new pod downloads the model again")
    return tuple(found)
