"""Rendered manifests under review: `make golden` writes them again, the difference is read in the commit."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.helm import CHART, RENDERERS, ROOT, Renderer, in_process

GOLDEN = Path(__file__).parent / "golden"
FILES = [
    *sorted((CHART / "ci").glob("*-values.yaml")),
    *sorted(path for path in (ROOT / "values").glob("*.yaml") if path.name != "catalog.yaml"),
]


def normalised(path: Path, render: Renderer = in_process) -> list[dict[str, Any]]:
    """Manifests without what changes with every version, and without scripts."""
    manifests = render(yaml.safe_load(path.read_text()))
    for manifest in manifests:
        labels: dict[str, Any] = manifest["metadata"].get("labels", {})  # extraObjects may have none
        for name in ("helm.sh/chart", "app.kubernetes.io/version"):
            labels.pop(name, None)
        data = manifest.get("data", {})
        for script in [name for name in data if name.endswith(".py")]:
            del data[script]
    return manifests


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_manifests_are_those_that_were_reviewed(path: Path) -> None:
    golden = GOLDEN / f"{path.stem}.yaml"
    text = yaml.safe_dump_all(normalised(path), sort_keys=False, width=120)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text)
    assert golden.read_text() == text, "run make golden and review the difference"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("renderer", sorted(RENDERERS))
def test_every_helm_renders_the_same(path: Path, renderer: str) -> None:
    """In whatever order: a program sorts the objects by the order of their installation."""
    if os.environ.get("UPDATE_GOLDEN"):
        return
    golden = list(yaml.safe_load_all((GOLDEN / f"{path.stem}.yaml").read_text()))

    def place(manifest: dict[str, Any]) -> tuple[str, str]:
        return manifest["kind"], manifest["metadata"]["name"]

    assert sorted(normalised(path, RENDERERS[renderer]), key=place) == sorted(golden, key=place)


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == {path.stem for path in FILES}
