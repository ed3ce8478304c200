"""What an upgrade would do to the objects that a release already has, where the API server does not say so. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm_serving_planner.base.units import quantity
from llm_serving_planner.cluster.workloads import Json, hooks, named

_RELEASE = ("meta.helm.sh/release-name", "meta.helm.sh/release-namespace")
_INSTANCE = "app.kubernetes.io/instance"
_SCALED = {"Deployment", "StatefulSet", "LeaderWorkerSet"}


@dataclass(frozen=True, slots=True)
class Change:
    """A change that must not be made like this."""

    text: str
    way_out: str


def foreign(rendered: Json, found: Json, release: str, namespace: str) -> bool:
    """Whether an object of that name is somebody else's: Helm refuses to take it over, and its hooks delete it."""
    meta = found["metadata"]
    marks = meta.get("annotations") or {}
    if (marks.get(_RELEASE[0]), marks.get(_RELEASE[1])) == (release, namespace):
        return False
    # Helm writes no release on what a hook makes: there the label tells
    return not (hooks(rendered) and (meta.get("labels") or {}).get(_INSTANCE) == release)


def changes(rendered: Json, found: Json) -> Iterator[Change]:
    """Changes that are accepted at first and then break, or that cost engines."""
    yield from _claim_templates(rendered, found)
    yield from _fewer_engines(rendered, found)


def _claim_templates(rendered: Json, found: Json) -> Iterator[Change]:
    """The operator of a LeaderWorkerSet takes other claim templates, and can then never change its StatefulSets."""
    if rendered.get("kind") != "LeaderWorkerSet":
        return
    now, then = (_claims(one["spec"]["leaderWorkerTemplate"]) for one in (found, rendered))
    if now != then:
        yield Change(
            f"{named(rendered)}: the claims of its pods cannot change ({_shown(now)} to {_shown(then)}), and its "
            "operator would fail for ever", "docs/operations.md, Changing storage")  # fmt: skip


def _claims(template: Json) -> tuple[tuple[str, tuple[str, ...], str, float], ...]:
    return tuple(
        (
            str(claim["metadata"].get("name")),
            tuple(claim["spec"].get("accessModes") or ()),
            str(claim["spec"].get("storageClassName") or ""),
            quantity(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", 0)),
        )
        for claim in template.get("volumeClaimTemplates") or []
    )


def _shown(claims: tuple[Any, ...]) -> str:
    return ", ".join(f"{name} {size / 2**30:g}Gi" for name, _, _, size in claims) or "none"


def _fewer_engines(rendered: Json, found: Json) -> Iterator[Change]:
    """An object that names no replicas any more has one at once, whatever an autoscaler asks for a moment later."""
    if rendered.get("kind") not in _SCALED or "replicas" in rendered["spec"]:
        return
    now = int((found.get("spec") or {}).get("replicas", 1))
    if now <= 1:
        return
    owners = replica_owners(found)
    if any(not manager.startswith("helm") for manager, _ in owners):
        return
    meta = found["metadata"]
    own = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": {"name": meta["name"]},
           "spec": {"replicas": now}}  # fmt: skip
    # a second owner keeps the value where Helm applies server-side, as Helm 4 does, and lets go of it
    yield Change(
        f"{named(rendered)} has {now} replicas, which Helm owns: an autoscaler is switched on, and {now - 1} engine(s) "
        "end before it acts",
        f"echo '{json.dumps(own)}' | kubectl apply --server-side --field-manager=autoscaling "
        f"-n {meta.get('namespace')} -f -, and upgrade with Helm 4 and --server-side=true",
    )


def replica_owners(found: Json) -> list[tuple[str, str]]:
    """(manager, operation) of each that owns `spec.replicas`."""
    return [
        (str(entry.get("manager")), str(entry.get("operation")))
        for entry in found["metadata"].get("managedFields") or []
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
