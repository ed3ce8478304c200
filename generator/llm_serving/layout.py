"""How one engine is spread over GPUs and nodes: tensor parallel inside a node, pipeline parallel across nodes.

Tensor parallel ranks exchange activations twice per layer, pipeline stages once per stage: the first belongs on the
fast link inside a node, the second on the network between nodes (vLLM 0.33.0 docs/serving/parallelism_scaling.md).
"""

from dataclasses import dataclass

from llm_serving import engine_types, rules
from llm_serving.model import ModelSpec
from llm_serving.options import Options
from llm_serving.profiles import GpuProfile


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one deployment; tensor x pipeline x data = nodes x gpus_per_node.

    Attributes:
        data: engines behind one API, each with tensor x pipeline GPUs.
        expert: whole experts are divided over tensor x data ranks.
        reasons: what stands against it.
        rejected: sizes that were not taken, with the reason.
    """

    tensor: int
    pipeline: int
    nodes: int
    gpus_per_node: int
    reasons: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    data: int = 1
    expert: bool = False

    @property
    def gpus(self) -> int:
        """GPUs of the whole engine, or of all its data parallel engines."""
        return self.tensor * self.pipeline * self.data

    @property
    def engines_per_pod(self) -> int:
        """Data parallel engines of one pod."""
        return max(1, self.data // self.nodes)


def choose_layout(spec: ModelSpec, profile: GpuProfile, options: Options) -> Layout:
    """The layout on a profile: pinned sizes as they are, else the largest tensor parallel size that a node allows."""
    if (options.data_parallel_size or 1) > 1:
        from llm_serving import data_parallel

        return data_parallel.choose_layout(spec, profile, options)
    reasons: list[str] = []
    rejected: list[str] = []
    nodes = profile.nodes
    if options.engine != "vllm" and (nodes > 1 or (options.pipeline_parallel_size or 1) > 1):
        reasons.append(
            f"{engine_types.label(options.engine)} shards inside one node and has no pipeline parallelism: "
            "a profile of one node, or --engine vllm"
        )
        nodes = 1
    tensor = options.tensor_parallel_size or _tensor(spec, profile, options, rejected)
    pipeline = options.pipeline_parallel_size or _pipeline(profile, options, tensor, nodes)
    reasons += rules.parallel_reasons(spec, tensor, 1, expert=options.enable_expert_parallel)
    reasons += engine_types.shard_reasons(options.engine, spec, tensor)
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
    if nodes > 1 and tensor > per_node:
        rejected.append(
            f"tensor parallel inside a node: --tensor-parallel-size {tensor} spans nodes, so that every layer waits "
            "for the network"
        )
    expert = options.enable_expert_parallel
    return Layout(tensor, pipeline, nodes, per_node, tuple(reasons), tuple(rejected), expert=expert)


def _tensor(spec: ModelSpec, profile: GpuProfile, options: Options, rejected: list[str]) -> int:
    """Largest size inside a node that no rule forbids; a counted profile of one node is used whole."""
    available = profile.gpus_per_node
    if options.pipeline_parallel_size is not None:
        available = max(1, profile.nodes * available // options.pipeline_parallel_size)
        available = min(available, profile.gpus_per_node)
    if profile.exact_count and profile.nodes == 1 and options.pipeline_parallel_size is None:
        return available
    for size in range(available, 0, -1):
        against = rules.parallel_reasons(spec, size, 1, expert=options.enable_expert_parallel)
        against += engine_types.shard_reasons(options.engine, spec, size)
        whole = profile.exact_count and available % size
        if not against and not whole:
            break
        if against and size == available:
            rejected.append(f"tensor parallel size {size}: {'; '.join(against)}")
    if size < available:
        used = "pipeline stages take the rest" if profile.exact_count else f"{size} of {available} GPUs are used"
        rejected[-1:] = [f"{rejected[-1]}; {used}"] if rejected else [f"tensor parallel size {available}: {used}"]
    return size


def _pipeline(profile: GpuProfile, options: Options, tensor: int, nodes: int) -> int:
    """Stages: one per node, more where a counted profile has GPUs left in each node, fewer where tensor spans nodes."""
    if nodes == 1 or options.engine != "vllm":
        return 1
    if tensor > profile.gpus_per_node:
        return max(1, nodes * profile.gpus_per_node // tensor)
    return nodes * (profile.gpus_per_node // tensor if profile.exact_count else 1)
