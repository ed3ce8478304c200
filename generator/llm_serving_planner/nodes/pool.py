"""Which machine, how many, with what disk, labels and taint: the plan that every form writes down.

Everything here is pure; the facts of machines are in data/instances.json.
"""

import re
from dataclasses import dataclass

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.hardware.profiles import ALIASES, GpuType, Instance, all_gpus, all_instances, parse_profile
from llm_serving_planner.nodes.workload import Workload
from llm_serving_planner.planner.devices.registry import find, is_measured
from llm_serving_planner.planner.resources import IMAGE_GB

# The operating system, its own images and logs, and the images of the node's agents: an assumption.
OS_GIB = 40
# A compressed layer and its unpacked files lie side by side while an image is pulled: an assumption.
IMAGE_COPIES = 3
# kubelet starts to delete images when the disk is 85 % full (imageGCHighThresholdPercent, kubernetes.io
# "Garbage collection of containers and images", read 2026-11-25).
FULL_SHARE = 0.85
# What OpenShift's installer gives a worker on AWS: volumeSize of the MachineSets that it writes (for one, the public
# red-hat-storage/ocs-training, misc/workerocs-machines.yaml, read 2026-11-25).
LEAST_VOLUME_GIB = 120
# A general purpose volume (openshift/api 2a3d739, machine/v1beta1/types_awsprovider.go, EBSBlockDeviceSpec).
MOST_VOLUME_GIB = 16384
# MachineSet sizes are small numbers; more is a slip of the hand.
MOST_NODES = 1000
_COUNTED = re.compile(r"(?:(\d{1,9})x)?(\d{1,9})x([a-z0-9][a-z0-9.-]*)", re.ASCII)
_MACHINES = re.compile(r"(?:(\d{1,9})x)?(.+)", re.ASCII)
# AWS names Graviton families with a g after the generation: m6g, c7gd, g5g, x2gd, im4gn (and the first, a1).
_GRAVITON = re.compile(r"(?:a1|[a-z]+\d+g[a-z]*)\..+")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What the user set; None and empty leave the choice to the plan. Sizes in GiB, prices in USD per hour."""

    region: str | None = None
    zones: tuple[str, ...] = ()
    all_zones: bool = False
    replicas: int | None = None
    spot: bool = False
    spot_max_price: str | None = None
    root_volume_gib: int | None = None
    taint: bool = True
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NodePlan:
    """Nodes of one machine type; `notes` say what was chosen or assumed, one line each."""

    instance: Instance
    gpu: GpuType
    nodes: int
    root_volume_gib: int
    options: NodeOptions
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the group of nodes, without zone and cluster."""
        kind = "-spot" if self.options.spot else ""
        return self.options.name or f"gpu-{self.instance.type.replace('.', '-')}{kind}"

    @property
    def taints(self) -> list[dict[str, str]]:
        """The taint that the chart's pods tolerate (key of the GPU's resource), or none."""
        return [{"key": self.gpu.resource_name, "effect": "NoSchedule"}] if self.options.taint else []

    @property
    def product_label(self) -> dict[str, str]:
        """The label by which the chart selects a GPU: declared, so that an autoscaler knows it beforehand."""
        labels = self.gpu.gfd_product_labels
        return {"nvidia.com/gpu.product": labels[0]} if len(labels) == 1 else {}

    @property
    def accelerator(self) -> str:
        """Value of the label that tells autoscalers the kind of GPU."""
        return f"{self.gpu.vendor}-{self.gpu.id}"

    @property
    def summary(self) -> str:
        """The plan in one line."""
        share = f"{self.instance.gpu_fraction:g} of a" if self.instance.gpu_fraction < 1 else f"{self.instance.count} x"
        kind = "spot" if self.options.spot else "on-demand"
        return (
            f"{self.nodes} x {self.instance.type} ({share} {self.gpu.device_name} each), {kind}, "
            f"root volume {self.root_volume_gib} GiB"
        )


def architecture(machine: str) -> str:
    """CPU architecture of an AWS machine type, by its name: arm64 or amd64."""
    return "arm64" if _GRAVITON.fullmatch(machine) else "amd64"


def make_node_plan(profile: str, options: NodeOptions, workload: Workload | None = None) -> NodePlan:
    """Choose machine, number and disk.

    Args:
        profile: a machine type, a counted profile or a user's YAML file of GPUs.
        options: what the user set.
        workload: what a values file says of the pods, if there is one.

    Raises:
        InputError: one line that says what was found, the rule and the way out.
    """
    _check(options)
    nodes, instance, notes = _choose(profile, workload)
    gpu = next(gpu for gpu in all_gpus() if gpu.id == instance.gpu)
    if workload is not None:
        nodes = workload.nodes_needed(instance)
        notes += workload.misfits(instance)
    volume, why = _volume(options.root_volume_gib, workload)
    count = nodes if options.replicas is None else options.replicas
    notes = [*notes, *why, *_remarks(instance, count)]
    return NodePlan(instance, gpu, count, volume, options, tuple(notes))


def _check(options: NodeOptions) -> None:
    if options.replicas is not None and not 0 <= options.replicas <= MOST_NODES:
        raise InputError(f"--replicas is {options.replicas}; a number of nodes from 0 to {MOST_NODES} is meant")
    price = options.spot_max_price
    if price is not None and not options.spot:
        raise InputError("--spot-max-price is set without --spot", hint="add --spot, or leave the price away")
    if price is not None and not (re.fullmatch(r"\d{1,5}(\.\d{1,6})?", price) and float(price) > 0):
        raise InputError(f"--spot-max-price is {price!r}; USD per hour above 0 are meant, such as 5.50")
    if options.zones and options.all_zones:
        raise InputError("--zone and --all-zones exclude each other", hint="name the zones, or take all")
    if options.name is not None and (not _NAME.fullmatch(options.name) or len(options.name) > 40):
        raise InputError(
            f"--name is {options.name!r}; lower case letters, digits and '-' are allowed, 40 at most",
            hint="zone and infrastructure id are added to it, and 63 characters are the limit of a label",
        )
    volume = options.root_volume_gib
    if volume is not None and not OS_GIB <= volume <= MOST_VOLUME_GIB:
        raise InputError(
            f"--root-volume-gib is {volume}; {OS_GIB} to {MOST_VOLUME_GIB} GiB are possible",
            hint=f"{OS_GIB} GiB hold the operating system; the engine's image of about {IMAGE_GB} GB comes on top",
        )


def _choose(profile: str, workload: Workload | None) -> tuple[int, Instance, list[str]]:
    name = profile.strip().lower()
    machine = _MACHINES.fullmatch(name)
    if machine is not None:
        whole, found = _machine(name), _machine(machine.group(2))
        if whole is not None:
            return 1, whole, []
        if found is not None:
            return _positive(profile, int(machine.group(1))), found, []
    nodes, count, gpu = _counted(profile)
    instance, note = _cheapest(profile, count, gpu, workload)
    return nodes, instance, [note]


def _machine(name: str) -> Instance | None:
    found = next((machine for machine in all_instances() if machine.type.lower() == name), None)
    if found is not None and found.cloud != "aws":
        raise InputError(
            f"profile {name!r} is a machine of {found.cloud}; nodes are written for AWS only",
            hint="llm-serving profiles lists the machine types; those of AWS look like g5.48xlarge",
        )
    return found


def _positive(profile: str, nodes: int) -> int:
    if not 1 <= nodes <= MOST_NODES:
        raise InputError(f"profile {profile!r}: {nodes} nodes; 1 to {MOST_NODES} are possible")
    return nodes


def _counted(profile: str) -> tuple[int, int, GpuType]:
    """Nodes, GPUs per node and GPU of a counted profile; other vendors' GPUs are welcome here."""
    match = _COUNTED.fullmatch(profile.strip().lower())
    if match is not None:
        wanted = ALIASES.get(match.group(3), match.group(3))
        gpu = next((gpu for gpu in all_gpus() if gpu.id == wanted), None)
        if gpu is not None and not is_measured(gpu):
            count = int(match.group(2))
            if count < 1:
                raise InputError(f"profile {profile!r}: at least one node and one GPU are needed")
            return _positive(profile, int(match.group(1) or 1)), count, gpu
    parsed = parse_profile(profile)
    return _positive(profile, parsed.nodes), parsed.gpus_per_node, parsed.gpu


def _cheapest(profile: str, count: int, gpu: GpuType, workload: Workload | None) -> tuple[Instance, str]:
    """The cheapest AWS machine of that GPU with at least `count` of them, and room for the workload's pod."""
    same = [m for m in all_instances() if m.cloud == "aws" and m.gpu == gpu.id and m.gpu_fraction == 1]
    if not same:
        raise InputError(
            f"profile {profile!r}: AWS has no machine with {gpu.device_name} in the data",
            hint=f"GPUs of AWS: {', '.join(sorted({m.gpu for m in all_instances() if m.cloud == 'aws'}))}",
        )
    enough = [m for m in same if m.count >= count]
    if not enough:
        most = max(m.count for m in same)
        raise InputError(
            f"profile {profile!r}: {count} GPUs in one node; machines of AWS have at most {most} {gpu.device_name}",
            hint=f"write <nodes>x{most}x{gpu.id} for several nodes",
        )
    roomy = [m for m in enough if workload is None or not workload.misfits(m)]
    if workload is not None and not roomy:
        raise InputError(
            f"{workload.where}: {workload.wish} fit no AWS machine with {count} {gpu.device_name}",
            hint="lower cpu.request or memory.host.request, or name a machine type as the profile",
        )
    best = min(
        roomy, key=lambda m: (m.status != "listed", m.usd_per_hour is None, m.usd_per_hour or 0, m.count, m.type)
    )
    price = f"{best.usd_per_hour:.2f} USD/h" if best.usd_per_hour is not None else "no price known"
    others = f", cheapest of {len(roomy)}" if len(roomy) > 1 else ", the only one"
    return best, f"{profile}: {best.type} has {best.count} x {gpu.device_name} ({price}{others} with {count} or more)"


def _volume(wanted: int | None, workload: Workload | None) -> tuple[int, list[str]]:
    """Size of the root volume in GiB, and why."""
    on_disk = 0 if workload is None else workload.root_disk_gib
    content = OS_GIB + IMAGE_COPIES * IMAGE_GB + on_disk
    needed = max(LEAST_VOLUME_GIB, 10 * -int(-content / FULL_SHARE // 10))
    if wanted is not None:
        full = f"at most {100 * FULL_SHARE:.0f} % full"
        short = f"root volume of {wanted} GiB: {needed} GiB would be computed ({content} GiB {full})"
        return wanted, [short] if wanted < needed else []
    if needed > MOST_VOLUME_GIB:
        raise InputError(
            f"the root volume would be {needed} GiB; a volume of AWS has at most {MOST_VOLUME_GIB} GiB",
            hint="keep the model on a claim: --storage pvc when the values file is made",
        )
    where = "models on a claim, not on the root volume" if workload is None else workload.disk_basis
    return needed, [
        f"root volume {needed} GiB (assumption): {OS_GIB} GiB system, {IMAGE_COPIES} x {IMAGE_GB} GB image; {where}"
    ]


def _remarks(instance: Instance, nodes: int) -> list[str]:
    notes = [f"which regions and zones offer {instance.type} is not in the data: ask `aws ec2 "
             f"describe-instance-type-offerings --location-type availability-zone "
             f"--filters Name=instance-type,Values={instance.type}`"]  # fmt: skip
    if instance.usd_per_hour is not None:
        notes.append(
            f"{nodes} x {instance.usd_per_hour:.2f} USD/h on demand in {instance.usd_region} "
            f"({instance.usd_date}); spot prices are not in the data"
        )
    else:
        notes.append(f"no on-demand price of {instance.type} is known: it may be sold as Capacity Blocks only")
    if instance.status != "listed":
        notes.append(f"{instance.type} is no longer listed by AWS in the regions that the data was read from")
    if instance.gpu_fraction < 1:
        notes.append(f"{instance.type} has a slice of a GPU: this version plans no engines for it")
    device = next((find(gpu) for gpu in all_gpus() if gpu.id == instance.gpu), None)
    if device is not None and device.node_note:
        notes.append(device.node_note)
    return notes
