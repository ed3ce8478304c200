"""Drafts and templates that must be read before a plan: the one module here that touches hub and files."""

from collections.abc import Callable
from pathlib import Path

from llm_serving_planner.base.errors import HubUnreachableError, InputError, UnsupportedModelError
from llm_serving_planner.base.files import read_text
from llm_serving_planner.base.records import replace
from llm_serving_planner.base.shapes import check_shape, understood
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.models import hub
from llm_serving_planner.models.adapters import Adapter, Draft
from llm_serving_planner.models.checkpoint import Checkpoint
from llm_serving_planner.models.config.fields import optional, positive, text_config
from llm_serving_planner.models.resolve import resolve
from llm_serving_planner.models.spec import LayerGroup
from llm_serving_planner.planner.features import lora, speculative
from llm_serving_planner.planner.options import Options

_LARGEST_TEMPLATE = 900_000  # bytes; a ConfigMap holds 1 MiB (Kubernetes API, read 2026-11-25)


def resolved(
    options: Options, *, offline: bool, progress: Callable[[str], None], tell: Callable[[str], None]
) -> Options:
    """The options with ranks of adapters, the draft model's facts and the template's text.

    Raises:
        InputError: no such template, or a draft in a container's folder that cannot be looked at.
        HubError, UnsupportedModelError: of the draft model.
    """
    found = options
    if options.lora and engine_of(options.engine).in_place_of("lora") is None:
        found = replace(found, adapters=_adapters(options, offline=offline, progress=progress, tell=tell))
    if options.speculative is not None:
        found = replace(found, draft=_draft(options, offline=offline, progress=progress, tell=tell))
    if options.chat_template is not None and _is_file(options.chat_template):
        found = replace(found, template_text=_template(Path(options.chat_template)))
    return found


def _adapters(
    options: Options, *, offline: bool, progress: Callable[[str], None], tell: Callable[[str], None]
) -> tuple[Adapter, ...]:
    """Adapters of the hub pinned to their commit, with their rank; as asked for where it cannot be reached."""
    found = []
    for adapter in lora.parse_all(options.lora):
        if offline or not adapter.id:
            found.append(adapter)
            continue
        try:
            sha, config = hub.read_file(
                adapter.id, "adapter_config.json", revision=adapter.revision or None, progress=progress
            )
        except HubUnreachableError as error:
            tell(f"{error}: rank and commit of {adapter.id} are not known")
            found.append(adapter)
            continue
        check_shape("adapter", config, f"--lora {adapter.name}: adapter_config.json of {adapter.id}")
        rank = config.get("r")
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise InputError(f"--lora {adapter.name}: adapter_config.json of {adapter.id} has r {rank!r}, no rank")
        ranks = config.get("rank_pattern") or {}
        widest = max([rank, *(value for value in ranks.values() if type(value) is int)])
        # vLLM 0.32.0 vllm/lora/peft_helper.py:_validate_features, read 2026-11-25
        if unserved := [name for name in ("use_dora", "lora_bias", "layer_replication") if config.get(name)]:
            raise InputError(
                f"--lora {adapter.name}: {adapter.id} was made with {unserved[0]}, which vLLM does not serve"
            )
        found.append(replace(adapter, revision=sha, rank=widest))
    return tuple(found)


def _is_file(word: str) -> bool:
    return Path(word).is_file() or word.startswith(("./", "../", "~"))


def _template(path: Path) -> str:
    text = read_text(path.expanduser(), 4 * _LARGEST_TEMPLATE)
    if not text.strip():
        raise InputError(f"--chat-template {path}: the file is empty")
    if len(text.encode()) > _LARGEST_TEMPLATE:
        raise InputError(f"--chat-template {path}: {len(text):,} characters do not fit a ConfigMap")
    return text


def _draft(options: Options, *, offline: bool, progress: Callable[[str], None], tell: Callable[[str], None]) -> Draft:
    draft = speculative.parse(options.speculative or "", options.speculative_tokens)
    if draft.path:
        raise InputError(
            f"--speculative {options.speculative}: a folder of the container cannot be sized from here",
            hint="name the hub id, and set engine.speculative.path in the values afterwards",
        )
    if not draft.id:
        return draft
    if draft.method == "draft_model":
        spec = resolve(draft.id, revision=draft.revision or None, offline=offline, progress=progress, tell=tell)
        return replace(
            draft,
            id=spec.model_id,
            revision=draft.revision or spec.revision or "",
            spec=spec,
            layers=spec.layers,
            file_bytes=spec.weights.file_bytes,
            gated=bool(spec.gated),
        )
    checkpoint = hub.fetch(draft.id, revision=draft.revision or None, offline=offline, progress=progress)
    where = f"config.json of {draft.id}"
    check_shape("config", checkpoint.config, where)
    try:
        with understood(where):
            return head(draft, checkpoint)
    except UnsupportedModelError as error:
        raise InputError(f"--speculative {options.speculative}: {error}", hint=error.hint) from error


def head(draft: Draft, checkpoint: Checkpoint) -> Draft:
    """An EAGLE head from its checkpoint: its bytes, and the cache of its layers.

    Raises:
        UnsupportedModelError: its config names no layers, or its weights are not known.
    """
    config = text_config(checkpoint.config)
    nested = checkpoint.config.get("transformer_layer_config")  # speculators format
    if isinstance(nested, dict):
        config = {**checkpoint.config, **nested}
    heads = positive(config, "num_attention_heads")
    hidden = positive(config, "hidden_size")
    dim = optional(config, "head_dim") or hidden // heads
    count = optional(config, "num_hidden_layers") or 1
    stored = sum(tensor.nbytes for tensor in (checkpoint.tensors or {}).values()) or checkpoint.weights_bytes
    if not stored:
        raise UnsupportedModelError("weights", None, hint=f"the size of {draft.id} is not known")
    return replace(
        draft,
        revision=draft.revision or checkpoint.revision or "",
        head_bytes=stored,
        layers=(LayerGroup("full", count, optional(config, "num_key_value_heads") or heads, dim, dim),),
        file_bytes=checkpoint.files_bytes or stored,
        hidden_size=optional(config, "target_hidden_size") or hidden,
        gated=bool(checkpoint.gated),
    )
