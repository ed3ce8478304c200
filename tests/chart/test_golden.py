"""Rendered manifests under review: `make golden` writes them again, the difference is read in the commit."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.helm import CHART, ROOT, in_process

GOLDEN = Path(__file__).parent / "golden"
FILES = [
    *sorted((CHART / "ci").glob("*-values.yaml")),
    *sorted(path for path in (ROOT / "values").glob("*.yaml") if path.name != "catalog.yaml"),
]


def normalised(path: Path) -> str:
    """Manifests without what changes with every version, and without scripts."""
    manifests = in_process(yaml.safe_load(path.read_text()))
    for manifest in manifests:
        labels: dict[str, Any] = manifest["metadata"].get("labels", {})  # extraObjects may have none
        for name in ("helm.sh/chart", "app.kubernetes.io/version"):
            labels.pop(name, None)
        data = manifest.get("data", {})
        for script in [name for name in data if name.endswith(".py")]:
            del data[script]
    return yaml.safe_dump_all(manifests, sort_keys=False, width=120)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_manifests_are_those_that_were_reviewed(path: Path) -> None:
    golden, text = GOLDEN / f"{path.stem}.yaml", normalised(path)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text)
    assert golden.read_text() == text, "run make golden and review the difference"


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == {path.stem for path in FILES}
