"""What a values file asks of a node: the number of pods, CPU, memory, disk. Pure but for reading the file."""

import math
from dataclasses import dataclass
from pathlib import Path

from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import GIB, MIB
from llm_serving_planner.hardware.profiles import Instance
from llm_serving_planner.output.chart import pick, quantity_at
from llm_serving_planner.output.schema import validate


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods of one release; CPU in thousandths, memory and disk in MiB and GiB as their names say.

    `nodes` are those of one engine: replicas on a profile of several nodes may each lie on one of them.
    """

    where: str
    replicas: int
    gpus_per_pod: int
    cpu_m: int
    memory_mib: int
    storage_type: str
    storage_gib: int
    nodes: int = 1

    @property
    def wish(self) -> str:
        """The pod's requests, for a message."""
        return f"cpu.request {self.cpu_m / 1000:g} and memory.host.request {self.memory_mib / 1024:g}Gi"

    @property
    def root_disk_gib(self) -> int:
        """GiB of the model on the root volume: an emptyDir and a path of the host lie there."""
        return self.storage_gib if self.storage_type in {"emptyDir", "hostPath"} else 0

    @property
    def disk_basis(self) -> str:
        """Where the model lies, for a message."""
        if self.root_disk_gib:
            return f"{self.storage_gib} GiB of storage.type {self.storage_type} lie on it"
        return f"storage.type {self.storage_type} is not on the root volume"

    def nodes_needed(self, instance: Instance) -> int:
        """Nodes for all replicas; small pods share a node."""
        per_node = max(1, instance.count // self.gpus_per_pod)
        return self.nodes * -(-max(1, self.replicas) // per_node)

    def misfits(self, instance: Instance) -> list[str]:
        """What of one pod's requests exceeds the machine, one line each."""
        found = []
        cpu_m, memory_mib = instance.allocatable_cpu_m, instance.allocatable_memory_mib
        if cpu_m is not None and self.cpu_m > cpu_m:
            found.append(
                f"{self.where}: cpu.request {self.cpu_m / 1000:g} is more than the {cpu_m / 1000:g} "
                f"that {instance.type} offers: the pod stays pending"
            )
        if memory_mib is not None and self.memory_mib > memory_mib:
            found.append(
                f"{self.where}: memory.host.request {self.memory_mib / 1024:g}Gi is more than the "
                f"{memory_mib / 1024:.1f}Gi that {instance.type} offers: the pod stays pending"
            )
        if self.gpus_per_pod > instance.count:
            found.append(
                f"{self.where}: parallelism.gpusPerNode {self.gpus_per_pod} is more than the {instance.count} "
                f"of {instance.type}: the pod stays pending"
            )
        return found


def read_workload(path: Path) -> tuple[str, Workload]:
    """The profile (plan.profile) and the pods of a values file written by this generator.

    Raises:
        InputError: the file is no values file, or names no profile.
        SchemaError: it breaks the schema.
    """
    values = load_values(path)
    validate(values, str(path))
    profile = (values.get("plan") or {}).get("profile")
    if not profile:
        raise InputError(
            f"{path}: /plan/profile is missing; it says for which GPUs the values were planned",
            hint="write the file with `llm-serving values`, or give --profile instead of --values",
        )
    gpus = int(pick(values, "parallelism.gpusPerNode"))
    if gpus < 1:
        raise InputError(f"{path}: /parallelism/gpusPerNode is 0: the pods need no GPU node")
    return str(profile), Workload(
        where=str(path),
        replicas=int(pick(values, "replicas")),
        gpus_per_pod=gpus,
        cpu_m=round(quantity_at(values, "cpu.request") * 1000),
        memory_mib=int(quantity_at(values, "memory.host.request") / MIB),
        storage_type=str(pick(values, "storage.type")),
        storage_gib=math.ceil(quantity_at(values, "storage.size") / GIB),
        nodes=int(pick(values, "parallelism.nodes")),
    )
