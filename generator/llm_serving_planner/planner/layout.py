"""How one engine is spread over GPUs and nodes: tensor parallel inside a node, pipeline parallel across nodes.

Tensor parallel ranks exchange activations twice per layer, pipeline stages once per stage: the first belongs on the
fast link inside a node, the second on the network between nodes (vLLM 0.33.0 docs/serving/parallelism_scaling.md).
"""

from llm_serving_planner.base.records import record
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.memory.settings import ParallelConfig
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner import rules
from llm_serving_planner.planner.options import Options

# pytorch issue 130181, NVIDIA k8s-device-plugin issue 446: a process sees the first MIG device of those it is given
PARTS = (
    "a process sees one slice or share of a GPU, and no two of them exchange memory; --replicas takes each for itself"
)


@record
class Layout:
    """An engine's sizes on its nodes; their GPUs are nodes x gpus_per_node.

    Attributes:
        reasons: what stands against it.
        rejected: sizes that were not taken, with the reason.
    """

    parallel: ParallelConfig
    nodes: int
    gpus_per_node: int
    reasons: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()

    @property
    def gpus(self) -> int:
        """GPUs of the whole engine, or of all its data parallel engines."""
        return self.parallel.gpus

    @property
    def engines_per_pod(self) -> int:
        """Data parallel engines of one pod."""
        return max(1, self.parallel.data_parallel_size // self.nodes)


def choose_layout(spec: ModelSpec, profile: GpuProfile, options: Options) -> Layout:
    """The layout on a profile: pinned sizes as they are, else the largest tensor parallel size that a node allows."""
    if (options.data_parallel_size or 1) > 1:
        return _data_parallel(spec, profile, options)
    reasons: list[str] = []
    rejected: list[str] = []
    nodes, engine = profile.nodes, engine_of(options.engine)
    if not engine.pipeline and (nodes > 1 or (options.pipeline_parallel_size or 1) > 1):
        reasons.append(
            f"{engine.label} shards inside one node and has no pipeline parallelism: "
            "a profile of one node, or --engine vllm"
        )
        nodes = 1
    if profile.gpu.part:  # each engine has a node's slice for itself
        nodes = 1
    tensor = options.tensor_parallel_size or _tensor(spec, profile, options, rejected)
    pipeline = options.pipeline_parallel_size or _pipeline(profile, engine, tensor, nodes)
    reasons += tensor_reasons(spec, tensor, options)
    if pipeline > spec.num_layers:
        reasons.append(f"pipeline parallel size {pipeline} is above the {spec.num_layers} layers")
    if tensor * pipeline % nodes:
        reasons.append(
            f"tensor parallel size {tensor} x pipeline parallel size {pipeline} does not divide by {nodes} nodes"
        )
    per_node = -(-tensor * pipeline // nodes)
    if per_node > profile.gpus_per_node:
        needs = f"tensor parallel size {tensor}"
        if pipeline > 1:
            needs += f" x pipeline parallel size {pipeline}"
        has = f"{profile.name} has {profile.gpus_per_node}"
        where = " per node" if nodes > 1 else ""
        reasons.append(f"{needs} needs {per_node} GPUs{where}, {has}")
    if profile.gpu.part and tensor * pipeline > 1:
        reasons.append(f"tensor parallel size {tensor} x pipeline parallel size {pipeline} over slices: {PARTS}")
    if nodes > 1 and tensor > per_node:
        rejected.append(
            f"tensor parallel inside a node: --tensor-parallel-size {tensor} spans nodes, so that every layer waits "
            "for the network"
        )
    parallel = ParallelConfig(tensor, pipeline, enable_expert_parallel=options.enable_expert_parallel)
    return Layout(parallel, nodes, per_node, tuple(reasons), tuple(rejected))


def tensor_reasons(spec: ModelSpec, tensor: int, options: Options) -> list[str]:
    """What of model and engine stands against that tensor parallel size."""
    found = rules.parallel_reasons(spec, tensor, 1, expert=options.enable_expert_parallel)
    return [*found, *engine_of(options.engine).shard_reasons(spec, tensor)]


def _tensor(spec: ModelSpec, profile: GpuProfile, options: Options, rejected: list[str]) -> int:
    """Largest size inside a node that no rule forbids; a counted profile of one node is used whole."""
    available = profile.gpus_per_node
    if profile.gpu.part:
        if available > 1:
            rejected.append(f"tensor parallel size {available}: {PARTS}")
        return 1
    if options.pipeline_parallel_size is not None:
        available = max(1, profile.nodes * available // options.pipeline_parallel_size)
        available = min(available, profile.gpus_per_node)
    if profile.exact_count and profile.nodes == 1 and options.pipeline_parallel_size is None:
        return available
    for size in range(available, 0, -1):
        against = tensor_reasons(spec, size, options)
        whole = profile.exact_count and available % size
        if not against and not whole:
            break
        if against and size == available:
            rejected.append(f"tensor parallel size {size}: {'; '.join(against)}")
    if size < available:
        used = "pipeline stages take the rest" if profile.exact_count else f"{size} of {available} GPUs are used"
        rejected[-1:] = [f"{rejected[-1]}; {used}"] if rejected else [f"tensor parallel size {available}: {used}"]
    return size


def _pipeline(profile: GpuProfile, engine: Engine, tensor: int, nodes: int) -> int:
    """Stages: one per node, more where a counted profile has GPUs left in each node, fewer where tensor spans nodes."""
    if nodes == 1 or not engine.pipeline or profile.gpu.part:
        return 1
    if tensor > profile.gpus_per_node:
        return max(1, nodes * profile.gpus_per_node // tensor)
    return nodes * (profile.gpus_per_node // tensor if profile.exact_count else 1)


def _data_parallel(spec: ModelSpec, profile: GpuProfile, options: Options) -> Layout:
    """The layout of --data-parallel-size engines: whole engines in every node, as many GPUs for each as there are."""
    data, nodes = options.data_parallel_size or 1, profile.nodes
    reasons: list[str] = []
    engine = engine_of(options.engine)
    if not engine.data_parallel:
        reasons.append(f"{engine.label} has no data parallel: --replicas {data}, or --engine vllm")
    if data % nodes:
        reasons.append(
            f"data parallel size {data} does not divide by {nodes} nodes: every node holds whole engines, so a "
            f"multiple of {nodes}"
        )
    local, stages = max(1, data // nodes), options.pipeline_parallel_size or 1
    available = profile.gpus_per_node // (local * stages)
    tensor = options.tensor_parallel_size or _data_parallel_tensor(spec, options, available, exact=profile.exact_count)
    reasons += rules.parallel_reasons(spec, tensor, data, expert=options.enable_expert_parallel)
    if stages > spec.num_layers:
        reasons.append(f"pipeline parallel size {stages} is above the {spec.num_layers} layers")
    per_node = local * stages * tensor
    if per_node > profile.gpus_per_node:
        needs = f"{local} engine(s) of {stages * tensor} GPU(s)"
        where = " in each node" if nodes > 1 else ""
        reasons.append(f"{needs}{where} need {per_node} GPUs, {profile.name} has {profile.gpus_per_node}")
    if profile.gpu.part:
        reasons.append(f"data parallel size {data} over slices: {PARTS}")
    parallel = ParallelConfig(tensor, stages, data, options.enable_expert_parallel)
    return Layout(parallel, nodes, per_node, tuple(reasons))


def _data_parallel_tensor(spec: ModelSpec, options: Options, available: int, *, exact: bool) -> int:
    """Largest tensor parallel size of one engine that no rule forbids; a divisor of what a counted profile has."""
    data, expert = options.data_parallel_size or 1, options.enable_expert_parallel
    for size in range(available, 1, -1):
        if not (exact and available % size) and not rules.parallel_reasons(spec, size, data, expert=expert):
            return size
    return 1


def data_parallel_reasons(layout: Layout, spec: ModelSpec, options: Options) -> list[str]:
    """What stands against expert parallel, and against Ray between data parallel engines."""
    found = []
    parallel = layout.parallel
    engine = engine_of(options.engine)
    if options.enable_expert_parallel and not engine.expert_parallel:
        found.append(f"--enable-expert-parallel is vLLM's: {engine.label} has no such thing")
    if options.enable_expert_parallel and spec.moe is None:
        found.append(f"--enable-expert-parallel: {spec.short_name} has no experts")
    if options.enable_expert_parallel and parallel.expert_ranks == 1:
        found.append("--enable-expert-parallel: one rank has all experts anyway")
    if parallel.data_parallel_size > 1 and (options.executor == "ray" or options.controller == "raycluster"):
        found.append(
            f"data parallel size {parallel.data_parallel_size} is not served over Ray (engines wait for each other for "
            "ever, vLLM issue 44878): executor mp with controller statefulset or leaderworkerset"
        )
    return found


def data_parallel_assumptions(layout: Layout, spec: ModelSpec) -> list[str]:
    """What is not known of such layouts."""
    parallel = layout.parallel
    if parallel.data_parallel_size == 1 and not parallel.enable_expert_parallel:
        return []
    found = ["no start-up with data or expert parallel was measured: buffers of the experts are upper bounds"]
    if parallel.data_parallel_size > 1 and spec.moe is not None:
        found.append(
            f"experts work on the tokens of all {parallel.data_parallel_size} engines at once (all-gather, "
            "vLLM's default)"
        )
    return found
