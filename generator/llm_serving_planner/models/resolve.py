"""From the name that a user types to a ModelSpec: the hub first, a folder where it is one, else the catalogue."""

import os.path
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_serving_planner.base.errors import HubError, HubUnreachableError, InputError, UnsupportedModelError
from llm_serving_planner.base.records import replace
from llm_serving_planner.models import embedded
from llm_serving_planner.models.offline import is_offline
from llm_serving_planner.models.spec import ModelSpec, Weights

if TYPE_CHECKING:
    from llm_serving_planner.models.checkpoint import Checkpoint, TensorInfo

_STAND_IN = "facts come from the embedded catalogue"
_LAYER = r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\."
_SKIPPED = ("rotary_emb.inv_freq", ".masked_bias", ".attn.bias")
# Modules that vLLM 0.33.0 marks as towers, by their names in checkpoints (hf_to_vllm_mapper and _mark_tower_model or
# _mark_composite_model of the model files, read 2026-11-25).
_ENCODERS = frozenset(
    {
        "vision_tower", "vision_model", "visual", "vision_encoder", "vision_embed_tokens", "multi_modal_projector",
        "mm_projector", "audio_tower", "embed_vision", "embed_audio", "patch_merger", "img_processor", "vision_adapter",
        "vision_projection",
    }
)  # fmt: skip
_WIDE = frozenset({"F32", "F64"})
# A checkpoint that holds less than half or more than four times what the dimensions of its config make is lying.
_PLAUSIBLE = (0.4, 4.0)


def resolve(
    model: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> ModelSpec:
    """Facts of a model.

    Args:
        model: hub id or a folder that holds config.json.
        revision: branch, tag or commit; None for the newest.
        offline: do not ask the hub; the HF cache and the catalogue still count.
        progress: told what is being waited for.
        tell: told when the catalogue stands in for the hub, and why.

    Raises:
        InputError: neither an id nor a folder.
        HubError: the hub refused, or it is out of reach and the catalogue lacks the model.
        UnsupportedModelError: a field of the config is not understood.
    """
    if is_offline(asked=offline) and not _is_folder(model):
        known = _known(model)
        if known is not None and revision is None:
            tell(f"offline: {_STAND_IN}")
            return known
    from llm_serving_planner.models import hub

    try:
        checkpoint = hub.fetch(model, revision=revision, offline=offline, progress=progress)
    except HubUnreachableError as error:
        return _from_catalogue(model, revision, error, tell)
    return spec_of(checkpoint)


def _known(model: str) -> ModelSpec | None:
    """What is known without the hub: the catalogue, and quantised checkpoints that follow from it."""
    found = embedded.find(model)
    if found is None:
        from llm_serving_planner.models import variants

        found = variants.find(model)
    return found


def _is_folder(model: str) -> bool:
    return model.startswith((".", "/", "~")) or os.path.isdir(model)


def _from_catalogue(
    model: str, revision: str | None, error: HubUnreachableError, tell: Callable[[str], None]
) -> ModelSpec:
    known = _known(model)
    if known is not None and revision is not None:
        raise HubError(f"{error}; the embedded catalogue knows no revisions of {model}", hint="leave --revision away")
    if known is not None:
        tell(f"{error}: {_STAND_IN}")
        return known
    reason = embedded.refusal(model)
    if reason is not None:
        raise InputError(f"{model}: {reason}")
    near = _nearest(model)
    hint = f"did you mean {near}?" if near else "`llm-serving models` lists what the catalogue holds"
    raise HubError(f"{error}; and the embedded catalogue has no {model}", hint=hint)


def _nearest(model: str) -> str | None:
    import difflib

    lower = {name.lower(): name for name in embedded.model_ids()}
    found = difflib.get_close_matches(model.lower()[:200], lower, n=1, cutoff=0.7)
    return lower[found[0]] if found else None


def spec_of(checkpoint: "Checkpoint") -> ModelSpec:
    """Read a checkpoint's files into a ModelSpec.

    Raises:
        SchemaError: a field has another shape than any model's.
        UnsupportedModelError: a field is not understood, or config and tensors contradict each other.
    """
    from llm_serving_planner.base.shapes import check_shape, understood

    where = f"config.json of {checkpoint.model_id}"
    check_shape("config", checkpoint.config, where)
    if checkpoint.quant_config is not None:
        check_shape("quantization", checkpoint.quant_config, f"the file beside {where}")
    with understood(where):
        return _spec_of(checkpoint)


def _spec_of(checkpoint: "Checkpoint") -> ModelSpec:
    from llm_serving_planner.models.config.read import parse

    probe = Weights(0, 0, "")
    spec = parse(
        checkpoint.config,
        model_id=checkpoint.model_id,
        weights=probe,
        revision=checkpoint.revision,
        gated=checkpoint.gated,
        source=checkpoint.source,
        quant_config=checkpoint.quant_config,
    )
    spec = replace(spec, weights=_weights(checkpoint, spec))
    if spec.quantization is None:
        _check_plausible(spec)
    return spec


def _weights(checkpoint: "Checkpoint", spec: ModelSpec) -> Weights:
    if checkpoint.tensors:
        loaded = sum(_loaded_bytes(name, tensor, spec) for name, tensor in checkpoint.tensors.items())
        stored = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
        encoders = sum(_loaded_bytes(n, t, spec) for n, t in checkpoint.tensors.items() if _of_encoder(n))
        encoders = encoders if spec.multimodal else 0
        return Weights(loaded, checkpoint.files_bytes or stored, "safetensors headers", encoder_bytes=encoders)
    if checkpoint.weights_bytes:
        loaded = checkpoint.weights_bytes
        if spec.dtype == "float32" and spec.quantization is None:
            loaded //= 2
        return Weights(loaded, checkpoint.files_bytes or checkpoint.weights_bytes, "index or file sizes")
    return _from_dimensions(spec)


_QUANTISED_SHARE = 1.1  # scales, and matrices that such checkpoints keep at 16 bits; assumption


def _from_dimensions(spec: ModelSpec) -> Weights:
    """An estimate where a config is all there is: the text model's parameters; encoders are not in it."""
    if not spec.parameters:
        raise UnsupportedModelError(
            "weights", None, hint="neither safetensors headers nor an index nor weight files were found"
        )
    size, basis = 2 * spec.parameters, f"{spec.parameters:,} parameters x 2 bytes"
    if spec.quantization is not None:
        whole = spec.vocab_size * spec.hidden_size * (1 if spec.tied else 2)
        packed = max(spec.parameters - whole, 0) * spec.quantization.bits / 8 * _QUANTISED_SHARE
        size, basis = (
            2 * whole + int(packed),
            f"{spec.parameters:,} parameters, linear ones at {spec.quantization.bits} bits",
        )
    encoders = ", without encoders" if spec.multimodal else ""
    return Weights(size, size, f"no weights were found: by the dimensions, {basis}{encoders}", assumed=True)


def _loaded_bytes(name: str, tensor: "TensorInfo", spec: ModelSpec) -> int:
    """Bytes that the engine keeps of one tensor: prediction layers and second heads are not loaded."""
    layer = re.search(_LAYER, name)
    if layer is not None and not _of_encoder(name) and int(layer.group(1)) >= spec.num_layers:
        return 0
    if name.startswith("mtp.") or name.endswith(_SKIPPED):
        return 0
    if spec.tied and name.endswith("lm_head.weight"):
        return 0
    if tensor.dtype in _WIDE and spec.quantization is None:
        return tensor.nbytes * 2 // (8 if tensor.dtype == "F64" else 4)
    return tensor.nbytes


def _of_encoder(name: str) -> bool:
    """Whether a tensor belongs to an encoder of images or sound, or to what joins it to the text model."""
    return any(part in _ENCODERS for part in name.split("."))


def _check_plausible(spec: ModelSpec) -> None:
    """Compare the bytes with what the dimensions make (text model only, so wide bounds)."""
    expected = 2 * spec.parameters
    share = spec.weights.loaded_bytes / expected
    if not _PLAUSIBLE[0] < share < _PLAUSIBLE[1]:
        raise UnsupportedModelError(
            "hidden_size, num_hidden_layers",
            f"{spec.hidden_size} x {spec.num_layers}",
            hint=f"they make {expected / 2e9:.2f} B parameters, the weight files hold "
            f"{spec.weights.loaded_bytes / 2e9:.2f} B: config.json does not belong to these weights",
        )
