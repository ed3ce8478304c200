"""What rendered manifests mean to those who act on them: checks written once per kind of object.

A schema says that a manifest is well formed. These say that it acts: the port that is scraped is one of the container's
and speaks that scheme, the Secret that is mounted is there, a selector finds the pods that it is meant for. Each check
takes a Release and yields a line for each fault, "Kind/name: what is wrong". CHECKS has them all by name.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Manifest = dict[str, Any]
Labels = dict[str, str]
LWS = "leaderworkerset.sigs.k8s.io"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
METADATA = "169.254.169.254"  # where clouds tell their machines and pods who they are
WORLD = "104.18.0.1"  # an address of the internet
API_SERVER = "10.96.0.1"  # an address of the cluster that no selector knows
_URL = re.compile(r"(?P<scheme>https?|grpc)://(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]+))?(?=/|$|\s)")


@dataclass(frozen=True)
class Pod:
    """A pod as its controller would make it.

    Attributes:
        owner: the object that makes it, as Kind/name.
        labels: those of its template and those that its controller adds.
        spec: its PodSpec.
        group: the pods that serve together with it; empty for a pod of its own.
        leader: it is the one of its group that answers.
        events: of Helm's hooks; empty for a pod that is none.
        weight: of the hook.
    """

    owner: str
    labels: Labels
    spec: dict[str, Any]
    group: str = ""
    leader: bool = True
    events: frozenset[str] = frozenset()
    weight: int = 0

    @property
    def engine(self) -> bool:
        """It is an engine's, no helper's."""
        return self.owner.partition("/")[0] in {"Deployment", "StatefulSet", "LeaderWorkerSet", "RayCluster"}

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Of whatever kind, the first to start first."""
        return [*self.spec.get("initContainers", []), *self.spec.get("containers", [])]

    @property
    def ports(self) -> dict[str, int]:
        """Ports that its containers name."""
        return {port["name"]: port["containerPort"] for one in self.containers for port in one.get("ports", [])
                if "name" in port}  # fmt: skip

    def port(self, port: str | int) -> int | None:
        """The number of a port that a container declares, None where none does."""
        numbers = {entry["containerPort"] for one in self.containers for entry in one.get("ports", [])}
        return self.ports.get(port) if isinstance(port, str) else port if port in numbers else None

    def scheme(self, port: str | int) -> str | None:
        """How a port of the chart's own speaks: http or https; None for one of the user's."""
        number = self.port(port)
        if number is None:
            return None
        if number == self.ports.get("group", 0):
            return "http"  # the supervisor's health
        if number == self.ports.get("http"):
            words = [word for one in self.containers for word in [*one.get("command", []), *one.get("args", [])]]
            return "https" if "--ssl-certfile" in words else "http"
        if number == self.ports.get("grpc"):
            return "https" if any(volume["name"] == "tls" for volume in self.spec.get("volumes", [])) else "http"
        return None


@dataclass(frozen=True)
class Release:
    """What one release renders, beside the values that it is rendered from.

    Attributes:
        manifests: every object, hooks and tests among them.
        values: the user's values: what they name is the user's.
        namespace: of the release.
        neighbours: pods of other releases in the same namespace, which no selector may find.
    """

    manifests: list[Manifest]
    values: dict[str, Any]
    namespace: str = "llm"
    neighbours: tuple[Pod, ...] = ()

    @cached_property
    def pods(self) -> list[Pod]:
        """Every pod; of a LeaderWorkerSet those of two groups, whatever its replicas."""
        return [pod for manifest in self.manifests for pod in pods_of(manifest)]

    @cached_property
    def engines(self) -> list[Pod]:
        """The pods of its engines."""
        return [pod for pod in self.pods if pod.engine]

    def kind(self, *kinds: str) -> list[Manifest]:
        """Objects of these kinds that the chart makes; those of extraObjects are the user's."""
        return [manifest for manifest in self.manifests if manifest["kind"] in kinds and not self._users(manifest)]

    def named(self, kind: str, name: str) -> Manifest | None:
        """An object by kind and name."""
        found = [one for one in self.manifests if one["kind"] == kind and one["metadata"]["name"] == name]
        return found[0] if found else None

    def _users(self, manifest: Manifest) -> bool:
        return "app.kubernetes.io/instance" not in manifest["metadata"].get("labels", {})

    @cached_property
    def of_user(self) -> frozenset[str]:
        """Every text in the values."""
        return frozenset(_texts(self.values))

    @cached_property
    def policies(self) -> list[dict[str, Any]]:
        """Specs of the NetworkPolicies."""
        return [manifest["spec"] for manifest in self.kind("NetworkPolicy")]


Check = Callable[[Release], Iterator[str]]


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        node = [*node, *node.values()]
    if isinstance(node, list):
        for child in node:
            yield from _texts(child)
    elif isinstance(node, str):
        yield node


def title(manifest: Manifest) -> str:
    """Kind and name of an object."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def annotations(manifest: Manifest) -> dict[str, str]:
    """Annotations of an object."""
    found: dict[str, str] = manifest["metadata"].get("annotations") or {}
    return found


def events(manifest: Manifest) -> frozenset[str]:
    """Events of Helm's hooks at which an object is made; empty for an object of the release itself."""
    return frozenset(word.strip() for word in annotations(manifest).get("helm.sh/hook", "").split(",") if word)


def weight(manifest: Manifest) -> int:
    """Order among the hooks of an event."""
    return int(annotations(manifest).get("helm.sh/hook-weight", "0"))


def pods_of(manifest: Manifest) -> Iterator[Pod]:
    """The pods that an object's controller makes, with the labels that it adds."""
    kind, spec, owner = manifest["kind"], manifest.get("spec", {}), title(manifest)
    hook = {"events": events(manifest), "weight": weight(manifest)}

    def pod(template: dict[str, Any], labels: Labels | None = None, **more: Any) -> Pod:
        own = template["metadata"].get("labels", {})
        return Pod(owner, {**own, **(labels or {})}, template["spec"], **{**hook, **more})

    if kind in {"Deployment", "Job"}:
        yield pod(spec["template"])
    elif kind == "Pod":
        yield pod(manifest)
    elif kind == "StatefulSet":
        for index in range(spec.get("replicas", 1)):
            labels = {"apps.kubernetes.io/pod-index": f"{index}"}
            together = owner if spec.get("replicas", 1) > 1 else ""
            yield pod(spec["template"], labels, group=together, leader=index == 0)
    elif kind == "LeaderWorkerSet":
        layout = spec["leaderWorkerTemplate"]
        for group in range(2):
            for index in range(layout["size"]):
                leads = index == 0
                template = layout.get("leaderTemplate", layout["workerTemplate"]) if leads else layout["workerTemplate"]
                labels = {f"{LWS}/name": manifest["metadata"]["name"], f"{LWS}/group-index": f"{group}",
                          f"{LWS}/worker-index": f"{index}"}  # fmt: skip
                yield pod(template, labels, group=f"{owner}-{group}" if layout["size"] > 1 else "", leader=leads)
    elif kind == "RayCluster":
        yield pod(spec["headGroupSpec"]["template"], {"ray.io/node-type": "head"}, group=owner)
        for workers in spec["workerGroupSpecs"]:
            for _ in range(workers["replicas"]):
                yield pod(workers["template"], {"ray.io/node-type": "worker"}, group=owner, leader=False)


def selects(selector: dict[str, Any] | None, labels: Labels) -> bool:
    """Whether a LabelSelector matches; an empty one matches all, none matches nothing."""
    if selector is None:
        return False
    for rule in selector.get("matchExpressions", []):
        there, value = rule["key"] in labels, labels.get(rule["key"])
        right = {"In": there and value in rule.get("values", []), "NotIn": value not in rule.get("values", []),
                 "Exists": there, "DoesNotExist": not there}[rule["operator"]]  # fmt: skip
        if not right:
            return False
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def selected(release: Release, selector: dict[str, Any], pods: list[Pod] | None = None) -> list[Pod]:
    """Pods of the release that a selector finds."""
    return [pod for pod in (release.pods if pods is None else pods) if selects(selector, pod.labels)]


# Ports


def probes(release: Release) -> Iterator[str]:
    """A probe asks a port of its own container, in the scheme that it speaks."""
    for pod in release.pods:
        for container in pod.containers:
            for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container.get(name, {})
                asked = probe.get("httpGet") or probe.get("grpc") or probe.get("tcpSocket")
                if not asked:
                    continue
                own = Pod(pod.owner, {}, {**pod.spec, "containers": [container], "initContainers": []})
                speaks = own.scheme(asked["port"])
                if own.port(asked["port"]) is None:
                    yield f"{pod.owner}: {name} of {container['name']} asks port {asked['port']}, which it lacks"
                elif "httpGet" in probe and speaks and asked.get("scheme", "HTTP").lower() != speaks:
                    yield f"{pod.owner}: {name} asks port {asked['port']} not in {speaks}, which it speaks"


def addresses(release: Release) -> Iterator[str]:
    """An address of the release in a variable or a command leads to a port that is there, in its scheme."""
    for pod in release.pods:
        for place, text in _written(pod):
            for url in _URL.finditer(text):
                host, port = url["host"], int(url["port"] or {"http": 80, "https": 443}.get(url["scheme"], 0))
                service = release.named("Service", host.split(".")[0])
                if host == "localhost":
                    speaks = pod.scheme(port)
                    if pod.engine and pod.port(port) is None:
                        yield f"{pod.owner}: {place} leads to port {port}, which no container has"
                elif service and host.split(".")[1:2] in ([], [release.namespace]):
                    target = [one for one in service["spec"]["ports"] if one["port"] == port]
                    if not target:
                        yield f"{pod.owner}: {place} leads to port {port} of {title(service)}, which lacks it"
                        continue
                    found = selected(release, {"matchLabels": service["spec"]["selector"]})
                    speaks = found[0].scheme(target[0].get("targetPort", port)) if found else None
                else:
                    continue
                if speaks and url["scheme"] != speaks:
                    yield f"{pod.owner}: {place} speaks {url['scheme']} to {host}:{port}, which is {speaks}"


def _written(pod: Pod) -> Iterator[tuple[str, str]]:
    """Texts of a pod in which addresses stand: where, and what."""
    for container in pod.containers:
        for entry in container.get("env", []):
            yield f"{container['name']}.{entry['name']}", str(entry.get("value", ""))
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            for word in container.get(name, {}).get("exec", {}).get("command", []):
                yield f"{container['name']}.{name}", word.rpartition("URL=")[2]
        for word in [*container.get("command", []), *container.get("args", [])]:
            yield f"{container['name']}.args", word


def services(release: Release) -> Iterator[str]:
    """A Service leads to ports of every pod that it finds, and says how they speak."""
    for service in release.kind("Service"):
        found = selected(release, {"matchLabels": service["spec"]["selector"]})
        headless = service["spec"].get("clusterIP") == "None"
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            for pod in found:
                if pod.port(target) is None and not headless:  # names need no port of a headless one
                    yield f"{title(service)}: port {port.get('name')} leads to {target}, which {pod.owner} lacks"
                speaks = pod.scheme(target)
                if port.get("appProtocol") in {"http", "https"} and speaks and port["appProtocol"] != speaks:
                    yield f"{title(service)}: appProtocol {port['appProtocol']} of a port that speaks {speaks}"
                if speaks == "https" and port.get("appProtocol") not in {"https", "kubernetes.io/https"}:
                    yield f"{title(service)}: port {port.get('name')} speaks https and says nothing of it"


def monitors(release: Release) -> Iterator[str]:
    """A monitor scrapes each engine that answers once, at a port that is there, in its scheme, with its authority."""
    for monitor in release.kind("ServiceMonitor", "PodMonitor"):
        spec = monitor["spec"]
        own = monitor["metadata"]["namespace"]
        if own != release.namespace and spec.get("namespaceSelector", {}).get("matchNames") != [release.namespace]:
            yield f"{title(monitor)}: looks in namespace {own}, where the release is not"
        if monitor["kind"] == "ServiceMonitor":
            backs = [one for one in release.kind("Service")
                     if selects(spec["selector"], one["metadata"].get("labels", {}))]  # fmt: skip
            found = [pod for one in backs for pod in selected(release, {"matchLabels": one["spec"]["selector"]})]
            named = {
                port["name"]: port.get("targetPort", port["port"]) for one in backs for port in one["spec"]["ports"]
            }
            endpoints = spec["endpoints"]
        else:
            found = selected(release, spec["selector"])
            named = {name: name for pod in found for name in pod.ports}
            endpoints = spec["podMetricsEndpoints"]
        if sorted(map(id, found)) != sorted(id(pod) for pod in release.engines if pod.leader):
            yield f"{title(monitor)}: finds {[pod.owner for pod in found]}, not each engine that answers once"
        for endpoint in endpoints if found else ():  # replicas: 0 may leave no workload
            if endpoint["port"] not in named:
                yield f"{title(monitor)}: scrapes port {endpoint['port']}, which is not there"
                continue
            speaks = found[0].scheme(named[endpoint["port"]])
            if endpoint.get("scheme", "http") != speaks:
                yield f"{title(monitor)}: scrapes in {endpoint.get('scheme', 'http')}, and the port speaks {speaks}"
            if speaks == "https" and not endpoint.get("tlsConfig"):
                yield f"{title(monitor)}: scrapes https and knows no authority"


def _backends(manifest: Manifest) -> Iterator[tuple[str, str, Any]]:
    """Where a route leads: kind, name, port."""
    spec = manifest["spec"]
    if manifest["kind"] == "Ingress":
        for rule in spec.get("rules", []):
            for path in rule["http"]["paths"]:
                port = path["backend"]["service"]["port"]
                yield "Service", path["backend"]["service"]["name"], port.get("name", port.get("number"))
    elif manifest["kind"] == "Route":
        yield "Service", spec["to"]["name"], spec["port"]["targetPort"]
    else:
        for rule in spec["rules"]:
            for one in rule.get("backendRefs", []):
                yield one.get("kind", "Service"), one["name"], one.get("port")


def routes(release: Release) -> Iterator[str]:
    """What leads clients in ends at a Service or pool of the release, a port that is there, and its scheme."""
    for route in release.kind("Ingress", "HTTPRoute", "GRPCRoute", "Route"):
        for kind, name, port in _backends(route):
            target = release.named(kind, name)
            if target is None:
                yield f"{title(route)}: leads to {kind} {name}, which is not there"
                continue
            if kind != "Service":
                continue
            ports = {key: one for one in target["spec"]["ports"] for key in (one.get("name"), one["port"])}
            if port not in ports:
                yield f"{title(route)}: leads to port {port} of {title(target)}, which lacks it"
                continue
            found = selected(release, {"matchLabels": target["spec"]["selector"]})
            if not found:
                continue  # replicas: 0 may leave no workload
            speaks = found[0].scheme(ports[port].get("targetPort", port))
            covered = [one for one in release.kind("BackendTLSPolicy")
                       if any(ref["name"] == name for ref in one["spec"]["targetRefs"])]  # fmt: skip
            if route["kind"] in {"HTTPRoute", "GRPCRoute"} and (speaks == "https") != bool(covered):
                yield f"{title(route)}: the backend speaks {speaks}, with {len(covered)} BackendTLSPolicies"
            if route["kind"] == "Route":
                ends = (route["spec"].get("tls") or {}).get("termination")
                if (speaks == "https") != (ends in {"reencrypt", "passthrough"}):
                    yield f"{title(route)}: TLS ends by {ends}, and the engine speaks {speaks}"
    for pool in release.kind("InferencePool"):
        found = selected(release, pool["spec"]["selector"])
        if {id(pod) for pod in found} != {id(pod) for pod in release.engines if pod.leader}:
            yield f"{title(pool)}: finds {[pod.owner for pod in found]}, not the engines that answer"
        for port in pool["spec"]["targetPorts"]:
            if any(pod.port(port["number"]) is None for pod in found):
                yield f"{title(pool)}: leads to port {port['number']}, which its pods lack"


def targets(release: Release) -> Iterator[str]:
    """An autoscaler scales a workload of the release."""
    for scaler in release.kind("HorizontalPodAutoscaler", "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        found = release.named(target.get("kind", "Deployment"), target["name"])
        if found is None or found["apiVersion"] != target.get("apiVersion", "apps/v1"):
            yield f"{title(scaler)}: scales {target}, which is not there"


# References


def _references(pod: Pod) -> Iterator[tuple[str, str]]:
    """Kind and name of what a pod needs to start."""
    spec = pod.spec
    yield "ServiceAccount", spec.get("serviceAccountName", "default")
    for secret in spec.get("imagePullSecrets", []):
        yield "Secret", secret["name"]
    for volume in spec.get("volumes", []):
        sources = [volume, *volume.get("projected", {}).get("sources", [])]
        for source in sources:
            for field, kind, key in (("secret", "Secret", "secretName"), ("configMap", "ConfigMap", "name"),
                                     ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName")):  # fmt: skip
                if field in source and not source[field].get("optional"):
                    yield kind, source[field].get(key) or source[field]["name"]
    for container in pod.containers:
        for entry in container.get("env", []):
            for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                one = entry.get("valueFrom", {}).get(field)
                if one and not one.get("optional"):
                    yield kind, one["name"]
        for entry in container.get("envFrom", []):
            for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                if field in entry and not entry[field].get("optional"):
                    yield kind, entry[field]["name"]
    for claim in spec.get("resourceClaims", []):
        if "resourceClaimTemplateName" in claim:
            yield "ResourceClaimTemplate", claim["resourceClaimTemplateName"]


def _made_by_hook(release: Release, kind: str, name: str) -> bool:
    """A Secret that the release's own hook makes: its command names it."""
    return kind == "Secret" and any(
        name in one.get("command", []) for pod in release.pods if pod.events for one in pod.containers
    )


def references(release: Release) -> Iterator[str]:
    """What a pod mounts, reads or runs as is rendered, made by a hook, or named in the values."""
    for pod in release.pods:
        for kind, name in set(_references(pod)):
            users = name in release.of_user or (kind == "ServiceAccount" and name == "default")
            if not (users or release.named(kind, name) or _made_by_hook(release, kind, name)):
                yield f"{pod.owner}: needs {kind} {name}, which is neither rendered nor the user's"
    for binding in release.kind("RoleBinding"):
        for kind, name in [(binding["roleRef"]["kind"], binding["roleRef"]["name"]),
                           *((one["kind"], one["name"]) for one in binding["subjects"])]:  # fmt: skip
            if release.named(kind, name) is None:
                yield f"{title(binding)}: binds {kind} {name}, which is not rendered"


# Selectors


def selectors(release: Release) -> Iterator[str]:
    """Every selector finds pods of its own release, those that it is meant for, and no other's."""
    for workload in release.kind("Deployment", "StatefulSet"):
        for pod in release.pods:
            if selects(workload["spec"]["selector"], pod.labels) != (pod.owner == title(workload)):
                yield f"{title(workload)}: its selector is wrong about a pod of {pod.owner}"
    meant: dict[str, Callable[[Pod], bool]] = {
        "PodDisruptionBudget": lambda pod: pod.engine, "Service": lambda pod: pod.engine and pod.leader,
        "headless Service": lambda pod: pod.engine,
    }  # fmt: skip
    for where, kind, selector in _selectors(release):
        for pod in release.neighbours:
            if selects(selector, pod.labels):
                yield f"{where}: finds {pod.owner} of another release"
        found = selected(release, selector)
        wanted = meant.get(kind)
        if not found:
            if release.engines:  # replicas: 0 may leave no workload
                yield f"{where}: finds no pod"
        elif wanted and kind != "headless Service" and found != [pod for pod in release.pods if wanted(pod)]:
            yield f"{where}: finds {[pod.owner for pod in found]}, not exactly what it is meant for"
        elif wanted and not all(map(wanted, found)):
            yield f"{where}: finds a helper's pod"


def _selectors(release: Release) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where it stands, of what kind, and a LabelSelector of pods."""
    for one in release.kind("Service"):
        headless = one["spec"].get("clusterIP") == "None"
        yield title(one), "headless Service" if headless else "Service", {"matchLabels": one["spec"]["selector"]}
    for one in release.kind("PodDisruptionBudget", "PodMonitor", "InferencePool"):
        yield title(one), one["kind"], one["spec"]["selector"]
    for one in release.kind("NetworkPolicy"):
        yield title(one), "NetworkPolicy", one["spec"]["podSelector"]
    for pod in release.pods:
        affinity = pod.spec.get("affinity") or {}
        for term in affinity.get("podAntiAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", []):
            if not _of_values(release, term["labelSelector"]):
                yield f"{pod.owner}, podAntiAffinity", "affinity", term["labelSelector"]
        for term in pod.spec.get("topologySpreadConstraints", []):
            yield f"{pod.owner}, topologySpreadConstraints", "spread", term["labelSelector"]


def _of_values(release: Release, selector: dict[str, Any]) -> bool:
    return all(value in release.of_user for value in selector.get("matchLabels", {}).values())


# Networks


def _peer(peer: dict[str, Any], labels: Labels, namespace: str, own: str) -> bool:
    """Whether a NetworkPolicyPeer means a pod in a namespace; `own` is the policy's."""
    if "ipBlock" in peer:
        return False
    named = {NAMESPACE_LABEL: namespace}
    inside = selects(peer["namespaceSelector"], named) if "namespaceSelector" in peer else namespace == own
    return inside and selects(peer.get("podSelector", {}), labels)


def _address(peer: dict[str, Any], address: str) -> bool:
    """Whether a peer means an address outside of all pods."""
    from ipaddress import ip_address, ip_network

    block = peer.get("ipBlock")
    if not block or ip_address(address).version != ip_network(block["cidr"]).version:
        return False
    inside = ip_address(address) in ip_network(block["cidr"])
    return inside and not any(ip_address(address) in ip_network(one) for one in block.get("except", []))


def _port(rule: dict[str, Any], port: int, target: Pod | None, protocol: str = "TCP") -> bool:
    if not rule.get("ports"):
        return True
    for one in rule["ports"]:
        named = one.get("port")
        number = target.ports.get(named) if target and isinstance(named, str) else named
        if one.get("protocol", "TCP") == protocol and number in {None, port}:
            return True
    return False


def _applied(release: Release, pod: Pod) -> list[dict[str, Any]]:
    return [policy for policy in release.policies if selects(policy["podSelector"], pod.labels)]


def goes_out(release: Release, pod: Pod, port: int, *, address: str = "", to: Pod | None = None,
             namespace: str = "", protocol: str = "TCP") -> bool:  # fmt: skip
    """Whether the policies let a pod reach an address, a pod of the release, or some pod in a namespace."""
    for policy in _applied(release, pod):
        for rule in policy.get("egress", []):
            peers = rule.get("to")
            labels, inside = (to.labels, release.namespace) if to else ({}, namespace)
            means = not peers or any(
                _address(peer, address) if address else _peer(peer, labels, inside, release.namespace) for peer in peers
            )
            if means and _port(rule, port, to, protocol):
                return True
    return not _applied(release, pod)


def comes_in(release: Release, pod: Pod, port: int, labels: Labels, namespace: str) -> bool:
    """Whether the policies let somebody reach a port of a pod."""
    for policy in _applied(release, pod):
        for rule in policy.get("ingress", []):
            peers = rule.get("from")
            means = not peers or any(_peer(peer, labels, namespace, release.namespace) for peer in peers)
            if means and _port(rule, port, pod):
                return True
    return not _applied(release, pod)


def _destinations(release: Release, pod: Pod) -> Iterator[tuple[str, str, int]]:
    """What the containers of a pod call: why, host, port."""
    fetches = False
    for container in pod.containers:
        env = {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}
        fetches |= container["name"].startswith("fetch-") or container["name"] == "download"
        fetches |= container["name"] == "engine" and env.get("HF_HUB_OFFLINE") == "0"
    if fetches:
        yield "the hub", "huggingface.co", 443
    source = (release.values.get("model") or {}).get("source") or {}
    if pod.engine and source.get("type") in {"s3", "gcs", "azure"}:
        host, port = _host(source.get("endpoint") or "https://s3.amazonaws.com")
        yield "the object store", host, port
        if not source.get("existingSecret"):
            yield "credentials of the cloud", METADATA, 80
    for place, text in _written(pod):
        name = place.partition(".")[2]
        calls = (pod.engine and name.startswith("OTEL_EXPORTER_OTLP")) or (name.lower().endswith("_proxy") and fetches)
        if "://" in text and (calls or (name == "HF_ENDPOINT" and fetches)) and "no_proxy" not in name.lower():
            yield name, *_host(text)
    for container in pod.containers:
        words = container.get("args", [])
        if "--otlp-traces-endpoint" in words:
            yield "the collector", *_host(words[words.index("--otlp-traces-endpoint") + 1])


def _host(url: str) -> tuple[str, int]:
    found = re.fullmatch(r"([a-z0-9+.-]+)://([^/:]+)(?::([0-9]+))?(/.*)?", url)
    if not found:
        raise ValueError(f"no address: {url}")
    return found[2], int(found[3] or {"http": 80}.get(found[1], 443))


def _place(release: Release, host: str) -> dict[str, Any]:
    """Where a host is, for goes_out: an address, or a namespace of the cluster."""
    parts = host.split(".")
    if re.fullmatch(r"[0-9.]+", host):
        return {"address": host}
    inside = len(parts) == 1 or parts[2:3] == ["svc"] or (len(parts) == 2 and parts[1] not in {"com", "co", "org"})
    return {"namespace": parts[1] if len(parts) > 1 else release.namespace} if inside else {"address": WORLD}


def egress(release: Release) -> Iterator[str]:
    """Where policies are on, every pod is under one that lets it reach what it needs: names, addresses, its group."""
    if not release.policies:
        return
    for pod in release.pods:
        applied = _applied(release, pod)
        if not applied or any(set(policy["policyTypes"]) != {"Ingress", "Egress"} for policy in applied):
            yield f"{pod.owner}: no policy is about all that its pods send and get"
        called = list(_destinations(release, pod))
        for why, host, port in called:
            if not goes_out(release, pod, port, **_place(release, host)):
                yield f"{pod.owner}: does not reach {host}:{port} ({why})"
        named = called or pod.group or pod.labels.get("app.kubernetes.io/component") == "test"
        if named and not goes_out(release, pod, 53, namespace="kube-system", protocol="UDP"):
            yield f"{pod.owner}: calls names and reaches no DNS"
        if pod.spec.get("automountServiceAccountToken") and not (
            goes_out(release, pod, 443, address=API_SERVER) and goes_out(release, pod, 6443, address=API_SERVER)
        ):
            yield f"{pod.owner}: does not reach the API server"
        for other in release.engines:
            if pod.group and pod.group == other.group and pod is not other:
                together = goes_out(release, pod, 29400, to=other) and goes_out(release, pod, 40123, to=other)
                if not together or not comes_in(release, other, 40123, pod.labels, release.namespace):
                    yield f"{pod.owner}: members of a group do not reach each other"
        if pod.owner.startswith("Pod/"):
            yield from _tested(release, pod)


def _tested(release: Release, pod: Pod) -> Iterator[str]:
    """The pod of `helm test` reaches the API, in both policies."""
    for engine in (one for one in release.engines if one.leader):
        for name in {"http", "grpc"} & set(engine.ports):
            port = engine.ports[name]
            if not goes_out(release, pod, port, to=engine):
                yield f"{pod.owner}: does not reach port {name} of {engine.owner}"
            if not comes_in(release, engine, port, pod.labels, release.namespace):
                yield f"{engine.owner}: does not let the test in at {name}"


def strangers(release: Release) -> Iterator[str]:
    """Where policies are on, nobody reaches a port that is not for them."""
    if not release.policies:
        return
    given = release.values.get("networkPolicy") or {}
    if "clients" in given or "metrics" in given:
        return  # whoever the user lets in is the user's
    known = {29400, 29401, 29501, 6379, 8000, 8033}
    for pod in release.pods:
        users = {port["containerPort"] for port in (release.values.get("engine") or {}).get("extraPorts", [])}
        api = {pod.ports[name] for name in ("http", "grpc") if name in pod.ports} | users if pod.engine else set()
        metrics = {pod.ports["http"]} if pod.engine and "http" in pod.ports else set()
        for who, labels, namespace, allowed in (
            ("a pod of another namespace", {}, "elsewhere", set()),
            ("a pod of its namespace", {"app": "stranger"}, release.namespace, api),
            ("a pod of monitoring", {}, "monitoring", metrics),
        ):
            for port in sorted(known | set(pod.ports.values()) | users):
                if comes_in(release, pod, port, labels, namespace) and port not in allowed:
                    yield f"{pod.owner}: {who} reaches port {port}"


def openings(release: Release) -> Iterator[str]:
    """A policy opens ports that some pod under it has."""
    for policy in release.kind("NetworkPolicy"):
        found = selected(release, policy["spec"]["podSelector"])
        for rule in policy["spec"].get("ingress", []):
            for one in rule.get("ports", []):
                if not any(pod.port(one["port"]) for pod in found):
                    yield f"{title(policy)}: opens port {one['port']}, which no pod under it has"


# Names

# Names that become part of a label or of a DNS name: a revision of the pods is named <name>[-<group>]-<10 characters>
# (Kubernetes 1.35, LeaderWorkerSet 0.9.0); a Service, a Job and a RayCluster (KubeRay 1.6.2) have 63; others 253.
_LONGEST = {"Service": 63, "Job": 63, "StatefulSet": 52, "LeaderWorkerSet": 50, "RayCluster": 63}


def names(release: Release) -> Iterator[str]:
    """No two objects, volumes, ports, variables or mounts of one name; no mount without volume, nor the reverse."""
    objects = Counter(
        (one["apiVersion"], one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in release.manifests
    )
    for one, count in objects.items():
        if count > 1:
            yield f"{one[1]}/{one[3]}: {count} objects"
    for manifest in release.manifests:
        most = _LONGEST.get(manifest["kind"], 253)
        if len(manifest["metadata"]["name"]) > most:
            yield f"{title(manifest)}: {len(manifest['metadata']['name'])} characters, of which {most} fit"
    claims = {title(one): (one["spec"].get("leaderWorkerTemplate") or one["spec"]).get("volumeClaimTemplates", [])
              for one in release.kind("StatefulSet", "LeaderWorkerSet")}  # fmt: skip
    for pod in release.pods:
        volumes = [one["name"] for one in pod.spec.get("volumes", [])]
        templates = [one["metadata"]["name"] for one in claims.get(pod.owner, [])]
        mounted = {one["name"] for container in pod.containers for one in container.get("volumeMounts", [])}
        devices = {entry["name"] for one in pod.containers for entry in one.get("resources", {}).get("claims", [])}
        given = {one["name"] for one in pod.spec.get("resourceClaims", [])}
        tables: dict[str, list[Any]] = {
            "volume": [*volumes, *templates],
            "container": [one["name"] for one in pod.containers],
            "port name": [entry.get("name") for one in pod.containers for entry in one.get("ports", [])],
            "port": [(entry["containerPort"], entry.get("protocol", "TCP")) for one in pod.containers
                     for entry in one.get("ports", [])],
        }  # fmt: skip
        for container in pod.containers:
            where = container["name"]
            tables[f"variable of {where}"] = [entry["name"] for entry in container.get("env", [])]
            tables[f"mount of {where}"] = [entry["mountPath"] for entry in container.get("volumeMounts", [])]
        for what, entries in tables.items():
            twice = [entry for entry, count in Counter(entries).items() if count > 1]
            if twice:
                yield f"{pod.owner}: {what} {twice} twice"
        if mounted - {*volumes, *templates}:
            yield f"{pod.owner}: mounts {sorted(mounted - {*volumes, *templates})}, which are no volumes"
        if {*volumes, *templates} - mounted - release.of_user:
            yield f"{pod.owner}: nobody mounts {sorted({*volumes, *templates} - mounted - release.of_user)}"
        if devices != given:
            yield f"{pod.owner}: claims {sorted(given)} and uses {sorted(devices)}"


# Hooks


def hooks(release: Release) -> Iterator[str]:
    """Hooks can run when they do, again and again, under Helm, Argo CD and Flux."""
    for manifest in release.manifests:
        own = annotations(manifest)
        at = events(manifest)
        if at and "before-hook-creation" not in own.get("helm.sh/hook-delete-policy", "before-hook-creation"):
            yield f"{title(manifest)}: the next run finds the object of the last"
        if "test" in at and own.get("argocd.argoproj.io/hook") != "Skip":
            yield f"{title(manifest)}: Argo CD would run the test with every sync"
        if manifest["kind"] == "Job" and not at and "ttlSecondsAfterFinished" in manifest["spec"]:
            yield f"{title(manifest)}: goes by itself, and Argo CD and Flux make it again"
    for pod in release.pods:
        early = {event for event in pod.events if event.startswith("pre-")}
        needed = [("NetworkPolicy", one["metadata"]["name"]) for one in release.kind("NetworkPolicy")
                  if selects(one["spec"]["podSelector"], pod.labels)]  # fmt: skip
        for kind, name in [*_references(pod), *(needed if "pre-install" in early else [])]:
            found = release.named(kind, name)
            if not early or found is None or name in release.of_user:
                continue
            if not early <= events(found) or weight(found) >= pod.weight:
                yield f"{pod.owner}: runs before {title(found)}, which it needs, is there"


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (probes, addresses, services, monitors, routes, targets, references, selectors, egress, strangers,
                  openings, names, hooks)
}  # fmt: skip
"""Every check by its name."""


def faults(release: Release) -> list[str]:
    """What all checks have against a release, each line with the check's name before it."""
    return sorted({f"{name}: {line}" for name, check in CHECKS.items() for line in check(release)})
