"""What Chart.yaml tells Artifact Hub, made from the changelog, the values and the project's addresses.

Annotations: https://artifacthub.io/docs/topics/annotations/helm/ (2026-11).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.output import home

from publishing import changelog
from publishing.archive import NAME, chart_version

MARK = "# GENERATED below by `make generate` from CHANGELOG.md, the values and output/home.py of the planner\n"
PLACEHOLDER = "registry.example.com/"  # a reader's own image, in ci/ files
RECOMMENDED = (
    "https://artifacthub.io/packages/helm/nvidia/gpu-operator",
    "https://artifacthub.io/packages/helm/kuberay-operator/kuberay-operator",
)


def chart_yaml(root: Path) -> str:
    """Chart.yaml: the part written by hand, and the generated one."""
    path = root / "charts" / NAME / "Chart.yaml"
    by_hand = path.read_text(encoding="utf-8").split(MARK)[0]
    made = {
        "home": home.SOURCE,
        "sources": [home.SOURCE],
        "annotations": {
            "artifacthub.io/license": "Apache-2.0",
            "artifacthub.io/category": "ai-machine-learning",
            "artifacthub.io/prerelease": "true" if "-" in chart_version(root) else "false",
            "artifacthub.io/links": _text(
                [
                    {"name": "documentation", "url": f"{home.SOURCE}/blob/main/docs"},
                    {"name": "verification", "url": f"{home.SOURCE}/blob/main/docs/verify.md"},
                    {"name": "support", "url": f"{home.SOURCE}/issues"},
                ]
            ),
            "artifacthub.io/recommendations": _text([{"url": url} for url in RECOMMENDED]),
            "artifacthub.io/images": _text(
                [{"name": re.split(r"[:@]", image.rsplit("/", 1)[-1])[0], "image": image} for image in images(root)]
            ),
            **({"artifacthub.io/signKey": _text(home.SIGN_KEY)} if home.SIGN_KEY else {}),
            "artifacthub.io/changes": _text(changes(root)),
        },
    }
    return by_hand + MARK + yaml.dump(made, Dumper=_Literal, sort_keys=False, width=150, allow_unicode=True)


class _Literal(yaml.SafeDumper):
    """Texts of several lines stand as literal blocks."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """As the parent's, as a block where it has lines."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Lists are indented below their key, as yamllint wants them."""
        super().increase_indent(flow, indentless=False)


_Literal.add_representer(str, _Literal.represent_str)


def _text(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=10_000, allow_unicode=True)


def changes(root: Path) -> list[dict[str, str]]:
    """Entries of the current version, as Artifact Hub takes them."""
    sections = changelog.parse((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    entries = changelog.current(sections, chart_version(root)).entries
    return [{"kind": kind.lower(), "description": text} for kind in changelog.KINDS for text in entries.get(kind, [])]


def images(root: Path) -> list[str]:
    """Every image of the defaults, the ci files and the committed values files."""
    chart = root / "charts" / NAME
    defaults = load_values(chart / "values.yaml")
    files = [*sorted((chart / "ci").glob("*.yaml")), *sorted((root / "values").glob("*.yaml"))]
    found = [*_images(defaults, "")]
    for path in files:
        if path.name != "catalog.yaml":
            found += _images(_merged(defaults, load_values(path)), "")
    return sorted({image for image in found if not image.startswith(PLACEHOLDER)})


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _images(node: dict[str, Any], default_tag: str) -> Iterator[str]:
    """Images below a mapping: every `image` with a repository; the engine's tag follows from its version."""
    for key, child in node.items():
        if not isinstance(child, dict):
            continue
        if key == "image" and child.get("repository"):
            tag = child.get("tag") or default_tag
            name = "/".join(part for part in (child.get("registry"), child["repository"]) if part)
            yield f"{name}@{child['digest']}" if child.get("digest") else f"{name}:{tag}"
        else:
            prefix = "v" if child.get("type", "vllm") == "vllm" else ""
            yield from _images(child, f"{prefix}{child['version']}" if "version" in child else default_tag)
