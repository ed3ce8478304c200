"""What rendered objects name and do not bring along: Secrets, claims, accounts, classes, queues. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm_serving_planner.cluster.workloads import Json, Pods, named

# Kind -> resource of the API, and whether it lies in a namespace.
RESOURCES = {
    "Secret": ("secrets", True), "ConfigMap": ("configmaps", True),
    "PersistentVolumeClaim": ("persistentvolumeclaims", True), "ServiceAccount": ("serviceaccounts", True),
    "ResourceClaimTemplate": ("resourceclaimtemplates.resource.k8s.io", True),
    "ResourceClaim": ("resourceclaims.resource.k8s.io", True), "Service": ("services", True),
    "LocalQueue": ("localqueues.kueue.x-k8s.io", True), "Gateway": ("gateways.gateway.networking.k8s.io", True),
    "TriggerAuthentication": ("triggerauthentications.keda.sh", True),
    "ClusterTriggerAuthentication": ("clustertriggerauthentications.keda.sh", False),
    "StorageClass": ("storageclasses.storage.k8s.io", False),
    "PriorityClass": ("priorityclasses.scheduling.k8s.io", False),
    "RuntimeClass": ("runtimeclasses.node.k8s.io", False), "IngressClass": ("ingressclasses.networking.k8s.io", False),
    "DeviceClass": ("deviceclasses.resource.k8s.io", False),
    "WorkloadPriorityClass": ("workloadpriorityclasses.kueue.x-k8s.io", False),
}  # fmt: skip
_QUEUE, _PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that must be there before the release works; `keys` are those that must be in it.

    `namespace` is empty for the release's own.
    """

    kind: str
    name: str
    keys: tuple[str, ...] = ()
    namespace: str = ""


def references(objects: list[Json], groups: list[Pods]) -> dict[Reference, str]:
    """What must be there and is not rendered, each with the object that first names it."""
    own = {(one.get("kind"), one["metadata"].get("name")) for one in objects}
    found: dict[Reference, str] = {}
    for group in groups:
        for one in _of_pod(group.spec):
            found.setdefault(one, group.owner)
        for claim in group.claims:
            for one in _of_claim(claim.get("spec") or {}):
                found.setdefault(one, group.owner)
    for rendered in objects:
        for one in _of_object(rendered):
            found.setdefault(one, named(rendered))
    merged: dict[tuple[str, str, str], tuple[set[str], str]] = {}
    for one, owner in found.items():
        if one.name and (one.namespace or (one.kind, one.name) not in own):
            keys, _ = merged.setdefault((one.kind, one.name, one.namespace), (set(), owner))
            keys.update(one.keys)
    return {
        Reference(kind, name, tuple(sorted(keys)), namespace): owner
        for (kind, name, namespace), (keys, owner) in merged.items()
    }


def _of_pod(spec: Json) -> Iterator[Reference]:
    for entry in spec.get("imagePullSecrets") or []:
        yield Reference("Secret", str(entry.get("name", "")))
    account = spec.get("serviceAccountName")
    if account and account != "default":
        yield Reference("ServiceAccount", str(account))
    for key, kind in (("priorityClassName", "PriorityClass"), ("runtimeClassName", "RuntimeClass")):
        if spec.get(key):
            yield Reference(kind, str(spec[key]))
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        yield from _of_environment(container)
    for volume in spec.get("volumes") or []:
        yield from _of_volume(volume)
    for claim in spec.get("resourceClaims") or []:
        yield Reference("ResourceClaimTemplate", str(claim.get("resourceClaimTemplateName") or ""))
        yield Reference("ResourceClaim", str(claim.get("resourceClaimName") or ""))


def _of_environment(container: Json) -> Iterator[Reference]:
    for variable in container.get("env") or []:
        source = variable.get("valueFrom") or {}
        for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            ref = source.get(key)
            if ref and not ref.get("optional"):
                yield Reference(kind, str(ref.get("name", "")), (str(ref.get("key")),))
    for source in container.get("envFrom") or []:
        for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            ref = source.get(key)
            if ref and not ref.get("optional"):
                yield Reference(kind, str(ref.get("name", "")))


def _of_volume(volume: Json) -> Iterator[Reference]:
    sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
    for source in sources:
        for key, kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
            ref = source.get(key)
            if ref and not ref.get("optional"):
                keys = tuple(str(item["key"]) for item in ref.get("items") or [])
                yield Reference(kind, str(ref.get("secretName") or ref.get("name") or ""), keys)
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    if claim:
        yield Reference("PersistentVolumeClaim", str(claim))
    published = ((volume.get("csi") or {}).get("nodePublishSecretRef") or {}).get("name")
    if published:
        yield Reference("Secret", str(published))
    ephemeral = ((volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}).get("spec") or {}
    yield from _of_claim(ephemeral)


def _of_claim(spec: Json) -> Iterator[Reference]:
    if spec.get("storageClassName"):
        yield Reference("StorageClass", str(spec["storageClassName"]))


def _of_object(one: Json) -> Iterator[Reference]:
    spec, kind = one.get("spec") or {}, one.get("kind")
    labels = one["metadata"].get("labels") or {}
    yield Reference("LocalQueue", str(labels.get(_QUEUE, "")))
    yield Reference("WorkloadPriorityClass", str(labels.get(_PRIORITY, "")))
    if kind == "PersistentVolumeClaim":
        yield from _of_claim(spec)
    elif kind == "Ingress":
        yield Reference("IngressClass", str(spec.get("ingressClassName") or ""))
        for entry in spec.get("tls") or []:
            yield Reference("Secret", str(entry.get("secretName") or ""))
    elif kind in {"HTTPRoute", "GRPCRoute"}:
        for parent in spec.get("parentRefs") or []:
            if parent.get("kind", "Gateway") == "Gateway":
                yield Reference("Gateway", str(parent.get("name", "")), (), str(parent.get("namespace") or ""))
    elif kind == "ScaledObject":
        for trigger in spec.get("triggers") or []:
            ref = trigger.get("authenticationRef") or {}
            yield Reference(str(ref.get("kind") or "TriggerAuthentication"), str(ref.get("name") or ""))
    elif kind == "InferencePool":
        picker = spec.get("endpointPickerRef") or {}
        if picker.get("kind", "Service") == "Service":
            yield Reference("Service", str(picker.get("name") or ""))
    elif kind == "ResourceClaimTemplate":
        for request in ((spec.get("spec") or {}).get("devices") or {}).get("requests") or []:
            device: Any = (request.get("exactly") or request).get("deviceClassName")
            yield Reference("DeviceClass", str(device or ""))
    elif kind == "BackendTLSPolicy":
        for ref in (spec.get("validation") or {}).get("caCertificateRefs") or []:
            yield Reference(str(ref.get("kind") or "ConfigMap"), str(ref.get("name") or ""), ("ca.crt",))
