"""A chart that holds this one twice, as the subcharts `chat` and `embed`."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from support.helm import CHART, OPERATORS, Manifest, documents


def parent_chart(folder: Path) -> Path:
    """Write that chart into an empty folder."""
    dependencies = [
        {
            "name": "llm-serving",
            "version": ">=0",
            "repository": f"file://{CHART}",
            "alias": alias,
            "condition": f"{alias}.enabled",
        }
        for alias in ("chat", "embed")
    ]
    chart = {"apiVersion": "v2", "name": "parent", "version": "0.1.0", "dependencies": dependencies}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
    shutil.copytree(CHART, folder / "charts" / "llm-serving")
    return folder


def render_parent(parent: Path, values: dict[str, Any], name: str) -> list[Manifest]:
    """Objects of both subcharts."""
    from helm_python import Chart, _native

    options = {"name": name, "namespace": "llm", "api_versions": list(OPERATORS)}
    chart = Chart.load(str(parent))  # its handle lives as long as this name
    raw = _native.call_string("helm_render", chart._raw(), json.dumps(values), json.dumps(options))
    return [doc for path, text in json.loads(raw).items() if path.endswith(".yaml") for doc in documents(text)]
