"""Which engine, in which version, runs which kind of quantised checkpoint on which GPU.

Pure reading of data/quantization.json; every floor, border and kernel there has its source.
"""

from typing import Any

from llm_serving_planner.base.records import record
from llm_serving_planner.engines import figures, named, versions
from llm_serving_planner.hardware.compute_capability import Capability, capability, dotted
from llm_serving_planner.models.config.formats import kinds, label


@record
class Support:
    """Whether a checkpoint of one kind runs, and on what.

    Attributes:
        ok: the engine runs it on that GPU.
        reason: why not; empty when it does.
        way_out: what would run it (an engine version, a plugin, another engine); empty when nothing is known.
        note: what may surprise though it runs.
        kernel: code that the engine picks; empty when it runs nowhere or the engine's choice is not known.
        native: the GPU computes in the checkpoint's own format; else weights are widened to 16 bits.
        tensor_parallel: the checkpoint can be divided over GPUs.
        dtypes: data types of activations that the kernels take.
        flags: engine flags (without dashes) without which the engine refuses the checkpoint.
        quantize: values of the engine's own switch that load it (TGI's and TGIS's; vLLM reads config.json).
    """

    ok: bool
    reason: str = ""
    way_out: str = ""
    note: str = ""
    kernel: str = ""
    native: bool = False
    tensor_parallel: bool = True
    dtypes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    quantize: tuple[str, ...] = ()


def support(kind: str, version: str, compute: Capability, *, bits: int | None = None) -> Support:
    """Whether a version of vLLM runs a kind of checkpoint on a GPU.

    Args:
        kind: from `kind_of`.
        version: of vLLM.
        compute: the GPU's capability.
        bits: width of the weights, None for the kind's usual one.
    """
    entry = kinds().get(kind)
    if entry is None:
        return Support(ok=False, reason=f"quantisation {label(kind)} is not known to vLLM {version}")
    if not _ranges(entry):
        return Support(ok=False, reason=f"vLLM does not read {label(kind)} checkpoints", way_out=_frozen_engine(entry))
    if bits is not None and entry["widths"] and bits not in entry["widths"]:
        return Support(ok=False, reason=f"quantisation {label(kind)} of {bits} bits is not known to vLLM {version}")
    return _ranged(kind, entry, version, compute)


def _ranges(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """What vLLM runs of a kind, by ranges of its versions."""
    found: list[dict[str, Any]] = entry.get("vllm", [])
    return found


def _ranged(kind: str, entry: dict[str, Any], version: str, compute: Capability) -> Support:
    until = entry.get("until")
    if until and not versions.not_after(version, until["version"]):
        return Support(
            ok=False,
            reason=f"vLLM {version} no longer reads {label(kind)}",
            way_out=_removed_way_out(until, entry, compute),
        )
    held = versions.entry_for(_ranges(entry), version)
    if held is None:
        first = _ranges(entry)[0]["from"]
        return Support(
            ok=False,
            reason=f"vLLM {version} does not read {label(kind)} yet",
            way_out=f"--engine-version {first} or newer",
        )
    floor = capability(held["minimum"])
    if compute < floor:
        return Support(
            ok=False,
            reason=f"quantisation {label(kind)} needs compute capability {held['minimum']}",
            way_out=_lower_floor(entry, compute),
        )
    if "maximum" in held and compute > capability(held["maximum"]):
        return Support(
            ok=False,
            reason=f"quantisation {label(kind)} runs up to compute capability {held['maximum']} only",
            way_out="a checkpoint in FP8",
        )
    return _found(entry, held, version, compute)


def _found(entry: dict[str, Any], held: dict[str, Any], version: str, compute: Capability) -> Support:
    kernel = [row for row in held["kernels"] if compute >= capability(row["from"])][-1]
    natives = [row["from"] for row in held["kernels"] if row["native"]]
    note = ""
    if natives and not kernel["native"]:
        what = "fp8" if capability(natives[0]) == figures.lowest_capability("fp8_native") else f"{entry['bits']}-bit"
        note = f"has no {what} arithmetic: weights are kept so and computed in 16 bits ({kernel['kernel']})"
    flags = tuple(
        row["flag"]
        for row in entry.get("flags", ())
        if versions.entry_for([row], version) and versions.not_after(version, row.get("until", version))
    )
    return Support(
        ok=True,
        note=note,
        kernel=kernel["kernel"],
        native=kernel["native"],
        tensor_parallel=held.get("tensor_parallel", True),
        dtypes=tuple(entry["dtypes"]),
        flags=flags,
    )


def _removed_way_out(until: dict[str, Any], entry: dict[str, Any], compute: Capability) -> str:
    ways = []
    if _ranged("", {**entry, "until": None}, until["version"], compute).ok:
        ways.append(f"--engine-version {until['version']}")
    if "plugin" in until:
        ways.append(f"the plugin {until['plugin']} in an image of yours")
    return ", or ".join(ways) or _frozen_engine(entry)


def _lower_floor(entry: dict[str, Any], compute: Capability) -> str:
    for row in _ranges(entry):
        if capability(row["minimum"]) <= compute:
            return f"{row['minimum']} is enough from vLLM {row['from']} on"
    return ""


def _frozen_engine(entry: dict[str, Any], not_this: str = "") -> str:
    """The first engine of one release that loads the kind, by a switch of its own."""
    ways = [
        f"{named.label(name)} with --quantize {held['quantize'][0]}"
        for name, held in entry.items()
        if isinstance(held, dict) and "quantize" in held and name != not_this
    ]
    return ways[0] if ways else ""


def frozen_support(kind: str, engine: str, version: str, compute: Capability, *, bits: int | None = None) -> Support:
    """The same for an engine of one release, by its name in the data."""
    entry, name = kinds().get(kind), named.label(engine)
    if entry is None:
        return Support(ok=False, reason=f"quantisation {label(kind)} is not known to {name} {version}")
    held = entry.get(engine)
    if held is None:
        way_out = "vLLM" if _ranges(entry) else _frozen_engine(entry, engine)
        return Support(ok=False, reason=f"{name} does not read {label(kind)} checkpoints", way_out=way_out)
    widths = held.get("widths", entry["widths"])
    if bits is not None and widths and bits not in widths:
        return Support(ok=False, reason=f"{name} does not read {label(kind)} of {bits} bits", way_out="vLLM")
    if compute < capability(held["minimum"]):
        return Support(
            ok=False,
            reason=f"{name} needs compute capability {held['minimum']} for {label(kind)}",
            way_out="vLLM" if _ranges(entry) else "",
        )
    return Support(
        ok=True,
        note=held.get("condition", ""),
        tensor_parallel=held["tensor_parallel"],
        dtypes=tuple(entry["dtypes"]),
        quantize=tuple(held["quantize"]),
    )


def divisible(kind: str) -> bool:
    """Whether vLLM divides checkpoints of the kind over GPUs, in every version that reads them."""
    return all(row.get("tensor_parallel", True) for row in _ranges(kinds().get(kind, {})))


def refusal(found: Support, device: str, compute: Capability) -> str:
    """Reason and way out in one line, with the GPU's own figure where capability is the reason."""
    text = found.reason
    if "compute capability" in text:
        text += f", {device} has {dotted(compute)}"
    return f"{text} ({found.way_out})" if found.way_out else text
