"""Speed of a plan from a roofline: bytes over bandwidth for decoding, operations over FLOPS for prompts.

    decode step = bytes read per GPU / (bandwidth x share) + overhead + all-reduces,  at least its operations
    prompt      = operations / (GPUs of a stage x FLOPS x share) + overhead of a step

First order, with a band; docs/advice.md compares it with measurements. The shares and overheads are those of
`constants`. All times in seconds.
"""

from dataclasses import dataclass

from llm_serving_planner.engines import format_support
from llm_serving_planner.hardware.compute_capability import capability
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.memory import kv_cache, pipeline, weights
from llm_serving_planner.memory.settings import Settings
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.speed import constants
from llm_serving_planner.speed.constants import Constants

# Latency of one all-reduce: NVLink as the point-to-point constant of ai-dynamo/aiconfigurator (2026-08-21); PCIe is an
# assumption, 20 to 40 us without peer-to-peer.
NVLINK_SECONDS = 10e-6
PCIE_SECONDS = 30e-6
PCIE_BYTES = 12e9  # an x16 link of generation 3 or x8 of generation 4, as on AWS g4dn to g6e; an assumption
NETWORK_SECONDS = 50e-6  # one hop between pipeline stages over TCP: an assumption
NETWORK_BYTES = 1.25e9  # 10 Gbit/s where the machine's rate is not in the data: an assumption


@dataclass(frozen=True, slots=True)
class Prediction:
    """Speed of one engine under a workload; rates in answer tokens per second.

    Attributes:
        step_seconds: time of one decode step of all requests.
        prefill_seconds: time of one prompt alone.
        tokens_per_second: of all requests together, prompts included in the time; `low` and `high` are its band.
        first_token_seconds: of a request that finds the others decoding.
        burst_seconds: first token of the last one when all requests come at the same moment.
        band: shares of `tokens_per_second` between which a measurement is expected.
    """

    step_seconds: float
    prefill_seconds: float
    tokens_per_second: float
    per_request: float
    first_token_seconds: float
    burst_seconds: float
    band: tuple[float, float] = (0.7, 1.3)

    @property
    def low(self) -> float:
        """Lower end of the band of `tokens_per_second`."""
        return self.tokens_per_second * self.band[0]

    @property
    def high(self) -> float:
        """Upper end of the band."""
        return self.tokens_per_second * self.band[1]


@dataclass(frozen=True, slots=True)
class Engine:
    """What the roofline needs of a plan: the model, its GPUs, the settings."""

    spec: ModelSpec
    profile: GpuProfile
    settings: Settings
    native_fp8: bool = False

    @property
    def constants(self) -> Constants:
        """What was measured of such GPUs and kernels."""
        return constants.for_model(self.profile.gpu, self.spec, eager=self.settings.enforce_eager)


@dataclass(frozen=True, slots=True)
class Load:
    """What the closed form needs of a workload: requests that run at once, tokens of the usual request."""

    concurrency: int
    prompt_tokens: int
    answer_tokens: int


def engine_of(plan: Plan) -> Engine:
    """The engine of a plan."""
    native = plan.quantization == "fp8"
    quantization = plan.spec.quantization
    if quantization is not None:
        compute = capability(plan.profile.gpu.compute_capability or "0")
        kind = formats.kind_of(quantization)
        native = format_support.support(kind, plan.engine_version, compute).native
        native = native and quantization.bits == 8
    return Engine(plan.spec, plan.profile, plan.settings, native)


def predict(engine: Engine, workload: Load) -> Prediction | None:
    """Speed under the workload; None where the data do not hold the GPU's bandwidth or rate."""
    gpu = engine.profile.gpu
    if not gpu.bandwidth_gb_s or not gpu.fp16_tflops:
        return None
    stages = engine.settings.parallel.pipeline_parallel_size
    engines = engine.settings.parallel.data_parallel_size
    batch = -(-workload.concurrency // engines)  # of one engine: the API spreads requests evenly
    context = workload.prompt_tokens + workload.answer_tokens // 2
    step = step_seconds(engine, batch, context)
    prefill = prefill_seconds(engine, workload.prompt_tokens)
    # Prompts of different requests overlap in the stages of a pipeline.
    prompts = batch * prefill / min(stages, batch)
    seconds = prompts + workload.answer_tokens * step
    rate = workload.concurrency * workload.answer_tokens / seconds
    return Prediction(
        step_seconds=step,
        prefill_seconds=prefill,
        tokens_per_second=rate,
        per_request=rate / workload.concurrency,
        first_token_seconds=constants.request_seconds() + prefill + (step if batch > 1 else 0.0),
        burst_seconds=constants.request_seconds() + prompts,
        band=engine.constants.band,
    )


def step_seconds(engine: Engine, batch: int, context: int) -> float:
    """One token for each of `batch` requests that hold `context` tokens.

    Stages of a pipeline work on different requests at the same time, but each token walks all of them.
    """
    settings, profile = engine.settings, engine.profile
    stages = settings.parallel.pipeline_parallel_size
    stage = pipeline.stage_spec(engine.spec, stages)
    share = -(-batch // stages)
    layers = stage.num_layers
    known = engine.constants
    rate = (profile.gpu.bandwidth_gb_s or 0) * 1e9 * known.bandwidth_share
    moved = weights_read(stage, settings, share) + share * cache_read(stage, settings, context)
    operations = 2 * active_parameters(stage) * share / settings.parallel.tensor_parallel_size
    work = max(moved / rate, operations / (flops(engine) * compute_share(engine)))
    overhead = known.base / stages + layers * known.layer
    one = max(work, overhead) if settings.enforce_eager else work + overhead
    one += 2 * layers * all_reduce_seconds(engine, share)
    return stages * one + (stages - 1) * hop_seconds(engine, share)


def prefill_seconds(engine: Engine, tokens: int) -> float:
    """The prompt of one request, alone: at least the weights must be read once."""
    settings, spec = engine.settings, engine.spec
    stages = settings.parallel.pipeline_parallel_size
    stage = pipeline.stage_spec(spec, stages)
    operations = 2 * active_parameters(stage) * tokens + attention_operations(stage, tokens)
    compute = operations / (settings.parallel.tensor_parallel_size * flops(engine) * compute_share(engine))
    known = engine.constants
    rate = (engine.profile.gpu.bandwidth_gb_s or 0) * 1e9 * known.bandwidth_share
    floor = weights_read(stage, settings, tokens) / rate
    one = max(compute, floor) + stage.num_layers * (2 * all_reduce_seconds(engine, tokens))
    chunks = -(-tokens // settings.max_num_batched_tokens)
    one += chunks * (known.base / stages + stage.num_layers * known.layer)
    return stages * one + (stages - 1) * hop_seconds(engine, tokens)


def weights_read(stage: ModelSpec, settings: Settings, tokens: int) -> float:
    """Bytes of weights that one rank reads for a step of `tokens` tokens.

    Of a separate embedding only single rows are read. Of the experts those that some token chose:
    E (1 - (1 - k/E)^tokens), where experts are divided over data parallel engines the tokens of all of them.
    """
    loaded = float(weights.rank_weights(stage, settings.parallel, runtime_fp8=settings.runtime_fp8))
    if not stage.tied:
        loaded -= 2 * stage.vocab_size * stage.hidden_size / settings.parallel.tensor_parallel_size
    if stage.moe is not None:
        touched = 1 - (1 - stage.moe.top_k / stage.moe.experts) ** (tokens * settings.parallel.data_parallel_size)
        bits = 8 if settings.runtime_fp8 and stage.quantization is None else _bits(stage)
        experts = min(
            expert_parameters(stage) * bits / 8 * weights.expert_part(stage, settings.parallel), 0.98 * loaded
        )
        loaded -= (1 - touched) * experts
    return max(loaded, 0.0)


def cache_read(stage: ModelSpec, settings: Settings, context: int) -> float:
    """Bytes of cache that one rank reads per step for a request of `context` tokens."""
    total = 0.0
    for group in stage.layers:
        page, block = kv_cache.page_bytes(group, settings)
        held = context if group.window is None else min(context, group.window)
        total += page / block * held
    if stage.recurrent is not None:  # the state is read and written back
        total += 2 * stage.recurrent.state_bytes / settings.parallel.tensor_parallel_size
    return total


def expert_parameters(spec: ModelSpec) -> float:
    """Weights of all experts."""
    moe = spec.moe
    return 3.0 * moe.layers * moe.experts * spec.hidden_size * moe.intermediate if moe else 0.0


def active_parameters(spec: ModelSpec) -> float:
    """Weights that take part in the computation of one token; embedding and head are left out."""
    matrices = 1 if spec.tied else 2
    linear = spec.weights.loaded_bytes - 2.0 * matrices * spec.vocab_size * spec.hidden_size
    total = max(linear, 0.0) / (_bits(spec) / 8)
    if spec.moe is None:
        return total
    experts = min(expert_parameters(spec), 0.98 * total)
    return total - experts * (1 - spec.moe.top_k / spec.moe.experts)


def attention_operations(spec: ModelSpec, tokens: int) -> float:
    """Scores and sums of causal attention over a prompt: 4 x heads x size x tokens^2 / 2 per layer."""
    width = spec.num_attention_heads * spec.head_dim
    found = 0.0
    for group in spec.layers:
        seen = tokens / 2 if group.window is None else min(tokens / 2, group.window)
        found += group.count * 4.0 * width * tokens * seen
    return found


def _bits(spec: ModelSpec) -> float:
    """Bits per stored weight, scales of grouped 4-bit formats included (16 bits per group)."""
    if spec.quantization is None:
        return 16.0
    group = spec.quantization.group_size or 0
    return spec.quantization.bits + (16 / group if group > 0 else 0)


def flops(engine: Engine) -> float:
    """Peak rate in operations per second: FP8 where the kernels compute so."""
    gpu = engine.profile.gpu
    rate = gpu.fp8_tflops if engine.native_fp8 and gpu.fp8_tflops else gpu.fp16_tflops
    return (rate or 0) * 1e12


def compute_share(engine: Engine) -> float:
    """Share of the peak rate that prompts reach."""
    known = engine.constants
    alone = engine.settings.parallel.tensor_parallel_size == 1
    return known.compute_share if alone else known.compute_share_parallel


def all_reduce_seconds(engine: Engine, tokens: int) -> float:
    """One all-reduce of the activations of `tokens` tokens, ring: 2 (n - 1) / n of the bytes cross each link."""
    size = engine.settings.parallel.tensor_parallel_size
    if size == 1:
        return 0.0
    crossing = 2 * (size - 1) / size * 2 * tokens * engine.spec.hidden_size
    gpu = engine.profile.gpu
    if engine.profile.link in {"nvlink", "nvswitch"} and gpu.nvlink_gb_s:
        return NVLINK_SECONDS + crossing / (gpu.nvlink_gb_s * 1e9 / 2)  # the data hold both directions together
    return PCIE_SECONDS + crossing / PCIE_BYTES


def hop_seconds(engine: Engine, tokens: int) -> float:
    """Activations from one stage to the next, over the network where there are several nodes."""
    size = 2 * tokens * engine.spec.hidden_size
    if engine.profile.nodes == 1:
        return PCIE_SECONDS + size / PCIE_BYTES
    machine = engine.profile.instance
    rate = machine.network_gbps * 1e9 / 8 if machine and machine.network_gbps else NETWORK_BYTES
    return NETWORK_SECONDS + size / rate
