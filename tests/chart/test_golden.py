"""Rendered manifests under review: `make golden` writes them again, the difference is read in the commit.

tests/chart/golden/default-values.yaml is the rendering of the ci file of that name in full. Those of the other ci files
are kept as what they differ in from it. Committed values files have none: tests/values holds their numbers.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.difference import applied, difference, place
from support.helm import CHART, RENDERERS, ROOT, Manifest, Renderer, in_process, templates

GOLDEN = Path(__file__).parent / "golden"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
VALUES = sorted(path for path in (ROOT / "values").glob("*.yaml") if path.name != "catalog.yaml")
FILES = [*CI, *VALUES]
DEFAULT = CHART / "ci" / "default-values.yaml"


def normalised(path: Path, render: Renderer = in_process) -> list[Manifest]:
    """Manifests without what changes with every version, and without scripts."""
    manifests = render(yaml.safe_load(path.read_text()))
    for manifest in manifests:
        labels: dict[str, Any] = manifest["metadata"].get("labels", {})  # extraObjects may have none
        for name in ("helm.sh/chart", "app.kubernetes.io/version"):
            labels.pop(name, None)
        data = manifest.get("data", {})
        for script in [name for name in data if name.endswith(".py")]:
            del data[script]
    for template in templates(manifests):  # the digest of scripts that the golden files leave out
        annotations = template["metadata"].get("annotations", {})
        annotations.pop("llm-serving/scripts", None)
        if not annotations:
            template["metadata"].pop("annotations", None)
    return manifests


def reviewed(path: Path) -> list[Manifest]:
    """The manifests that the golden files hold for a ci file."""
    default = list(yaml.safe_load_all((GOLDEN / f"{DEFAULT.stem}.yaml").read_text()))
    if path == DEFAULT:
        return default
    return applied(default, yaml.safe_load((GOLDEN / f"{path.stem}.yaml").read_text()) or {})


def in_order(manifests: list[Manifest]) -> list[Manifest]:
    """By kind and name: a program sorts the objects by the order of their installation."""
    return sorted(manifests, key=place)


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_manifests_are_those_that_were_reviewed(path: Path) -> None:
    golden = GOLDEN / f"{path.stem}.yaml"
    if path == DEFAULT:
        text = yaml.safe_dump_all(normalised(path), sort_keys=False, width=120)
    else:
        head = f"# What differs in the rendering of ci/{path.name} from that of ci/{DEFAULT.name}.\n"
        steps = difference(normalised(DEFAULT), normalised(path))
        text = head + yaml.safe_dump(steps, sort_keys=False, width=120, default_flow_style=None)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text)
    assert golden.read_text() == text, "run make golden and review the difference"


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
@pytest.mark.parametrize("renderer", sorted(RENDERERS))
def test_every_helm_renders_the_same(path: Path, renderer: str) -> None:
    """And the golden files lose nothing: what they hold leads back to every object."""
    if os.environ.get("UPDATE_GOLDEN"):
        return
    assert in_order(normalised(path, RENDERERS[renderer])) == in_order(reviewed(path))


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_every_helm_renders_the_committed_values(path: Path) -> None:
    first = in_order(normalised(path))
    assert {"Service", "ServiceAccount"} <= {manifest["kind"] for manifest in first}
    for name in sorted(set(RENDERERS) - {"wheel"}):
        assert in_order(normalised(path, RENDERERS[name])) == first


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == {path.stem for path in CI}


def pod(*containers: Manifest, **labels: str) -> Manifest:
    return {"kind": "Pod", "metadata": {"name": "a", "labels": labels}, "spec": {"containers": list(containers)}}


ONE, TWO = {"name": "one", "args": ["a", 1]}, {"name": "two", "args": ["a", "1"]}


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        (pod(ONE), pod(ONE), {}),
        (pod(ONE), pod({**ONE, "args": []}), {"spec.containers[one].args": {"was": ["a", 1], "is": []}}),
        (pod(ONE), pod({**ONE, "args": ["a"]}), {"spec.containers[one].args": {"was": ["a", 1], "is": ["a"]}}),
        (pod(ONE), pod(ONE, TWO), {"spec.containers[two]": {"is": TWO}}),
        (pod(ONE, TWO), pod(TWO), {"spec.containers[one]": {"was": ONE}}),
        (pod(ONE, TWO), pod(TWO, ONE), {"spec.containers": {"order": ["two", "one"]}}),
        (pod(ONE), pod(TWO, ONE), {"spec.containers[two]": {"is": TWO}, "spec.containers": {"order": ["two", "one"]}}),
        (pod(ONE), pod(ONE, ONE), {"spec.containers": {"was": [ONE], "is": [ONE, ONE]}}),
        (pod(ONE), pod(), {"spec.containers": {"was": [ONE], "is": []}}),
        (pod(**{"a.b/c": "1"}), pod(), {'metadata.labels."a.b/c"': {"was": "1"}}),
        (pod(a="1"), pod(a="true"), {"metadata.labels.a": {"was": "1", "is": "true"}}),
    ],
)  # fmt: skip
def test_a_difference_names_each_change_and_leads_back(old: Manifest, new: Manifest, paths: dict[str, Any]) -> None:
    steps = difference([old], [new])
    assert steps == ({"changed": {"Pod/a": paths}} if paths else {})
    assert applied([old], steps) == [new]


def test_a_difference_names_objects_that_came_and_went() -> None:
    service = {"kind": "Service", "metadata": {"name": "a"}}
    assert difference([pod(ONE)], [service]) == {"removed": ["Pod/a"], "added": [service]}
    assert applied([pod(ONE)], difference([pod(ONE)], [service])) == [service]
