"""Pod Security restricted and OpenShift's restricted-v2 as code.

Sources (2026-11-25): kubernetes.io/docs/concepts/security/pod-security-standards; openshift/cluster-kube-apiserver-
operator bindata/bootkube/scc-manifests, restricted-v2.
"""

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
RANGE = range(1000730000, 1000740000)  # what a namespace's annotation openshift.io/sa.scc.uid-range would give


def containers(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every container of a pod, of whatever kind."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind, [])


def restricted(spec: dict[str, Any]) -> list[str]:
    """What Pod Security restricted has against a pod."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [f"volume {name}" for entry in spec.get("volumes", []) for name in entry if name not in {"name", *VOLUMES}]
    pod = spec.get("securityContext", {})
    for container in containers(spec):
        own = container.get("securityContext", {})
        effective = {**pod, **own}
        name = container["name"]
        if own.get("privileged"):
            found.append(f"{name}: privileged")
        if own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{name}: allowPrivilegeEscalation")
        if effective.get("runAsNonRoot") is not True:
            found.append(f"{name}: runAsNonRoot")
        if effective.get("runAsUser") == 0:
            found.append(f"{name}: runAsUser 0")
        if effective.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
            found.append(f"{name}: seccompProfile")
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []):
            found.append(f"{name}: capabilities not dropped")
        found += [f"{name}: adds {word}" for word in capabilities.get("add", []) if word != "NET_BIND_SERVICE"]
        found += [f"{name}: hostPort" for port in container.get("ports", []) if port.get("hostPort")]
    return found


def restricted_v2(spec: dict[str, Any]) -> list[str]:
    """What OpenShift's restricted-v2 has against a pod, before it fills in users and groups of the namespace."""
    found = restricted(spec)
    contexts = [spec.get("securityContext", {}), *(c.get("securityContext", {}) for c in containers(spec))]
    for context in contexts:
        if context.get("runAsUser", RANGE.start) not in RANGE:
            found.append(f"runAsUser {context['runAsUser']} is outside the namespace's range")
        if context.get("fsGroup", RANGE.start) not in RANGE:
            found.append(f"fsGroup {context['fsGroup']} is outside the namespace's range")
        # supplementalGroups may be any: the strategy is RunAsAny (restricted-v2 as the Kernel Module Management
        # documents of OpenShift 4.12 restate it, and `oc describe scc restricted-v2`; read 2026-11-25)
        found += ["seLinuxOptions is not the namespace's"] if "seLinuxOptions" in context else []
    return found
