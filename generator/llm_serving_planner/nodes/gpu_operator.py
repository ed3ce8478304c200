"""NVIDIA's GPU Operator told to load the driver without GSP firmware, for the machines known to need it.

The GSP is a processor on Turing and later GPUs to which the driver hands its own work. With it, drivers of 2023 and
2024 lost GPUs of G4dn and G5 machines: the driver reports GSP RM errors, pods find no device. Sources, all read
2026-11-25:
- rh-aiservices-bu/multi-gpu-llms, overlays falcon-40b and mixtral-8x7b, 2024-05-31: g5.48xlarge
- NVIDIA/gpu-operator#634, 2023-12 to 2024-01: g5.48xlarge; the maintainer names this remedy
- awslabs/amazon-eks-ami, CHANGELOG.md, release v20240522, and #1523: families g4 and g5, drivers of the 535 series
"""

from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.nodes.pool import NodePlan

# OLM installs the operator into this namespace on OpenShift (docs.nvidia.com, GPU Operator on OpenShift; 2026-11-25).
# The ConfigMap must lie beside it.
NAMESPACE = "nvidia-gpu-operator"
CONFIG_MAP = "kernel-module-params"
POLICY = "gpu-cluster-policy"
_FAMILIES = {
    "g4dn": "amazon-eks-ami v20240522: trouble with drivers of the 535 series",
    "g5": "NVIDIA/gpu-operator#634 and amazon-eks-ami v20240522: GSP RM errors with drivers of the 535 series",
}


def reason(machine: str) -> str | None:
    """Why a machine type is known to need the change, None where nothing is known."""
    return _FAMILIES.get(machine.split(".", maxsplit=1)[0])


def gpu_operator(plan: NodePlan) -> tuple[list[dict[str, Any]], list[str]]:
    """ConfigMap and the part of the ClusterPolicy that names it, and remarks.

    A line of nvidia.conf is a parameter of `modprobe nvidia` and not a line of modprobe.d: the driver container adds it
    as it stands (NVIDIA/gpu-driver-container 06a208c, rhel9/nvidia-driver, _get_module_params, 2026-08-17).

    Raises:
        InputError: the machine is not known to need it.
    """
    why = reason(plan.instance.type)
    if why is None:
        raise InputError(
            f"--form gpu-operator: {plan.instance.type} is not known to need the driver without GSP firmware",
            hint=f"families that do: {', '.join(sorted(_FAMILIES))}; GPUs from Blackwell on do not run without it",
        )
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": NAMESPACE},
        "data": {"nvidia.conf": "NVreg_EnableGpuFirmware=0"},
    }
    policy = {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": POLICY},
        # Open kernel modules cannot do without the GSP (NVIDIA/open-gpu-kernel-modules README and #820; 2026-11-25),
        # and `auto` chooses them for these GPUs.
        "spec": {"driver": {"kernelModuleType": "proprietary", "kernelModuleConfig": {"name": CONFIG_MAP}}},
    }
    notes = [
        f"why: {why}",
        "whether newer drivers still need it is not known: apply it when `dmesg | grep NVRM` shows GSP errors",
        "the ClusterPolicy holds the changed fields only: oc apply --server-side --force-conflicts -f FILE "
        f"merges them into {POLICY}",
        "it concerns the drivers of all GPU nodes of the cluster, and they are loaded anew: expect ten minutes and "
        "restarted pods; GPUs from Blackwell on need the open modules and must not be in such a cluster",
    ]
    return [config, policy], notes
