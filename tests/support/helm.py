"""Two ways to render the chart with a real Helm: in process, and through the program where there is one."""

import json
import os
import shutil
import subprocess
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

import yaml

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "charts" / "llm-serving"
Manifest = dict[str, Any]
HELM = os.environ.get("LLM_SERVING_HELM", "helm")  # the program; the wheel is always there
VALUES_FILES = [
    *sorted((CHART / "ci").glob("*-values.yaml")),
    *sorted(path for path in (ROOT / "values").glob("*.yaml") if path.name != "catalog.yaml"),
]
KUBE = "v1.36.0"  # what the wheel's Helm takes for a cluster; other Helms know other versions
# What a cluster of that minor version serves and a Helm without a cluster may be too old to know (3.18 knows 1.33).
SERVED_FROM = {"resource.k8s.io/v1": 34}
OPERATORS = (
    "leaderworkerset.x-k8s.io/v1", "ray.io/v1", "keda.sh/v1alpha1", "kueue.x-k8s.io/v1beta1",
    "monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1", "route.openshift.io/v1",
    "inference.networking.k8s.io/v1",
)  # fmt: skip


class RefusedError(Exception):
    """Helm refused the values; the text is what a user sees."""


class Renderer(Protocol):
    """A back end."""

    def __call__(
        self, values: Manifest, *, name: str = "mistral", namespace: str = "llm", apis: tuple[str, ...] = OPERATORS,
        kube: str | None = None,
    ) -> list[Manifest]:  # fmt: skip
        """Objects of the chart, hooks and tests included, on a cluster that serves `apis` beside Kubernetes' own.

        `kube` is the cluster's version, by default KUBE.
        """


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml takes an eighth of the time


class UniqueKeyLoader(_SafeLoader):  # type: ignore[misc]
    """Refuses a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """As the parent's, with the check."""
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(found) == len(keys), f"keys twice: {[key for key in found if keys.count(key) > 1]}"
        return found


def documents(text: str) -> list[Manifest]:
    """Objects of a rendered stream."""
    return [document for document in yaml.load_all(text, UniqueKeyLoader) if document]


@cache
def _chart() -> Any:
    from helm_python import Chart

    return Chart.load(str(CHART))


@lru_cache(maxsize=512)
def _rendered(values: str, options: str) -> str:
    """JSON of the files; many tests render the same few releases."""
    from helm_python import HelmError, _native

    try:
        rendered: str = _native.call_string("helm_render", _chart()._raw(), values, options)
    except HelmError as error:
        raise RefusedError(str(error)) from error
    return rendered


def _render(
    values: Manifest, name: str, namespace: str, apis: tuple[str, ...], kube: str | None = None
) -> dict[str, str]:
    options: dict[str, Any] = {"name": name, "namespace": namespace, "api_versions": list(apis)}
    if kube is not None:
        options["kube_version"] = kube
    found: dict[str, str] = json.loads(_rendered(json.dumps(values), json.dumps(options)))
    return found


def in_process(
    values: Manifest, *, name: str = "mistral", namespace: str = "llm", apis: tuple[str, ...] = OPERATORS,
    kube: str | None = None,
) -> list[Manifest]:  # fmt: skip
    """Helm 4 of the helm-python-sdk wheel."""
    rendered = _render(values, name, namespace, apis, kube)
    return [doc for path, text in sorted(rendered.items()) if path.endswith(".yaml") for doc in documents(text)]


def program(
    values: Manifest, *, name: str = "mistral", namespace: str = "llm", apis: tuple[str, ...] = OPERATORS,
    kube: str | None = None,
) -> list[Manifest]:  # fmt: skip
    """The helm on PATH, or the one that LLM_SERVING_HELM names."""
    command = [HELM, "template", name, str(CHART), "--namespace", namespace, "--values", "-"]
    version = kube or KUBE
    command += ["--kube-version", version]
    apis += tuple(api for api, since in SERVED_FROM.items() if int(version.split(".")[1]) >= since)
    command += [word for api in apis for word in ("--api-versions", api)]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(done.stderr)
    return documents(done.stdout)


def notes(values: Manifest) -> str:
    """NOTES.txt."""
    return _render(values, "mistral", "llm", OPERATORS)["llm-serving/templates/NOTES.txt"]


RENDERERS: dict[str, Renderer] = {"wheel": in_process}
if shutil.which(HELM) or "LLM_SERVING_HELM" in os.environ:  # one that is named must be there
    RENDERERS["program"] = program


def merge(base: Manifest, changes: Manifest) -> Manifest:
    """Deep merge as Helm does it: mappings merge, everything else is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def find(manifests: list[Manifest], kind: str) -> Manifest:
    """The one object of a kind."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def templates(manifests: list[Manifest]) -> list[Manifest]:
    """Pod templates of every workload, the leader's first."""
    found = []
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] in {"Deployment", "StatefulSet"}:
            found.append(spec["template"])
        elif manifest["kind"] == "LeaderWorkerSet":
            found.append(spec["leaderWorkerTemplate"]["workerTemplate"])
        elif manifest["kind"] == "RayCluster":
            found += [spec["headGroupSpec"]["template"], *(group["template"] for group in spec["workerGroupSpecs"])]
    return found


def engine(manifests: list[Manifest]) -> Manifest:
    """Container of the engine (the leader's)."""
    container: Manifest = templates(manifests)[0]["spec"]["containers"][0]
    return container


def flags(manifests: list[Manifest]) -> dict[str, str]:
    """Flags of the engine by name; a flag without value maps to an empty text."""
    args = engine(manifests).get("args", [])[1:]
    found = {}
    for index, word in enumerate(args):
        if word.startswith("--"):
            follows = index + 1 < len(args) and not args[index + 1].startswith("--")
            found[word] = args[index + 1] if follows else ""
    return found
