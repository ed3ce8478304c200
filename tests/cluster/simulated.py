"""Simulated nodes: Node objects of GPU profiles and cloud machines, and KWOK, which lets pods on them run.

Nodes carry a taint and a label of their own run: no pod of anybody else can land on them, and what is left over by a
run that was killed is found by the label. KWOK looks only after nodes that are annotated with the same run.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.serving import engine_pods
from llm_serving_planner.hardware.profiles import GpuProfile, GpuType, all_gpus, all_instances
from llm_serving_planner.planner.devices.registry import device_of
from llm_serving_planner.planner.devices.rocm_gaudi import Accelerator
from pykube import HTTPClient, Node, Pod
from pytest_helm_charts.clusters import Cluster

MARK = "llm-serving-test"  # label and taint that keep our pods and everybody else's apart
_GFD = "nvidia.com/gpu.product"  # GPU feature discovery
STAGES = Path(__file__).parent / "kwok-stages.yaml"


@dataclass(frozen=True)
class Machine:
    """What a node offers; a GPU of None means none at all."""

    gpu: GpuType | None
    gpus: int
    cpu_m: int
    memory_mib: int

    @property
    def product(self) -> str:
        """What the vendor's labeller calls the GPU; empty without a GPU."""
        return self.gpu.gfd_product_labels[0] if self.gpu and self.gpu.gfd_product_labels else ""

    @property
    def labels(self) -> dict[str, str]:
        """What the vendor's labeller writes on the node; Gaudi's names no product."""
        if self.gpu is None or not self.product:
            return {}
        label = _facts(self.gpu).get("product_label", _GFD)
        return {label: self.product} if label else {}


def _facts(gpu: GpuType) -> dict[str, Any]:
    """The table's entry of an accelerator's vendor; empty for NVIDIA's GPUs."""
    device = device_of(gpu)
    return device.facts if isinstance(device, Accelerator) else {}


def new_run() -> str:
    """A name that no other run has."""
    return f"sim-{time.time_ns() % 10**10}"


def of_profile(profile: GpuProfile) -> Machine:
    """A machine with a profile's GPUs and more than enough of everything else."""
    gpu = None if profile.gpu.vendor == "cpu" else profile.gpu
    return Machine(gpu, profile.gpus_per_node if gpu else 0, 96000, 512 * 1024)


def machines_of_the_data() -> list[Machine]:
    """Cloud machines with whole GPUs of every vendor.

    Those whose allocatable CPUs and memory the data does not know are left out: nothing here is guessed.
    """
    gpus = {gpu.id: gpu for gpu in all_gpus()}
    return [
        Machine(gpus[row.gpu], row.count, row.allocatable_cpu_m, row.allocatable_memory_mib)
        for row in all_instances()
        if row.gpu_fraction == 1 and row.allocatable_cpu_m and row.allocatable_memory_mib
    ]


def fleet(count: int, wanted: Sequence[tuple[GpuProfile, int]]) -> list[Machine]:
    """A mixed cluster in which everything wanted (profile, engines) has room wherever the scheduler puts the rest.

    For each GPU as many of the smallest sufficient machines as there are pods, because the scheduler may well put a pod
    with two GPUs on a machine with eight; the rest are all machines of the data in turn, one in twenty without a GPU.
    """
    gpus = {profile.gpu.id: profile.gpu for profile, _ in wanted if profile.gpu.vendor != "cpu"}
    # Where no label names the product, no cluster can tell two generations apart: it has the one that is wanted.
    known = [
        machine for machine in machines_of_the_data() if machine.labels or (machine.gpu and machine.gpu.id in gpus)
    ]
    machines = []
    for gpu in gpus.values():
        of_gpu = [(profile, engines) for profile, engines in wanted if profile.gpu == gpu]
        largest = max(profile.gpus_per_node for profile, _ in of_gpu)
        pods = sum(profile.nodes * engines for profile, engines in of_gpu)
        fitting = [machine for machine in known if machine.gpu == gpu and machine.gpus >= largest]
        own = [of_profile(profile) for profile, _ in of_gpu if profile.gpus_per_node == largest]  # no cloud has some
        machines += [min(fitting or own, key=lambda machine: (machine.gpus, machine.memory_mib))] * pods
    plain = Machine(None, 0, 15_890, 58 * 1024)  # 16 CPUs, 64 GiB: no machine without GPUs is in the data
    rest = [known[index % len(known)] for index in range(count - len(machines))]
    rest[::20] = [plain] * len(rest[::20])
    return machines + rest


def node_object(name: str, machine: Machine, run: str) -> dict[str, Any]:
    """A node as device plugin and GPU feature discovery would show it."""
    labels = {MARK: run, "kubernetes.io/hostname": name, "type": "kwok"}
    capacity = {"cpu": f"{machine.cpu_m}m", "memory": f"{machine.memory_mib}Mi", "ephemeral-storage": "900Gi"}
    capacity["pods"] = "110"
    taints = [{"key": MARK, "value": run, "effect": "NoSchedule"}]
    if machine.gpu:
        capacity[machine.gpu.resource_name] = str(machine.gpus)
        taints.append({"key": machine.gpu.resource_name, "value": "present", "effect": "NoSchedule"})
        if each := _facts(machine.gpu).get("hugepages_mib_per_device"):
            capacity["hugepages-2Mi"] = f"{each * machine.gpus}Mi"
    labels |= machine.labels
    return {
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": run}},
        "spec": {"taints": taints},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Simulated", "message": "no kubelet"}],
        },
    }


@contextmanager
def simulated_nodes(cluster: Cluster, machines: Sequence[Machine], run: str) -> Iterator[dict[str, Machine]]:
    """Nodes by name that are there for one test; all of the run's are deleted, whatever happened."""
    made = {f"{run}-{index}": machine for index, machine in enumerate(machines)}
    try:
        for name, machine in made.items():
            Node(cluster.kube_client, node_object(name, machine, run)).create()
        yield made
    finally:
        cluster.kubectl(f"delete nodes --selector={MARK}={run}", output_format="name")
    left = [node.name for node in Node.objects(cluster.kube_client).filter(selector={MARK: run})]
    assert not left, f"simulated nodes are left: {left}"


@contextmanager
def kwok(kubeconfig: str, run: str, log: Path) -> Iterator[None]:
    """KWOK for the nodes of one run."""
    program = shutil.which("kwok") or shutil.which("kwok", path=Path(sys.executable).parent)
    assert program, "kwok is not on PATH: `make kwok` installs it (Go is needed)"
    command = [program, f"--kubeconfig={kubeconfig}", f"--config={STAGES}", "--manage-all-nodes=false"]
    command += [f"--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node={run}", "--node-lease-duration-seconds=40"]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            yield
            assert process.poll() is None, f"KWOK ended by itself\n{log.read_text()[-2000:]}"
        finally:
            process.terminate()


def overlay(run: str) -> dict[str, Any]:
    """What differs from the committed file: where the pods may go, and no claims on nodes that have no disks."""
    return {
        "nodeSelector": {MARK: run},
        "tolerations": [{"key": MARK, "operator": "Equal", "value": run, "effect": "NoSchedule"}],
        "storage": {"type": "emptyDir"},
    }


def filler(client: HTTPClient, namespace: str, node: str, resource: str, gpus: int) -> Pod:
    """A pod of somebody else that holds GPUs of a node; bound by its name, so that the scheduler has no say."""
    container = {"name": "held", "image": "held", "resources": {"limits": {resource: str(gpus)}}}
    metadata = {"generateName": "held-", "namespace": namespace}
    pod = Pod(client, {"metadata": metadata, "spec": {"nodeName": node, "containers": [container]}})
    answer = client.post(version="v1", namespace=namespace, url="pods", json=pod.obj)
    answer.raise_for_status()
    return Pod(client, answer.json())


def settled(cluster: Cluster, namespace: str, release: str, members: int, *, bound: bool = False) -> list[Pod]:
    """The release's pods, once each is either bound or (unless all must be bound) said to be unschedulable."""
    deadline = time.monotonic() + 60
    pods: list[Pod] = []
    while time.monotonic() < deadline:
        pods = engine_pods(cluster, namespace, release)
        if len(pods) == members and all(node_of(pod) or (not bound and why_pending(pod)) for pod in pods):
            return pods
        time.sleep(0.3)
    told = [(pod.name, node_of(pod) or why_pending(pod)) for pod in pods]
    raise AssertionError(f"{release}: {len(pods)} of {members} pods: {told}")


def node_of(pod: Pod) -> str:
    """Where it was bound; empty before."""
    return str(pod.obj["spec"].get("nodeName", ""))


def why_pending(pod: Pod) -> str:
    """The scheduler's own words."""
    conditions = pod.obj["status"].get("conditions", [])
    return next(
        (c.get("message", "") for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"), ""
    )


def insufficient(message: str, resource: str) -> int:
    """On how many nodes the scheduler found too little of a resource."""
    found = re.search(rf"(\d+) Insufficient {re.escape(resource)}", message)
    return int(found.group(1)) if found else 0


def clear(cluster: Cluster, namespace: str) -> None:
    """Pods of nodes without a kubelet go only by force."""
    cluster.kubectl("delete pods --all --force --grace-period=0", namespace=namespace, output_format="name")
