"""Plan -> values of the chart. The one module that knows the chart's keys."""

from typing import Any

from llm_serving import __version__, engines
from llm_serving.engines import GIB
from llm_serving.errors import InputError
from llm_serving.plan import Plan

_PRE_STOP_SECONDS = 15  # endpoints leave the Service before the engine drains; KServe uses 15 (read 2026-11-22)
_DRAIN_SECONDS = 60
_GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def build_values(plan: Plan) -> dict[str, Any]:
    """The values document of a plan, in the order in which it is written.

    Raises:
        InputError: the deployment needs something that only the user can name (a token's secret, a model's volume).
    """
    spec, options, settings = plan.spec, plan.options, plan.settings
    if spec.gated and not options.hf_token_secret and not _is_folder(plan):
        raise InputError(
            f"{spec.model_id} is gated: the pod needs a Hugging Face token",
            hint="name the Secret that holds it (key token): --hf-token-secret NAME",
        )
    if _is_folder(plan) and options.storage not in {"existingClaim", "hostPath"}:
        raise InputError(
            f"{spec.model_id} is a folder: storage {options.storage} would not hold it in the cluster",
            hint=f"copy it to {spec.short_name}/ on a volume, then --storage existingClaim --storage-name CLAIM",
        )
    return {
        "model": _model(plan),
        "engine": {
            "type": "vllm",
            "version": plan.engine_version,
            "image": {
                "registry": engines.facts()["image"]["registry"],
                "repository": engines.facts()["image"]["repository"],
                "tag": f"v{plan.engine_version}",
            },
            "args": engine_args(plan),
        },
        "parallelism": {
            "tensor": settings.tensor_parallel,
            "pipeline": 1,
            "nodes": 1,
            "gpusPerNode": settings.tensor_parallel,
            "controller": "deployment",
        },
        "gpu": {
            "resourceName": plan.profile.gpu.resource_name,
            "product": plan.profile.gpu.device_name,
            "nodeSelector": _node_selector(plan),
            "tolerations": [_GPU_TAINT],
        },
        "cpu": {"request": str(plan.resources.cpu_request)},
        "memory": {
            "sharedMemory": _gib(plan.resources.shared_memory),
            "host": {
                "request": _gib(plan.resources.memory_request),
                "limit": _gib(plan.resources.memory_limit),
            },
        },
        "storage": _storage(plan),
        "startup": {
            "budgetSeconds": plan.resources.startup.budget,
            "imagePullSeconds": plan.resources.startup.image_pull,
        },
        "rollout": {"mode": "recreate"},
        "drain": {
            "preStopSeconds": _PRE_STOP_SECONDS,
            "shutdownTimeoutSeconds": (
                _DRAIN_SECONDS if engines.at_least(plan.engine_version, "shutdown-timeout") else 0
            ),
        },
        "replicas": options.replicas,
        "platform": options.platform,
        "auth": {"hfToken": {"existingSecret": options.hf_token_secret or "", "key": "token"}},
        "plan": plan_block(plan),
    }


def _is_folder(plan: Plan) -> bool:
    return plan.spec.source == "folder"


def _model(plan: Plan) -> dict[str, Any]:
    spec = plan.spec
    model: dict[str, Any] = {"id": spec.model_id}
    if _is_folder(plan):
        model = {"id": spec.short_name, "path": f"/llm/models/{spec.short_name}"}
    elif plan.options.revision or spec.revision:
        model["revision"] = spec.revision or plan.options.revision
    model["servedName"] = plan.served_name
    model["gated"] = bool(spec.gated)
    model["trustRemoteCode"] = spec.remote_code
    return model


def engine_args(plan: Plan) -> dict[str, Any]:
    """Flags of the engine that the plan decides; parallel sizes are not among them (they have keys)."""
    settings = plan.settings
    args: dict[str, Any] = {
        "dtype": plan.dtype,
        "max-model-len": settings.max_model_len,
        "max-num-seqs": settings.max_num_seqs,
        "max-num-batched-tokens": settings.max_num_batched_tokens,
        "gpu-memory-utilization": settings.utilization,
        "kv-cache-dtype": plan.kv_cache_dtype,
    }
    if plan.quantization:
        args["quantization"] = plan.quantization
    args.update(dict.fromkeys(plan.flags, True))
    if settings.enforce_eager:
        args["enforce-eager"] = True
    if engines.at_least(plan.engine_version, "disable-access-log-for-endpoints"):
        args["disable-access-log-for-endpoints"] = "/health,/metrics,/ping"
    for flag in args:
        problem = engines.flag_problem(flag, plan.engine_version)
        if problem is not None:
            raise InputError(f"vLLM {plan.engine_version}: {problem}")
    return args


def _node_selector(plan: Plan) -> dict[str, str]:
    if plan.profile.instance is not None:
        return {"node.kubernetes.io/instance-type": plan.profile.instance.type}
    labels = plan.profile.gpu.gfd_product_labels
    return {"nvidia.com/gpu.product": labels[0]} if len(labels) == 1 else {}


def _storage(plan: Plan) -> dict[str, Any]:
    options = plan.options
    storage: dict[str, Any] = {"type": options.storage, "size": _gib(plan.resources.disk)}
    if options.storage == "pvc":
        storage["accessMode"] = "ReadWriteOnce" if options.replicas == 1 else "ReadWriteMany"
        storage["keep"] = True
        if options.storage_class:
            storage["storageClass"] = options.storage_class
    elif options.storage == "existingClaim":
        storage["existingClaim"] = options.storage_name
    elif options.storage == "hostPath":
        storage["hostPath"] = options.storage_name
    return storage


def _gib(size: int) -> str:
    return f"{-(-size // GIB)}Gi"


def plan_block(plan: Plan) -> dict[str, Any]:
    """What was computed and why: shown by the chart, never acted on. GiB rounded to two decimals."""
    estimate, startup = plan.estimate, plan.resources.startup

    def gib(size: int) -> float:
        return round(size / GIB, 2)

    return {
        "summary": summary(plan),
        **({"about": plan.options.about} if plan.options.about else {}),
        "generator": f"llm-serving {__version__}",
        "profile": plan.profile.name,
        "engineVersion": plan.engine_version,
        "verdict": plan.verdict,
        "attention": plan.attention,
        "source": f"{plan.spec.source} ({plan.spec.weights.basis})",
        "estimateGiBPerGpu": {
            "total": gib(estimate.total),
            "requested": gib(estimate.requested),
            "weights": gib(estimate.weights),
            "activations": gib(estimate.activations),
            "nonTorch": gib(estimate.non_torch),
            "cudaGraphs": gib(estimate.cuda_graphs),
            "kvCache": gib(estimate.kv_cache),
            "kvCachePerRequest": gib(estimate.kv_per_request),
            "outside": gib(estimate.outside),
            "margin": gib(estimate.margin),
        },
        "cacheTokens": plan.cache_tokens,
        "concurrency": round(estimate.concurrency, 2),
        "startupSeconds": {
            "base": startup.base,
            "download": startup.download,
            "load": startup.load,
            "compile": startup.compile,
        },
        "assumptions": list(plan.assumptions),
        "warnings": list(plan.warnings),
        "rejected": list(plan.rejected),
        "pinned": {key: str(value) for key, value in plan.options.pinned().items()},
    }


def summary(plan: Plan) -> str:
    """The plan in one line."""
    size = plan.settings.tensor_parallel
    usable = plan.estimate.total / GIB
    return (
        f"{plan.spec.short_name} on {plan.profile.name} ({plan.profile.gpu.device_name}, {usable:.2f} GiB each): "
        f"{plan.verdict}, vLLM {plan.engine_version}, tensor parallel {size}, {plan.dtype}"
    )
