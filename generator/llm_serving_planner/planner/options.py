"""What a user may pin: one table, from which parser, checks, explanations, the site's form and docs/cli.md come."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args, get_origin

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import field, fields, record, replace
from llm_serving_planner.engines import figures, registry, vllm
from llm_serving_planner.models.adapters import Adapter, Draft

PINS, USE = "pins", "use"
GROUPS = {
    PINS: "obeyed or refused with the reason; unset ones are planned",
    USE: "adapters, tools, drafts, embeddings (vllm; docs/using.md)",
}
_POSITIVE = "a positive whole number is expected"


@record
class Form:
    """An option's place in the site's form.

    Attributes:
        section: heading that it stands under.
        label: its name there.
        unset: what stands in the empty field, or first in the list: what the planner takes.
        labels: entries of a list, value -> text; without them the choices themselves.
        named: text of a choice, where it is not the choice itself.
        offers: entries that are known at run time only; the first is what the planner takes.
        step: between two values of a real number.
    """

    section: str
    label: str
    unset: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    named: Callable[[str], str] = str
    offers: Callable[[], tuple[str, ...]] | None = None
    step: float | None = None


@record
class Declaration:
    """One row of the table. `name`, `type`, `default` and `repeatable` are those of the field of `Options`.

    Attributes:
        help: what `--help` says.
        group: PINS or USE.
        metavar: placeholder of the value; choices stand for themselves.
        allowed: the choices, or what gives them; empty: anything.
        minimum, above, maximum: bounds of a number, `above` excluded.
        expected: end of the message on a number out of bounds.
        needs: another option without which it has no use, and the message.
        value_needs: for one value, another option that it needs, and what that is.
        refused: choices that are known and not planned, with the message.
        flags: vLLM's flags that it sets as they are (other engines name theirs after them); `why` stands beside them in
            a values file when it is pinned.
        form: its place in the site's form, if it has one.
    """

    help: str
    group: str = PINS
    metavar: str | None = None
    allowed: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    expected: str = _POSITIVE
    needs: tuple[str, str] | None = None
    value_needs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    why: str = "as asked for"
    form: Form | None = None
    name: str = ""
    type: type = str
    default: Any = None
    repeatable: bool = False

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return flag(self.name)

    @property
    def choices(self) -> tuple[str, ...]:
        """Values that are understood; empty: anything."""
        return self.allowed() if callable(self.allowed) else self.allowed

    @property
    def offered(self) -> tuple[str, ...]:
        """Choices that are planned."""
        return tuple(choice for choice in self.choices if choice not in self.refused)


def flag(name: str) -> str:
    """`max_model_len` as `--max-model-len`."""
    return f"--{name.replace('_', '-')}"


def option(text: str, *, default: Any = None, **facts: Any) -> Any:
    """A field of `Options` that users may set: its help, its default and the other facts of its `Declaration`."""
    return field(default=default, metadata={"option": Declaration(text, **facts)})


def _use(text: str, *, default: Any = None, **facts: Any) -> Any:
    """An option of use."""
    return option(text, default=default, group=USE, **facts)


def _versions() -> tuple[str, ...]:
    """Versions of vLLM that were read, the default first, then the newest."""
    default = vllm.default_version()
    return (default, *(name for name in reversed(vllm.facts()["read_versions"]) if name != default))


@record
class Options:
    """Overrides of a plan: each is obeyed or refused with the reason, none is ignored.

    `None` leaves the choice to the planner. `about` is a remark of the catalog, carried into the plan; `adapters`,
    `draft` and `template_text` are what `features.resolving` read for `lora`, `speculative` and `chat_template`; these
    four are no options of the table. Sizes are in tokens, requests, GiB and Gbit/s as their names say.
    """

    engine: str = option(
        "engine that serves the model",
        default=registry.DEFAULT,
        allowed=registry.names,
        form=Form("Engine", "Engine", registry.label_of(registry.DEFAULT), named=registry.label_of),
    )
    max_model_len: int | None = option(
        "tokens of a request, prompt and answer",
        metavar="N",
        minimum=1,
        flags=("max-model-len",),
        form=Form("Service", "Context in tokens", "longest"),
    )
    tensor_parallel_size: int | None = option(
        "GPUs that share each layer", metavar="N", minimum=1, form=Form("Engine", "Tensor parallel", "chosen")
    )
    pipeline_parallel_size: int | None = option(
        "stages of layers, one or more per node",
        metavar="N",
        minimum=1,
        form=Form("Engine", "Pipeline stages", "chosen"),
    )
    data_parallel_size: int | None = option(
        "engines behind one API, each on its own GPUs",
        metavar="N",
        minimum=1,
        form=Form("Engine", "Data parallel", "1"),
    )
    enable_expert_parallel: bool = option(
        "whole experts per GPU, not slices of each", default=False, form=Form("Engine", "Whole experts per GPU")
    )
    dtype: str | None = option(
        "data type of weights and computation",
        allowed=("auto", "float16", "bfloat16", "float32"),
        refused={"float32": "--dtype float32 doubles every term and is not sized; float16 or bfloat16 are"},
        flags=("dtype",),
        form=Form("Engine", "Data type", "chosen"),
    )
    quantization: str | None = option(
        "fp8: quantise at start; else the checkpoint's own method",
        metavar="Q",
        form=Form("Service", "Weights", "as stored", {"fp8": "FP8 at start"}),
    )
    kv_cache_dtype: str | None = option(
        "data type of the KV cache",
        allowed=lambda: tuple(figures.cache_types()),
        refused={
            name: f"--kv-cache-dtype {name}: {entry['unsized']}"
            for name, entry in figures.cache_types().items()
            if "unsized" in entry
        },
        flags=("kv-cache-dtype",),
        form=Form("Service", "KV cache", "as the model", {"fp8": "FP8"}),
    )
    gpu_memory_utilization: float | None = option(
        "share of the GPU's memory, 0 to 1",
        metavar="U",
        above=0,
        maximum=1,
        expected="a fraction above 0, at most 1, is expected",
        flags=("gpu-memory-utilization",),
        form=Form("Engine", "Memory share", "computed", step=0.01),
    )
    max_num_seqs: int | None = option(
        "requests that run at once",
        metavar="N",
        minimum=1,
        flags=("max-num-seqs",),
        form=Form("Service", "Requests at once", "engine's own"),
    )
    max_num_batched_tokens: int | None = option(
        "tokens per step",
        metavar="N",
        minimum=1,
        flags=("max-num-batched-tokens",),
        form=Form("Engine", "Tokens per step", "engine's own"),
    )
    enforce_eager: bool = option(
        "no CUDA graphs: starts faster, decodes slower",
        default=False,
        flags=("enforce-eager",),
        form=Form("Engine", "No CUDA graphs"),
    )
    language_model_only: bool = option(
        "leave encoders of images and sound out",
        default=False,
        flags=("language-model-only",),
        why="as asked for: images and sound are not taken",
        form=Form("Engine", "Text only"),
    )
    engine_version: str | None = option(
        "version of the engine", metavar="V", form=Form("Engine", "Version", offers=_versions)
    )
    image: str | None = option(
        "image of yours in place of the stock one",
        metavar="NAME:TAG",
        form=Form("Cluster", "Image", "the engine's own"),
    )
    image_has_ray: bool = option(
        "that image holds Ray",
        default=False,
        needs=("image", "--image-has-ray is said of an image of yours: name it with --image"),
    )
    controller: str | None = option(
        "workload of the pods (default: by the number of nodes)",
        allowed=("deployment", "statefulset", "leaderworkerset", "raycluster"),
        form=Form("Cluster", "Controller", "chosen"),
    )
    executor: str | None = option("the engine's own way over nodes (mp), or Ray", allowed=("mp", "ray"))
    share_nodes: bool = option("two members of one engine may share a node", default=False)
    revision: str | None = option("branch, tag or commit of the model", metavar="R")
    name: str | None = option(
        "name of the release and the file (default: from the model)",
        form=Form("Cluster", "Release name", "from the model"),
    )
    served_name: str | None = option(
        "name of the model in the API",
        metavar="NAME",
    )
    replicas: int = option(
        "engines behind the Service", default=1, metavar="N", minimum=1, form=Form("Engine", "Replicas", "1")
    )
    platform: str = option(
        "kind of cluster",
        default="kubernetes",
        allowed=("kubernetes", "openshift"),
        form=Form("Cluster", "Platform", "Kubernetes", {"openshift": "OpenShift"}),
    )
    storage: str | None = option(
        "what keeps the model",
        allowed=("pvc", "perReplica", "emptyDir", "existingClaim", "hostPath"),
        value_needs={
            "existingClaim": ("storage_name", "the claim's name"),
            "hostPath": ("storage_name", "an absolute path"),
        },
    )
    storage_name: str | None = option("the existing claim, or the path on the host", metavar="NAME")
    storage_class: str | None = option("storage class of the claim", metavar="NAME")
    hf_token_secret: str | None = option(
        "Secret with the Hugging Face token (key token)",
        metavar="NAME",
        form=Form("Cluster", "Hugging Face Secret", "for gated models"),
    )
    download_gbps: float | None = option(
        "rate of the download, for the start-up budget", metavar="G", above=0, expected="a positive rate is expected"
    )
    about: str | None = None
    task: str | None = _use(
        "what the model is served for (default: what the class gives)",
        allowed=("generate", "embed", "rerank", "classify"),
    )
    alias: tuple[str, ...] = _use("one more name of the model in the API (repeatable)", default=(), metavar="NAME")
    lora: tuple[str, ...] = _use(
        "LoRA adapter: hub id[@revision], or a path in the container (repeatable)",
        default=(),
        metavar="NAME=SOURCE",
    )
    max_lora_rank: int | None = _use(
        "largest rank of the adapters (16)",
        metavar="R",
        minimum=1,
        needs=("lora", "--max-lora-rank has no use without --lora NAME=SOURCE"),
    )
    max_loras: int | None = _use(
        "adapters in one batch (all of them)",
        metavar="N",
        minimum=1,
        needs=("lora", "--max-loras has no use without --lora NAME=SOURCE"),
    )
    max_cpu_loras: int | None = _use(
        "adapters in host memory (all of them)",
        metavar="N",
        minimum=1,
        needs=("lora", "--max-cpu-loras has no use without --lora NAME=SOURCE"),
    )
    tool_calling: bool = _use(
        "read tool calls and thoughts as the model writes them",
        default=False,
    )
    tool_call_parser: str | None = _use(
        "parser of tool calls, in place of the family's", metavar="P", flags=("tool-call-parser",)
    )
    reasoning_parser: str | None = _use(
        "parser of thoughts, in place of the family's", metavar="P", flags=("reasoning-parser",)
    )
    chat_template: str | None = _use("your template, or one of the engine's examples by name", metavar="FILE")
    speculative: str | None = _use(
        "ngram, eagle, eagle3, draft_model or mtp",
        metavar="M[:MODEL]",
    )
    speculative_tokens: int | None = _use(
        "tokens drafted in a step",
        metavar="N",
        minimum=1,
        needs=("speculative", "--speculative-tokens has no use without --speculative METHOD"),
    )
    kv_offload_gib: float | None = _use(
        "host memory for the KV cache, all GPUs together", metavar="G", above=0, expected="a positive size is expected"
    )
    prefix_caching: str | None = _use(
        "reuse the cache of equal beginnings (default: the engine's, on for generation)",
        allowed=("on", "off"),
        flags=("enable-prefix-caching",),
        why="as asked for; on by default for models that generate",
    )
    structured_output: str | None = _use(
        "backend of structured output",
        allowed=("auto", "xgrammar", "guidance", "outlines", "lm-format-enforcer"),  # vLLM 0.33.0, read 2026-11-25
        flags=("structured-outputs-config",),
    )
    limit_mm: tuple[str, ...] = _use(
        "images, videos or sounds of one prompt, as in image=2 (repeatable)",
        default=(),
        metavar="KIND=N",
        flags=("limit-mm-per-prompt",),
        why="as asked for: items of one prompt",
    )
    adapters: tuple[Adapter, ...] = ()
    draft: Draft | None = None
    template_text: str | None = None

    def pinned(self) -> dict[str, Any]:
        """The options that differ from their defaults, for the plan's record."""
        return {row.name: value for row in table(type(self)) if (value := getattr(self, row.name)) != row.default}


def table(of: type[Options] | None = None) -> tuple[Declaration, ...]:
    """Every option, in the order in which help, checks and values files name them.

    Args:
        of: the class that holds the fields; `Options` where left away.
    """
    holder: Any = of or Options  # mypy takes no dataclass for hashable
    return _table(holder)


def plain(of: type[Options]) -> Options:
    """The options of which none is given, in that class."""
    holder: Any = of  # mypy takes no dataclass for hashable
    return _plain(holder)


@cache
def _plain(of: type[Options]) -> Options:
    return of()


@cache
def _table(of: type[Options]) -> tuple[Declaration, ...]:
    return tuple(
        replace(each.metadata["option"], name=each.name, default=each.default, **_kind(each.type))
        for each in fields(of)
        if "option" in each.metadata
    )


def _kind(annotation: Any) -> dict[str, Any]:
    """Type of one value, and whether there may be several: `int | None` is int, `tuple[str, ...]` repeatable str."""
    inner = get_args(annotation)
    return {"type": inner[0] if inner else annotation, "repeatable": get_origin(annotation) is tuple}


def options_of(values: Mapping[str, Any]) -> Options:
    """Options from plain data by name; lists become the tuples of strings that repeatable options hold."""
    plain: dict[str, Any] = {
        name: tuple(map(str, value)) if isinstance(value, list) else value for name, value in values.items()
    }
    return Options(**plain)


def options_of_texts(texts: Mapping[str, str]) -> Options:
    """Options from texts by name with dashes, such as the fields of a form; a switch is on whatever its text.

    Raises:
        InputError: no such option, or a text that is no number where one is needed.
    """
    rows = {row.flag.removeprefix("--"): row for row in table()}
    found: dict[str, Any] = {}
    for name, text in texts.items():
        row = rows.get(name)
        if row is None:
            raise InputError(f"--{name}: there is no such option")
        if row.repeatable:
            found[row.name] = tuple(text.split())
        else:
            found[row.name] = True if row.type is bool else _typed(row, text)
    return Options(**found)


def _typed(row: Declaration, text: str) -> Any:
    try:
        return row.type(text)
    except ValueError:
        raise InputError(f"{row.flag} is {text!r}: a {'whole ' if row.type is int else ''}number is expected") from None


def why_pinned(options: Options) -> dict[str, str]:
    """One reason per engine flag that a pinned option sets."""
    pinned = options.pinned()
    return {name: row.why for row in table(type(options)) if row.name in pinned for name in row.flags}
