"""Everything that the options of use decide, in one answer for planner, values and report."""

from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import asdict, field, record
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import parsers, vllm
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.memory import extras
from llm_serving_planner.models.adapters import Adapter, Draft, Slots
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.features import lora, speculative
from llm_serving_planner.planner.options import Options

MODALITIES = ("image", "video", "audio")


@record
class Use:
    """What is served beside or in place of plain generation.

    Attributes:
        task: generate, embed, rerank or classify.
        args: flags of the engine by name.
        template_file, template_text: a chat template, as a path in the container or as text.
        kv_offload: bytes of host memory for the cache.
        host: bytes of host memory for adapters.
        files: bytes that are downloaded besides the model.
        reasons, notes, assumptions: for the plan.
    """

    task: str = "generate"
    adapters: tuple[Adapter, ...] = ()
    slots: Slots | None = None
    draft: Draft | None = None
    args: dict[str, Any] = field(default_factory=dict)
    template_file: str = ""
    template_text: str = ""
    kv_offload: int = 0
    host: int = 0
    files: int = 0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def pooling(self) -> bool:
        """Vectors or scores, no text."""
        return self.task != "generate"

    @property
    def encoders(self) -> bool:
        """Whether images and sound are taken: not where every kind is limited to none.

        Other limits change no bound: the profiling run is limited by the tokens of a step (vLLM 0.33.0
        vllm/multimodal/encoder_budget.py, read 2026-11-25).
        """
        given = self.args.get("limit-mm-per-prompt", {})
        return not given or not {"image", "video"} <= set(given) or any(given.values())

    @property
    def without_items(self) -> tuple[str, ...]:
        """Kinds of items that prompts may not hold."""
        return tuple(kind for kind, number in self.args.get("limit-mm-per-prompt", {}).items() if not number)


NO_USE = Use()


def check_words(options: Options) -> None:
    """Refuse words of options that are malformed on their own, or the same name twice.

    Raises:
        InputError: one line for the first such option.
    """
    served = (options.served_name,) if options.served_name else ()
    names = [*served, *options.alias]
    for name in names:
        if not name or name.startswith("-") or names.count(name) > 1:
            raise InputError(f"--alias {name!r}: a name, told once, that does not begin with - is expected")
    lora.parse_all(options.lora, tuple(names))
    limits(options)
    if options.speculative is not None:
        speculative.parse(options.speculative, options.speculative_tokens)


def limits(options: Options) -> dict[str, int]:
    """`image=2` as {"image": 2}.

    Raises:
        InputError: another modality, or no number.
    """
    found: dict[str, int] = {}
    for word in options.limit_mm:
        kind, _, number = word.partition("=")
        if kind not in MODALITIES or not number.isascii() or not number.isdigit():
            raise InputError(f"--limit-mm {word}: MODALITY=N is expected ({', '.join(MODALITIES)}), as in image=2")
        found[kind] = int(number)
    return found


def task_of(spec: ModelSpec, options: Options) -> str:
    """What the model is served for: as asked, else what its class gives."""
    if options.task is not None:
        return options.task
    kind = ARCHITECTURES[spec.architecture].pooling
    if kind == "classify":
        return "rerank" if spec.labels == 1 else "classify"
    return kind or "generate"


def plan_use(spec: ModelSpec, options: Options, version: str, tensor: int, pipeline: int) -> Use:
    """Everything decided.

    Args:
        spec: the whole model.
        options: what was asked for; `draft` resolved where a method has a model.
        version: of the engine.
        tensor: tensor parallel size.
        pipeline: stages.

    Raises:
        InputError: an option that contradicts the model, such as an unknown parser.
    """
    task = task_of(spec, options)
    engine = engine_of(options.engine)
    if engine.generates_only:
        why = [f"{engine.label} gives text only, {spec.architecture} gives none"]
        return Use(reasons=tuple(why if task != "generate" else ()))
    reasons = _task_reasons(spec, options, task)
    args, template, notes = _tools(spec, options, version)
    adapters = options.adapters or lora.parse_all(options.lora)
    slots, draft = _slots(spec, options, version, adapters), _draft(spec, options)
    if slots is not None:
        reasons += lora.reasons(spec, version, slots)
    if draft is not None:
        reasons += speculative.reasons(draft, spec, version, tensor, pipeline)
    return Use(
        task=task,
        adapters=adapters,
        slots=slots,
        draft=draft,
        args=args,
        template_file="" if options.template_text else _template(options) or template,
        template_text=options.template_text or "",
        kv_offload=int((options.kv_offload_gib or 0) * GIB),
        host=extras.host_bytes(spec, slots, tensor) if slots else 0,
        files=(extras.file_bytes(spec, slots, adapters) if slots else 0) + (draft.file_bytes if draft else 0),
        reasons=tuple(reasons),
        notes=tuple(notes),
        assumptions=_assumptions(adapters, slots, draft),
    )


def _tools(spec: ModelSpec, options: Options, version: str) -> tuple[dict[str, Any], str, list[str]]:
    """(flags, chat template in the container, notes)."""
    args = _plain_args(spec, options)
    tool, reasoning, template, notes = parsers.choose(
        spec,
        version,
        tools=options.tool_calling,
        tool=options.tool_call_parser,
        reasoning=options.reasoning_parser,
    )
    if tool:
        args |= {"enable-auto-tool-choice": True, "tool-call-parser": tool}
    if reasoning:
        args["reasoning-parser"] = reasoning
    return args, template, notes


def _slots(spec: ModelSpec, options: Options, version: str, adapters: tuple[Adapter, ...]) -> Slots | None:
    if not adapters:
        return None
    return lora.slots(adapters, version, options.max_lora_rank, options.max_loras, options.max_cpu_loras, spec)


def _assumptions(adapters: tuple[Adapter, ...], slots: Slots | None, draft: Draft | None) -> tuple[str, ...]:
    found = []
    if slots is not None:
        found.append(f"slots of {slots.loras} LoRA adapter(s) of rank {slots.rank} are an upper bound, unmeasured")
        unknown = [adapter.name for adapter in adapters if not adapter.rank]
        if unknown:
            found.append(f"rank of {', '.join(unknown)} is not known: at most {slots.rank} (--max-lora-rank)")
    if draft is not None:
        found.append(f"{draft.method} drafts {draft.tokens} token(s) a step; its memory is an upper bound, unmeasured")
    return tuple(found)


def _template(options: Options) -> str:
    return parsers.template_path(options.chat_template) if options.chat_template else ""


def _draft(spec: ModelSpec, options: Options) -> Draft | None:
    if options.speculative is None:
        return None
    draft = options.draft or speculative.parse(options.speculative, options.speculative_tokens)
    if draft.id and not draft.layers:
        raise InputError(f"--speculative {options.speculative}: the draft model was not looked up")
    return speculative.with_heads(draft, spec)


def _task_reasons(spec: ModelSpec, options: Options, task: str) -> list[str]:
    kind = ARCHITECTURES[spec.architecture].pooling
    found = []
    if task == "generate" and kind:
        found.append(
            f"{spec.architecture} gives {'vectors' if kind == 'embed' else 'scores'}, no text: no --task generate"
        )
    if task in {"rerank", "classify"} and kind != "classify":
        found.append(
            f"--task {task} needs a model with a classifying head (...ForSequenceClassification), this is "
            f"{spec.architecture}"
        )
    if task == "rerank" and kind == "classify" and spec.labels != 1:
        found.append(f"--task rerank needs one score per pair, {spec.short_name} gives {spec.labels}: --task classify")
    if task == "generate":
        return found
    idle = ("tool_calling", "tool_call_parser", "reasoning_parser", "speculative", "structured_output")
    found += [f"--{name.replace('_', '-')} has no use with --task {task}" for name in idle if getattr(options, name)]
    if not spec.layers and options.kv_offload_gib:
        found.append(f"--kv-offload-gib: {spec.short_name} keeps no cache")
    return found


def _plain_args(spec: ModelSpec, options: Options) -> dict[str, Any]:
    """Flags that follow from an option alone."""
    args: dict[str, Any] = {}
    if options.prefix_caching is not None:
        args["enable-prefix-caching"] = options.prefix_caching == "on"
    if options.structured_output is not None:
        args["structured-outputs-config"] = {"backend": options.structured_output}
    if options.limit_mm:
        if not spec.multimodal:
            raise InputError(f"--limit-mm: {spec.short_name} takes text only")
        args["limit-mm-per-prompt"] = limits(options)
    return args


def flag_reasons(use: Use, version: str) -> list[str]:
    """Flags of the chart's own keys that the version lacks."""
    needed = {
        "runner": use.pooling,
        "enable-lora": bool(use.adapters),
        "speculative-config": use.draft is not None,
        "kv-offloading-size": use.kv_offload > 0,
    }
    problems = [vllm.flag_problem(flag, version) for flag, wanted in needed.items() if wanted]
    return [f"vLLM {version}: {problem}" for problem in problems if problem]


def to_dict(use: Use) -> dict[str, Any]:
    """Plain data for the plan's JSON."""
    data: dict[str, Any] = {"task": use.task, "args": use.args}
    if use.slots is not None:
        data["lora"] = {"adapters": [asdict(adapter) for adapter in use.adapters], **asdict(use.slots)}
    if use.draft is not None:
        names = ("method", "tokens", "id", "revision", "head_bytes", "file_bytes")
        data["speculative"] = {name: getattr(use.draft, name) for name in names}
    if use.kv_offload:
        data["kv_offload_bytes"] = use.kv_offload
    if use.template_file or use.template_text:
        data["chat_template"] = use.template_file or "text"
    return data
