"""Every check: what was found, whether it would fail, and the way out.

The chart's own rules are asked of the chart, by rendering it, and those of the cluster of its API server, by a dry run
of what was rendered. Only what neither tells is worked out here: nodes, quotas, and what pods name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from llm_serving_planner.cluster import live, placing, quota, references
from llm_serving_planner.cluster.capacity import of_release
from llm_serving_planner.cluster.findings import Finding
from llm_serving_planner.cluster.helm import RefusedError, Rendering, render
from llm_serving_planner.cluster.kubectl import Client, ForbiddenError
from llm_serving_planner.cluster.rehearsal import rehearse
from llm_serving_planner.cluster.workloads import Json, Pods, hooks, named, pods
from llm_serving_planner.engines import registry

_VERSION = "app.kubernetes.io/version"
_OPENSHIFT = "security.openshift.io/v1"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# Provisioners of volumes that one node mounts (their documents; from memory, hence a warning only).
_ONE_NODE = ("ebs.csi.aws.com", "disk.csi.azure.com", "pd.csi.storage.gke.io", "rancher.io/local-path",
             "kubernetes.io/host-path")  # fmt: skip
_SHARED = {"ReadWriteMany", "ReadOnlyMany"}
_METRICS = {"Pods": "custom.metrics.k8s.io", "External": "external.metrics.k8s.io"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asks of the cluster: files and settings of a release, and the engine that the files name."""

    release: str
    namespace: str
    files: list[Any]
    settings: list[str]
    chart: str | None
    engine: str


@dataclass(frozen=True, slots=True)
class Release:
    """A rendered release: its objects, those of them that the cluster has, and its pods."""

    name: str
    namespace: str
    objects: list[Json]
    there: list[Json]
    groups: list[Pods]

    def found(self, one: Json) -> Json | None:
        """The cluster's object of the same kind and name."""
        return next((item for item in self.there if _same(item, one)), None)


def _same(first: Json, second: Json) -> bool:
    return first.get("kind") == second.get("kind") and first["metadata"].get("name") == second["metadata"].get("name")


def preflight(client: Client, asked: Asked) -> list[Finding]:
    """All checks in order; one that the user may not make is `unknown`.

    Raises:
        InputError: no helm, no chart, or a cluster that does not answer.
    """
    served = client.api_versions()
    try:
        kube = client.server_version()
        objects = render(
            Rendering(asked.release, asked.namespace, asked.files, asked.settings, asked.chart, kube, served)
        )
    except RefusedError as error:
        return [Finding("values", "fail", text) for text in error.problems]
    known = [one for one in objects if one.get("apiVersion") in served]
    release = Release(asked.release, asked.namespace, objects, [], pods(objects))
    namespace = _guard("namespace", lambda: _namespace(client, release))
    found = [Finding("values", "ok", f"the chart renders {len(objects)} objects"), *_apis(objects, served),
             *_platform(release, served), *namespace]  # fmt: skip
    if all(finding.status == "ok" for finding in namespace):
        release = replace(release, there=_there(client, known, asked.namespace))
        found += _names(client, release)
        rehearsed = rehearse(client, release.groups, known, release.there, asked.namespace)
        found += rehearsed.findings
        release = replace(release, groups=rehearsed.groups)
        found += _changes(release)
        found += _guard("quota", lambda: _quota(client, release))
    found += _guard("nodes", lambda: placing.nodes(client, release.groups, asked.release, asked.namespace))
    if any(group.engine for group in release.groups):
        engine = _engine(asked.engine, objects)
        found += _guard("driver", lambda: placing.drivers(client, release.groups, *engine))
    within = all(finding.status == "ok" for finding in namespace)
    found += _references(client, release, served, within=within)
    found += _guard("storage", lambda: _storage(client, release))
    return found


def _guard(check: str, run: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return run()
    except ForbiddenError as error:
        return [Finding(check, "unknown", f"you may not read {error.what}", "ask an administrator to run this")]


def _engine(kind: str, objects: list[Json]) -> tuple[str, dict[str, Any] | None]:
    """The engine in words, with the version that the chart rendered, and the driver that its image needs."""
    labels = [one["metadata"].get("labels") or {} for one in objects]
    version = next((str(own[_VERSION]) for own in labels if own.get(_VERSION)), "")
    engine = registry.engine_of(kind)
    return f"{engine.label} {version}".strip(), engine.driver_floor(version)


def _apis(objects: list[Json], served: set[str]) -> list[Finding]:
    """Kinds that the cluster does not know, and metrics that nobody serves."""
    found = []
    for api in sorted({str(one.get("apiVersion")) for one in objects}):
        kinds = sorted({str(one.get("kind")) for one in objects if one.get("apiVersion") == api})
        if api not in served:
            found.append(Finding("api", "fail", f"{api} is not served, but the release has {', '.join(kinds)}",
                                 "install its operator, or clear the key"))  # fmt: skip
        elif "." in api.partition("/")[0] and "k8s.io" not in api and api != "apps/v1":
            found.append(Finding("api", "ok", f"{api} ({', '.join(kinds)})"))
    wanted = {_METRICS.get(str(metric.get("type"))) for one in objects if one.get("kind") == "HorizontalPodAutoscaler"
              for metric in one["spec"].get("metrics") or []}  # fmt: skip
    for group in sorted(group for group in wanted if group):
        there = sorted(api for api in served if api.startswith(f"{group}/"))
        found.append(Finding("api", "ok", f"{there[0]} (HorizontalPodAutoscaler)") if there else Finding(
            "api", "fail", f"{group} is not served, but a HorizontalPodAutoscaler asks for its metrics",
            "install an adapter, or clear scaling.hpa"))  # fmt: skip
    return found


def _platform(release: Release, served: set[str]) -> list[Finding]:
    openshift = _OPENSHIFT in served
    contexts = [group.spec.get("securityContext") or {} for group in release.groups if group.engine]
    fixed = any("runAsUser" in context for context in contexts)
    if openshift and fixed:
        return [Finding("platform", "fail", "the pods have a fixed user id and the cluster is OpenShift: restricted-v2 "
                        "refuses it", "set platform=openshift")]  # fmt: skip
    if contexts and not fixed and not openshift:
        return [Finding("platform", "fail", "the pods have no user id and the cluster is not OpenShift: nobody assigns "
                        "one, and an image whose user is root does not start", "set platform=kubernetes")]  # fmt: skip
    return [Finding("platform", "ok", "OpenShift" if openshift else "Kubernetes")]


def _namespace(client: Client, release: Release) -> list[Finding]:
    if client.one("namespaces", release.namespace, None) is None:
        return [Finding("namespace", "warn", f"{release.namespace} does not exist: quotas, limits and admission are "
                        "not known", "kubectl create namespace, its Secrets, and this command again")]  # fmt: skip
    return [Finding("namespace", "ok", release.namespace)]


def _there(client: Client, objects: list[Json], namespace: str) -> list[Json]:
    """Live objects; kinds that the user may not read are left out."""
    try:
        return client.live(objects, namespace)
    except ForbiddenError:
        found = []
        for one in objects:
            try:
                found += client.live([one], namespace)
            except ForbiddenError:
                continue
        return found


def _names(client: Client, release: Release) -> list[Finding]:
    taken = [
        named(one) for one in release.objects
        if (found := release.found(one)) and live.foreign(one, found, release.name, release.namespace)
    ]  # fmt: skip
    try:
        taken += [name for one in release.objects for name in _made_by_operator(client, one, release.namespace)]
    except ForbiddenError as error:
        return [Finding("names", "unknown", f"you may not read {error.what}", "ask an administrator to run this")]
    if taken:
        return [Finding("names", "fail", f"{', '.join(taken)} exist and are not of release {release.name}",
                        "another release name, or fullnameOverride")]  # fmt: skip
    return [Finding("names", "ok", f"all {len(release.objects)} are free or the release's own")]


def _made_by_operator(client: Client, one: Json, namespace: str) -> Iterator[str]:
    """Objects of another that stand where an operator will make its own."""
    kind, name = one.get("kind"), str(one["metadata"].get("name"))
    makes = {"LeaderWorkerSet": (("services", name), ("statefulsets.apps", name)),
             "RayCluster": (("services", f"{name}-head-svc"),)}  # fmt: skip
    for resource, wanted in makes.get(str(kind), ()):
        found = client.one(resource, wanted, namespace)
        owners = ((found or {}).get("metadata") or {}).get("ownerReferences") or []
        if found and not any(owner.get("kind") == kind and owner.get("name") == name for owner in owners):
            yield f"{found.get('kind')}/{wanted}"


def _changes(release: Release) -> list[Finding]:
    return [
        Finding("change", "fail", change.text, change.way_out)
        for one in release.objects if (found := release.found(one)) and not hooks(one)
        for change in live.changes(one, found)
    ]  # fmt: skip


def _quota(client: Client, release: Release) -> list[Finding]:
    quotas = client.items("resourcequotas", release.namespace)
    if not quotas:
        return [Finding("quota", "ok", "the namespace has none")]
    running = client.items("pods", release.namespace, selector=f"app.kubernetes.io/instance={release.name}")
    held = [pod["spec"] for pod in running if placing.holds(pod) and of_release(pod, release.namespace, release.name)]
    claims = list(_claims(client, release))
    if any(not claim.storage_class for claim in claims):
        default = _default_class(client.items("storageclasses.storage.k8s.io"))
        claims = [replace(claim, storage_class=claim.storage_class or default) for claim in claims]
    new = [one for one in release.objects if not release.found(one)]
    demand = quota.Demand(release.groups, held, new, claims)
    return [Finding("quota", "fail", *problem) for problem in quota.problems(quotas, demand)] or [
        Finding("quota", "ok", "nothing in the way")
    ]


def _claims(client: Client, release: Release) -> Iterator[quota.Claim]:
    """Claims that are not there yet, and what those that are grow by."""
    for one in release.objects:
        if one.get("kind") != "PersistentVolumeClaim":
            continue
        wanted, found = quota.claim_of(one["spec"], 1), release.found(one)
        if found is None:
            yield wanted
        else:
            grown = wanted.size - quota.claim_of(found["spec"], 1).size
            yield quota.Claim(0, max(0.0, grown), wanted.storage_class)
    if any(group.claims for group in release.groups):
        names = [item["metadata"]["name"] for item in client.items("persistentvolumeclaims", release.namespace)]
        for group in release.groups:
            for template in group.claims:
                prefix = f"{template['metadata']['name']}-{group.owner.partition('/')[2]}-"
                missing = group.count - sum(name.startswith(prefix) for name in names)
                if missing > 0:
                    yield quota.claim_of(template["spec"], missing)


def _references(client: Client, release: Release, served: set[str], *, within: bool) -> list[Finding]:
    """Whether all is there that the release names; what lies in a namespace that is not there is not asked for."""
    found: list[Finding] = []
    there = 0
    for one, owner in references.references(release.objects, release.groups).items():
        resource, inside = references.RESOURCES.get(one.kind, ("", True))
        group = resource.partition(".")[2]
        if (
            not resource
            or (inside and not within)
            or (group and not any(api.startswith(f"{group}/") for api in served))
        ):
            continue
        place = (one.namespace or release.namespace) if inside else None
        try:
            problem = _missing(client, one, resource, place)
        except ForbiddenError as error:
            found.append(Finding(_CHECKS.get(one.kind, "references"), "unknown",
                                 f"you may not read {error.what}: {one.kind} {one.name} of {owner}",
                                 "ask an administrator to run this"))  # fmt: skip
            continue
        if problem:
            found.append(Finding(_CHECKS.get(one.kind, "references"), "fail", f"{problem[0]} ({owner} needs it)",
                                 problem[1]))  # fmt: skip
        else:
            there += 1
    return found or ([Finding("references", "ok", f"all {there} are there")] if there else [])


_CHECKS = {"Secret": "secret", "StorageClass": "storage", "PersistentVolumeClaim": "storage"}


def _missing(client: Client, one: references.Reference, resource: str, place: str | None) -> tuple[str, str] | None:
    """What is missing, and the way out; of a Secret the names of its keys are read, nothing else."""
    where = f" in {place}" if place else ""
    keys: list[str] | None
    if one.kind == "Secret":
        keys = client.secret_keys(one.name, str(place))
    else:
        found = client.one(resource, one.name, place)
        keys = None if found is None else [*(found.get("data") or {}), *(found.get("binaryData") or {})]
    if keys is None:
        first = one.keys[0] if one.keys else "KEY"
        way = (f"kubectl create secret generic {one.name} -n {place} --from-file={first}=FILE" if one.kind == "Secret"
               else "create it, or name another")  # fmt: skip
        return f"{one.kind} {one.name} does not exist{where}", way
    lost = [key for key in one.keys if key not in keys]
    if lost:
        return (f"{one.kind} {one.name} has no key {', '.join(lost)} (it has {', '.join(keys) or 'none'})",
                "name the key in the values, or add it")  # fmt: skip
    return None


def _storage(client: Client, release: Release) -> list[Finding]:
    """Claims: a class to make them, and as many nodes as need them."""
    specs = [one["spec"] for one in release.objects if one.get("kind") == "PersistentVolumeClaim"
             and not release.found(one)]  # fmt: skip
    specs += [claim["spec"] for group in release.groups for claim in group.claims]
    found = _classes(client, specs) if specs else []
    own = {one["metadata"].get("name") for one in release.objects if one.get("kind") == "PersistentVolumeClaim"}
    for group in release.groups:
        if not group.engine or (group.count == 1 and not group.surge):
            continue
        for volume in group.spec.get("volumes") or []:
            mount = volume.get("persistentVolumeClaim") or {}
            name = mount.get("claimName")
            if name and name not in own and not mount.get("readOnly"):
                found += _shared(client, str(name), group.count, release.namespace)
    return found


def _classes(client: Client, specs: list[Json]) -> list[Finding]:
    classes = {item["metadata"]["name"]: item for item in client.items("storageclasses.storage.k8s.io")}
    default = _default_class(list(classes.values()))
    found = []
    for spec in specs:
        name = spec.get("storageClassName") or default
        if not name:
            way = f"set storage.storageClass to one of {', '.join(sorted(classes)) or '(there is none)'}"
            return [Finding("storage", "fail", "a claim names no class and the cluster has no default one", way)]
        provisioner = (classes.get(name) or {}).get("provisioner", "")
        modes = spec.get("accessModes") or []
        if name in classes and "ReadWriteMany" in modes and provisioner in _ONE_NODE:
            found.append(Finding("storage", "warn", f"{provisioner} of {name} makes volumes for one node, but the "
                                 "claim is ReadWriteMany", "a class of shared files, or perReplica"))  # fmt: skip
        elif name in classes:
            found.append(Finding("storage", "ok", f"StorageClass {name} ({provisioner}), {', '.join(modes)}"))
    return list(dict.fromkeys(found))


def _default_class(classes: list[Json]) -> str:
    marked = [item["metadata"]["name"] for item in classes
              if (item["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"]  # fmt: skip
    return str(marked[0]) if marked else ""


def _shared(client: Client, name: str, count: int, namespace: str) -> list[Finding]:
    claim = client.one("persistentvolumeclaims", name, namespace)
    modes = ((claim or {}).get("spec") or {}).get("accessModes") or []
    if claim and not _SHARED & set(modes):
        return [Finding("storage", "fail", f"claim {name} is {', '.join(modes)}, but {max(2, count)} pods may need it "
                        "on several nodes", "a claim with ReadWriteMany")]  # fmt: skip
    return []
