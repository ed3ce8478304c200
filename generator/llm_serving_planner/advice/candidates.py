"""What there is to choose from: machine types with their prices, GPU counts on the cheapest machine that has them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.hardware.profiles import (
    ALIASES,
    GpuProfile,
    Instance,
    all_gpus,
    all_instances,
    parse_profile,
    profile_grid,
)
from llm_serving_planner.planner.devices.registry import is_measured


@dataclass(frozen=True, slots=True)
class Filters:
    """What the user leaves out; None and empty filter nothing."""

    clouds: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    max_price: float | None = None


def check_filters(clouds: list[str], gpus: list[str], max_price: float | None) -> Filters:
    """Filters with every name checked.

    Raises:
        InputError: an unknown cloud or GPU, a price that is not positive.
    """
    known = sorted({machine.cloud for machine in all_instances()})
    for cloud in clouds:
        if cloud.lower() not in known:
            raise InputError(f"--cloud is {cloud!r}: one of {', '.join(known)} is expected")
    identities = []
    known_gpus = {gpu.id: gpu for gpu in all_gpus()}
    for name in gpus:
        identity = ALIASES.get(name.lower(), name.lower())
        if identity not in known_gpus:
            raise InputError(f"--gpu is {name!r}: no such GPU", hint="`llm-serving profiles` lists them")
        if not is_measured(known_gpus[identity]):
            raise InputError(
                f"--gpu is {name!r}: of {known_gpus[identity].vendor}; only NVIDIA GPUs are planned in this version"
            )
        identities.append(identity)
    if max_price is not None and not max_price > 0:
        raise InputError(f"--max-price is {max_price:g}: USD per hour above 0 are expected")
    return Filters(tuple(cloud.lower() for cloud in clouds), tuple(identities), max_price)


def price(machine: Instance) -> float | None:
    """USD per hour on demand; None where the data have none or the type is not sold so."""
    return machine.usd_per_hour if machine.status == "listed" else None


def machines(filters: Filters) -> Iterator[tuple[Instance, GpuProfile | str]]:
    """Machine types that pass the filters, each with its profile or the reason why it has none."""
    measured = {gpu.id for gpu in all_gpus() if is_measured(gpu)}
    for machine in all_instances():
        if filters.clouds and machine.cloud not in filters.clouds:
            continue
        if filters.gpus and machine.gpu not in filters.gpus:
            continue
        if machine.status == "delisted":
            yield machine, "no longer offered"
        elif machine.gpu not in measured:
            yield machine, "only NVIDIA GPUs are planned in this version"
        elif machine.gpu_fraction < 1:
            yield machine, "a slice of a GPU, which is not sized"
        else:
            yield machine, parse_profile(machine.type)


def profiles(filters: Filters) -> Iterator[tuple[GpuProfile, list[Instance]]]:
    """GPU counts, each with the machines that have as many, cheapest first; without any, its price is not known."""
    whole = [m for m in all_instances() if m.gpu_fraction == 1 and price(m) is not None]
    if filters.clouds:
        whole = [m for m in whole if m.cloud in filters.clouds]
    for profile in profile_grid():
        if filters.gpus and profile.gpu.id not in filters.gpus:
            continue
        holding = [m for m in whole if m.gpu == profile.gpu.id and m.count >= profile.gpus_per_node]
        holding.sort(key=lambda m: (price(m) or 0.0, m.count, m.type))
        if holding or not filters.clouds:
            yield profile, holding


def on_machine(profile: GpuProfile, machine: Instance) -> GpuProfile:
    """The profile with what the machine adds: the link between its GPUs, the node's memory and cores."""
    whole = parse_profile(machine.type)
    return replace(
        profile,
        link=whole.link if profile.gpus_per_node > 1 else "none",
        instance=machine,
        node_cpu_m=machine.allocatable_cpu_m,
        node_memory_mib=machine.allocatable_memory_mib,
    )
