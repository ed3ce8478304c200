"""A release before the API server, with dry run: who would refuse it, and what would be put on its pods."""

import re
from dataclasses import dataclass, replace

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.cluster.findings import Finding, Status
from llm_serving_planner.cluster.kubectl import Client, CommandError, ForbiddenError
from llm_serving_planner.cluster.quota import show
from llm_serving_planner.cluster.workloads import Json, Pods, asked, hooks, named

_PLACEHOLDER = "default"  # an account that every namespace has
_NO_DRY_RUN = "does not support dry run"  # a webhook whose calls have effects
# What admission plugins say (kubernetes 1.35, seen on a real API server), and whose answer it is.
WHO = (
    (re.compile(r"violates PodSecurity"), "pod security", "docs/security.md; kubectl label namespace {namespace} "
     "--overwrite pod-security.kubernetes.io/enforce=LEVEL, or change the values"),
    (re.compile(r"exceeded quota|failed quota"), "quota", "raise the quota, or ask for less"),
    (re.compile(r"(maximum|minimum) \S+ usage per|limit to request ratio"), "limits",
     "ask for what the LimitRange allows, or another LimitRange"),
    (re.compile(r"no PriorityClass with name|RuntimeClass .* not found|error looking up service account"), "references",
     "create it, or name another"),
    (re.compile(_NO_DRY_RUN), "admission", ""),
)  # fmt: skip
_CONFLICT = re.compile(r'conflict with "([^"]+)"')
_FIELD = re.compile(r"(?<=[ \n])\.[a-zA-Z]\S*")
_EFFECTS = {"cpu": "it is throttled there", "memory": "it is killed there",
            "ephemeral-storage": "its pod is evicted where home and temporary files grow beyond"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What was found, and the pods as the API server would store them."""

    findings: list[Finding]
    groups: list[Pods]


def rehearse(client: Client, groups: list[Pods], objects: list[Json], there: list[Json], namespace: str) -> Rehearsed:
    """Send every object and every kind of pod with --dry-run=server.

    Args:
        client: the way to the API server.
        groups: pods of the release.
        objects: rendered objects of kinds that the cluster serves.
        there: those that it has.
        namespace: of the release.
    """
    found: list[Finding] = []
    accounts = {one["metadata"].get("name") for one in objects if one.get("kind") == "ServiceAccount"}
    missing = accounts - {one["metadata"].get("name") for one in there if one.get("kind") == "ServiceAccount"}
    for one in objects:
        exists = any(item.get("kind") == one.get("kind") and item["metadata"]["name"] == one["metadata"].get("name")
                     for item in there)  # fmt: skip
        if hooks(one) and exists:
            continue  # Helm deletes it first
        _, problems = _ask(client, one, named(one), namespace)
        found += problems
    stored = []
    for group in groups:
        spec = {**group.spec}
        if spec.get("serviceAccountName") in missing:
            spec["serviceAccountName"] = _PLACEHOLDER
        spec = _with_volumes(spec, group)
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec,
               "metadata": {"generateName": "preflight-", "namespace": namespace, **group.meta}}  # fmt: skip
        answer, problems = _ask(client, pod, f"a pod of {group.owner}", namespace)
        found += problems
        if answer is not None:
            found += _put_on(group, answer["spec"])
            own: Json = {key: group.spec[key] for key in ("serviceAccountName", "volumes") if key in group.spec}
            group = replace(group, spec={**answer["spec"], **own})  # noqa: PLW2901 - the same pods, as stored
        stored.append(group)
    for group in groups:
        for claim in group.claims:
            body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": claim["spec"],
                    "metadata": {"generateName": "preflight-", "namespace": namespace}}  # fmt: skip
            found += _ask(client, body, f"a claim of {group.owner}", namespace)[1]
    found = list(dict.fromkeys(found))
    if not any(finding.status in {"fail", "unknown"} for finding in found):
        found = [Finding("admission", "ok", f"the API server takes {len(objects)} objects and {len(groups)} kinds of "
                         "pods (dry run)"), *found]  # fmt: skip
    return Rehearsed(found, stored)


def _with_volumes(spec: Json, group: Pods) -> Json:
    """A controller adds the volumes of claim templates; here they are empty folders."""
    if not group.claims:
        return spec
    volumes = [*(spec.get("volumes") or [])]
    volumes += [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in group.claims]
    return {**spec, "volumes": volumes}


def _ask(client: Client, one: Json, what: str, namespace: str) -> tuple[Json | None, list[Finding]]:
    """What the API server would store, or who refuses it."""
    body = {**one, "metadata": {key: value for key, value in one["metadata"].items() if value}}
    try:
        return client.rehearse(body, namespace), []
    except ForbiddenError:
        return None, [Finding("admission", "unknown", f"you may not make {one.get('kind')} here: a dry run needs the "
                              "same right", "run this as whoever installs")]  # fmt: skip
    except CommandError as error:
        return None, [_refusal(error.text, what, namespace)]
    except InputError as error:
        return None, [Finding("admission", "unknown", f"{what}: {error}", "")]


def _refusal(said: str, what: str, namespace: str) -> Finding:
    text = re.sub(r"^(Error from server \(\w+\): |error: |error when \w+ \"STDIN\": )*", "", said)
    if managers := _CONFLICT.findall(said):
        fields = ", ".join(dict.fromkeys(_FIELD.findall(said))) or "fields"
        others = sorted({name for name in managers if not name.startswith("helm")})
        return Finding("change", "warn", f"{what}: {', '.join(others) or 'an older Helm'} owns {fields} that the "
                       "release sets: Helm 4 refuses the upgrade, Helm 3 sets them", "helm upgrade "
                       "--force-conflicts, or the value that is there")  # fmt: skip
    for pattern, check, way_out in WHO:
        if pattern.search(text):
            status: Status = "unknown" if pattern.pattern == _NO_DRY_RUN else "fail"
            return Finding(check, status, f"{what}: {text}", way_out.format(namespace=namespace))
    if re.search(r"is invalid|orbidden: (field|updates to)|may not|immutable", text):
        return Finding("change", "fail", f"{what}: {text}", "docs/operations.md, Upgrades")
    return Finding("admission", "fail", f"{what}: {text}", "ask whoever runs the cluster, or change the values")


def _put_on(group: Pods, stored: Json) -> list[Finding]:
    """Limits that a LimitRange puts on a container which named none."""
    found = []
    before = {one["name"]: one for one in _containers(group.spec)}
    for one in _containers(stored):
        own = before.get(one["name"])
        if own is None:
            continue  # a webhook's sidecar: it counts, and is nobody's surprise here
        given, limits = asked(own, "limits"), asked(one, "limits")
        found += [
            Finding("limits", "warn", f"a LimitRange limits container {one['name']} of {group.owner} to "
                    f"{show(resource, limits[resource])} of {resource}: {_EFFECTS[resource]}",
                    "state a limit, or another LimitRange")
            for resource in sorted(set(limits) - set(given)) if resource in _EFFECTS
        ]  # fmt: skip
    return found


def _containers(spec: Json) -> list[Json]:
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
