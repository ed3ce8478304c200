"""Every check: what was found, whether it would fail, and the way out. Each reads the cluster through a Client."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from llm_serving_planner.base.units import GIB, MIB, quantity
from llm_serving_planner.cluster import capacity, limits
from llm_serving_planner.cluster.capacity import Node
from llm_serving_planner.cluster.kubectl import Client, ForbiddenError
from llm_serving_planner.cluster.wanted import Wanted
from llm_serving_planner.engines import registry
from llm_serving_planner.output.chart import Made

Status = Literal["ok", "warn", "fail", "unknown"]
_LEVELS = ("privileged", "baseline", "restricted")
_ENFORCE = "pod-security.kubernetes.io/enforce"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# Provisioners of volumes that one node mounts (their documents; from memory, hence a warning only).
_ONE_NODE = ("ebs.csi.aws.com", "disk.csi.azure.com", "pd.csi.storage.gke.io", "rancher.io/local-path",
             "kubernetes.io/host-path")  # fmt: skip
# Which resource lists a kind of the chart, where that is not its name and an s.
_PLURALS = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses", "BackendTLSPolicy": "backendtlspolicies"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the answer."""

    check: str
    status: Status
    found: str
    way_out: str = ""


def preflight(client: Client, release: Wanted) -> list[Finding]:
    """All checks in order; one that the user may not make is `unknown`."""
    served = client.api_versions()
    namespace = _guard("namespace", lambda: _namespace(client, release, served))
    found = [*_apis(release, served), *_platform(release, served), *namespace]
    found += _guard("nodes", lambda: _nodes(client, release))
    if not any(finding.check == "namespace" and finding.status == "warn" for finding in namespace):
        for check, run in (("secrets", _secrets), ("quota", _quota), ("limits", _limits), ("names", _names)):
            found += _guard(check, lambda run=run: run(client, release))  # type: ignore[misc]
    found += _guard("storage", lambda: _storage(client, release))
    found += _guard("classes", lambda: _classes(client, release))
    return found


def _guard(check: str, run: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return run()
    except ForbiddenError as error:
        return [Finding(check, "unknown", f"you may not read {error.what}", "ask an administrator to run this")]


def _apis(release: Wanted, served: set[str]) -> list[Finding]:
    found = []
    for alternatives, key in release.apis:
        there = next((version for version in alternatives if version in served), None)
        if there:
            found.append(Finding("api", "ok", f"{there} ({key})"))
        else:
            found.append(Finding("api", "fail", f"{alternatives[0]} is not served, but {key} needs it",
                                 "install its operator or adapter, or clear the key"))  # fmt: skip
    return found


def _platform(release: Wanted, served: set[str]) -> list[Finding]:
    openshift = "security.openshift.io/v1" in served
    if openshift and not release.openshift:
        return [Finding("platform", "fail", "platform is kubernetes, the cluster is OpenShift: restricted-v2 refuses "
                        "fixed user ids", "set platform=openshift")]  # fmt: skip
    if release.openshift and not openshift:
        return [Finding("platform", "fail", "platform is openshift, the cluster is not: nobody assigns a user id, and "
                        "an image whose user is root does not start", "set platform=kubernetes")]  # fmt: skip
    return [Finding("platform", "ok", "OpenShift" if openshift else "Kubernetes")]


def _namespace(client: Client, release: Wanted, served: set[str]) -> list[Finding]:
    spaces = {item["metadata"]["name"]: item["metadata"].get("labels", {}) for item in client.items("namespaces")}
    if release.namespace not in spaces:
        return [Finding("namespace", "warn", f"{release.namespace} does not exist",
                        "helm install --create-namespace, and create its Secrets first")]  # fmt: skip
    enforced = spaces[release.namespace].get(_ENFORCE, "privileged")
    needed, reason = release.level
    if enforced in _LEVELS and _LEVELS.index(enforced) > _LEVELS.index(needed):
        return [Finding("pod security", "fail", f"{release.namespace} enforces {enforced}, but {reason} needs {needed}",
                        f"kubectl label namespace {release.namespace} --overwrite {_ENFORCE}={needed}, or change the "
                        "values")]  # fmt: skip
    if needed != "restricted" and "security.openshift.io/v1" in served:
        return [Finding("pod security", "warn", f"{reason} needs more than restricted-v2",
                        "give the service account an SCC that admits it")]  # fmt: skip
    return [Finding("pod security", "ok", f"{release.namespace} enforces {enforced}")]


def _nodes(client: Client, release: Wanted) -> list[Finding]:
    unknown = []
    try:
        pods: list[dict[str, Any]] | None = client.items("pods", everywhere=True)
    except ForbiddenError:
        pods = None
        unknown = [Finding("free now", "unknown", "you may not read pods of all namespaces", "free GPUs are not known")]
    every = capacity.read_nodes(client.items("nodes"), pods, release)
    having = [node for node in every if not release.resource or node.allocatable.get(release.resource)]
    if not having:
        return [Finding("gpu nodes", "fail", f"no ready node offers {release.resource}",
                        "add GPU nodes (llm-serving machineset), or install the device plugin")]  # fmt: skip
    chosen = [node for node in having if capacity.selected(node, release.selector)]
    if not chosen:
        return [Finding("gpu nodes", "fail", f"{_named(having)} lack {_labels(having, release.selector)}",
                        "set gpu.nodeSelector to labels that they have")]  # fmt: skip
    open_ = [node for node in chosen if not capacity.untolerated(node, release.tolerations)]
    if not open_:
        taints = sorted({taint for node in chosen for taint in capacity.untolerated(node, release.tolerations)})
        return [Finding("taints", "fail", f"{_named(chosen)}: {', '.join(taints)} is not tolerated",
                        "add it to gpu.tolerations")]  # fmt: skip
    what = f"{release.gpus} x {release.resource}, " if release.resource else ""
    each = f"{what}{release.cpu_m / 1000:g} CPU, {release.memory / GIB:g} GiB"
    if release.hugepages:
        each += f", {release.hugepages / MIB:g} MiB of huge pages"
    if _fit(open_, release, free=False) < max(1, release.replicas):
        return [Finding("capacity", "fail", f"{release.pods} pod(s) of {each} do not fit on {_named(open_)}, even when "
                        f"these are empty ({_sizes(open_, release)})", "larger or more nodes, or smaller values"),
                *_drivers(release, open_)]  # fmt: skip
    found = [Finding("gpu nodes", "ok", f"{_named(open_)}: {_sizes(open_, release)}"), *_drivers(release, open_)]
    if unknown:
        return found + unknown
    fit = _fit(open_, release, free=True)
    if fit < release.replicas:
        return [*found, Finding("free now", "fail", f"{release.replicas} engine(s) of {release.nodes} pod(s) with "
                                f"{each} are wanted, {fit} fit into what is free ({_sizes(open_, release, free=True)})",
                                "free some, or the pods stay pending until others end")]  # fmt: skip
    return [*found, Finding("free now", "ok", f"{fit} engine(s) fit ({_sizes(open_, release, free=True)})")]


def _fit(nodes: list[Node], release: Wanted, *, free: bool) -> int:
    rooms = [capacity.room(release, node.free if free else node.allocatable) for node in nodes]
    return capacity.engines_that_fit(rooms, release)


def _named(nodes: list[Node]) -> str:
    names = [node.name for node in nodes]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _labels(nodes: list[Node], selector: dict[str, str]) -> str:
    missing = [(key, value) for key, value in selector.items() if all(n.labels.get(key) != value for n in nodes)]
    shown = missing or list(selector.items())
    have = {key: sorted({node.labels.get(key, "nothing") for node in nodes}) for key, _ in shown}
    return "; ".join(f"{key}={value} (they have {', '.join(have[key])})" for key, value in shown)


def _sizes(nodes: list[Node], release: Wanted, *, free: bool = False) -> str:
    name = release.resource
    shown = []
    for node in nodes[:3]:
        have = node.free if free else node.allocatable
        gpus = f"{have.get(name, 0):g} x {name}, " if name else ""
        pages = f", {have.get(capacity.HUGE_PAGES, 0) / MIB:g} MiB of huge pages" if release.hugepages else ""
        shown.append(f"{gpus}{have.get('cpu', 0):g} CPU, {have.get('memory', 0) / GIB:.1f} GiB{pages}")
    return "; ".join(shown)


def _drivers(release: Wanted, nodes: list[Node]) -> list[Finding]:
    floor = registry.engine_of(release.engine).driver_floor(release.version)
    if floor is None or not release.resource.startswith("nvidia.com/"):
        return []
    old = [node for node in nodes if node.driver is not None and node.driver < floor["major"]]
    told = [node for node in nodes if node.driver is not None]
    need = f"vLLM {release.version} holds CUDA {floor['cuda']}: driver {floor['major']} or newer"
    if old:
        return [Finding("driver", "fail", f"{need}; {old[0].name} has {old[0].driver}",
                        "a newer driver, an older engine version, or a node selector for newer nodes")]  # fmt: skip
    if not told:
        label = capacity.DRIVER_LABELS[0]
        return [Finding("driver", "unknown", f"{need}; no node has the label {label}",
                        "install GPU feature discovery, or run nvidia-smi on a node")]  # fmt: skip
    return [Finding("driver", "ok", f"{min(node.driver or 0 for node in told)}; {need}")]


def _secrets(client: Client, release: Wanted) -> list[Finding]:
    found = []
    for name, key in release.secrets:
        keys = client.secret_keys(name, release.namespace)
        if keys is None:
            found.append(Finding("secret", "fail", f"Secret {name} does not exist in {release.namespace}",
                                 f"kubectl create secret generic {name} -n {release.namespace} "
                                 f"--from-file={key}=FILE"))  # fmt: skip
        elif key not in keys:
            found.append(Finding("secret", "fail", f"Secret {name} has no key {key} (it has {', '.join(keys)})",
                                 "name the key in auth, or add it to the Secret"))  # fmt: skip
        else:
            found.append(Finding("secret", "ok", f"{name} has {key}"))
    return found


def _quota(client: Client, release: Wanted) -> list[Finding]:
    more = {"pods": release.pods, "requests.cpu": release.pods * release.cpu_m / 1000, "cpu": release.pods *
            release.cpu_m / 1000, "requests.memory": release.pods * release.memory, "memory": release.pods *
            release.memory, "limits.memory": release.pods * release.memory_limit}  # fmt: skip
    if release.resource:
        more[f"requests.{release.resource}"] = release.pods * release.gpus
    if release.storage["type"] in {"pvc", "perReplica"}:
        claims = release.pods if release.storage["type"] == "perReplica" else 1
        more["requests.storage"] = claims * quantity(release.storage["size"])
    found = []
    for item in client.items("resourcequotas", release.namespace):
        hard, used = item.get("status", {}).get("hard", {}), item.get("status", {}).get("used", {})
        for name in sorted(set(hard) & set(more)):
            left = quantity(hard[name]) - quantity(used.get(name, 0))
            if more[name] > left:
                found.append(Finding("quota", "fail", f"ResourceQuota {item['metadata']['name']}: {name} has "
                                     f"{hard[name]}, {used.get(name, 0)} in use; the release adds {more[name]:g}",
                                     "raise the quota, or uninstall what it replaces"))  # fmt: skip
    return found or [Finding("quota", "ok", "nothing in the way")]


def _limits(client: Client, release: Wanted) -> list[Finding]:
    claim = quantity(release.storage["size"]) if release.storage["type"] in {"pvc", "perReplica"} else None
    found = limits.problems(client.items("limitranges", release.namespace), limits.pods(release.values), claim)
    return [Finding("limits", one.status, one.text, one.way_out) for one in found] or [
        Finding("limits", "ok", "no LimitRange in the way")
    ]


def _names(client: Client, release: Wanted) -> list[Finding]:
    served = client.api_versions()
    wanted = [one for one in release.made if "." not in one.api.split("/")[0] or one.api in served]
    clashes = []
    for item in client.items(",".join(sorted({_resource(one) for one in wanted})), release.namespace):
        meta = item["metadata"]
        marks = meta.get("annotations", {})
        mine = (marks.get("meta.helm.sh/release-name"), marks.get("meta.helm.sh/release-namespace"))
        named = [one for one in wanted if item.get("kind") == one.kind and one.name.fullmatch(meta["name"])]
        if not named or mine == (release.release, release.namespace):
            continue
        if named[0].hook and meta.get("labels", {}).get("app.kubernetes.io/instance") == release.release:
            continue
        clashes.append(f"{item['kind']}/{meta['name']}")
    if clashes:
        return [Finding("names", "fail", f"{', '.join(clashes)} exist and are not of release {release.release}",
                        "another release name, or fullnameOverride")]  # fmt: skip
    return [Finding("names", "ok", f"{release.fullname} is free or the release's own")]


def _resource(one: Made) -> str:
    plural = _PLURALS.get(one.kind, f"{one.kind.lower()}s")
    group, _, version = one.api.rpartition("/")
    return f"{plural}.{version}.{group}" if group else plural


def _storage(client: Client, release: Wanted) -> list[Finding]:
    storage = release.storage
    several = release.pods > 1 or release.surge
    if storage["type"] == "existingClaim":
        return _claim(client, release, several=several)
    if storage["type"] not in {"pvc", "perReplica"}:
        return []
    classes = {item["metadata"]["name"]: item for item in client.items("storageclasses.storage.k8s.io")}
    name = storage["storageClass"] or next(
        (key for key, item in classes.items()
         if item["metadata"].get("annotations", {}).get(_DEFAULT_CLASS) == "true"), "")  # fmt: skip
    way = f"set storage.storageClass to one of {', '.join(sorted(classes)) or '(there is none)'}"
    if not name:
        return [Finding("storage", "fail", "storage.storageClass is empty and the cluster has no default class", way)]
    if name not in classes:
        return [Finding("storage", "fail", f"there is no StorageClass {name}", way)]
    provisioner = classes[name].get("provisioner", "")
    if storage["accessMode"] == "ReadWriteMany" and provisioner in _ONE_NODE:
        return [Finding("storage", "warn", f"{provisioner} of {name} makes volumes for one node, but "
                        "storage.accessMode is ReadWriteMany", "a class of shared files, or perReplica")]  # fmt: skip
    return [Finding("storage", "ok", f"StorageClass {name} ({provisioner}), {storage['accessMode']}")]


def _claim(client: Client, release: Wanted, *, several: bool) -> list[Finding]:
    name = release.storage["existingClaim"]
    claims = {item["metadata"]["name"]: item for item in client.items("persistentvolumeclaims", release.namespace)}
    if name not in claims:
        return [Finding("storage", "fail", f"there is no claim {name} in {release.namespace}", "create it")]
    modes = claims[name]["spec"].get("accessModes", [])
    if several and "ReadWriteMany" not in modes and "ReadOnlyMany" not in modes:
        return [Finding("storage", "fail", f"claim {name} is {', '.join(modes)}, but {release.pods} pods may need it "
                        "on several nodes", "a claim with ReadWriteMany")]  # fmt: skip
    return [Finding("storage", "ok", f"claim {name} ({', '.join(modes)})")]


def _classes(client: Client, release: Wanted) -> list[Finding]:
    found = []
    for kind, name, key in (
        ("priorityclasses.scheduling.k8s.io", release.priority_class, "priorityClassName"),
        ("runtimeclasses.node.k8s.io", release.runtime_class, "runtimeClassName"),
    ):
        if name and name not in {item["metadata"]["name"] for item in client.items(kind)}:
            found.append(Finding(key, "fail", f"{name} does not exist", f"create it, or clear {key}"))
    if release.queue and any("kueue" in version for version in client.api_versions()):
        queues = {item["metadata"]["name"] for item in client.items("localqueues.kueue.x-k8s.io", release.namespace)}
        if release.queue not in queues:
            found.append(Finding("kueue.queue", "fail", f"there is no LocalQueue {release.queue} in "
                                 f"{release.namespace}", "create it, or name another"))  # fmt: skip
    return found
