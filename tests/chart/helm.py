"""Two ways to render the chart with a real Helm: in process, and through the program where there is one."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol

import yaml

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "charts" / "llm-serving"
Manifest = dict[str, Any]


class RefusedError(Exception):
    """Helm refused the values; the text is what a user sees."""


class Renderer(Protocol):
    """A back end."""

    def __call__(self, values: Manifest, *, name: str = "mistral", namespace: str = "llm") -> list[Manifest]:
        """Objects of the chart, hooks and tests included."""


class UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """As the parent's, with the check."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubles = {key for key in keys if keys.count(key) > 1}
        assert not doubles, f"keys twice: {doubles}"
        return super().construct_mapping(node, deep)


def documents(text: str) -> list[Manifest]:
    """Objects of a rendered stream."""
    return [document for document in yaml.load_all(text, UniqueKeyLoader) if document]


def in_process(values: Manifest, *, name: str = "mistral", namespace: str = "llm") -> list[Manifest]:
    """Helm 4 of the helm-python-sdk wheel."""
    from helm_python import Chart, HelmError

    try:
        rendered = Chart.load(str(CHART)).render(values, name=name, namespace=namespace)
    except HelmError as error:
        raise RefusedError(str(error)) from error
    return [doc for path, text in sorted(rendered.items()) if path.endswith(".yaml") for doc in documents(text)]


def program(values: Manifest, *, name: str = "mistral", namespace: str = "llm") -> list[Manifest]:
    """The helm on PATH."""
    command = ["helm", "template", name, str(CHART), "--namespace", namespace, "--values", "-"]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(done.stderr)
    return documents(done.stdout)


def notes(values: Manifest) -> str:
    """NOTES.txt."""
    from helm_python import Chart

    rendered = Chart.load(str(CHART)).render(values, name="mistral", namespace="llm")
    return str(rendered["llm-serving/templates/NOTES.txt"])


RENDERERS: dict[str, Renderer] = {"wheel": in_process}
if shutil.which("helm"):
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


def engine(manifests: list[Manifest]) -> Manifest:
    """Container of the engine."""
    container: Manifest = find(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return container


def flags(manifests: list[Manifest]) -> dict[str, str]:
    """Flags of the engine by name; a flag without value maps to an empty text."""
    args = engine(manifests)["args"][1:]
    found = {}
    for index, word in enumerate(args):
        if word.startswith("--"):
            follows = index + 1 < len(args) and not args[index + 1].startswith("--")
            found[word] = args[index + 1] if follows else ""
    return found
