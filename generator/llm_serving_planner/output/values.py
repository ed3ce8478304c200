"""Plan -> values of the chart. The one module that knows the chart's keys."""

from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.base.version import __version__
from llm_serving_planner.output.feature_keys import using_keys
from llm_serving_planner.output.flags import engine_args, engine_env
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.search import IN_WORDS

_PRE_STOP_SECONDS = 15  # endpoints leave the Service before the engine drains; KServe uses 15 (read 2026-11-22)
_DRAIN_SECONDS = 60


def build_values(plan: Plan) -> dict[str, Any]:
    """The values document of a plan, in the order in which it is written.

    Raises:
        InputError: the deployment needs something that only the user can name (a token's secret, a model's volume).
    """
    spec, options, engine, device = plan.spec, plan.options, plan.engine, plan.device
    _check_token(plan)
    if _is_folder(plan) and plan.deployment.storage not in {"existingClaim", "hostPath"}:
        raise InputError(
            f"{spec.model_id} is a folder: storage {plan.deployment.storage} would not hold it in the cluster",
            hint=f"copy it to {spec.short_name}/ on a volume, then --storage existingClaim --storage-name CLAIM",
        )
    return {
        "model": _model(plan),
        "engine": _engine(plan),
        "parallelism": {
            "tensor": plan.layout.parallel.tensor_parallel_size,
            "pipeline": plan.layout.parallel.pipeline_parallel_size,
            **(
                {"data": plan.layout.parallel.data_parallel_size} if plan.layout.parallel.data_parallel_size > 1 else {}
            ),
            **({"expert": True} if plan.layout.parallel.enable_expert_parallel else {}),
            "nodes": plan.layout.nodes,
            "gpusPerNode": plan.layout.gpus_per_node,
            "controller": plan.deployment.controller,
            "executor": plan.deployment.executor,
            "shareNodes": options.share_nodes,
        },
        "gpu": {
            "resourceName": plan.profile.gpu.resource_name,
            "product": plan.profile.gpu.device_name,
            "nodeSelector": _node_selector(plan),
            "tolerations": device.tolerations(plan.profile.gpu),
            **device.values(plan.profile, plan.layout.gpus_per_node),
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
        "rollout": {"mode": _rollout(plan)},
        "drain": {
            "preStopSeconds": _PRE_STOP_SECONDS,
            "shutdownTimeoutSeconds": _DRAIN_SECONDS if engine.drains(plan.engine_version) else 0,
        },
        "replicas": plan.replicas,
        "platform": options.platform,
        **({"security": {"allowRoot": True}} if engine.root_only and options.image is None else {}),
        "auth": {"hfToken": {"existingSecret": options.hf_token_secret or "", "key": "token"}},
        "plan": plan_block(plan),
    }


def _check_token(plan: Plan) -> None:
    spec, options = plan.spec, plan.options
    if spec.gated and not options.hf_token_secret and not _is_folder(plan):
        raise InputError(
            f"{spec.model_id} is gated: the pod needs a Hugging Face token",
            hint="name the Secret that holds it (key token): --hf-token-secret NAME",
        )
    draft = plan.use.draft
    if draft is not None and draft.gated and not options.hf_token_secret:
        raise InputError(
            f"{draft.id}, which drafts, is gated: the pod needs a Hugging Face token",
            hint="name the Secret that holds it (key token): --hf-token-secret NAME",
        )


def _engine(plan: Plan) -> dict[str, Any]:
    engine: dict[str, Any] = {
        "type": plan.options.engine,
        "version": plan.engine_version,
        "image": _image(plan),
        "args": engine_args(plan),
    }
    if plan.deployment.executor == "ray":
        engine["hasRay"] = True
    if plan.engine.root_only and plan.options.image is not None:
        engine["rootless"] = True
    env = engine_env(plan)
    if env:
        engine["env"] = env
    return engine | using_keys(plan.use)


def _image(plan: Plan) -> dict[str, str]:
    """The stock image, or the user's: [REGISTRY/]REPOSITORY:TAG, where a registry has a dot, a port or is localhost.

    Raises:
        InputError: no tag, or the tag that moves.
    """
    if plan.options.image is None:
        return plan.device.image(plan.profile.gpu, plan.engine, plan.engine_version)
    name, _, tag = plan.options.image.rpartition(":")
    if not name or "/" in tag or tag == "latest":
        raise InputError(f"--image {plan.options.image}: [registry/]repository:tag is expected, with a tag that stays")
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return {"registry": first, "repository": rest, "tag": tag}
    return {"registry": "docker.io", "repository": name, "tag": tag}


def _is_folder(plan: Plan) -> bool:
    return plan.spec.source == "folder"


def _model(plan: Plan) -> dict[str, Any]:
    spec = plan.spec
    model: dict[str, Any] = {"id": spec.model_id}
    if _is_folder(plan):
        model = {"id": spec.short_name, "path": f"/llm/models/{spec.short_name}"}
    elif plan.options.revision or spec.revision:
        model["revision"] = spec.revision or plan.options.revision
    if plan.engine.names_model:
        model["servedName"] = plan.served_name
        model |= {"aliases": list(plan.options.alias)} if plan.options.alias else {}
        model |= {"task": plan.use.task} if plan.use.pooling else {}
    model["gated"] = bool(spec.gated)
    model["trustRemoteCode"] = spec.remote_code
    return model


def _node_selector(plan: Plan) -> dict[str, str]:
    if plan.profile.instance is not None:
        return {"node.kubernetes.io/instance-type": plan.profile.instance.type}
    return plan.device.node_selector(plan.profile.gpu)


def _rollout(plan: Plan) -> str:
    """One engine after the other where several are one object, which needs no free GPU; else what the chart chooses."""
    several = plan.options.replicas > 1 and plan.deployment.controller in {"deployment", "leaderworkerset"}
    return "replaceOneByOne" if several else "auto"


def _storage(plan: Plan) -> dict[str, Any]:
    options, kind = plan.options, plan.deployment.storage
    storage: dict[str, Any] = {"type": kind, "size": _gib(plan.resources.disk)}
    if kind in {"pvc", "perReplica"}:
        alone = kind == "perReplica" or (plan.replicas == 1 and plan.layout.nodes == 1)
        storage["accessMode"] = "ReadWriteOnce" if alone else "ReadWriteMany"
        storage["keep"] = True
        if options.storage_class:
            storage["storageClass"] = options.storage_class
    elif kind == "existingClaim":
        storage["existingClaim"] = options.storage_name
    elif kind == "hostPath":
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
            **({"lora": gib(estimate.lora)} if estimate.lora else {}),
            **({"draft": gib(estimate.draft)} if estimate.draft else {}),
        },
        **({"workload": dict(plan.workload)} if plan.workload is not None else {}),
        **({"promise": dict(plan.promise)} if plan.promise is not None else {}),
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
        "pinned": {
            key: ", ".join(value) if isinstance(value, tuple) else str(value)
            for key, value in plan.options.pinned().items()
        },
    }


def summary(plan: Plan) -> str:
    """The plan in one line."""
    usable = plan.estimate.total / GIB
    return (
        f"{plan.spec.short_name} on {plan.profile.name} ({plan.profile.gpu.device_name}, {usable:.2f} GiB each): "
        f"{IN_WORDS[plan.verdict]}, {plan.engine_name}, {sizes(plan)}, {plan.dtype}"
    )


def sizes(plan: Plan) -> str:
    """Parallel sizes in words."""
    parallel = plan.layout.parallel
    text = f"tensor parallel {parallel.tensor_parallel_size}"
    if parallel.pipeline_parallel_size > 1:
        text += f", pipeline parallel {parallel.pipeline_parallel_size}"
    if parallel.data_parallel_size > 1:
        text = f"data parallel {parallel.data_parallel_size} x {text}"
    if parallel.enable_expert_parallel:
        text += f", experts over {parallel.tensor_parallel_size * parallel.data_parallel_size} ranks"
    if plan.layout.nodes > 1:
        text += f" over {plan.layout.nodes} nodes ({plan.deployment.controller}, {plan.deployment.executor})"
    if plan.replicas > 1:
        text = f"{plan.replicas} replicas of {text}"
    return text
