"""What no model and no GPU could make right: options that are malformed on their own."""

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.engines import registry
from llm_serving_planner.planner.features import usage
from llm_serving_planner.planner.options import CONTROLLERS, DTYPES, EXECUTORS, KV_CACHE_DTYPES, STORAGE_TYPES, Options


def check_options(options: Options) -> None:
    """Refuse what is malformed on its own.

    Raises:
        InputError: one line for the first such option.
    """
    positive = (
        "max_model_len", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "max_num_seqs",
        "max_num_batched_tokens", "replicas",
    )  # fmt: skip
    for name in positive:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} is {value}: a positive whole number is expected")
    choices = (
        ("engine", registry.names()), ("dtype", DTYPES), ("kv_cache_dtype", KV_CACHE_DTYPES),
        ("storage", STORAGE_TYPES), ("controller", CONTROLLERS), ("executor", EXECUTORS),
    )  # fmt: skip
    for name, allowed in choices:
        value = getattr(options, name)
        if value is not None and value not in allowed:
            raise InputError(f"--{name.replace('_', '-')} is {value!r}: one of {', '.join(allowed)} is expected")
    share = options.gpu_memory_utilization
    if share is not None and not 0 < share <= 1:
        raise InputError(f"--gpu-memory-utilization is {share}: a fraction above 0, at most 1, is expected")
    if options.download_gbps is not None and options.download_gbps <= 0:
        raise InputError(f"--download-gbps is {options.download_gbps}: a positive rate is expected")
    if options.storage in {"existingClaim", "hostPath"} and not options.storage_name:
        what = "the claim's name" if options.storage == "existingClaim" else "an absolute path"
        raise InputError(f"--storage {options.storage} needs --storage-name: {what}")
    usage.check(options)
    _check_engine_options(options)
    if options.dtype == "float32":
        raise InputError("--dtype float32 doubles every term and is not sized; float16 or bfloat16 are")


def _check_engine_options(options: Options) -> None:
    for option, why in registry.engine_of(options.engine).refuses.items():
        if getattr(options, option) not in {None, False}:
            raise InputError(why)
    if options.image_has_ray and options.image is None:
        raise InputError("--image-has-ray is said of an image of yours: name it with --image")
